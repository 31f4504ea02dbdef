//! The one thread that appends to a shard's segments: it takes all messages in line, writes them, and makes them
//! durable with one sync. Also gives out the numbers of segments.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use columba_store::{BlobRef, EngineError};
use columba_types::limits::{BLOB_GROUP_BYTES, COMMIT_QUEUE, SEGMENT_BYTES, SEGMENT_ZEROED_BYTES};
use futures_channel::oneshot::Sender;

use super::files::{Files, Kind};
use super::record::{ALIGNMENT, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, place_of, segment_header, segment_of};
use super::walk::end_of_whole_records;
use crate::data_dir::{private_file, sync_dir};
use crate::fault::io_fault;
use crate::queue::Queue;

/// What is written ahead of the messages, a piece at a time.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A message in line.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) header: RecordHeader,
    /// Room for the header, then the message.
    pub(crate) record: Vec<u8>,
    pub(crate) answer: Sender<Result<BlobRef, EngineError>>,
}

/// The segment that grows, as readers may see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Growing {
    pub(crate) segment: u64,
    /// Octets that are durable.
    pub(crate) end: u64,
}

/// What a lane shares with everybody.
#[derive(Debug)]
pub(crate) struct Lane {
    shard: usize,
    files: Arc<Files>,
    queue: Queue<Append>,
    next_number: AtomicU64,
    growing: Mutex<Option<Growing>>,
}

impl Lane {
    /// Reads a shard's directory, cuts torn tails, and gives the lane and its writer, which goes on where the last
    /// segment was left.
    pub(crate) fn open(files: &Arc<Files>, shard: usize) -> io::Result<(Arc<Self>, LaneWriter)> {
        let segments = files.list(shard)?;
        let last = segments.last().map_or(0, |(segment, _)| place_of(*segment).1);
        let mut tail = None;
        for (segment, _) in segments.into_iter().filter(|(_, kind)| *kind == Kind::Growing) {
            if let Some(before) = tail.replace(Tail::recover(files, segment)?) {
                before.map(|before: Tail| before.seal(files)).transpose()?;
            }
        }
        let lane = Arc::new(Self {
            shard,
            files: Arc::clone(files),
            queue: Queue::new(),
            next_number: AtomicU64::new(last + 1),
            growing: Mutex::new(None),
        });
        let writer = LaneWriter { lane: Arc::clone(&lane), tail: None };
        let writer = LaneWriter { tail: tail.flatten(), ..writer };
        writer.show();
        Ok((lane, writer))
    }

    pub(crate) fn shard(&self) -> usize {
        self.shard
    }

    /// A number no segment of this shard has had since the directory was opened, and none has that exists.
    pub(crate) fn new_segment(&self) -> u64 {
        segment_of(self.shard, self.next_number.fetch_add(1, Ordering::Relaxed))
    }

    /// Puts a message in line; gives it back when the lane is closed.
    pub(crate) fn append(&self, append: Append) -> Result<(), Append> {
        self.queue.push(append)
    }

    pub(crate) fn growing(&self) -> Option<Growing> {
        *self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn close(&self) {
        self.queue.close();
    }
}

/// A segment that grows, as its writer has it.
#[derive(Debug)]
struct Tail {
    segment: u64,
    file: Arc<File>,
    /// Octets that are durable.
    end: u64,
    /// Octets up to which the file is there, with zeros behind `end`.
    zeroed: u64,
    /// Its name is durable too.
    named: bool,
}

impl Tail {
    fn create(files: &Files, segment: u64) -> io::Result<Self> {
        let path = files.path(segment, Kind::Growing);
        let file = private_file().read(true).write(true).create_new(true).open(&path)?;
        if let Err(error) = file.write_all_at(&segment_header(segment), 0) {
            // An empty file would only be in the way of the next one.
            _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let file = Arc::new(file);
        files.keep(segment, Arc::clone(&file));
        Ok(Self { segment, file, end: SEGMENT_HEADER, zeroed: SEGMENT_HEADER, named: false })
    }

    /// Takes up a segment that was growing when the process ended. `None`: there was nothing in it, and it is gone.
    fn recover(files: &Files, segment: u64) -> io::Result<Option<Self>> {
        let path = files.path(segment, Kind::Growing);
        let file = private_file().read(true).write(true).open(&path)?;
        let end = end_of_whole_records(&file, segment)?;
        if end == SEGMENT_HEADER {
            std::fs::remove_file(&path)?;
            return Ok(None);
        }
        file.set_len(end)?;
        file.write_all_at(&segment_header(segment), 0)?;
        file.sync_all()?;
        Ok(Some(Self { segment, file: Arc::new(file), end, zeroed: end, named: true }))
    }

    /// Gives the file its last length and name.
    fn seal(self, files: &Files) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.sync_all()?;
        std::fs::rename(files.path(self.segment, Kind::Growing), files.path(self.segment, Kind::Sealed))?;
        sync_dir(&files.dir_of(place_of(self.segment).0).0)
    }
}

/// The writer of a lane; `run` is its life.
#[derive(Debug)]
pub(crate) struct LaneWriter {
    lane: Arc<Lane>,
    tail: Option<Tail>,
}

impl LaneWriter {
    /// Serves until the lane is closed and nothing is in line.
    pub(crate) fn run(mut self) {
        let lane = Arc::clone(&self.lane);
        while let Some(group) = lane.queue.take(COMMIT_QUEUE, BLOB_GROUP_BYTES, |append| append.record.len()) {
            self.serve(group);
        }
        if let Some(tail) = &self.tail {
            // Zeros are only of use to a process that goes on; a failure leaves them to the next one.
            _ = tail.file.set_len(tail.end).and_then(|()| tail.file.sync_all());
        }
    }

