//! When a log's pages are copied into its file, and by whom: the bulk by a thread of its own while commits go on, the
//! rest by the writer between two groups, so that the log can begin anew. It knows sizes and nothing of contents.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use columba_types::limits::WAL_BYTES;
use rusqlite::Connection;

use crate::database::{self, PAGE_BYTES, Role, Writes};
use crate::engine::ShardFile;
use crate::fault::sqlite_words;
use crate::queue::Queue;

/// Frames after which the log is copied.
const FRAMES: u64 = WAL_BYTES / PAGE_BYTES as u64;
/// What the writer copies itself: few enough to be done between two groups.
const FRAMES_FOR_WRITER: u64 = FRAMES / 4;

/// What a log has at most: the writer copies all of it then, however long everybody waits, so that a disk slower than
/// the commits slows them down and is not filled by them.
const FRAMES_AT_MOST: u64 = FRAMES * 4;

/// Whether the logs of a file can be copied, told when it changes: a log that is not copied grows until the disk is full,
/// and an administrator should hear of it before that, and only once.
#[derive(Debug, Default)]
struct Copying {
    fails: bool,
}

impl Copying {
    /// Takes note of a try; `Some(fails)` if that is news.
    fn news(&mut self, fails: bool) -> Option<bool> {
        (std::mem::replace(&mut self.fails, fails) != fails).then_some(fails)
    }

    fn note(&mut self, name: &str, failure: Option<&rusqlite::Error>) {
        match (self.news(failure.is_some()), failure) {
            (Some(true), Some(error)) => {
                let error = sqlite_words(name, error);
                tracing::warn!(
                    shard = name,
                    error,
                    "the log cannot be copied into its file; commits go on, and it grows"
                );
            }
            (Some(false), _) => tracing::info!(shard = name, "the log can be copied into its file again"),
            _ => {}
        }
    }
}

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
    name: String,
    copying: Copying,
}

impl CheckpointState {
    /// `file` is the place of the file in the list that [`run`] is given, `name` is what an administrator calls it.
    pub(crate) fn new(file: usize, name: String, queue: Arc<Queue<Copy>>) -> Self {
        let at_work = Arc::new(AtomicBool::new(false));
        Self { file, queue, at_work, rest_is_due: false, name, copying: Copying::default() }
    }

    /// Looks at the log, and copies or has copied what is due. A copy that fails is no failure of a commit: the log
    /// has everything, and the next one tries again. It is told, once.
    pub(crate) fn after_commit(&mut self, writes: &mut Writes<'_>) {
        if self.at_work.load(Ordering::Acquire) {
            return;
        }
        let log = match writes.log() {
            Ok(log) => log,
            Err(error) => return self.copying.note(&self.name, Some(&error)),
        };
        if log.frames >= FRAMES_AT_MOST || self.rest_is_due && log.waiting() <= FRAMES_FOR_WRITER {
            // Everything copied, and nobody reading the log: the next commit starts it from its beginning.
            let copied = writes.checkpoint();
            self.copying.note(&self.name, copied.as_ref().err());
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
pub(crate) fn run(queue: &Queue<Copy>, files: &[ShardFile]) {
    let mut places: Vec<(Option<Connection>, Copying)> = files.iter().map(|_| Default::default()).collect();
    while let Some(copy) = queue.pop() {
        if let (Some((slot, copying)), Some(file)) = (places.get_mut(copy.file), files.get(copy.file)) {
            let opened = match slot.take() {
                Some(connection) => Ok(connection),
                None => database::open(&file.path, Role::Checkpointer),
            };
            let copied = opened.and_then(|connection| database::checkpoint(&connection).map(|_| connection));
            copying.note(&file.name, copied.as_ref().err());
            // One that failed goes, and with it whatever SQLite thinks of the file.
            *slot = copied.ok();
        }
        copy.at_work.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_copy_is_told_once_and_so_is_its_end() {
        let mut copying = Copying::default();
        let told: Vec<Option<bool>> =
            [false, true, true, true, false, false, true].map(|fails| copying.news(fails)).to_vec();
        assert_eq!(told, [None, Some(true), None, None, Some(false), None, Some(true)]);
    }
}
