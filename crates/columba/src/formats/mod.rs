//! Mail as other programs keep it: Maildir, mbox and files of one message each, read and written. This knows files and
//! their conventions; it knows no store, no server and no progress bar.
//!
//! Invariants:
//! - What cannot be read is a [`Problem`] that names it, and never stops the rest.
//! - No message is ever held whole above `MESSAGE_IN_MEMORY_BYTES`.

pub(crate) mod eml;
mod folder_name;
mod lines;
pub(crate) mod maildir;
pub(crate) mod mbox;
mod octets;

use std::fmt;
use std::path::Path;

use columba_store::SpecialUse;
use columba_types::{DateTime, Flag, MailboxName};

pub(crate) use folder_name::special_use_of;
pub(crate) use lines::LineEnds;
pub(crate) use octets::Octets;

/// Where messages come from. All that is cheap to know is known from the start; messages are read one by one, from
/// any thread.
pub(crate) trait Source: Send + Sync {
    /// The folders, in the order they are imported.
    fn folders(&self) -> &[Folder];

    /// Reads one message. `message` counts from 0 within the folder.
    fn load(&self, folder: usize, message: usize) -> Result<Found, Problem>;

    /// The names that were subscribed, if the source tells.
    fn subscriptions(&self) -> Option<&[MailboxName]> {
        None
    }

    /// What was found to be unreadable while looking around.
    fn problems(&self) -> &[Problem];
}

/// A folder of a source.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// What it is called here.
    pub(crate) name: MailboxName,
    /// What its name says it is for.
    pub(crate) special_use: Option<SpecialUse>,
    /// Messages in it.
    pub(crate) messages: usize,
}

/// A message of a source.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) flags: Vec<Flag>,
    pub(crate) internal_date: DateTime,
    pub(crate) octets: Octets,
    /// What to call it when something is wrong with it.
    pub(crate) origin: String,
}

/// Something that could not be read or written, and why.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub(crate) struct Problem {
    /// Which file, folder or message.
    pub(crate) origin: String,
    pub(crate) reason: String,
}

impl Problem {
    pub(crate) fn new(origin: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self { origin: origin.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn at(path: &Path, reason: impl fmt::Display) -> Self {
        Self::new(path.display(), reason)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.reason)
    }
}

/// Where the folders of a source go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    /// The source is this one mailbox, and what lies below it stays out.
    pub(crate) mailbox: Option<MailboxName>,
    /// All folders go below this name.
    pub(crate) into: Option<MailboxName>,
    /// What happens to line ends.
    pub(crate) line_ends: LineEnds,
}

impl Target {
    /// The mailbox that the folder `name` becomes.
    fn name_for(&self, name: &MailboxName) -> Result<MailboxName, Problem> {
        match (&self.mailbox, &self.into) {
            (Some(mailbox), _) => Ok(mailbox.clone()),
            (None, Some(into)) => into.child(name.as_str()).map_err(|reason| Problem::new(name, reason)),
            (None, None) => Ok(name.clone()),
        }
    }

    /// What a folder of that name is for; nothing when it was given another name.
    fn special_use(&self, name: &MailboxName) -> Option<SpecialUse> {
        let moved = self.mailbox.is_some() || self.into.is_some();
        if moved { None } else { special_use_of(name) }
    }
}

/// The flags that `names` mean; what is no flag that can be stored is left out.
pub(crate) fn flags_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Flag> {
    names.into_iter().filter_map(|name| Flag::parse(name).ok()).collect()
}
