//! The threads that read keys, each with connections of its own, and what they are asked.

use std::sync::Arc;

use bytes::Bytes;
use columba_store::{EngineError, Key, Partition};
use columba_types::AccountId;
use columba_types::limits::DATABASE_REST;
use futures_channel::oneshot::Sender;
use rusqlite::Connection;

use crate::OpenError;
use crate::account_map::AccountMap;
use crate::database::{self, Reads, Role};
use crate::engine::ShardFile;
use crate::fault::{sqlite_fault, sqlite_words};
use crate::queue::Queue;

/// One question. Files are counted with the global one first.
#[derive(Debug)]
pub(crate) enum Question {
    Values { file: usize, keys: Vec<Vec<u8>>, answer: Sender<Answer<Vec<Option<Bytes>>>> },
    Scan { file: usize, scan: Scan, answer: Sender<Answer<Vec<(Key, Bytes)>>> },
    Partitions { after: Option<Partition>, limit: usize, answer: Sender<Answer<Vec<Partition>>> },
}

pub(crate) type Answer<T> = Result<T, EngineError>;

/// A range of keys as they are kept; `prefix` octets of each belong to the partition.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
    pub(crate) limit: usize,
    pub(crate) prefix: usize,
}

/// One file as a reader has it.
#[derive(Debug)]
pub(crate) struct ReadFile {
    pub(crate) name: String,
    pub(crate) connection: Connection,
}

/// The life of one reading thread.
pub(crate) fn run(queue: &Queue<Question>, files: &[ReadFile], accounts: &AccountMap) {
    let mut reads: Vec<Option<Reads<'_>>> = files.iter().map(|_| None).collect();
    let mut reader = Reader { files, reads: &mut reads, accounts };
    while let Some(question) = queue.pop() {
        reader.answer(question);
        if !queue.is_busy_within(DATABASE_REST) {
            // It only gives memory back: without it, too, all goes on.
            files.iter().for_each(|file| _ = database::rest(&file.connection));
        }
    }
}

struct Reader<'c, 'r> {
    files: &'c [ReadFile],
    reads: &'r mut [Option<Reads<'c>>],
    accounts: &'r AccountMap,
}

impl<'c> Reader<'c, '_> {
    // Whoever asked may have gone meanwhile; that is no failure.
    fn answer(&mut self, question: Question) {
        match question {
            Question::Values { answer, .. } if answer.is_canceled() => {}
            Question::Scan { answer, .. } if answer.is_canceled() => {}
            Question::Partitions { answer, .. } if answer.is_canceled() => {}
            Question::Values { file, keys, answer } => {
                _ = answer.send(self.on(file, |reads| reads.values(&keys)));
            }
            Question::Scan { file, scan, answer } => {
                let Scan { from, to, limit, prefix } = scan;
                _ = answer.send(self.on(file, |reads| reads.scan(&from, &to, limit, prefix)));
            }
            Question::Partitions { after, limit, answer } => {
                _ = answer.send(self.partitions(after, limit));
            }
        }
    }

    fn on<T>(&mut self, file: usize, read: impl FnOnce(&mut Reads<'c>) -> rusqlite::Result<T>) -> Answer<T> {
        let (Some(slot), Some(ReadFile { name, connection })) = (self.reads.get_mut(file), self.files.get(file)) else {
            return Err(EngineError::Unavailable("there is no such shard".into()));
        };
        let reads = match slot {
            Some(reads) => reads,
            None => slot.insert(Reads::prepare(connection).map_err(|e| sqlite_fault(name, &e))?),
        };
        read(reads).map_err(|e| sqlite_fault(name, &e))
    }

    fn partitions(&mut self, after: Option<Partition>, limit: usize) -> Answer<Vec<Partition>> {
        let mut found = Vec::new();
        let mut from = Some(0);
        match after {
            None => {
                if self.on(0, |reads| reads.next_key(&[]))?.is_some() {
                    found.push(Partition::Global);
                }
            }
            Some(Partition::Global) => {}
            Some(Partition::Account(account)) => from = account.0.checked_add(1),
        }
        if let Some(from) = from {
            for file in 1..self.files.len() {
                let accounts = self.accounts_from(file, from, limit)?;
                found.extend(accounts.into_iter().map(Partition::Account));
            }
        }
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }

    // One look into the index per account, however many keys each has.
    fn accounts_from(&mut self, file: usize, from: u64, limit: usize) -> Answer<Vec<AccountId>> {
        let mut found = Vec::new();
        let mut from = Some(from);
        while let Some(next) = from
            && found.len() < limit
        {
            let Some(key) = self.on(file, |reads| reads.next_key(&next.to_be_bytes()))? else { break };
            let Some(account) = key.first_chunk().map(|id| u64::from_be_bytes(*id)) else {
                let name = self.files.get(file).map_or("", |file| &file.name);
                return Err(EngineError::Corrupt(format!("{name}: a key without an account").into()));
            };
            // What an account left behind when it moved is not its any more.
            if self.accounts.find(AccountId(account)) == file.checked_sub(1) {
                found.push(AccountId(account));
            }
            from = account.checked_add(1);
        }
        Ok(found)
    }
}

/// Opens one file for one reader.
pub(crate) fn open(file: &ShardFile) -> Result<ReadFile, OpenError> {
    let ShardFile { name, path } = file;
    let opened = database::open(path, Role::Reader);
    let connection = opened.map_err(|e| OpenError::Unavailable(sqlite_words(name, &e)))?;
    Ok(ReadFile { name: name.clone(), connection })
}

/// Starts one reading thread.
pub(crate) fn spawn(
    queue: &Arc<Queue<Question>>,
    accounts: &Arc<AccountMap>,
    files: Vec<ReadFile>,
    number: usize,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let (queue, accounts) = (Arc::clone(queue), Arc::clone(accounts));
    let name = format!("read-{number}");
    std::thread::Builder::new().name(name).spawn(move || run(&queue, &files, &accounts))
}
