//! The options of `import` and `export`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub(crate) enum Import {
    /// A Maildir with its folders (Maildir++, or Dovecot's directories within directories)
    Maildir(ImportMaildir),
    /// An mbox, or a directory of them
    Mbox(ImportMbox),
    /// Files of one message each
    Eml(ImportEml),
}

/// What all imports have.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ImportHow {
    /// Leave out messages the mailbox has already: the same Message-ID and size (without one: the same date and size)
    #[arg(long)]
    pub(crate) skip_duplicates: bool,

    /// Keep lines that end in a bare LF; otherwise the lines of a file whose first line does get CRLF, as IMAP wants it
    #[arg(long)]
    pub(crate) keep_line_ends: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  columba import maildir ann ~/Maildir
  columba import maildir ann ~/Maildir --into Old
  columba import maildir ann ~/Maildir/.Work --mailbox Work

Flags, keywords (dovecot-keywords), dates (the files' times) and subscriptions come along. Running it twice imports
twice, unless --skip-duplicates is given.")]
pub(crate) struct ImportMaildir {
    pub(crate) account: String,
    /// The Maildir
    pub(crate) path: PathBuf,
    /// Take the Maildir as this one mailbox, without its folders
    #[arg(long, value_name = "NAME", conflicts_with = "into")]
    pub(crate) mailbox: Option<String>,
    /// Put all folders below this mailbox
    #[arg(long, value_name = "PREFIX")]
    pub(crate) into: Option<String>,
    #[command(flatten)]
    pub(crate) how: ImportHow,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  columba import mbox ann /var/mail/ann
  columba import mbox ann old.mbox --mailbox Archive/2019
  columba import mbox ann ~/mail --into Old

A file goes to INBOX unless --mailbox says otherwise; the files of a directory go to mailboxes of their names. Flags
are read from Status, X-Status, X-Keywords and X-Mozilla-Status, which stay in the message (but for the three in front
that `columba export mbox` writes); `From ` lines give the dates, and quoted ones (>From) are unquoted.")]
pub(crate) struct ImportMbox {
    pub(crate) account: String,
    /// The mbox, or a directory of them
    pub(crate) path: PathBuf,
    /// Put all messages into this mailbox
    #[arg(long, value_name = "NAME", conflicts_with = "into")]
    pub(crate) mailbox: Option<String>,
    /// Put all mailboxes below this one
    #[arg(long, value_name = "PREFIX")]
    pub(crate) into: Option<String>,
    #[command(flatten)]
    pub(crate) how: ImportHow,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  columba import eml ann message.eml
  columba import eml ann ~/saved --mailbox Archive --flag \\Seen

Directories are searched for files that end in .eml. Dates are those of the messages' Date fields.")]
pub(crate) struct ImportEml {
    pub(crate) account: String,
    /// Files, or directories of .eml files
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Where they go
    #[arg(long, value_name = "NAME", default_value = "INBOX")]
    pub(crate) mailbox: String,
    /// A flag or keyword they get; may be given several times
    #[arg(long = "flag", value_name = "FLAG")]
    pub(crate) flags: Vec<String>,
    #[command(flatten)]
    pub(crate) how: ImportHow,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Export {
    /// A Maildir++ with flags, keywords, dates and subscriptions; each file holds exactly the octets stored
    Maildir(ExportMaildir),
    /// A directory with an mbox for each mailbox
    Mbox(ExportMbox),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  columba export maildir ann ./ann
  columba export maildir ann ./sent --mailbox Sent --lf")]
pub(crate) struct ExportMaildir {
    pub(crate) account: String,
    /// The directory to make
    pub(crate) path: PathBuf,
    /// Only this mailbox; may be given several times
    #[arg(long = "mailbox", value_name = "NAME")]
    pub(crate) mailboxes: Vec<String>,
    /// Write Unix line ends instead of the octets as they are
    #[arg(long)]
    pub(crate) lf: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  columba export mbox ann ./ann
  columba export mbox ann ./ann --mailbox INBOX --mailbox Sent

Each message gets Status, X-Status and X-Keywords in front, which `columba import mbox` takes away again. Lines end as
on Unix; lines that begin with From are quoted (mboxrd).")]
pub(crate) struct ExportMbox {
    pub(crate) account: String,
    /// The directory to make
    pub(crate) path: PathBuf,
    /// Only this mailbox; may be given several times
    #[arg(long = "mailbox", value_name = "NAME")]
    pub(crate) mailboxes: Vec<String>,
}
