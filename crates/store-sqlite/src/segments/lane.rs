//! A shard's line of messages, and which places of its growing segment are given out. It writes nothing itself: what has
//! a place is written with the shard's commits (`logged`) or by the lane's own thread (`lane_writer`).
//!
//! Small messages only get a place: their octets become durable with the commit that follows, in its log, and then
//! go to their place. So one sync carries both. Two rules keep the segment readable after a crash:
//! - A place that was given out holds zeros until its record is in the log, so it is either whole or nothing.
//! - While the lane's thread writes records that no log has, no place behind them is given out: what it leaves torn is
//!   the end of the file.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use columba_store::{BlobRef, EngineError};
use columba_types::limits::{LOGGED_GROUP_BYTES, MESSAGE_IN_LOG_BYTES, SEGMENT_BYTES};
use futures_channel::oneshot::Sender;

use super::files::{Files, Kind};
use super::lane_writer::{LaneWriter, Tail};
use super::record::{ALIGNMENT, RECORD_HEADER, RecordHeader, place_of, segment_of};
use crate::queue::Queue;

/// What the lane's thread is asked to do.
#[derive(Debug)]
pub(crate) enum Work {
    Append(Append),
    Tend(Tend),
    /// Make durable what has a place and was not yet in a commit.
    Settle(Sender<Result<(), EngineError>>),
}

impl Work {
    /// Octets that are written for it.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Append(append) => append.record.len(),
            Self::Tend(_) | Self::Settle(_) => 0,
        }
    }
}

/// A message in line.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) header: RecordHeader,
    /// Room for the header, then the message.
    pub(crate) record: Vec<u8>,
    pub(crate) answer: Sender<Result<BlobRef, EngineError>>,
}

/// Records that are in the log and at their places: once these files are synced, the log can forget them.
#[derive(Debug)]
pub(crate) struct Tend {
    pub(crate) files: Vec<Arc<File>>,
    /// The last of them.
    pub(crate) up_to: u64,
    /// Where to say so.
    pub(crate) settled: Arc<AtomicU64>,
}

/// A record that has a place, which still holds zeros.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) file: Arc<File>,
    /// Header, message, and the zeros behind it.
    pub(crate) record: Vec<u8>,
}

/// The segment that grows, as everybody may see it.
#[derive(Clone, Debug)]
pub(crate) struct Growing {
    pub(crate) segment: u64,
    pub(crate) file: Arc<File>,
    /// Where the next record goes.
    pub(crate) end: u64,
    /// Octets up to which the file is there, zeros or nothing behind `end`: places are given out up to here.
    pub(crate) room: u64,
}

#[derive(Debug, Default)]
struct Places {
    growing: Option<Growing>,
    /// No place is given out: the lane's thread is writing, or the medium failed.
    closed: bool,
    distrusted: bool,
    placed: Vec<Placed>,
    /// Octets of those.
    bytes: usize,
}

/// What a lane shares with everybody.
#[derive(Debug)]
pub(crate) struct Lane {
    shard: usize,
    files: Arc<Files>,
    pub(super) queue: Queue<Work>,
    next_number: AtomicU64,
    places: Mutex<Places>,
    /// Held from taking what is placed until it is durable or given back, so that a commit never overtakes its octets.
    /// Taken before `places`.
    settling: Mutex<()>,
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
            places: Mutex::default(),
            settling: Mutex::default(),
        });
        let writer = LaneWriter::new(Arc::clone(&lane), tail.flatten());
        Ok((lane, writer))
    }

    pub(crate) fn shard(&self) -> usize {
        self.shard
    }

    pub(super) fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// A number no segment of this shard has had since the directory was opened, and none has that exists.
    pub(crate) fn new_segment(&self) -> u64 {
        segment_of(self.shard, self.next_number.fetch_add(1, Ordering::Relaxed))
    }

    /// Asks the lane's thread; gives it back when the lane is closed.
    pub(crate) fn ask(&self, work: Work) -> Result<(), Work> {
        self.queue.push(work)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a small message its place. `record` has room for the header at its front. Gives it back where the lane's
    /// thread has to see to it: it is not small, there is no room, or much is waiting already.
    pub(crate) fn place(&self, header: RecordHeader, mut record: Vec<u8>) -> Result<BlobRef, Vec<u8>> {
        let len = record.len().next_multiple_of(ALIGNMENT as usize);
        if record.len() > RECORD_HEADER + MESSAGE_IN_LOG_BYTES {
            return Err(record);
        }
        let mut places = self.places();
        let Places { growing: Some(growing), closed: false, distrusted: false, placed, bytes } = &mut *places else {
            return Err(record);
        };
        let end = growing.end + len as u64;
        if *bytes + len > LOGGED_GROUP_BYTES || end > growing.room || growing.end >= SEGMENT_BYTES {
            return Err(record);
        }
        let (segment, offset) = (growing.segment, growing.end);
        if let Some(room) = record.first_chunk_mut::<RECORD_HEADER>() {
            *room = header.encode(segment, offset);
        }
        record.resize(len, 0);
        growing.end = end;
        *bytes += len;
        placed.push(Placed { segment, offset, file: Arc::clone(&growing.file), record });
        Ok(BlobRef { segment, offset, len: header.len })
    }

    /// Everything that has a place and is neither durable nor in a commit. A commit that is about to be made has to carry
    /// all of it: what it refers to was placed before it was submitted.
    pub(crate) fn take_placed(&self) -> Vec<Placed> {
        let _settling = self.hold_settling();
        self.take_placed_held()
    }

    pub(super) fn hold_settling(&self) -> MutexGuard<'_, ()> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, where `settling` is held.
    pub(super) fn take_placed_held(&self) -> Vec<Placed> {
        let mut places = self.places();
        places.bytes = 0;
        std::mem::take(&mut places.placed)
    }

    /// Takes back what did not become durable: the next commit, or the lane's thread, tries again.
    pub(crate) fn give_back(&self, mut placed: Vec<Placed>) {
        if placed.is_empty() {
            return;
        }
        let mut places = self.places();
        placed.append(&mut places.placed);
        places.bytes = placed.iter().map(|placed| placed.record.len()).sum();
        places.placed = placed;
    }

    /// Stops giving out places for good: the medium failed with records that only the log has, and the log keeps them.
    pub(crate) fn distrust(&self) {
        self.places().distrusted = true;
    }

    /// Stops giving out places; where the next record goes.
    pub(super) fn close_places(&self) -> Option<Growing> {
        let mut places = self.places();
        places.closed = true;
        places.growing.clone()
    }

    /// Gives out places again, in this segment.
    pub(super) fn open_places(&self, growing: Option<Growing>) {
        let mut places = self.places();
        places.closed = false;
        places.growing = growing;
    }

    /// Says that the segment's file goes on up to `room`.
    pub(super) fn widen(&self, room: u64) {
        if let Some(growing) = &mut self.places().growing {
            growing.room = room;
        }
    }

    pub(crate) fn growing(&self) -> Option<Growing> {
        self.places().growing.clone()
    }

    pub(crate) fn close(&self) {
        self.queue.close();
    }
}
