//! The embedded engine: ordered keys in a few SQLite files, the bytes of messages in append-only segment files.
//!
//! It knows partitions, keys, values and octets, and not what a mailbox is. The files are described byte by byte in
//! `docs/design/disk-format-embedded.md`.
//!
//! Invariants:
//! - Nothing is said to have happened before it is on the medium; nothing that was said to have happened is lost by
//!   a crash, and nothing of a commit or a message is ever seen in part.
//! - Commits of one partition are applied in the order in which they were submitted, and heard of in that order.
//! - No caller's thread ever waits for the medium, and none is kept busy waiting.
//! - A data directory has one owner at a time, and a newer format is refused in words.
//! - A failing medium never ends a thread: what was asked is refused, and the next one is tried again.

mod account_map;
mod checkpointer;
mod data_dir;
mod database;
mod engine;
mod fault;
mod logged;
mod queue;
mod readers;
mod segments;
mod writer;

use std::path::Path;
use std::sync::Arc;

use columba_store::{Blobs, Engine};

pub use data_dir::OpenError;

/// When a commit counts as done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// When it is on the medium: it survives the loss of power.
    #[default]
    Full,
}

/// How a data directory is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Files over which accounts are spread, 1 to 64. Looked at only when the directory is new.
    pub shards: usize,
    /// Threads that read keys, and as many that read messages, at least 1.
    pub readers: usize,
    /// When a commit counts as done.
    pub durability: Durability,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { shards: 4, readers: 4, durability: Durability::Full }
    }
}

/// An open data directory. Its lock is held until engine and blobs are gone.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The keys.
    pub engine: Arc<dyn Engine>,
    /// The bytes of messages.
    pub blobs: Arc<dyn Blobs>,
    shards: Vec<engine::ShardFile>,
}

impl Opened {
    /// Has SQLite check the structure of every shard, while it is in use, and gives what it finds wrong, one line per
    /// finding: the shard and SQLite's words. Blocks, for a time that grows with the number of keys.
    pub fn check_shards(&self) -> Result<Vec<String>, OpenError> {
        engine::check_shards(&self.shards)
    }
}

/// A data directory that nobody else may open as long as this is kept; nothing in it has been read.
#[derive(Debug)]
pub struct Claim(data_dir::DataDir);

/// Claims the data directory `dir`, making it when there is none or it is empty. Starts no thread, so that a server can do
/// it while it is still root.
pub fn claim(dir: &Path, shards_if_new: usize) -> Result<Claim, OpenError> {
    data_dir::DataDir::open(dir, shards_if_new).map(Claim)
}

/// Opens the data directory `dir`, making it when there is none or it is empty, and recovers what a crash left.
///
/// Blocks while it reads; call it before serving anybody. Dropping the engine and the blobs finishes what was
/// submitted and ends their threads, which blocks too.
pub fn open(dir: &Path, options: SqliteOptions) -> Result<Opened, OpenError> {
    claim(dir, options.shards)?.open(options)
}

impl Claim {
    /// [`open`]s it.
    pub fn open(self, options: SqliteOptions) -> Result<Opened, OpenError> {
        let Durability::Full = options.durability;
        let dir = Arc::new(self.0);
        let readers = options.readers.max(1);
        let files = Arc::new(segments::Files::new(Arc::clone(&dir)));
        let (engine, accounts, lanes) = engine::SqliteEngine::open(Arc::clone(&dir), &files, readers)?;
        let shards = engine::shard_files(&dir);
        let blobs = segments::SegmentBlobs::open(files, lanes, accounts, readers)?;
        Ok(Opened { engine: Arc::new(engine), blobs: Arc::new(blobs), shards })
    }
}
