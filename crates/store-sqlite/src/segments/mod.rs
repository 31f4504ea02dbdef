//! [`SegmentBlobs`]: append-only segment files as [`Blobs`]. It knows records and files, not what a message is.

mod files;
mod lane;
mod lane_writer;
mod message_writer;
mod pool;
mod read;
mod record;
mod restore;
mod walk;

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;

use bytes::Bytes;
use columba_store::{BlobRecord, BlobRef, BlobWriter, Blobs, BoxFuture, EngineError, SegmentInfo};
use columba_types::{AccountId, MessageId};
use futures_channel::oneshot;

use crate::OpenError;
use crate::account_map::AccountMap;
use crate::data_dir::sync_dir;
use crate::fault::{closed, io_fault};
pub(crate) use files::Files;
use files::Kind;
pub(crate) use lane::{Lane, Placed, Tend, Work};
use lane_writer::LaneWriter;
use message_writer::{MessageWriter, Staging};
use pool::{Pool, outcome};
use record::place_of;
pub(crate) use restore::{LoggedRecord, restore};
use walk::Found;

/// A lane, and what its thread will run.
pub(crate) type OpenLane = (Arc<Lane>, LaneWriter);

/// Threads that put large messages together. They sync, so readers have threads of their own.
const STAGING_THREADS: usize = 2;

/// Message bytes in segment files.
pub(crate) struct SegmentBlobs {
    files: Arc<Files>,
    accounts: Arc<AccountMap>,
    lanes: Vec<Arc<Lane>>,
    staging: Staging,
    lane_threads: Vec<JoinHandle<()>>,
    readers: Pool,
    // Kept so that their threads end with this.
    _staging_pool: Pool,
}

impl SegmentBlobs {
    /// Starts the threads. The lanes were opened with the shards that keep their logs.
    pub(crate) fn open(
        files: Arc<Files>,
        lanes: Vec<OpenLane>,
        accounts: Arc<AccountMap>,
        readers: usize,
    ) -> Result<Self, OpenError> {
        clean_incoming(&files.incoming())?;
        let no_thread = |e| OpenError::Unavailable(format!("no thread can be started: {e}"));
        let staging_pool = Pool::start("stage", STAGING_THREADS).map_err(no_thread)?;
        let mut blobs = Self {
            accounts,
            lanes: Vec::new(),
            staging: Staging {
                files: Arc::clone(&files),
                jobs: staging_pool.jobs().clone(),
                numbers: Arc::new(AtomicU64::new(1)),
            },
            lane_threads: Vec::new(),
            readers: Pool::start("blob", readers).map_err(no_thread)?,
            files,
            _staging_pool: staging_pool,
        };
        for (lane, writer) in lanes {
            let thread = std::thread::Builder::new().name(format!("append-{}", lane.shard()));
            blobs.lanes.push(lane);
            let thread = thread.spawn(move || writer.run());
            blobs.lane_threads.push(thread.map_err(no_thread)?);
        }
        Ok(blobs)
    }

    fn growing_end(&self, segment: u64) -> Option<u64> {
        let lane = self.lanes.get(place_of(segment).0)?;
        lane.growing().filter(|growing| growing.segment == segment).map(|growing| growing.end)
    }
}

impl Blobs for SegmentBlobs {
    fn begin(&self, account: AccountId, message: MessageId) -> Box<dyn BlobWriter> {
        let shard = self.accounts.assign(account);
        match self.lanes.get(shard).or(self.lanes.first()) {
            Some(lane) => Box::new(MessageWriter::new(account, message, Arc::clone(lane), self.staging.clone())),
            None => Box::new(NoLane),
        }
    }

    fn read(&self, blob: BlobRef, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, EngineError>> {
        Box::pin(async move {
            if let Some(file) = self.files.opened(blob.segment)
                && let Some(octets) = read::from_memory(&file, blob, &range)
            {
                return octets;
            }
            let files = Arc::clone(&self.files);
            let job = move || {
                let file = files.open(blob.segment)?;
                read::from_disk(&file, blob, &range)
            };
            outcome(self.readers.jobs().run_if_wanted(job)).await
        })
    }

    fn read_together(&self, blobs: Vec<BlobRef>) -> BoxFuture<'_, Vec<Result<Bytes, EngineError>>> {
        Box::pin(async move {
            let mut all = Vec::with_capacity(blobs.len());
            for stretch in read::stretches(&blobs) {
                let some = blobs.get(stretch.blobs.clone()).unwrap_or_default();
                let file = self.files.opened(stretch.segment);
                match file.and_then(|file| read::stretch_from_memory(&file, &stretch)) {
                    Some(octets) => {
                        all.extend(some.iter().map(|blob| read::from_stretch(&octets, &stretch, *blob)));
                    }
                    // From the disk each is read alone: the kernel reads ahead.
                    None => {
                        for blob in some {
                            all.push(self.read(*blob, 0..blob.len).await);
                        }
                    }
                }
            }
            all
        })
    }

