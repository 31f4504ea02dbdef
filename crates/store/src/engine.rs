//! The two small traits an engine implements: [`Engine`] for ordered keys with guarded atomic commits, and [`Blobs`]
//! for message bytes. Nothing here knows what a mailbox is, and no engine knows more than this file and `keys`.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use columba_types::{AccountId, MessageId};

/// A future that an engine returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What belongs together: a commit never spans two partitions, and an engine may keep each wherever it likes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Partition {
    /// What is not of one account: the accounts themselves.
    Global,
    /// All that belongs to one account.
    Account(AccountId),
}

/// A key within a partition: tuple-encoded octets that sort as the tuple does. At most 2,000 octets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(pub Vec<u8>);

/// A condition on the state right before a commit. A guarded value begins with its version, 8 octets big-endian.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The value that is looked at.
    pub key: Key,
    /// What it has to be.
    pub expect: Expect,
}

/// What a guard asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such key.
    Absent,
    /// The key is there and its value begins with this version.
    Version(u64),
}

/// One atomic change of one partition: all of it happens, or nothing.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where.
    pub partition: Partition,
    /// All must hold.
    pub guards: Vec<Guard>,
    /// Written in order; a later write of the same key wins. `None` deletes.
    pub writes: Vec<(Key, Option<Bytes>)>,
    /// Ranges of keys that are deleted, before the writes.
    pub clears: Vec<Range<Key>>,
}

impl Batch {
    /// An empty batch.
    pub fn new(partition: Partition) -> Self {
        Self { partition, guards: Vec::new(), writes: Vec::new(), clears: Vec::new() }
    }

    /// Adds a condition.
    pub fn guard(&mut self, key: Key, expect: Expect) {
        self.guards.push(Guard { key, expect });
    }

    /// Adds a write.
    pub fn put(&mut self, key: Key, value: impl Into<Bytes>) {
        self.writes.push((key, Some(value.into())));
    }

    /// Adds a deletion.
    pub fn delete(&mut self, key: Key) {
        self.writes.push((key, None));
    }
}

/// Why a commit did not (or may not) happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A guard did not hold. Nothing happened: read again, and try again.
    #[error("the data changed meanwhile")]
    Conflict,
    /// Nothing happened, for the reason given: disk full, read-only, I/O error.
    #[error("{0}")]
    Refused(Arc<str>),
    /// Nobody knows whether it happened. Close the connection rather than lie.
    #[error("the outcome is unknown: {0}")]
    Indeterminate(Arc<str>),
}

/// Why something could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The medium failed: disk full, I/O error, no connection.
    #[error("{0}")]
    Unavailable(Arc<str>),
    /// What was read is not what was written.
    #[error("damaged data: {0}")]
    Corrupt(Arc<str>),
    /// A blob that should be there is not.
    #[error("missing data: {0}")]
    Missing(Arc<str>),
}

/// Hears what became of one commit, exactly once: an engine that drops it unheard says "indeterminate" by that.
pub struct Done(Option<Hear>);

type Hear = Box<dyn FnOnce(Result<(), CommitError>) + Send>;

impl Done {
    /// `hear` runs on whatever thread the engine is on: it never waits for long, and never calls the engine.
    pub fn new(hear: impl FnOnce(Result<(), CommitError>) + Send + 'static) -> Self {
        Self(Some(Box::new(hear)))
    }

    /// A `Done` and the future that gives what it heard.
    pub fn channel() -> (Self, BoxFuture<'static, Result<(), CommitError>>) {
        let (sender, receiver) = futures_channel::oneshot::channel();
        let done = Self::new(move |outcome| _ = sender.send(outcome));
        let lost = || Err(CommitError::Indeterminate("the engine has gone".into()));
        (done, Box::pin(async move { receiver.await.unwrap_or_else(|_| lost()) }))
    }

