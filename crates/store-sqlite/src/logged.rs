//! The octets of small messages that become durable with a commit: they are written into the transaction that makes them
//! messages (table `logged`), then to their places in the segment, and are forgotten once the segment has been synced by
//! its own thread, some hundreds of them at a time. So a delivery waits for one sync and not for two in series.
//!
//! It knows records and their places, and not what a commit says.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use columba_types::limits::LOGGED_BYTES;

use crate::database::Writes;
use crate::segments::{Lane, Placed, Tend, Work};

/// One writer's side.
#[derive(Debug)]
pub(crate) struct Logged {
    lane: Arc<Lane>,
    /// The number of the next record; none is used twice while one of that number may be in the table.
    next: u64,
    /// The last record that is durable at its place.
    settled: Arc<AtomicU64>,
    /// The last record that the table was told to forget, by a transaction that happened, and by the one at work.
    forgotten: u64,
    forgetting: u64,
    /// Up to where the lane's thread has been asked to see to it.
    asked: u64,
    /// What it was not yet asked for.
    bytes: usize,
    files: Vec<Arc<File>>,
}

impl Logged {
    /// `last` is the last record that the table has: all of them are durable at their places.
    pub(crate) fn new(lane: Arc<Lane>, last: u64) -> Self {
        Self {
            lane,
            next: last.saturating_add(1),
            settled: Arc::new(AtomicU64::new(last)),
            forgotten: 0,
            forgetting: 0,
            asked: last,
            bytes: 0,
            files: Vec::new(),
        }
    }

    /// What the next transaction has to carry.
    pub(crate) fn take(&self) -> Vec<Placed> {
        self.lane.take_placed()
    }

    /// Writes it into the open transaction, and has the table forget what it need not have any more.
    pub(crate) fn log(&mut self, writes: &mut Writes<'_>, placed: &[Placed]) -> rusqlite::Result<()> {
        self.forgetting = self.settled.load(Ordering::Acquire);
        if self.forgetting > self.forgotten {
            writes.forget_records(self.forgetting)?;
        }
        (self.next..).zip(placed).try_for_each(|(n, placed)| writes.log_record(n, placed))
    }

    /// The transaction is durable: now the octets go to their places.
    pub(crate) fn happened(&mut self, placed: Vec<Placed>) {
        self.forgotten = self.forgetting;
        self.next = self.next.saturating_add(placed.len() as u64);
        for Placed { file, offset, record, .. } in placed {
            if let Err(error) = file.write_all_at(&record, offset) {
                // The table keeps it: nothing is forgotten any more, and the next start writes it.
                tracing::error!(%error, "a message cannot be written to its segment; it can be read after a restart");
                self.lane.distrust();
                self.asked = u64::MAX;
            }
            self.bytes += record.len();
            if !self.files.iter().any(|known| Arc::ptr_eq(known, &file)) {
                self.files.push(file);
            }
        }
        let asked_for = self.settled.load(Ordering::Acquire) == self.asked;
        if self.bytes >= LOGGED_BYTES && asked_for {
            self.asked = self.next - 1;
            self.bytes = 0;
            let files = std::mem::take(&mut self.files);
            // A lane that is closed leaves the records to the next start.
            _ = self.lane.ask(Work::Tend(Tend { files, up_to: self.asked, settled: Arc::clone(&self.settled) }));
        }
    }

    /// The transaction did not happen, or may not have.
    pub(crate) fn failed(&mut self, placed: Vec<Placed>) {
        self.next = self.next.saturating_add(placed.len() as u64);
        self.lane.give_back(placed);
    }
}
