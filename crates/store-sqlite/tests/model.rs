//! The naive model of an account against files: SQLite, with the memory engine as its twin, and segments. Each reopening
//! closes the files and opens them again.
#![allow(clippy::unwrap_used)]

#[path = "../../store/tests/naive/mod.rs"]
mod naive;
#[path = "../../store/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use columba_store::MemoryEngine;
use columba_store::testing::Mirror;
use columba_store_sqlite::{OpenError, Opened, SqliteOptions, open};
use proptest::prelude::*;
use support::World;

const PATIENCE: Duration = Duration::from_secs(10);

/// Every commit is a sync of the disk here; more by hand, with PROPTEST_CASES.
fn config() -> ProptestConfig {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 24 };
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 500, ..ProptestConfig::default() }
}

/// The last handle of a store may go on a writer's thread, with what that has just told: then the lock goes a moment later.
fn open_when_free(dir: &Path, options: SqliteOptions) -> Opened {
    let begun = Instant::now();
    loop {
        match open(dir, options.clone()) {
            Err(OpenError::InUse { .. }) if begun.elapsed() < PATIENCE => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn the_store_on_files_does_what_a_naive_model_does(ops in naive::ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (path, twin) = (dir.path().to_owned(), Arc::new(MemoryEngine::new()));
        let open_again = Box::new(move || {
            let options = SqliteOptions { shards: 2, readers: 1, ..SqliteOptions::default() };
            let opened = open_when_free(&path, options);
            (Arc::new(Mirror::new(opened.engine, Arc::clone(&twin))) as Arc<_>, opened.blobs)
        });
        runtime.block_on(async { naive::play(World::on_files(open_again).await, ops).await });
    }
}
