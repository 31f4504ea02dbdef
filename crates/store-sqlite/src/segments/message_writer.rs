//! Takes one message as it arrives: in memory while it is small, in a file of its own when it is large.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use columba_store::{BlobRef, BlobWriter, BoxFuture, EngineError};
use columba_types::limits::{MESSAGE_CHUNK_BYTES, MESSAGE_IN_MEMORY_BYTES};
use columba_types::{AccountId, MessageId};
use futures_channel::oneshot;
use xxhash_rust::xxh3::Xxh3;

use super::files::Files;
use super::lane::{Append, Lane, Work};
use super::lane_writer;
use super::pool::{Jobs, Outcome, outcome};
use super::record::{ALIGNMENT, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, segment_header};
use crate::data_dir::private_file;
use crate::fault::{closed, io_fault};

/// Where large messages are put together, and by whom.
#[derive(Clone)]
pub(crate) struct Staging {
    pub(crate) files: Arc<Files>,
    pub(crate) jobs: Jobs,
    pub(crate) numbers: Arc<AtomicU64>,
}

/// One message on its way in.
pub(crate) struct MessageWriter {
    account: AccountId,
    message: MessageId,
    len: u64,
    hash: Box<Xxh3>,
    /// Room for the record's header, then the octets that are not in a file yet.
    octets: Vec<u8>,
    staged: Option<Staged>,
    lane: Arc<Lane>,
    staging: Staging,
}

impl MessageWriter {
    pub(crate) fn new(account: AccountId, message: MessageId, lane: Arc<Lane>, staging: Staging) -> Self {
        let hash = Box::new(Xxh3::new());
        Self { account, message, len: 0, hash, octets: vec![0; RECORD_HEADER], staged: None, lane, staging }
    }

    fn header(&self) -> RecordHeader {
        let Self { account, message, len, .. } = *self;
        RecordHeader { account, message, len, hash: self.hash.digest() }
    }

    /// Hands what is in memory to the file, once the file has taken what it had before: so there is never more than
    /// one piece in memory here and one with the thread that writes. A future that is dropped leaves all in order.
    async fn stage(&mut self, at_least: usize) -> Result<(), EngineError> {
        if self.octets.len() <= at_least {
            return Ok(());
        }
        let staged = self.staged.get_or_insert_with(|| Staged::new(self.staging.clone()));
        staged.settle().await?;
        staged.write(std::mem::take(&mut self.octets));
        Ok(())
    }

    async fn finish_in_memory(self) -> Result<BlobRef, EngineError> {
        let header = self.header();
        let record = match self.lane.place(header, self.octets) {
            Ok(blob) => return Ok(blob),
            Err(record) => record,
        };
        let (answer, hear) = oneshot::channel();
        self.lane.ask(Work::Append(Append { header, record, answer })).map_err(|_| closed())?;
        hear.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn finish_staged(mut self) -> Result<BlobRef, EngineError> {
        self.stage(0).await?;
        let header = self.header();
        let Some(mut staged) = self.staged.take() else { return Err(closed()) };
        staged.settle().await?;
        outcome(staged.seal(header, &self.lane)).await
    }
}

impl BlobWriter for MessageWriter {
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), EngineError>> {
        if let Some(fault) = self.staged.as_ref().and_then(|staged| staged.fault.clone()) {
            return Box::pin(std::future::ready(Err(fault)));
        }
        self.hash.update(&chunk);
        self.len += chunk.len() as u64;
        self.octets.extend_from_slice(&chunk);
        let most = match self.staged {
            None => RECORD_HEADER + MESSAGE_IN_MEMORY_BYTES,
            Some(_) => MESSAGE_CHUNK_BYTES,
        };
        Box::pin(self.stage(most))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<BlobRef, EngineError>> {
        match self.staged {
            None => Box::pin(self.finish_in_memory()),
            Some(_) => Box::pin(self.finish_staged()),
        }
    }
}

/// A message that became too large for memory: a file in `incoming/` that will be a segment of its own.
struct Staged {
    staging: Staging,
    path: PathBuf,
    /// Nobody wants it any more.
    dropped: Arc<AtomicBool>,
    /// The file, when no piece is on its way into it.
    file: Option<File>,
    on_its_way: Option<Outcome<File>>,
    /// Where the next piece goes.
    offset: u64,
    fault: Option<EngineError>,
}

impl Staged {
    fn new(staging: Staging) -> Self {
        let number = staging.numbers.fetch_add(1, Ordering::Relaxed);
        let path = staging.files.incoming().join(format!("{number}.part"));
        let dropped = Arc::new(AtomicBool::new(false));
        Self { staging, path, dropped, file: None, on_its_way: None, offset: SEGMENT_HEADER, fault: None }
    }

