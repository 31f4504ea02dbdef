//! Why the store could not do what was asked, in words that people can be shown.

use std::fmt;
use std::sync::Arc;

use crate::engine::EngineError;

/// Why something was not done. Unless it is [`StoreError::Indeterminate`], nothing happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No such account, mailbox or message.
    NotFound,
    /// There is one of that name already.
    Exists,
    /// Another mailbox has that special use (RFC 6154 §3).
    UseTaken,
    /// It is not allowed, for the reason given.
    Cannot(&'static str),
    /// The name has no mailbox, only mailboxes below it (RFC 9051 §6.3.5, HASCHILDREN).
    HasChildren,
    /// A limit is reached; which one.
    Limit(&'static str),
    /// The mailbox has given out its last UID.
    UidsExhausted,
    /// The message is larger than allowed.
    TooBig,
    /// Others changed the same thing again and again. Trying later helps.
    Busy,
    /// The medium failed: disk full, I/O error, no connection. Trying later may help.
    Unavailable(Arc<str>),
    /// Nobody knows whether it happened.
    Indeterminate(Arc<str>),
    /// What was read is not what was written, or was written by a newer Columba.
    Corrupt(Arc<str>),
}

impl StoreError {
    /// Damage, said with where it was found.
    pub(crate) fn corrupt(what: impl fmt::Display) -> Self {
        Self::Corrupt(what.to_string().into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such thing"),
            Self::Exists => f.write_str("there is one of that name already"),
            Self::UseTaken => f.write_str("another mailbox has that special use"),
            Self::Cannot(why) => f.write_str(why),
            Self::HasChildren => f.write_str("there are mailboxes below that name, and none of that name"),
            Self::Limit(which) => write!(f, "the limit is reached: {which}"),
            Self::UidsExhausted => f.write_str("the mailbox has no UIDs left"),
            Self::TooBig => f.write_str("the message is too big"),
            Self::Busy => f.write_str("too many changes at once, try again"),
            Self::Unavailable(why) => write!(f, "storage is unavailable: {why}"),
            Self::Indeterminate(why) => write!(f, "nobody knows whether it happened: {why}"),
            Self::Corrupt(what) => write!(f, "damaged data: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<EngineError> for StoreError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Unavailable(why) => Self::Unavailable(why),
            EngineError::Corrupt(what) => Self::Corrupt(what),
            EngineError::Missing(what) => Self::Corrupt(format!("missing: {what}").into()),
        }
    }
}
