//! Mailboxes, messages, names and accounts over ordered keys and blobs: the domain, written once for every engine.
//!
//! Invariants:
//! - A change is one commit: all of it is durable, or none of it happened. Nothing is published before it is durable.
//! - What is published of a mailbox comes in commit order; modification sequences and UIDs never fall or come twice.
//! - A message's value never goes while a record in any mailbox refers to it; its bytes never go before its value.
//! - A future that is dropped half-way leaves memory and engine agreeing about what happened.
//! - A value of a newer format is refused in words, never guessed at; decoding never panics.
//! - This crate never prints or parses protocol text, and starts no task or thread (wrappers for tests do).

mod account_store;
mod accounts;
mod changes;
mod clock;
mod codec;
pub mod conformance;
mod draft;
mod engine;
mod error;
mod feed;
mod incoming;
mod keys;
mod line;
mod log;
mod mailbox;
mod memory;
mod message;
mod metadata;
mod packs;
mod page;
mod pages;
mod reclaim;
mod removal;
mod restore;
mod snapshot;
mod store;
pub mod testing;
mod threads;
mod tree;
mod tree_changes;
mod verify;
mod watch;

pub use account_store::{AccountStore, MessagesSoon};
pub use accounts::{Account, AccountChange, NewAccount, normalise_account_name};
pub use changes::{Appended, Copied, Expunged, FlagAction, FlagChange, NewMessage, Stored};
pub use clock::{Clock, SystemClock};
pub use engine::{
    Batch, BlobRecord, BlobRef, BlobWriter, Blobs, BoxFuture, CommitError, Done, Engine, EngineError, Expect, Guard,
    Key, Partition, SegmentInfo,
};
pub use error::StoreError;
pub use feed::{Followed, Follower, MailboxNews, News, TreeNews, UidSpan};
pub use incoming::{Incoming, StoredBytes};
pub use mailbox::{CatchUp, Mailbox};
pub use memory::{MemoryBlobs, MemoryEngine};
pub use message::{Message, MessageSummary, SortKeys};
pub use metadata::{Annotated, Metadata, MetadataChange};
pub use packs::{HeaderForm, OpenPack, PackColumn, PackedTexts, PagePacks, PageRange};
pub use reclaim::Reclaimed;
pub use restore::ExpungedMessage;
pub use snapshot::{Head, Record, Snapshot};
pub use store::{Options, Store};
pub use tree::{SpecialUse, Tree, TreeEntry, normalise_name};
pub use verify::{Finding, Severity, VerifyProgress, VerifyReport};
pub use watch::Watch;

/// Decodes octets as a page and encodes what that gave, for the fuzzer; `None` if they are no page.
#[doc(hidden)]
pub fn reencode_page(octets: &[u8], first_uid: u32) -> Option<bytes::Bytes> {
    codec::page::decode(octets, first_uid).ok().map(|page| codec::page::encode(&page))
}
