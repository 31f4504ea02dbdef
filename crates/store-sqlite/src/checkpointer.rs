//! When a log's pages are copied into its file, and by whom: the bulk by a thread of its own while commits go on, the
//! rest by the writer between two groups, so that the log can begin anew. It knows sizes and nothing of contents.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use columba_types::limits::WAL_BYTES;
use rusqlite::Connection;

use crate::database::{self, PAGE_BYTES, Role, Writes};
use crate::queue::Queue;

/// Frames after which the log is copied.
const FRAMES: u64 = WAL_BYTES / PAGE_BYTES as u64;
/// What the writer copies itself: few enough to be done between two groups.
const FRAMES_FOR_WRITER: u64 = FRAMES / 4;

/// What a log has at most: the writer copies all of it then, however long everybody waits, so that a disk slower than
/// the commits slows them down and is not filled by them.
const FRAMES_AT_MOST: u64 = FRAMES * 4;

/// A log to copy.
#[derive(Debug)]
pub(crate) struct Copy {
    file: usize,
    at_work: Arc<AtomicBool>,
}

/// A writer's side: where its log stands.
#[derive(Debug)]
pub(crate) struct CheckpointState {
    file: usize,
    queue: Arc<Queue<Copy>>,
    at_work: Arc<AtomicBool>,
    rest_is_due: bool,
}

impl CheckpointState {
    /// `file` is the place of the file in the list that [`run`] is given.
    pub(crate) fn new(file: usize, queue: Arc<Queue<Copy>>) -> Self {
        Self { file, queue, at_work: Arc::new(AtomicBool::new(false)), rest_is_due: false }
    }

    /// Looks at the log, and copies or has copied what is due. A copy that fails is no failure of a commit: the log
    /// has everything, and the next one tries again.
    pub(crate) fn after_commit(&mut self, writes: &mut Writes<'_>) {
        if self.at_work.load(Ordering::Acquire) {
            return;
        }
        let Ok(log) = writes.log() else { return };
        if log.frames >= FRAMES_AT_MOST || self.rest_is_due && log.waiting() <= FRAMES_FOR_WRITER {
            // Everything copied, and nobody reading the log: the next commit starts it from its beginning.
            _ = writes.checkpoint();
            self.rest_is_due = false;
        } else if log.waiting() >= FRAMES {
            self.at_work.store(true, Ordering::Release);
            self.rest_is_due = true;
            let copy = Copy { file: self.file, at_work: Arc::clone(&self.at_work) };
            if let Err(copy) = self.queue.push(copy) {
                copy.at_work.store(false, Ordering::Release);
            }
        }
    }
}

/// The life of the thread that copies. `files` are the SQLite files, in the order that `file` numbers refer to.
pub(crate) fn run(queue: &Queue<Copy>, files: &[PathBuf]) {
    let mut connections: Vec<Option<Connection>> = files.iter().map(|_| None).collect();
    while let Some(copy) = queue.pop() {
        if let (Some(slot), Some(path)) = (connections.get_mut(copy.file), files.get(copy.file)) {
            if slot.is_none() {
                *slot = database::open(path, Role::Checkpointer).ok();
            }
            let copied = slot.as_ref().map(database::checkpoint);
            if !matches!(copied, Some(Ok(_))) {
                *slot = None;
            }
        }
        copy.at_work.store(false, Ordering::Release);
    }
}
