//! The engine and the blobs in memory: the executable specification of both traits, used by tests and the simulator.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use columba_types::limits::SEGMENT_BYTES;
use columba_types::{AccountId, MessageId};
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::{
    Batch, BlobRecord, BlobRef, BlobWriter, Blobs, BoxFuture, CommitError, Done, Engine, EngineError, Expect, Key,
    Partition, SegmentInfo,
};

/// Takes a lock; what a panicking thread left is as good as any other state here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Keys = BTreeMap<Key, Bytes>;

/// Ordered keys in memory. Durable as long as it lives.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    /// Held while a commit is applied and heard of, so that commits are heard of in their order.
    turn: Mutex<()>,
    partitions: Mutex<BTreeMap<Partition, Keys>>,
}

impl MemoryEngine {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many keys there are in all partitions, and the octets of keys and values.
    pub fn size(&self) -> (usize, usize) {
        let partitions = lock(&self.partitions);
        let octets = |keys: &Keys| keys.iter().map(|(key, value)| key.0.len() + value.len()).sum::<usize>();
        (partitions.values().map(Keys::len).sum(), partitions.values().map(octets).sum())
    }

    fn apply(&self, batch: Batch) -> Result<(), CommitError> {
        let mut partitions = lock(&self.partitions);
        let keys = partitions.entry(batch.partition).or_default();
        let holds = |expect, value: Option<&Bytes>| match (expect, value) {
            (Expect::Absent, value) => value.is_none(),
            (Expect::Version(version), Some(value)) => value.starts_with(&version.to_be_bytes()),
            (Expect::Version(_), None) => false,
        };
        let outcome = if batch.guards.iter().all(|guard| holds(guard.expect, keys.get(&guard.key))) {
            for range in batch.clears {
                clear(keys, range);
            }
            for (key, value) in batch.writes {
                match value {
                    // A copy of its own: a slice of something large would keep all of that alive.
                    Some(value) => _ = keys.insert(key, Bytes::copy_from_slice(&value)),
                    None => _ = keys.remove(&key),
                }
            }
            Ok(())
        } else {
            Err(CommitError::Conflict)
        };
        if keys.is_empty() {
            partitions.remove(&batch.partition);
        }
        outcome
    }
}

fn clear(keys: &mut Keys, range: Range<Key>) {
    if range.start >= range.end {
        return;
    }
    let mut from = keys.split_off(&range.start);
    let mut behind = from.split_off(&range.end);
    keys.append(&mut behind);
}

impl Engine for MemoryEngine {
    fn read(&self, partition: Partition, wanted: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, EngineError>> {
        Box::pin(async move {
            let partitions = lock(&self.partitions);
            let keys = partitions.get(&partition);
            Ok(wanted.iter().map(|key| keys.and_then(|keys| keys.get(key)).cloned()).collect())
        })
    }

    fn scan(
        &self,
        partition: Partition,
        range: Range<Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Key, Bytes)>, EngineError>> {
        Box::pin(async move {
            if range.start >= range.end {
                return Ok(Vec::new());
            }
            let partitions = lock(&self.partitions);
            let found = partitions.get(&partition).map(|keys| keys.range(range).take(limit));
            Ok(found.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect())
        })
    }

    fn submit(&self, batch: Batch, done: Done) {
        let _turn = lock(&self.turn);
        let outcome = self.apply(batch);
        done.say(outcome);
    }

    fn partitions(&self, after: Option<Partition>, limit: usize) -> BoxFuture<'_, Result<Vec<Partition>, EngineError>> {
        Box::pin(async move {
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            let partitions = lock(&self.partitions);
            Ok(partitions.range((start, Bound::Unbounded)).take(limit).map(|(partition, _)| *partition).collect())
        })
    }
}

#[derive(Debug)]
struct StoredRecord {
    account: AccountId,
    message: MessageId,
    octets: Bytes,
    checksum: u64,
}

#[derive(Debug, Default)]
struct Segment {
    sealed: bool,
    bytes: u64,
    /// By offset.
    records: BTreeMap<u64, StoredRecord>,
}

#[derive(Debug, Default)]
struct Segments {
    next: u64,
    all: BTreeMap<u64, Segment>,
}

/// Message bytes in memory.
#[derive(Clone, Debug)]
pub struct MemoryBlobs {
    segment_bytes: u64,
    segments: Arc<Mutex<Segments>>,
}

impl Default for MemoryBlobs {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBlobs {
    /// Octets a record takes besides those of its message.
    const OVERHEAD: u64 = 32;

    /// An empty one, with segments of the usual size.
    pub fn new() -> Self {
        Self::with_segments_of(SEGMENT_BYTES)
    }

    /// An empty one whose segments are sealed at that many octets.
    pub fn with_segments_of(segment_bytes: u64) -> Self {
        Self { segment_bytes, segments: Arc::default() }
    }

