//! The one thread that appends to a shard's segments: it takes all messages in line, writes them, and makes them
//! durable with one sync. It also sees to it that there is room for the messages that come with a commit's sync.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use columba_store::BlobRef;
use columba_types::limits::{BLOB_GROUP_BYTES, COMMIT_QUEUE, SEGMENT_BYTES, SEGMENT_ZEROED_BYTES};

use super::files::{Files, Kind};
use super::lane::{Append, Growing, Lane, Placed, Tend, Work};
use super::record::{ALIGNMENT, RECORD_HEADER, SEGMENT_HEADER, place_of, segment_header};
use super::walk::end_of_whole_records;
use crate::data_dir::{private_file, sync_dir};
use crate::fault::io_fault;

/// A segment that grows, as its writer has it.
#[derive(Debug)]
pub(super) struct Tail {
    segment: u64,
    file: Arc<File>,
    /// Where the next record goes.
    end: u64,
    /// Octets up to which zeros were written.
    zeroed: u64,
    /// Octets up to which the file is there.
    room: u64,
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
        Ok(Self { segment, file, end: SEGMENT_HEADER, zeroed: SEGMENT_HEADER, room: SEGMENT_HEADER, named: false })
    }

    /// Takes up a segment that was growing when the process ended. `None`: there was nothing in it, and it is gone.
    pub(super) fn recover(files: &Files, segment: u64) -> io::Result<Option<Self>> {
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
        Ok(Some(Self { segment, file: Arc::new(file), end, zeroed: end, room: end, named: true }))
    }

    /// Gives the file its last length and name.
    pub(super) fn seal(self, files: &Files) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.sync_all()?;
        std::fs::rename(files.path(self.segment, Kind::Growing), files.path(self.segment, Kind::Sealed))?;
        sync_dir(&files.dir_of(place_of(self.segment).0).0)
    }
}

/// What is written ahead of the messages, a piece at a time.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// The writer of a lane; `run` is its life.
#[derive(Debug)]
pub(crate) struct LaneWriter {
    lane: Arc<Lane>,
    tail: Option<Tail>,
}

impl LaneWriter {
    pub(super) fn new(lane: Arc<Lane>, tail: Option<Tail>) -> Self {
        let writer = Self { lane, tail };
        writer.open_places();
        writer
    }

    /// Serves until the lane is closed and nothing is in line.
    pub(crate) fn run(mut self) {
        let lane = Arc::clone(&self.lane);
        while let Some(group) = lane.queue.take(COMMIT_QUEUE, BLOB_GROUP_BYTES, Work::weight) {
            self.serve(group);
        }
        self.close_places();
        if let Some(tail) = &self.tail {
            // Zeros are only of use to a process that goes on; a failure leaves them to the next one.
            _ = tail.file.set_len(tail.end).and_then(|()| tail.file.sync_all());
        }
    }

    fn serve(&mut self, group: Vec<Work>) {
        let (mut appends, mut settles) = (Vec::new(), Vec::new());
        for work in group {
            match work {
                Work::Append(append) => appends.push(append),
                Work::Settle(answer) => settles.push(answer),
                Work::Tend(tend) => self.tend(&tend),
            }
        }
        if appends.is_empty() && settles.is_empty() {
            return;
        }
        let lane = Arc::clone(&self.lane);
        let is_full = lane.growing().is_some_and(|growing| growing.end >= SEGMENT_BYTES);
        // A segment is sealed with everything in it.
        let settling = (is_full || !settles.is_empty()).then(|| lane.hold_settling());
        self.close_places();
        let settled = match settling {
            Some(_) => self.settle(),
            None => Ok(()),
        };
        let appended = settled
            .as_ref()
            .map_err(|error| io::Error::from(error.kind()))
            .and_then(|()| if appends.is_empty() { Ok(Vec::new()) } else { self.append(&mut appends) });
        let fault = |error: &io::Error| io_fault(&lane.files().dir_of(lane.shard()).1, error);
        let answers = match appended {
            Ok(blobs) => blobs.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => {
                self.step_back();
                appends.iter().map(|_| Err(fault(&error))).collect()
            }
        };
        self.open_places();
        drop(settling);
        appends.into_iter().zip(answers).for_each(|(append, answer)| _ = append.answer.send(answer));
        settles.into_iter().for_each(|answer| _ = answer.send(settled.as_ref().copied().map_err(fault)));
    }

