//! The commands that clients of a run give, and how each is written. What comes of them is foreseen elsewhere.

use super::notify::Notify;
use super::search::{Key, Returns};

/// Messages a command names.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// As it is sent.
    pub(super) written: String,
    pub(super) uid: bool,
    /// Whom it means, rising, as far as the client knows.
    pub(super) uids: Vec<u32>,
    /// Whether the client knows all it means.
    pub(super) certain: bool,
}

/// What FETCH asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Flags,
    UidFlags,
    FlagsModSeq,
    /// BODY[TEXT], which makes \Seen.
    Text,
    PeekText,
}

/// A message that is sent.
#[derive(Clone, Debug, Default)]
pub(super) struct New {
    pub(super) flags: Vec<&'static str>,
    pub(super) text: String,
    /// What CATENATE puts it together from (RFC 4469); then it has no text of its own.
    pub(super) parts: Vec<Part>,
}

/// A part of a message that is put together.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Text(String),
    Url { mailbox: String, uid_validity: u32, uid: u32, section: Section },
}

/// What of a message a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Whole,
    Text,
    /// Octets from there, so many.
    Partial(usize, usize),
}

impl Part {
    fn written(&self, literal: fn(&str) -> String) -> String {
        match self {
            Self::Text(text) => format!("TEXT {}", literal(text)),
            Self::Url { mailbox, uid_validity, uid, section } => {
                let section = match section {
                    Section::Whole => String::new(),
                    Section::Text => "/;SECTION=TEXT".into(),
                    Section::Partial(from, count) => format!("/;PARTIAL={from}.{count}"),
                };
                format!("URL \"/{mailbox};UIDVALIDITY={uid_validity}/;UID={uid}{section}\"")
            }
        }
    }
}

/// A literal as a script has it.
fn as_script(text: &str) -> String {
    format!("{{+\"{}\"}}", text.replace("\r\n", "\\r\\n"))
}

/// A literal as it goes over the wire.
fn as_sent(text: &str) -> String {
    format!("{{{}+}}\r\n{text}", text.len())
}

impl New {
    fn script(&self) -> String {
        self.sending(as_script)
    }

    fn wire(&self) -> String {
        self.sending(as_sent)
    }

    fn sending(&self, literal: fn(&str) -> String) -> String {
        let flags = self.flags.join(" ");
        if self.parts.is_empty() {
            return format!("({flags}) {}", literal(&self.text));
        }
        let parts: Vec<String> = self.parts.iter().map(|part| part.written(literal)).collect();
        format!("({flags}) CATENATE ({})", parts.join(" "))
    }
}

/// How a mailbox is opened.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    pub(super) name: String,
    pub(super) read_only: bool,
    pub(super) condstore: bool,
    /// The parameter of QRESYNC, and which saved state it is about.
    pub(super) resync: Option<(String, usize)>,
}

/// A command.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Noop,
    Check,
    Select(Opening),
    Close,
    Unselect,
    /// One message, or several at once (RFC 3502).
    Append {
        name: String,
        messages: Vec<New>,
    },
    /// RFC 8508
    Replace {
        target: Target,
        name: String,
        message: New,
    },
    Store {
        target: Target,
        sign: &'static str,
        silent: bool,
        flags: Vec<&'static str>,
        unchanged_since: Option<u64>,
    },
    Fetch {
        target: Target,
        what: What,
        changed_since: Option<u64>,
        vanished: Option<usize>,
        /// The positions it is about (RFC 9394 §3.3).
        partial: Option<(i64, i64)>,
    },
    Expunge {
        target: Option<Target>,
    },
    Copy {
        target: Target,
        name: String,
        moves: bool,
    },
    Search {
        uid: bool,
        key: Key,
        returns: Option<Returns>,
    },
    Status {
        name: String,
        modseq: bool,
    },
    Create(String),
    Delete(String),
    Rename(String, String),
    Subscribe(String, bool),
    Notify(Notify),
    /// RFC 10022
    UidBatches {
        size: u32,
        batches: Option<(u32, u32)>,
    },
    /// RFC 8437
    Unauthenticate,
}

impl Target {
    pub(super) fn prefix(&self) -> &'static str {
        if self.uid { "UID " } else { "" }
    }
}

