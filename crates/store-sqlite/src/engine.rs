//! [`SqliteEngine`]: the shards as an [`Engine`]. It sends every commit to the writer of its shard and every read to
//! the readers, and does no I/O itself once it is open.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use columba_store::{Batch, BoxFuture, CommitError, Done, Engine, EngineError, Key, Partition};
use columba_types::AccountId;
use columba_types::limits::WAL_BYTES;
use futures_channel::oneshot;
use rusqlite::Connection;

use crate::OpenError;
use crate::account_map::AccountMap;
use crate::checkpointer::{self, CheckpointState};
use crate::data_dir::{DataDir, private_file};
use crate::database::{self, Reads, Role};
use crate::fault::{closed, sqlite_words};
use crate::logged::Logged;
use crate::queue::Queue;
use crate::readers::{self, Answer, Question, Scan};
use crate::segments::{self, Files, Lane, LoggedRecord, OpenLane};
use crate::writer::{Submission, Writer, put_whole_key};

/// The file of the global partition is the first; shard n is file n + 1.
const GLOBAL: usize = 0;

/// Ordered keys in SQLite files.
pub(crate) struct SqliteEngine {
    writers: Vec<Arc<Queue<Submission>>>,
    questions: Arc<Queue<Question>>,
    copies: Arc<Queue<checkpointer::Copy>>,
    accounts: Arc<AccountMap>,
    files: Vec<ShardFile>,
    /// Readers and checkpointer.
    helpers: Vec<JoinHandle<()>>,
    writing: Vec<JoinHandle<()>>,
    // The lock goes last.
    _dir: Arc<DataDir>,
}

impl SqliteEngine {
    /// Opens the files of `dir`, makes them when it is new, and starts the threads. The lanes of the shards are opened on
    /// the way, because what a crash left in a shard's log belongs into its segments first.
    pub(crate) fn open(
        dir: Arc<DataDir>,
        segments: &Arc<Files>,
        readers: usize,
    ) -> Result<(Self, Arc<AccountMap>, Vec<OpenLane>), OpenError> {
        let files = shard_files(&dir);
        let mut connections = Vec::new();
        for file in &files {
            connections.push(open_file(&dir, file)?);
        }
        let held = connections
            .iter()
            .zip(&files)
            .map(|(c, file)| accounts_in(c, &file.name))
            .collect::<Result<Vec<_>, _>>()?;
        let mut lanes = Vec::new();
        let mut logged = vec![None];
        for (shard, (connection, file)) in connections.iter().zip(&files).skip(1).enumerate() {
            let (lane, last) = open_lane(connection, file, segments, shard)?;
            logged.push(Some(Logged::new(Arc::clone(&lane.0), last)));
            lanes.push(lane);
        }
        dir.seal()?;
        let accounts = Arc::new(AccountMap::new(dir.shards(), homes(&held)?));
        let mut engine = Self {
            writers: files.iter().map(|_| Arc::new(Queue::new())).collect(),
            questions: Arc::new(Queue::new()),
            copies: Arc::new(Queue::new()),
            accounts: Arc::clone(&accounts),
            files: files.clone(),
            helpers: Vec::new(),
            writing: Vec::new(),
            _dir: Arc::clone(&dir),
        };
        let opened = connections.into_iter().zip(held).zip(logged);
        let opened = opened.map(|((connection, held), logged)| OpenedFile { connection, held, logged });
        engine.start(files, opened.collect(), readers)?;
        Ok((engine, accounts, lanes))
    }

    fn start(&mut self, files: Vec<ShardFile>, opened: Vec<OpenedFile>, readers: usize) -> Result<(), OpenError> {
        let spawned = |thread: std::io::Result<JoinHandle<()>>| {
            thread.map_err(|e| OpenError::Unavailable(format!("no thread can be started: {e}")))
        };
        for number in 0..readers {
            let files = files.iter().map(readers::open).collect::<Result<Vec<_>, _>>()?;
            self.helpers.push(spawned(readers::spawn(&self.questions, &self.accounts, files, number))?);
        }
        let (copies, to_copy) = (Arc::clone(&self.copies), files.clone());
        let thread = std::thread::Builder::new().name("checkpoint".into());
        self.helpers.push(spawned(thread.spawn(move || checkpointer::run(&copies, &to_copy)))?);
        for (number, (file, opened)) in files.into_iter().zip(opened).enumerate() {
            let OpenedFile { connection, held, logged } = opened;
            let Some(queue) = self.writers.get(number) else { continue };
            let writer = Writer {
                checkpoints: CheckpointState::new(number, file.name.clone(), Arc::clone(&self.copies)),
                file,
                queue: Arc::clone(queue),
                registered: held.into_iter().map(|(account, _)| account).collect::<HashSet<_>>(),
                logged,
            };
            let thread = std::thread::Builder::new().name(format!("write-{number}"));
            self.writing.push(spawned(thread.spawn(move || writer.run(connection)))?);
        }
        Ok(())
    }

