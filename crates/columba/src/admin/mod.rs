//! Administration: what can be asked of a data directory, and the one road on which it is asked and done.
//!
//! Where a server runs, a command speaks to it over a Unix socket; where none runs, it opens the store itself and
//! speaks to the same code over a pipe in memory. The store's lock decides which; never both.
//!
//! Invariants:
//! - Nothing but [`execute`] changes a store on behalf of a command.
//! - No password crosses the road: credentials are hashed before they are sent.
//! - A message is never held whole above `MESSAGE_IN_MEMORY_BYTES` on either side.

mod accounts;
mod connect;
mod duplicates;
mod execute;
mod export;
mod frame;
mod import;
mod listen;
mod mailboxes;

use columba_types::DateTime;
use serde::{Deserialize, Serialize};

pub(crate) use connect::{Connection, FrameReader, FrameWriter, Missing, claim, connect, open_store};
pub(crate) use execute::Barring;
pub(crate) use frame::Frame;
pub(crate) use listen::{AdminSocket, SOCKET_NAME};

/// The version of this protocol. Both sides are mostly the same program; where they are not, they say so.
pub(crate) const PROTOCOL: u32 = 1;

/// What the executing side says first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Greeting {
    pub(crate) columba: String,
    pub(crate) protocol: u32,
}

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Accounts by name, after that one: up to `ADMIN_ACCOUNTS`.
    Accounts { after: Option<String> },
    /// One account.
    Account { name: String },
    /// New accounts, up to `ADMIN_ACCOUNTS`.
    CreateAccounts { accounts: Vec<AccountToMake> },
    /// New credentials for an account; its connections end.
    SetCredentials { name: String, credentials: Vec<String> },
    /// Whether an account may log in; when it may not, its connections end.
    SetDisabled { name: String, disabled: bool },
    /// How large a message an account takes; `None`: as large as the server's limit.
    SetMessageBytes { name: String, message_bytes: Option<u64> },
    /// From where the account may be used: from these networks alone (none: from anywhere), and not from those. `None`
    /// leaves a list as it is. Its connections end.
    SetNetworks { name: String, allow: Option<Vec<String>>, deny: Option<Vec<String>> },
    /// The account and all its mail go.
    DeleteAccount { name: String },
    /// All mailboxes of an account.
    Mailboxes { account: String },
    /// One of them.
    Mailbox { account: String, mailbox: String },
    /// A new one, with what it is for.
    CreateMailbox { account: String, mailbox: String, special_use: Option<String> },
    /// A mailbox and its messages go.
    DeleteMailbox { account: String, mailbox: String },
    /// [`ImportStep`]s follow, and [`Frame::Octets`].
    Import { account: String, skip_duplicates: bool },
    /// [`ExportStep`]s are answered, and [`Frame::Octets`]. No mailboxes: all of them.
    Export { account: String, mailboxes: Vec<String> },
    /// Checks everything there is.
    Verify,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It was not done, for that reason; what helps.
    Failed {
        reason: String,
        hint: Option<String>,
    },
    Done,
    Accounts(Vec<AccountInfo>),
    Account(AccountInfo),
    /// In the order they were given; the reason for each that was not made.
    Created(Vec<Result<AccountInfo, String>>),
    Mailboxes(Vec<MailboxInfo>),
    Mailbox(MailboxInfo),
    Import(ImportNews),
    Export(ExportStep),
    Verifying {
        accounts: u64,
        messages: u64,
        bytes: u64,
    },
    Verified(Verified),
}

/// An account to be made. Credentials are hashes already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AccountToMake {
    pub(crate) name: String,
    pub(crate) credentials: Vec<String>,
    pub(crate) disabled: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct AccountInfo {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) disabled: bool,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// Schemes of its credentials, `ARGON2ID`; never the credentials.
    pub(crate) schemes: Vec<String>,
    /// Octets of the largest message it takes, where that is not the server's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message_bytes: Option<u64>,
    /// Networks from which alone it may be used; none: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow_networks: Vec<String>,
    /// Networks from which it may not be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) deny_networks: Vec<String>,
    /// Only when one account is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
}

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) mailboxes: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct MailboxInfo {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) messages: u32,
    pub(crate) unseen: u32,
    pub(crate) deleted: u32,
    pub(crate) bytes: u64,
    pub(crate) uid_validity: u32,
    pub(crate) uid_next: u32,
    pub(crate) highest_modseq: u64,
    pub(crate) special_uses: Vec<String>,
    pub(crate) subscribed: bool,
    pub(crate) keywords: Vec<String>,
}

/// What an import consists of.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ImportStep {
    /// The messages that follow go here; it is made if it is not there. The special use holds only if no mailbox has it.
    Folder { name: String, special_use: Option<String> },
    /// A message. Its octets follow in frames that are not empty, then an empty one; or [`ImportStep::Abandon`].
    Message { origin: String, flags: Vec<String>, internal_date: Moment },
    /// The message could not be read to its end: forget it.
    Abandon,
    /// These names are subscribed.
    Subscribe { names: Vec<String> },
    /// That was all.
    End,
}

/// What comes of an import, while it goes on. The numbers are totals.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ImportNews {
    /// So much is committed.
    Stored(ImportTotals),
    /// Something was not imported, or not as it was.
    Trouble { origin: String, reason: String },
    /// All is done.
    Finished(ImportTotals),
}

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ImportTotals {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Messages that were there already.
    pub(crate) skipped: u64,
    pub(crate) mailboxes_made: u64,
}

/// What an export consists of.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ExportStep {
    /// What there will be in all.
    Begin { mailboxes: u64, messages: u64, bytes: u64 },
    /// The messages that follow are of this mailbox.
    Folder { name: String },
    /// A message. Its octets follow as in an import.
    Message { uid: u32, size: u64, flags: Vec<String>, internal_date: Moment },
    /// The message cannot be read, or not to its end.
    Trouble { origin: String, reason: String },
    /// All that is subscribed.
    Subscriptions { names: Vec<String> },
    /// That was all.
    Finished,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verified {
    pub(crate) findings: Vec<Finding>,
    pub(crate) accounts: u64,
    pub(crate) mailboxes: u64,
    pub(crate) records: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) reclaimable_bytes: u64,
    /// Findings that are not in the list because it is long enough.
    pub(crate) more_findings: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Note,
    Warning,
    Error,
}

/// A date with its zone.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Moment {
    pub(crate) secs: i64,
    pub(crate) zone: i16,
}

impl From<DateTime> for Moment {
    fn from(date: DateTime) -> Self {
        Self { secs: date.unix_secs, zone: date.zone_minutes }
    }
}

impl From<Moment> for DateTime {
    fn from(moment: Moment) -> Self {
        // The years 0 to 9999, which is what a date can be printed with.
        let unix_secs = moment.secs.clamp(-62_167_219_200, 253_402_300_799);
        DateTime { unix_secs, zone_minutes: moment.zone.clamp(-1439, 1439) }
    }
}
