//! The one thread that writes a SQLite file: it takes all commits in line and makes them one transaction.
//!
//! It knows guards and the order of commits; what a failure means for a commit is decided here and nowhere else.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use columba_store::{Batch, CommitError, Done, Expect, Guard, Key, Partition};
use columba_types::limits::{COMMIT_GROUP_BYTES, COMMIT_QUEUE, DATABASE_REST};
use rusqlite::{Connection, ErrorCode};

use crate::checkpointer::CheckpointState;
use crate::database::{self, Role, Writes};
use crate::engine::ShardFile;
use crate::fault::{commit_is_open, sqlite_words};
use crate::queue::Queue;

/// A commit in line.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) batch: Batch,
    pub(crate) done: Done,
}

/// Puts the octets under which a partition's key is kept into `whole`: the account's number before the key, so that
/// an account's keys lie together; the global file has its keys as they are.
pub(crate) fn put_whole_key(partition: Partition, key: &Key, whole: &mut Vec<u8>) {
    whole.clear();
    if let Partition::Account(account) = partition {
        whole.extend_from_slice(&account.0.to_be_bytes());
    }
    whole.extend_from_slice(&key.0);
}

/// What the thread works with. `run` is its life.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) file: ShardFile,
    pub(crate) queue: Arc<Queue<Submission>>,
    /// The accounts that the file says it holds.
    pub(crate) registered: HashSet<u64>,
    pub(crate) checkpoints: CheckpointState,
}

/// A transaction that did not happen, or may not have.
#[derive(Debug)]
struct Failed {
    error: CommitError,
    /// One batch may be to blame, or the only one that does not fit; the others deserve a transaction of their own.
    one_to_blame: bool,
    after: After,
}

/// What follows after a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Next,
    Reopen,
}

impl Writer {
    /// Serves until the queue is closed and empty. After a failure that left something open it goes on with a new
    /// connection; while there is none to be had, commits are refused, each after one more try.
    pub(crate) fn run(mut self, connection: Connection) {
        let mut connection = Some(connection);
        while let Some(group) = self.next_group() {
            let opened = match connection.take() {
                Some(connection) => Ok(connection),
                None => database::open(&self.file.path, Role::Writer),
            };
            match opened {
                Ok(opened) => {
                    if self.serve(&opened, group) == After::Next {
                        connection = Some(opened);
                    }
                }
                Err(error) => self.refuse(group, &error),
            }
        }
    }

    fn next_group(&self) -> Option<Vec<Submission>> {
        self.queue.take(COMMIT_QUEUE, COMMIT_GROUP_BYTES, |submission| weight(&submission.batch))
    }

    /// Serves this group and the next ones, until the end or until the connection has to go, and with it whatever
    /// SQLite thinks of the file.
    fn serve(&mut self, connection: &Connection, group: Vec<Submission>) -> After {
        let mut writes = match Writes::prepare(connection) {
            Ok(writes) => writes,
            Err(error) => {
                self.refuse(group, &error);
                return After::Reopen;
            }
        };
        let mut next = Some(group);
        while let Some(group) = next {
            if self.settle(&mut writes, group) == After::Reopen {
                return After::Reopen;
            }
            self.checkpoints.after_commit(&mut writes);
            if !self.queue.is_busy_within(DATABASE_REST) {
                // It only gives memory back: without it, too, all goes on.
                _ = database::rest(connection);
            }
            next = self.next_group();
        }
        After::Next
    }

    fn refuse(&self, group: Vec<Submission>, error: &rusqlite::Error) {
        let words: Arc<str> = sqlite_words(&self.file.name, error).into();
        group.into_iter().for_each(|s| say(s.done, Err(CommitError::Refused(Arc::clone(&words)))));
    }

    /// Commits the group and tells everybody what became of it, in order.
    fn settle(&mut self, writes: &mut Writes<'_>, group: Vec<Submission>) -> After {
        match self.transaction(writes, &group) {
            Ok(verdicts) => {
                group.into_iter().zip(verdicts).for_each(|(submission, verdict)| say(submission.done, verdict));
                After::Next
            }
            Err(failed) if failed.one_to_blame && failed.after == After::Next && group.len() > 1 => {
                self.settle_each(writes, group)
            }
            Err(failed) => {
                group.into_iter().for_each(|submission| say(submission.done, Err(failed.error.clone())));
                failed.after
            }
        }
    }

