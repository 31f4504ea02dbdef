//! The nouns every other crate speaks: identifiers, flags, sets of numbers, names and dates.
//!
//! Invariants:
//! - A [`Uid`], [`SeqNum`] or [`UidValidity`] is never zero (RFC 9051 §2.3.1).
//! - A [`UidSet`] is always sorted, and its ranges never touch or overlap.
//! - An [`EntryName`] never lies outside of `/private` and `/shared`, and never holds a control character.
//! - A [`MailboxName`] never holds a control character, an empty component or a second spelling of INBOX.
//! - This crate never does I/O, never looks at a clock, and depends on `std` alone.

mod date;
mod entry_name;
mod flags;
mod ids;
pub mod limits;
mod mailbox_name;
mod network;
mod num_set;

pub use date::{Date, DateTime};
pub use entry_name::{EntryName, InvalidEntryName};
pub use flags::{Flag, Flags, InvalidKeyword, Keyword, KeywordBits, SystemFlags};
pub use ids::{AccountId, MailboxId, MessageId, ModSeq, SeqNum, ThreadId, Uid, UidValidity};
pub use mailbox_name::{InvalidMailboxName, MailboxName, SEPARATOR};
pub use network::{InvalidNetwork, Network, Networks};
pub use num_set::{NumRange, NumSet, SetNum, UidSet};