    /// Says what became of the commit.
    pub fn say(mut self, outcome: Result<(), CommitError>) {
        if let Some(hear) = self.0.take() {
            hear(outcome);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(hear) = self.0.take() {
            hear(Err(CommitError::Indeterminate("the engine has gone".into())));
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done")
    }
}

/// Ordered keys with guarded, atomic, durable commits.
///
/// Every engine passes the suite in `conformance`. Reads see every commit whose [`Done`] has heard that it happened.
pub trait Engine: Send + Sync + fmt::Debug {
    /// The values of `keys`, in their order; `None` where there is none. All are read from one state.
    fn read(&self, partition: Partition, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, EngineError>>;

    /// Up to `limit` keys of `range` with their values, rising, from one state.
    fn scan(
        &self,
        partition: Partition,
        range: Range<Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Key, Bytes)>, EngineError>>;

    /// Puts the batch in line *before it returns*; `done` hears when it is durable or has failed, whether or not
    /// anybody still waits for it. Batches of one partition are applied in the order they were submitted, each seeing
    /// what the ones before it did, so one may be built upon another that is still on its way; if an earlier one
    /// fails, the guards of the later ones fail. Their `done`s hear in the same order, possibly within `submit`
    /// itself, and never while the engine holds what `read` or `scan` need. The store bounds what is in line.
    fn submit(&self, batch: Batch, done: Done);

    /// Submits the batch; the future gives what became of it. Dropping the future changes nothing.
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), CommitError>> {
        let (done, outcome) = Done::channel();
        self.submit(batch, done);
        outcome
    }

    /// Every partition that holds anything, in order, starting after `after`; up to `limit`.
    fn partitions(&self, after: Option<Partition>, limit: usize) -> BoxFuture<'_, Result<Vec<Partition>, EngineError>>;

    /// What the engine finds wrong with the way it keeps its keys, one line per finding; nothing where there is
    /// nothing to look at. May take a time that grows with the number of keys; others are served meanwhile.
    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, EngineError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

impl<E: Engine + ?Sized> Engine for Arc<E> {
    fn read(&self, partition: Partition, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, EngineError>> {
        (**self).read(partition, keys)
    }

    fn scan(
        &self,
        partition: Partition,
        range: Range<Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Key, Bytes)>, EngineError>> {
        (**self).scan(partition, range, limit)
    }

    fn submit(&self, batch: Batch, done: Done) {
        (**self).submit(batch, done);
    }

    fn partitions(&self, after: Option<Partition>, limit: usize) -> BoxFuture<'_, Result<Vec<Partition>, EngineError>> {
        (**self).partitions(after, limit)
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, EngineError>> {
        (**self).check()
    }
}

/// Where the bytes of a message lie. Its meaning is the engine's; it is stored in the message's value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct BlobRef {
    /// Which segment (file, object).
    pub segment: u64,
    /// Where in it the record begins.
    pub offset: u64,
    /// Octets of the message.
    pub len: u64,
}

/// What a segment's record says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlobRecord {
    /// Whose.
    pub account: AccountId,
    /// Of which message.
    pub message: MessageId,
    /// Where.
    pub blob: BlobRef,
}

/// A segment as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentInfo {
    /// Its number.
    pub segment: u64,
    /// Octets it takes.
    pub bytes: u64,
    /// Whether it still grows; only sealed ones are reclaimed.
    pub sealed: bool,
}

/// The bytes of messages: written once, read in ranges, given back segment by segment.
pub trait Blobs: Send + Sync + fmt::Debug {
    /// Begins the bytes of one message. Dropping the writer before `finish` leaves nothing that is ever seen.
    fn begin(&self, account: AccountId, message: MessageId) -> Box<dyn BlobWriter>;

    /// The octets of `range`, cut off at the end of the blob. Checksums are verified where that is cheap (whole
    /// reads of small blobs), always by [`Blobs::check`].
    fn read(&self, blob: BlobRef, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, EngineError>>;

    /// Whole blobs, in the order of `blobs`, each with its checksum verified. For many small ones: an engine may read what
    /// lies together at once, and holds all of it until the last is dropped.
    fn read_together(&self, blobs: Vec<BlobRef>) -> BoxFuture<'_, Vec<Result<Bytes, EngineError>>> {
        Box::pin(async move {
            let mut all = Vec::with_capacity(blobs.len());
            for blob in blobs {
                all.push(self.read(blob, 0..blob.len).await);
            }
            all
        })
    }

    /// All segments.
    fn segments(&self) -> BoxFuture<'_, Result<Vec<SegmentInfo>, EngineError>>;

    /// The records of one segment, in order, with their checksums verified; a damaged one is an error in its place.
    fn records(&self, segment: u64) -> BoxFuture<'_, Result<Vec<Result<BlobRecord, EngineError>>, EngineError>>;

    /// Reads one blob wholly and verifies its checksum and owner.
    fn check(&self, record: BlobRecord) -> BoxFuture<'_, Result<(), EngineError>>;

    /// Makes durable all that was finished and has no commit yet. Only for those who look at segments as a whole.
    fn settle(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Gives a segment's space back. Nothing refers to it any more.
    fn remove(&self, segment: u64) -> BoxFuture<'_, Result<(), EngineError>>;
}

/// Takes the bytes of one message as they arrive.
pub trait BlobWriter: Send {
    /// Takes the next octets.
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), EngineError>>;

    /// Gives it its place. Its octets can be read, and are durable, once a commit of the same account that was submitted
    /// afterwards has happened: an engine may make both durable with one sync.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<BlobRef, EngineError>>;
}