impl Command {
    /// The command's line, without tag and line end.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Noop => "NOOP".into(),
            Self::Check => "CHECK".into(),
            Self::Select(opening) => opening.written(),
            Self::Close => "CLOSE".into(),
            Self::Unselect => "UNSELECT".into(),
            Self::Append { .. } | Self::Replace { .. } => self.sending(New::script),
            Self::Store { target, sign, silent, flags, unchanged_since } => {
                let since = unchanged_since.map_or(String::new(), |n| format!("(UNCHANGEDSINCE {n}) "));
                let silent = if *silent { ".SILENT" } else { "" };
                let (uid, set, flags) = (target.prefix(), &target.written, flags.join(" "));
                format!("{uid}STORE {set} {since}{sign}FLAGS{silent} ({flags})")
            }
            Self::Fetch { target, what, changed_since, vanished, partial } => {
                let items = match what {
                    What::Flags => "(FLAGS)",
                    What::UidFlags => "(UID FLAGS)",
                    What::FlagsModSeq => "(UID FLAGS MODSEQ)",
                    What::Text => "BODY[TEXT]",
                    What::PeekText => "BODY.PEEK[TEXT]",
                };
                let vanished = if vanished.is_some() { " VANISHED" } else { "" };
                let since = changed_since.map(|n| format!("CHANGEDSINCE {n}{vanished}"));
                let partial = partial.map(|(first, last)| format!("PARTIAL {first}:{last}"));
                let modifiers: Vec<String> = partial.into_iter().chain(since).collect();
                let modifiers =
                    if modifiers.is_empty() { String::new() } else { format!(" ({})", modifiers.join(" ")) };
                format!("{}FETCH {} {items}{modifiers}", target.prefix(), target.written)
            }
            Self::Expunge { target: None } => "EXPUNGE".into(),
            Self::Expunge { target: Some(target) } => format!("UID EXPUNGE {}", target.written),
            Self::Copy { target, name, moves } => {
                format!("{}{} {} {name}", target.prefix(), if *moves { "MOVE" } else { "COPY" }, target.written)
            }
            Self::Search { uid, key, returns } => {
                let returns = returns.map_or(String::new(), Returns::written);
                format!("{}SEARCH {returns}{}", if *uid { "UID " } else { "" }, key.written())
            }
            Self::Status { name, modseq } => {
                let modseq = if *modseq { " HIGHESTMODSEQ" } else { "" };
                format!("STATUS {name} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE{modseq})")
            }
            Self::Create(name) => format!("CREATE {name}"),
            Self::Delete(name) => format!("DELETE {name}"),
            Self::Rename(from, to) => format!("RENAME {from} {to}"),
            Self::Subscribe(name, true) => format!("SUBSCRIBE {name}"),
            Self::Subscribe(name, false) => format!("UNSUBSCRIBE {name}"),
            Self::Notify(notify) => notify.written(),
            Self::UidBatches { size, batches } => {
                let batches = batches.map_or(String::new(), |(first, last)| format!(" {first}:{last}"));
                format!("UIDBATCHES {size}{batches}")
            }
            Self::Unauthenticate => "UNAUTHENTICATE".into(),
        }
    }

    /// The line as it goes over the wire, its literals in it.
    pub(super) fn wire(&self) -> String {
        match self {
            Self::Append { .. } | Self::Replace { .. } => self.sending(New::wire),
            _ => self.written(),
        }
    }

    fn sending(&self, message: fn(&New) -> String) -> String {
        match self {
            Self::Append { name, messages } => {
                let messages: Vec<String> = messages.iter().map(message).collect();
                format!("APPEND {name} {}", messages.join(" "))
            }
            Self::Replace { target, name, message: new } => {
                format!("{}REPLACE {} {name} {}", target.prefix(), target.written, message(new))
            }
            _ => String::new(),
        }
    }

    /// Whether it may change other mailboxes than the selected one, of which its client is not told then.
    pub(super) fn reaches_others(&self) -> bool {
        matches!(
            self,
            Self::Append { .. }
                | Self::Replace { .. }
                | Self::Copy { .. }
                | Self::Create(_)
                | Self::Delete(_)
                | Self::Rename(..)
                | Self::Subscribe(..)
                | Self::Select(_)
                | Self::Close
                | Self::Unselect
        )
    }

    /// Whether EXPUNGE may be told while it runs (RFC 9051 §7.5.1, RFC 7162 §3.2.10.2).
    pub(super) fn tells_expunges(&self) -> bool {
        match self {
            Self::Store { target, .. } | Self::Fetch { target, .. } => target.uid,
            Self::Search { uid, key, .. } => *uid && !key.numbered(),
            Self::Select(_) | Self::Close | Self::Unselect | Self::Unauthenticate => false,
            _ => true,
        }
    }
}

impl Opening {
    fn written(&self) -> String {
        let verb = if self.read_only { "EXAMINE" } else { "SELECT" };
        let parameter = match (&self.resync, self.condstore) {
            (Some((parameter, _)), _) => format!(" ({parameter})"),
            (None, true) => " (CONDSTORE)".into(),
            (None, false) => String::new(),
        };
        format!("{verb} {}{parameter}", self.name)
    }
}