    /// Waits for the piece on its way.
    async fn settle(&mut self) -> Result<(), EngineError> {
        if let Some(on_its_way) = &mut self.on_its_way {
            let written = on_its_way.await.unwrap_or_else(|_| Err(closed()));
            self.on_its_way = None;
            match written {
                Ok(file) => self.file = Some(file),
                Err(fault) => self.fault = Some(fault),
            }
        }
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// Sends the next piece on its way; the one before has settled.
    fn write(&mut self, piece: Vec<u8>) {
        let (path, dropped, file, offset) =
            (self.path.clone(), Arc::clone(&self.dropped), self.file.take(), self.offset);
        self.offset += piece.len() as u64;
        self.on_its_way = Some(self.staging.jobs.run(move || {
            let written = file.map_or_else(|| create(&path, &dropped), Ok).and_then(|file| {
                file.write_all_at(&piece, offset)?;
                Ok(file)
            });
            written.map_err(|e| io_fault("incoming", &e))
        }));
    }

    /// Makes the file a segment. From here on it is finished whether or not anybody waits.
    fn seal(mut self, header: RecordHeader, lane: &Arc<Lane>) -> Outcome<BlobRef> {
        let (path, file, end, segment) =
            (std::mem::take(&mut self.path), self.file.take(), self.offset, lane.new_segment());
        let files = Arc::clone(&self.staging.files);
        let name = files.dir_of(lane.shard()).1;
        self.staging.jobs.run(move || {
            let sealed = match &file {
                Some(file) => write_headers(file, header, segment, end),
                None => Err(io::ErrorKind::NotFound.into()),
            };
            let adopted = sealed.and_then(|()| lane_writer::adopt(&files, &path, segment));
            if adopted.is_err() {
                _ = std::fs::remove_file(&path);
            }
            let blob = BlobRef { segment, offset: SEGMENT_HEADER, len: header.len };
            adopted.map(|()| blob).map_err(|e| io_fault(&name, &e))
        })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.path.as_os_str().is_empty() {
            return;
        }
        // The file may not have been made yet; then whoever makes it sees the mark and removes it.
        self.dropped.store(true, Ordering::SeqCst);
        let path = std::mem::take(&mut self.path);
        let removed = self.staging.jobs.run(move || {
            _ = std::fs::remove_file(&path);
            Ok(())
        });
        drop(removed);
    }
}

fn create(path: &Path, dropped: &AtomicBool) -> io::Result<File> {
    let file = private_file().read(true).write(true).create_new(true).open(path)?;
    if dropped.load(Ordering::SeqCst) {
        _ = std::fs::remove_file(path);
    }
    Ok(file)
}

fn write_headers(file: &File, header: RecordHeader, segment: u64, end: u64) -> io::Result<()> {
    file.write_all_at(&segment_header(segment), 0)?;
    file.write_all_at(&header.encode(segment, SEGMENT_HEADER), SEGMENT_HEADER)?;
    file.set_len(end.next_multiple_of(ALIGNMENT))?;
    file.sync_all()
}
