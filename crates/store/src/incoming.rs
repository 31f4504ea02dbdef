//! Messages on their way in: bytes get their place first, and become a message by a later commit, with which they are
//! durable at the latest.
//!
//! Between the two they belong to nobody in storage, so a lease here keeps their segment from being given back.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use columba_types::limits::ORPHANED_BYTES;
use columba_types::{AccountId, MessageId};

use crate::StoreError;
use crate::engine::{BlobRecord, BlobRef, BlobWriter};
use crate::memory::lock;

/// Which bytes are on their way to become a message, and which never will.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<LeasesInner>);

#[derive(Debug, Default)]
struct LeasesInner {
    in_flight: HashSet<(AccountId, MessageId)>,
    orphans: Vec<BlobRecord>,
}

impl Leases {
    pub(crate) fn take(self: &Arc<Self>, account: AccountId, message: MessageId) -> Lease {
        lock(&self.0).in_flight.insert((account, message));
        Lease { leases: Arc::clone(self), account, message, state: Mutex::new(LeaseState::Writing) }
    }

    /// Who holds a lease now.
    pub(crate) fn in_flight(&self) -> HashSet<(AccountId, MessageId)> {
        lock(&self.0).in_flight.clone()
    }

    /// Bytes that got a place and then were not wanted, since the last call.
    pub(crate) fn take_orphans(&self) -> Vec<BlobRecord> {
        std::mem::take(&mut lock(&self.0).orphans)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseState {
    /// They have no place yet.
    Writing,
    /// The bytes have a place, and are nobody's.
    Placed(BlobRef),
    /// A commit made them a message's.
    Committed,
    /// Nobody knows: the lease is held until the process ends.
    Unknown,
}

/// Holds the segment of bytes that are on their way.
#[derive(Debug)]
pub(crate) struct Lease {
    leases: Arc<Leases>,
    account: AccountId,
    message: MessageId,
    state: Mutex<LeaseState>,
}

impl Lease {
    fn set(&self, state: LeaseState) {
        *lock(&self.state) = state;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let state = *lock(&self.state);
        let mut leases = lock(&self.leases.0);
        match state {
            LeaseState::Unknown => return,
            // What is not noted here is found by `verify`, and given back with its segment.
            LeaseState::Placed(blob) if leases.orphans.len() < ORPHANED_BYTES => {
                leases.orphans.push(BlobRecord { account: self.account, message: self.message, blob });
            }
            _ => {}
        }
        leases.in_flight.remove(&(self.account, self.message));
    }
}

/// A message whose bytes are arriving. Dropping it leaves nothing behind.
pub struct Incoming {
    writer: Box<dyn BlobWriter>,
    lease: Lease,
    len: u64,
}

impl Incoming {
    pub(crate) fn new(writer: Box<dyn BlobWriter>, lease: Lease) -> Self {
        Self { writer, lease, len: 0 }
    }

    /// What the message will be called.
    pub fn message_id(&self) -> MessageId {
        self.lease.message
    }

    /// Octets so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing came yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the next octets, kept exactly as they are.
    ///
    /// # Errors
    /// `Unavailable`: the medium is full or failing. The message cannot be finished then.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.len = self.len.saturating_add(chunk.len() as u64);
        Ok(self.writer.write(chunk).await?)
    }

    /// Gives all of it its place; the commit that makes it a message makes it durable, if it was not before.
    ///
    /// # Errors
    /// `Unavailable`: the medium is full or failing.
    pub async fn finish(self) -> Result<StoredBytes, StoreError> {
        let blob = self.writer.finish().await?;
        self.lease.set(LeaseState::Placed(blob));
        Ok(StoredBytes { blob, lease: self.lease })
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("message", &self.lease.message).field("len", &self.len).finish_non_exhaustive()
    }
}

/// Bytes that have a place, and are nobody's message yet. Dropping them gives their space back some time later.
#[derive(Debug)]
pub struct StoredBytes {
    pub(crate) blob: BlobRef,
    lease: Lease,
}

impl StoredBytes {
    /// What the message will be called.
    pub fn message_id(&self) -> MessageId {
        self.lease.message
    }

    /// Octets.
    pub fn len(&self) -> u64 {
        self.blob.len
    }

    /// Whether the message is empty.
    pub fn is_empty(&self) -> bool {
        self.blob.len == 0
    }

    /// Whose message they may become.
    pub(crate) fn account(&self) -> AccountId {
        self.lease.account
    }

    /// They are a message's now.
    pub(crate) fn committed(&self) {
        self.lease.set(LeaseState::Committed);
    }

    /// Nobody knows whether they are a message's.
    pub(crate) fn unknown(&self) {
        self.lease.set(LeaseState::Unknown);
    }
}