    fn file_of(&self, partition: Partition) -> Option<usize> {
        match partition {
            Partition::Global => Some(GLOBAL),
            Partition::Account(account) => self.accounts.find(account).map(|shard| shard + 1),
        }
    }

    fn ask<'a, T: Send + 'a>(
        &'a self,
        question: impl FnOnce(oneshot::Sender<Answer<T>>) -> Question,
    ) -> BoxFuture<'a, Answer<T>> {
        let (answer, hear) = oneshot::channel();
        // Asked before the future is polled, so that what is asked together is read together.
        let asked = self.questions.push(question(answer));
        Box::pin(async move {
            match asked {
                Ok(()) => hear.await.unwrap_or_else(|_| Err(closed())),
                Err(_) => Err(closed()),
            }
        })
    }
}

impl Engine for SqliteEngine {
    fn read(&self, partition: Partition, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, EngineError>> {
        let Some(file) = self.file_of(partition) else {
            return Box::pin(std::future::ready(Ok(vec![None; keys.len()])));
        };
        let keys = keys.iter().map(|key| whole_key(partition, key)).collect();
        self.ask(|answer| Question::Values { file, keys, answer })
    }

    fn scan(
        &self,
        partition: Partition,
        range: Range<Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Key, Bytes)>, EngineError>> {
        let Some(file) = self.file_of(partition) else {
            return Box::pin(std::future::ready(Ok(Vec::new())));
        };
        let (from, to) = (whole_key(partition, &range.start), whole_key(partition, &range.end));
        let scan = Scan { prefix: from.len() - range.start.0.len(), from, to, limit };
        self.ask(|answer| Question::Scan { file, scan, answer })
    }

    fn submit(&self, batch: Batch, done: Done) {
        let file = match batch.partition {
            Partition::Global => GLOBAL,
            Partition::Account(account) => self.accounts.assign(account) + 1,
        };
        let refused = match self.writers.get(file) {
            Some(queue) => queue.push(Submission { batch, done }).err().map(|submission| submission.done),
            None => Some(done),
        };
        if let Some(done) = refused {
            done.say(Err(CommitError::Refused("the store is closed".into())));
        }
    }

    fn partitions(&self, after: Option<Partition>, limit: usize) -> BoxFuture<'_, Result<Vec<Partition>, EngineError>> {
        self.ask(|answer| Question::Partitions { after, limit, answer })
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, EngineError>> {
        let (answer, hear) = oneshot::channel();
        let files = self.files.clone();
        // A thread of its own: it takes as long as reading everything takes.
        let check = move || _ = answer.send(check_shards(&files));
        let started = std::thread::Builder::new().name("check".into()).spawn(check);
        Box::pin(async move {
            started.map_err(|e| EngineError::Unavailable(format!("no thread can be started: {e}").into()))?;
            let findings = hear.await.unwrap_or_else(|_| Err(OpenError::Unavailable("the check ended early".into())));
            findings.map_err(|e| EngineError::Unavailable(e.to_string().into()))
        })
    }
}

impl fmt::Debug for SqliteEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEngine").field("shards", &(self.writers.len() - 1)).finish_non_exhaustive()
    }
}

impl Drop for SqliteEngine {
    fn drop(&mut self) {
        // The last handle may go with what a writer tells somebody: then that writer ends by itself.
        let here = std::thread::current().id();
        let join = |threads: &mut Vec<JoinHandle<()>>| {
            threads.drain(..).filter(|thread| thread.thread().id() != here).for_each(|thread| _ = thread.join());
        };
        self.questions.close();
        self.copies.close();
        join(&mut self.helpers);
        // The writers' connections go last: the last one of a file copies the log and removes it.
        self.writers.iter().for_each(|queue| queue.close());
        join(&mut self.writing);
    }
}

/// A SQLite file that its writer is about to get.
struct OpenedFile {
    connection: Connection,
    /// The accounts in it, with their epochs.
    held: Vec<(u64, i64)>,
    logged: Option<Logged>,
}

/// A SQLite file: as an administrator knows it, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct ShardFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// The SQLite files, the global one first.
pub(crate) fn shard_files(dir: &DataDir) -> Vec<ShardFile> {
    let names = std::iter::once(DataDir::global_name()).chain((0..dir.shards()).map(DataDir::shard_name));
    names.map(|name| ShardFile { path: dir.at(&name), name }).collect()
}

/// See [`crate::Opened::check_shards`].
pub(crate) fn check_shards(files: &[ShardFile]) -> Result<Vec<String>, OpenError> {
    let mut findings = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let ShardFile { name, path } = file;
        let unavailable = |error: rusqlite::Error| OpenError::Unavailable(sqlite_words(name, &error));
        let connection = database::open(path, Role::Reader).map_err(unavailable)?;
        let found = database::quick_check(&connection).and_then(|mut found| {
            if at != GLOBAL {
                found.extend(unnamed_accounts(&connection)?);
            }
            Ok(found)
        });
        match found {
            Ok(found) => findings.extend(found.into_iter().map(|words| format!("{name}: {words}"))),
            // Damage that the check cannot get past is a finding too.
            Err(error) => findings.push(sqlite_words(name, &error)),
        }
    }
    Ok(findings)
}