    fn serve(&mut self, mut group: Vec<Append>) {
        let answers = match self.append(&mut group) {
            Ok(blobs) => blobs.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => {
                self.step_back();
                let fault = io_fault(&self.lane.files.dir_of(self.lane.shard).1, &error);
                group.iter().map(|_| Err(fault.clone())).collect()
            }
        };
        self.show();
        group.into_iter().zip(answers).for_each(|(append, answer)| _ = append.answer.send(answer));
    }

    fn show(&self) {
        let growing = self.tail.as_ref().map(|tail| Growing { segment: tail.segment, end: tail.end });
        *self.lane.growing.lock().unwrap_or_else(PoisonError::into_inner) = growing;
    }

    fn append(&mut self, group: &mut [Append]) -> io::Result<Vec<BlobRef>> {
        let files = Arc::clone(&self.lane.files);
        if self.tail.as_ref().is_some_and(|tail| tail.end >= SEGMENT_BYTES)
            && let Some(full) = self.tail.take()
        {
            full.seal(&files)?;
        }
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None => self.tail.insert(Tail::create(&files, self.lane.new_segment())?),
        };
        let mut end = tail.end;
        let mut blobs = Vec::with_capacity(group.len());
        for Append { header, record, .. } in &mut *group {
            if let Some(room) = record.first_chunk_mut::<RECORD_HEADER>() {
                *room = header.encode(tail.segment, end);
            }
            record.resize(record.len().next_multiple_of(ALIGNMENT as usize), 0);
            blobs.push(BlobRef { segment: tail.segment, offset: end, len: header.len });
            end += record.len() as u64;
        }
        write_records(&tail.file, group, tail.end)?;
        if end > tail.zeroed {
            tail.zeroed = end;
            write_zeros(tail, end)?;
        }
        tail.file.sync_data()?;
        if !tail.named {
            sync_dir(&files.dir_of(self.lane.shard).0)?;
            tail.named = true;
        }
        tail.end = end;
        Ok(blobs)
    }

    /// After a failure: nothing of what was written may be taken for a record later. What the medium thinks of a
    /// file whose sync failed is not known, so this one grows no more, unless it can be cut and synced.
    fn step_back(&mut self) {
        let Some(tail) = &mut self.tail else { return };
        let cut = tail.file.set_len(tail.end).and_then(|()| tail.file.sync_all());
        tail.zeroed = tail.end;
        if cut.is_err() || tail.end == SEGMENT_HEADER {
            let Some(tail) = self.tail.take() else { return };
            if tail.end == SEGMENT_HEADER {
                self.lane.files.forget(tail.segment);
                _ = std::fs::remove_file(self.lane.files.path(tail.segment, Kind::Growing));
            } else {
                _ = tail.seal(&self.lane.files);
            }
        }
    }
}

/// Writes the records one behind the other: small ones together, large ones as they are.
fn write_records(file: &File, group: &[Append], mut offset: u64) -> io::Result<()> {
    const TOGETHER: usize = 64 * 1024;
    let mut gathered = Vec::new();
    for Append { record, .. } in group {
        if record.len() >= TOGETHER || group.len() == 1 {
            offset = write_at(file, &gathered, offset)?;
            gathered.clear();
            offset = write_at(file, record, offset)?;
        } else {
            gathered.extend_from_slice(record);
        }
    }
    write_at(file, &gathered, offset).map(drop)
}

fn write_at(file: &File, octets: &[u8], offset: u64) -> io::Result<u64> {
    if !octets.is_empty() {
        file.write_all_at(octets, offset)?;
    }
    Ok(offset + octets.len() as u64)
}

/// Writes zeros behind the records, so that the next syncs find the file as long as it was: the file system then has
/// no journal to write for them (measured: twice as many syncs a second from four threads).
fn write_zeros(tail: &mut Tail, end: u64) -> io::Result<()> {
    // Behind much that was written at once they would only double the work.
    if end - tail.end > SEGMENT_ZEROED_BYTES / 4 {
        return Ok(());
    }
    // In pieces, so that no lane holds as many zeros.
    let zeroed = end + SEGMENT_ZEROED_BYTES;
    let mut at = end;
    while at < zeroed {
        let piece = (zeroed - at).min(ZEROS.len() as u64);
        tail.file.write_all_at(ZEROS.get(..piece as usize).unwrap_or(&ZEROS), at)?;
        at += piece;
    }
    tail.zeroed = zeroed;
    Ok(())
}

/// Moves a whole segment that was put together elsewhere into its place; its octets are durable already.
pub(crate) fn adopt(files: &Files, path: &Path, segment: u64) -> io::Result<()> {
    std::fs::rename(path, files.path(segment, Kind::Sealed))?;
    sync_dir(&files.dir_of(place_of(segment).0).0)
}