    fn segments(&self) -> BoxFuture<'_, Result<Vec<SegmentInfo>, EngineError>> {
        let growing: Vec<_> = self.lanes.iter().filter_map(|lane| lane.growing()).collect();
        let files = Arc::clone(&self.files);
        Box::pin(outcome(self.readers.jobs().run_if_wanted(move || list(&files, &growing))))
    }

    fn records(&self, segment: u64) -> BoxFuture<'_, Result<Vec<Result<BlobRecord, EngineError>>, EngineError>> {
        let growing_end = self.growing_end(segment);
        let files = Arc::clone(&self.files);
        let job = move || {
            let file = files.open(segment)?;
            let name = Files::name(segment, Kind::Sealed);
            let whole = file.metadata().map_err(|e| io_fault(&name, &e))?.len();
            let mut records = Vec::new();
            let end = growing_end.unwrap_or(whole).min(whole);
            let walked = walk::walk(&file, segment, end, |found| {
                records.push(match found {
                    Found::Whole(record) => Ok(record),
                    Found::Damaged { offset, why } => {
                        Err(EngineError::Corrupt(format!("{name} at {offset}: {why}").into()))
                    }
                });
            });
            walked.map_err(|e| io_fault(&name, &e))?;
            Ok(records)
        };
        Box::pin(outcome(self.readers.jobs().run_if_wanted(job)))
    }

    fn check(&self, record: BlobRecord) -> BoxFuture<'_, Result<(), EngineError>> {
        let files = Arc::clone(&self.files);
        let job = move || {
            let file = files.open(record.blob.segment)?;
            read::check(&file, record)
        };
        Box::pin(outcome(self.readers.jobs().run_if_wanted(job)))
    }

    fn settle(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        let settle = |lane: &Arc<Lane>| {
            let (answer, hear) = oneshot::channel();
            // A closed lane drops the answer, which says so.
            _ = lane.ask(Work::Settle(answer));
            hear
        };
        let all: Vec<_> = self.lanes.iter().map(settle).collect();
        Box::pin(async move {
            for settled in all {
                settled.await.unwrap_or_else(|_| Err(closed()))?;
            }
            Ok(())
        })
    }

    fn remove(&self, segment: u64) -> BoxFuture<'_, Result<(), EngineError>> {
        let grows = self.growing_end(segment).is_some();
        let files = Arc::clone(&self.files);
        let job = move || {
            if grows {
                return Err(EngineError::Unavailable("this segment still grows".into()));
            }
            remove(&files, segment)
        };
        Box::pin(outcome(self.readers.jobs().run(job)))
    }
}

impl fmt::Debug for SegmentBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentBlobs").field("lanes", &self.lanes.len()).finish_non_exhaustive()
    }
}

impl Drop for SegmentBlobs {
    fn drop(&mut self) {
        self.lanes.iter().for_each(|lane| lane.close());
        let here = std::thread::current().id();
        let others = self.lane_threads.drain(..).filter(|thread| thread.thread().id() != here);
        others.for_each(|thread| _ = thread.join());
    }
}

/// What is begun where there is no lane, which does not happen: a directory has one shard at least.
struct NoLane;

impl BlobWriter for NoLane {
    fn write(&mut self, _: Bytes) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(std::future::ready(Err(closed())))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<BlobRef, EngineError>> {
        Box::pin(std::future::ready(Err(closed())))
    }
}

fn list(files: &Files, growing: &[lane::Growing]) -> Result<Vec<SegmentInfo>, EngineError> {
    let mut segments = Vec::new();
    for shard in 0..files.shards() {
        let fault = |e: std::io::Error| io_fault(&files.dir_of(shard).1, &e);
        for (segment, kind) in files.list(shard).map_err(fault)? {
            let grows = growing.iter().find(|growing| growing.segment == segment);
            let bytes = match (grows, std::fs::metadata(files.path(segment, kind))) {
                (Some(growing), _) => growing.end,
                (None, Ok(metadata)) => metadata.len(),
                // It was sealed or removed since the directory was read.
                (None, Err(_)) => continue,
            };
            // One that began to grow since then still does.
            let sealed = grows.is_none() && kind == Kind::Sealed;
            segments.push(SegmentInfo { segment, bytes, sealed });
        }
    }
    Ok(segments)
}

fn remove(files: &Files, segment: u64) -> Result<(), EngineError> {
    let path = files.path(segment, Kind::Sealed);
    let name = Files::name(segment, Kind::Sealed);
    files.forget(segment);
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        // Whoever removes it again was cut short the first time.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(io_fault(&name, &e)),
    }
    files.forget(segment);
    sync_dir(&files.dir_of(place_of(segment).0).0).map_err(|e| io_fault(&name, &e))
}

/// Removes what large messages left that were never finished.
fn clean_incoming(incoming: &Path) -> Result<(), OpenError> {
    let cleaned = std::fs::read_dir(incoming)
        .and_then(|entries| entries.into_iter().try_for_each(|entry| std::fs::remove_file(entry?.path())));
    cleaned.map_err(|e| OpenError::io(incoming, &e))
}