    fn settle_each(&mut self, writes: &mut Writes<'_>, group: Vec<Submission>) -> After {
        let mut after = After::Next;
        for submission in group {
            if after == After::Next {
                after = self.settle(writes, vec![submission]);
            } else {
                let words = format!("{}: not tried, because the commit before it failed", self.file.name);
                say(submission.done, Err(CommitError::Refused(words.into())));
            }
        }
        after
    }

    fn transaction(
        &mut self,
        writes: &mut Writes<'_>,
        group: &[Submission],
    ) -> Result<Vec<Result<(), CommitError>>, Failed> {
        // A lock that somebody else holds, say: the same for all.
        writes.begin().map_err(|error| self.abandon(writes, &error, false))?;
        let mut newcomers = Vec::new();
        let applied = group.iter().map(|submission| self.apply(writes, &submission.batch, &mut newcomers));
        let verdicts = applied.collect::<Result<Vec<_>, _>>().map_err(|error| self.abandon(writes, &error, true))?;
        match writes.commit() {
            Ok(()) => {
                self.registered.extend(newcomers);
                Ok(verdicts)
            }
            Err(error) if commit_is_open(&error) => {
                let words = sqlite_words(&self.file.name, &error).into();
                Err(Failed { error: CommitError::Indeterminate(words), one_to_blame: false, after: After::Reopen })
            }
            Err(error) => {
                let is_full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
                Err(self.abandon(writes, &error, is_full))
            }
        }
    }

    /// Takes back a transaction of which nothing has happened. One that does not even end goes with its connection.
    fn abandon(&self, writes: &mut Writes<'_>, error: &rusqlite::Error, one_to_blame: bool) -> Failed {
        let error = CommitError::Refused(sqlite_words(&self.file.name, error).into());
        let after = if writes.roll_back().is_ok() { After::Next } else { After::Reopen };
        Failed { error, one_to_blame, after }
    }

    /// Writes one batch into the open transaction, unless a guard does not hold: guards are looked at before anything
    /// is written, so a conflict leaves nothing to take back.
    fn apply(
        &self,
        writes: &mut Writes<'_>,
        batch: &Batch,
        newcomers: &mut Vec<u64>,
    ) -> rusqlite::Result<Result<(), CommitError>> {
        let mut whole = Vec::with_capacity(64);
        for guard in &batch.guards {
            put_whole_key(batch.partition, &guard.key, &mut whole);
            if !writes.look(&whole, |value| holds(guard, value))? {
                return Ok(Err(CommitError::Conflict));
            }
        }
        if let Partition::Account(account) = batch.partition
            && !batch.writes.is_empty()
            && !self.registered.contains(&account.0)
        {
            writes.register(account.0)?;
            newcomers.push(account.0);
        }
        let mut end = Vec::new();
        for range in &batch.clears {
            put_whole_key(batch.partition, &range.start, &mut whole);
            put_whole_key(batch.partition, &range.end, &mut end);
            writes.clear(&whole, &end)?;
        }
        for (key, value) in &batch.writes {
            put_whole_key(batch.partition, key, &mut whole);
            match value {
                Some(value) => writes.put(&whole, value)?,
                None => writes.delete(&whole)?,
            }
        }
        Ok(Ok(()))
    }
}

fn holds(guard: &Guard, value: Option<&[u8]>) -> bool {
    match guard.expect {
        Expect::Absent => value.is_none(),
        Expect::Version(version) => value.and_then(<[u8]>::first_chunk) == Some(&version.to_be_bytes()),
    }
}

fn weight(batch: &Batch) -> usize {
    batch.writes.iter().map(|(key, value)| key.0.len() + value.as_ref().map_or(0, bytes::Bytes::len)).sum()
}

// Who hears is not the engine's, and a panic there must not take the commits of all others along.
fn say(done: Done, outcome: Result<(), CommitError>) {
    _ = catch_unwind(AssertUnwindSafe(|| done.say(outcome)));
}
