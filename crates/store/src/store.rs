//! The store as a whole: what it is opened with, and what everything in it shares.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Blobs, Engine};
use crate::{Clock, StoreError};

/// What may be chosen about a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long expunged messages stay restorable.
    pub keep_expunged: Duration,
    /// Mailboxes kept in memory; above, those that are not in use go, the longest unused first.
    pub cache_mailboxes: usize,
    /// Where random numbers start; `None`: from the operating system. Set by tests and the simulator.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep_expunged: Duration::from_secs(7 * 24 * 3600), cache_mailboxes: 1_000, seed: None }
    }
}

/// All accounts and their mail. A cheap handle.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// Opens what the engine holds, an empty one too.
    ///
    /// # Errors
    /// `Corrupt` if a newer Columba wrote it; `Unavailable` if the engine cannot be read or written.
    pub async fn open(
        _engine: Arc<dyn Engine>,
        _blobs: Arc<dyn Blobs>,
        _clock: Arc<dyn Clock>,
        _options: Options,
    ) -> Result<Store, StoreError> {
        unimplemented!()
    }
}