    /// From here on until they are opened again only this thread gives out places.
    fn close_places(&mut self) {
        let growing = self.lane.close_places();
        if let (Some(tail), Some(growing)) = (&mut self.tail, growing) {
            (tail.end, tail.room) = (growing.end, growing.room);
        }
    }

    fn open_places(&self) {
        let growing = self.tail.as_ref().map(|tail| {
            let Tail { segment, end, room, .. } = *tail;
            Growing { segment, file: Arc::clone(&tail.file), end, room }
        });
        self.lane.open_places(growing);
    }

    /// Writes what has a place and is in no commit, and makes it durable.
    fn settle(&self) -> io::Result<()> {
        let placed = self.lane.take_placed_held();
        let Some(Placed { file, .. }) = placed.first() else { return Ok(()) };
        // All of it is in one segment, which is not sealed before this.
        let written = placed.iter().try_for_each(|placed| placed.file.write_all_at(&placed.record, placed.offset));
        let settled = written.and_then(|()| file.sync_data());
        if settled.is_err() {
            self.lane.give_back(placed);
        }
        settled
    }

    /// Sees to it that there is room for what comes next, and lets the log forget what is durable here.
    fn tend(&mut self, tend: &Tend) {
        if let Some(Growing { file, end, room, .. }) = self.lane.growing()
            && room.saturating_sub(end) < SEGMENT_ZEROED_BYTES
        {
            // Nobody writes there, and nobody waits for the sync of what will be: it needs no zeros.
            match file.set_len(room + SEGMENT_ZEROED_BYTES) {
                Ok(()) => self.lane.widen(room + SEGMENT_ZEROED_BYTES),
                // The next message takes the road through this thread, and hears of it.
                Err(error) => tracing::debug!(%error, "no room ahead in a segment"),
            }
        }
        match tend.files.iter().try_for_each(|file| file.sync_data()) {
            Ok(()) => tend.settled.store(tend.up_to, Ordering::Release),
            Err(error) => {
                // What the medium has of it is not known any more; the log has all of it, until the next start.
                let error = io_fault(&self.lane.files().dir_of(self.lane.shard()).1, &error);
                tracing::error!(%error, "a segment could not be synced; the shard's log keeps what is in it");
                self.lane.distrust();
            }
        }
    }

    fn append(&mut self, group: &mut [Append]) -> io::Result<Vec<BlobRef>> {
        let files = Arc::clone(self.lane.files());
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
            // Behind much that was written at once they would only double the work.
            if end - tail.end <= SEGMENT_ZEROED_BYTES / 4 {
                tail.zeroed = write_zeros(&tail.file, end)?;
            }
        }
        tail.room = tail.room.max(tail.zeroed);
        tail.file.sync_data()?;
        if !tail.named {
            sync_dir(&files.dir_of(self.lane.shard()).0)?;
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
        (tail.zeroed, tail.room) = (tail.end, tail.end);
        if cut.is_err() || tail.end == SEGMENT_HEADER {
            let Some(tail) = self.tail.take() else { return };
            if tail.end == SEGMENT_HEADER {
                self.lane.files().forget(tail.segment);
                _ = std::fs::remove_file(self.lane.files().path(tail.segment, Kind::Growing));
            } else {
                _ = tail.seal(self.lane.files());
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

/// Writes zeros ahead of the records, so that the next syncs find the file as long as it was: the file system then has
/// no journal to write for them (measured: twice as many syncs a second from four threads). Gives where they end.
fn write_zeros(file: &File, from: u64) -> io::Result<u64> {
    // In pieces, so that no lane holds as many zeros.
    let end = from + SEGMENT_ZEROED_BYTES;
    let mut at = from;
    while at < end {
        let piece = (end - at).min(ZEROS.len() as u64);
        file.write_all_at(ZEROS.get(..piece as usize).unwrap_or(&ZEROS), at)?;
        at += piece;
    }
    Ok(end)
}

/// Moves a whole segment that was put together elsewhere into its place; its octets are durable already.
pub(crate) fn adopt(files: &Files, path: &Path, segment: u64) -> io::Result<()> {
    std::fs::rename(path, files.path(segment, Kind::Sealed))?;
    sync_dir(&files.dir_of(place_of(segment).0).0)
}
