//! The changes of a mailbox, one file per kind, and what they take and give.

use columba_types::{DateTime, Flag, ModSeq, UidSet, UidValidity};

use crate::incoming::StoredBytes;
use crate::message::MessageSummary;

mod append;
mod copy;
mod expunge;
mod replace;
mod store;

pub(crate) use expunge::put_trash;

/// A message that is to be appended.
#[derive(Debug)]
pub struct NewMessage {
    /// Its bytes, already durable.
    pub bytes: StoredBytes,
    /// Flags it comes with.
    pub flags: Vec<Flag>,
    /// INTERNALDATE.
    pub internal_date: DateTime,
    /// What crate `mime` made of it.
    pub summary: MessageSummary,
}

/// How STORE changes flags (RFC 9051 §6.4.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlagAction {
    /// FLAGS: these and no others.
    Replace,
    /// +FLAGS
    Add,
    /// -FLAGS
    Remove,
}

/// What STORE does to every message it names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlagChange {
    /// How.
    pub action: FlagAction,
    /// Which flags.
    pub flags: Vec<Flag>,
}

/// What an append did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// For APPENDUID.
    pub uid_validity: UidValidity,
    /// The UIDs given, in the order of the messages.
    pub uids: UidSet,
    /// Of the commit.
    pub modseq: ModSeq,
}

/// What a change of flags did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Of the commit: the changed records carry it. The mailbox's highest when nothing had to be changed.
    pub modseq: ModSeq,
    /// The messages whose flags are different now.
    pub changed: UidSet,
    /// The messages left alone because they changed after UNCHANGEDSINCE (RFC 7162 §3.1.3).
    pub modified: UidSet,
    /// The UIDs asked for that are no message's.
    pub missing: UidSet,
}

/// What an expunge did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expunged {
    /// The messages that went.
    pub uids: UidSet,
    /// Of the last commit; the mailbox's highest when nothing went.
    pub modseq: ModSeq,
}

/// What a copy or move did. Empty sets when there was nothing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    /// Of the target, for COPYUID.
    pub uid_validity: UidValidity,
    /// UIDs in the source, rising.
    pub from: UidSet,
    /// UIDs in the target, rising: the first of `from` became the first of `to`, and so on.
    pub to: UidSet,
    /// Of the last commit, in the target.
    pub modseq: ModSeq,
}