    /// Changes one octet of a blob, as a failing disk would.
    pub fn damage(&self, blob: BlobRef) {
        let mut segments = lock(&self.segments);
        let segment = segments.all.get_mut(&blob.segment);
        if let Some(record) = segment.and_then(|segment| segment.records.get_mut(&blob.offset)) {
            let mut octets = BytesMut::from(&record.octets[..]);
            if let Some(first) = octets.first_mut() {
                *first ^= 1;
            }
            record.octets = octets.freeze();
        }
    }

    fn add(&self, account: AccountId, message: MessageId, octets: Bytes) -> BlobRef {
        let mut segments = lock(&self.segments);
        let open = segments.all.iter().next_back().filter(|(_, last)| !last.sealed).map(|(number, _)| *number);
        let number = open.unwrap_or_else(|| {
            segments.next += 1;
            segments.next
        });
        let segment = segments.all.entry(number).or_default();
        let (offset, len) = (segment.bytes, octets.len() as u64);
        let checksum = xxh3_64(&octets);
        segment.records.insert(offset, StoredRecord { account, message, octets, checksum });
        segment.bytes += len + Self::OVERHEAD;
        segment.sealed = segment.bytes >= self.segment_bytes;
        BlobRef { segment: number, offset, len }
    }

    fn with<T>(&self, blob: BlobRef, use_: impl FnOnce(&StoredRecord) -> T) -> Result<T, EngineError> {
        let segments = lock(&self.segments);
        let record = segments.all.get(&blob.segment).and_then(|segment| segment.records.get(&blob.offset));
        let record = record.filter(|record| record.octets.len() as u64 == blob.len);
        record.map(use_).ok_or_else(|| EngineError::Missing(format!("no record at {blob:?}").into()))
    }
}

impl StoredRecord {
    fn checked(&self) -> Result<(), EngineError> {
        if xxh3_64(&self.octets) == self.checksum {
            Ok(())
        } else {
            Err(EngineError::Corrupt(format!("checksum of {}", self.message).into()))
        }
    }
}

impl Blobs for MemoryBlobs {
    fn begin(&self, account: AccountId, message: MessageId) -> Box<dyn BlobWriter> {
        Box::new(MemoryWriter { blobs: self.clone(), account, message, octets: BytesMut::new() })
    }

    fn read(&self, blob: BlobRef, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, EngineError>> {
        Box::pin(async move {
            self.with(blob, |record| {
                let whole = range.start == 0 && range.end >= blob.len;
                if whole {
                    record.checked()?;
                }
                let end = range.end.min(blob.len);
                let start = range.start.min(end);
                Ok(record.octets.slice(start as usize..end as usize))
            })?
        })
    }

    fn segments(&self) -> BoxFuture<'_, Result<Vec<SegmentInfo>, EngineError>> {
        Box::pin(async move {
            let segments = lock(&self.segments);
            let info = |(number, segment): (&u64, &Segment)| SegmentInfo {
                segment: *number,
                bytes: segment.bytes,
                sealed: segment.sealed,
            };
            Ok(segments.all.iter().map(info).collect())
        })
    }

    fn records(&self, segment: u64) -> BoxFuture<'_, Result<Vec<Result<BlobRecord, EngineError>>, EngineError>> {
        Box::pin(async move {
            let segments = lock(&self.segments);
            let found = segments.all.get(&segment);
            let found = found.ok_or_else(|| EngineError::Missing(format!("no segment {segment}").into()))?;
            let record = |(offset, record): (&u64, &StoredRecord)| {
                let blob = BlobRef { segment, offset: *offset, len: record.octets.len() as u64 };
                record.checked().map(|()| BlobRecord { account: record.account, message: record.message, blob })
            };
            Ok(found.records.iter().map(record).collect())
        })
    }

    fn check(&self, record: BlobRecord) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.with(record.blob, |found| {
                if (found.account, found.message) != (record.account, record.message) {
                    let whose = format!("{record:?} belongs to {} of {}", found.message, found.account);
                    return Err(EngineError::Corrupt(whose.into()));
                }
                found.checked()
            })?
        })
    }

    fn remove(&self, segment: u64) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            lock(&self.segments).all.remove(&segment);
            Ok(())
        })
    }
}

struct MemoryWriter {
    blobs: MemoryBlobs,
    account: AccountId,
    message: MessageId,
    octets: BytesMut,
}

impl BlobWriter for MemoryWriter {
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), EngineError>> {
        self.octets.extend_from_slice(&chunk);
        Box::pin(std::future::ready(Ok(())))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<BlobRef, EngineError>> {
        let blob = self.blobs.add(self.account, self.message, self.octets.freeze());
        Box::pin(std::future::ready(Ok(blob)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passes_the_suite_of_engines() {
        crate::conformance::engine(|| Arc::new(MemoryEngine::new())).await;
    }

    #[tokio::test]
    async fn passes_the_suite_of_blobs() {
        crate::conformance::blobs(|| Arc::new(MemoryBlobs::with_segments_of(4096))).await;
    }
}