/// Accounts of which a shard has keys without saying that they live in it: nobody would find those keys.
fn unnamed_accounts(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    // One transaction: a new account's keys and its row come together.
    let _state = connection.unchecked_transaction()?;
    let named: HashSet<u64> = database::accounts(connection)?.into_iter().map(|(account, _)| account).collect();
    let mut reads = Reads::prepare(connection)?;
    let (mut found, mut from) = (Vec::new(), Some(0u64));
    while let Some(next) = from
        && let Some(key) = reads.next_key(&next.to_be_bytes())?
    {
        let Some(account) = key.first_chunk().map(|id| u64::from_be_bytes(*id)) else {
            found.push("a key without an account".to_owned());
            break;
        };
        if !named.contains(&account) {
            found.push(format!("there are keys of account {}, which is not said to live here", AccountId(account)));
        }
        from = account.checked_add(1);
    }
    Ok(found)
}

fn whole_key(partition: Partition, key: &Key) -> Vec<u8> {
    let mut whole = Vec::with_capacity(8 + key.0.len());
    put_whole_key(partition, key, &mut whole);
    whole
}

/// Opens one SQLite file for its writer, which recovers what a crash left in its log.
fn open_file(dir: &DataDir, file: &ShardFile) -> Result<Connection, OpenError> {
    let ShardFile { name, path } = file;
    let unavailable = |error: rusqlite::Error| OpenError::Unavailable(sqlite_words(name, &error));
    if dir.is_new() {
        let made = private_file().write(true).create(true).truncate(false).open(path);
        made.map_err(|e| OpenError::io(path, &e))?;
    } else if !path.exists() {
        return Err(OpenError::Damaged(format!("{name} is missing")));
    }
    let connection = database::open(path, Role::Writer).map_err(unavailable)?;
    if dir.is_new() {
        database::create(&connection).map_err(unavailable)?;
    }
    match database::format(&connection).map_err(unavailable)? {
        Some(database::FORMAT) => {}
        Some(1) => database::upgrade(&connection).map_err(unavailable)?,
        Some(newer) if newer > database::FORMAT => {
            let (found, known) = (newer.cast_unsigned(), database::FORMAT.cast_unsigned());
            return Err(OpenError::Newer { file: name.into(), found, known });
        }
        _ => return Err(OpenError::Damaged(format!("{name} is not a database of Columba"))),
    }
    if dir.is_new() && !database::is_empty(&connection).map_err(unavailable)? {
        return Err(OpenError::Damaged(format!("{name} holds mail, but the file \"format\" is missing")));
    }
    database::use_log(&connection, WAL_BYTES * 4).map_err(unavailable)?;
    Ok(connection)
}

/// Opens a shard's segments, after what its log has of them was put there. Gives the last record of the log, too.
fn open_lane(
    connection: &Connection,
    file: &ShardFile,
    segments: &Arc<Files>,
    shard: usize,
) -> Result<(OpenLane, u64), OpenError> {
    let logged = database::logged(connection).map_err(|e| OpenError::Unavailable(sqlite_words(&file.name, &e)))?;
    let last = logged.last().map_or(0, |(n, _)| *n);
    let records: Vec<LoggedRecord> = logged.into_iter().map(|(_, record)| record).collect();
    let opened = segments::restore(segments, shard, &records).and_then(|()| Lane::open(segments, shard));
    opened.map(|lane| (lane, last)).map_err(|e| OpenError::io(&segments.dir_of(shard).0, &e))
}

fn accounts_in(connection: &Connection, name: &str) -> Result<Vec<(u64, i64)>, OpenError> {
    database::accounts(connection).map_err(|e| OpenError::Unavailable(sqlite_words(name, &e)))
}

/// The shard of each account: of two that say they hold it, the one to which it moved last.
fn homes(held: &[Vec<(u64, i64)>]) -> Result<Vec<(AccountId, usize)>, OpenError> {
    let mut homes = std::collections::HashMap::new();
    for (shard, accounts) in held.iter().skip(1).enumerate() {
        for &(account, epoch) in accounts {
            match homes.get(&account) {
                Some(&(_, other)) if other == epoch => {
                    let account = AccountId(account);
                    return Err(OpenError::Damaged(format!("two shards say that they hold account {account}")));
                }
                Some(&(_, other)) if other > epoch => {}
                _ => _ = homes.insert(account, (shard, epoch)),
            }
        }
    }
    Ok(homes.into_iter().map(|(account, (shard, _))| (AccountId(account), shard)).collect())
}
