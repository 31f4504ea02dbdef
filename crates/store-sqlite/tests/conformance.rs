//! The embedded engine passes the suites that every engine has to pass, and agrees with the memory engine.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use columba_store::conformance;
use columba_store::{Batch, Done, Engine, Expect, Key, MemoryEngine, Partition};
use columba_store_sqlite::{Opened, SqliteOptions, open};
use columba_types::AccountId;
use proptest::prelude::*;
use tempfile::TempDir;

/// Directories that go when the suite is through.
#[derive(Default)]
struct Dirs(Mutex<Vec<TempDir>>);

impl Dirs {
    fn fresh(&self) -> Opened {
        let dir = tempfile::tempdir().unwrap();
        let opened = open(dir.path(), SqliteOptions::default()).unwrap();
        self.0.lock().unwrap().push(dir);
        opened
    }
}

#[tokio::test]
async fn passes_the_suite_of_engines() {
    let dirs = Dirs::default();
    conformance::engine(|| dirs.fresh().engine).await;
}

#[tokio::test]
async fn passes_the_suite_of_blobs() {
    let dirs = Dirs::default();
    conformance::blobs(|| dirs.fresh().blobs).await;
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Batch),
    /// Commits that are all in line before the first is done.
    Together(Vec<Batch>),
    Reopen,
}

fn keys() -> impl Strategy<Value = Key> {
    // Few, of different lengths, some a prefix of others, with the octets that ranges are apt to get wrong.
    prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x7f, 0xff]), 0..3).prop_map(Key)
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    let version = (0u64..3).prop_map(|version| version.to_be_bytes().to_vec());
    let padded = |(mut value, pad): (Vec<u8>, usize)| {
        value.resize(value.len() + pad, 7);
        value
    };
    prop_oneof![(version, 0usize..9000).prop_map(padded), prop::collection::vec(any::<u8>(), 0..7)]
}

fn partitions() -> impl Strategy<Value = Partition> {
    let account = prop::sample::select(vec![0, 1, 2, 3, u64::MAX - 1, u64::MAX]);
    prop_oneof![Just(Partition::Global), account.prop_map(|id| Partition::Account(AccountId(id)))]
}

fn batches() -> impl Strategy<Value = Batch> {
    let expect = prop_oneof![3 => Just(None), 1 => Just(Some(Expect::Absent)), 2 => (0u64..3).prop_map(|v| Some(Expect::Version(v)))];
    let guards = prop::collection::vec((keys(), expect), 0..2);
    let writes = prop::collection::vec((keys(), prop::option::weighted(0.8, values())), 0..5);
    let clears = prop::collection::vec((keys(), keys()), 0..2);
    (partitions(), guards, writes, clears).prop_map(|(partition, guards, writes, clears)| {
        let mut batch = Batch::new(partition);
        for (key, expect) in guards {
            expect.into_iter().for_each(|expect| batch.guard(key.clone(), expect));
        }
        for (key, value) in writes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        batch.clears.extend(clears.into_iter().map(|(from, to)| from..to));
        batch
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => batches().prop_map(Step::Commit),
        4 => prop::collection::vec(batches(), 2..12).prop_map(Step::Together),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..25)
}

async fn everything(engine: &dyn Engine) -> Vec<(Partition, Vec<(Key, bytes::Bytes)>)> {
    let mut all = Vec::new();
    for partition in engine.partitions(None, 100).await.unwrap() {
        let range = Key(Vec::new())..Key(vec![0xff; 4]);
        let (some, found) = (engine.scan(partition, range.clone(), 3), engine.scan(partition, range, 1000));
        let (some, found) = (some.await.unwrap(), found.await.unwrap());
        assert_eq!(some[..], found[..found.len().min(3)]);
        let keys: Vec<Key> = found.iter().map(|(key, _)| key.clone()).collect();
        let values: Vec<_> = engine.read(partition, keys).await.unwrap().into_iter().map(Option::unwrap).collect();
        assert!(values.iter().eq(found.iter().map(|(_, value)| value)));
        all.push((partition, found));
    }
    all
}

async fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let options = || SqliteOptions { shards: 2, readers: 1, ..SqliteOptions::default() };
    let model = MemoryEngine::new();
    let mut opened = open(dir.path(), options()).unwrap();
    for step in steps {
        match step {
            Step::Commit(batch) => {
                assert_eq!(opened.engine.commit(batch.clone()).await, model.commit(batch).await);
            }
            Step::Together(batches) => {
                let real: Vec<_> = batches.iter().map(|batch| opened.engine.commit(batch.clone())).collect();
                for (real, batch) in real.into_iter().zip(batches) {
                    assert_eq!(real.await, model.commit(batch).await);
                }
            }
            Step::Reopen => {
                drop(opened);
                opened = open(dir.path(), options()).unwrap();
            }
        }
        assert_eq!(everything(&*opened.engine).await, everything(&model).await);
    }
    assert_eq!(opened.check_shards().unwrap(), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn agrees_with_the_memory_engine(steps in steps()) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run(steps));
    }
}

fn one_key(account: u64, key: &str) -> Batch {
    let mut batch = Batch::new(Partition::Account(AccountId(account)));
    batch.put(Key(key.as_bytes().to_vec()), "value");
    batch
}

#[tokio::test]
async fn a_listener_that_panics_harms_nobody_else() {
    let dirs = Dirs::default();
    let engine = dirs.fresh().engine;
    engine.submit(one_key(1, "a"), Done::new(|_| panic!("on purpose, to be seen in the output")));
    engine.commit(one_key(1, "b")).await.unwrap();
    let both = engine.scan(Partition::Account(AccountId(1)), Key(vec![])..Key(vec![0xff]), 9).await.unwrap();
    assert_eq!(both.len(), 2);
}

#[tokio::test]
async fn the_last_handle_may_go_with_what_a_listener_holds() {
    let dirs = Dirs::default();
    let Opened { engine, blobs, .. } = dirs.fresh();
    let (told, hear) = tokio::sync::oneshot::channel();
    let held = Arc::clone(&engine);
    engine.submit(
        one_key(1, "a"),
        Done::new(move |outcome| {
            drop(held);
            told.send(outcome).unwrap();
        }),
    );
    drop((engine, blobs));
    hear.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_was_submitted_is_finished_when_the_engine_goes() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path(), SqliteOptions::default()).unwrap();
    let commits: Vec<_> = (0..100).map(|n| opened.engine.commit(one_key(n, "a"))).collect();
    drop(opened);
    for commit in commits {
        commit.await.unwrap();
    }
    let opened = open(dir.path(), SqliteOptions::default()).unwrap();
    assert_eq!(opened.engine.partitions(None, 1000).await.unwrap().len(), 100);
}
