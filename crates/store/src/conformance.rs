//! What every engine and every store of blobs has to do: one suite, run by each of them in its own tests.
//!
//! A case makes a fresh engine and panics when it does not behave. The suite spawns nothing; cases of concurrency poll
//! many futures at once.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use columba_types::{AccountId, MessageId};
use futures_util::future::join_all;

use crate::engine::{Batch, BlobRecord, Blobs, CommitError, Done, Engine, EngineError, Expect, Key, Partition};

const HERE: Partition = Partition::Account(AccountId(7));
const THERE: Partition = Partition::Account(AccountId(8));

fn key(text: &str) -> Key {
    Key(text.as_bytes().to_vec())
}

fn versioned(version: u64, rest: &str) -> Bytes {
    [&version.to_be_bytes()[..], rest.as_bytes()].concat().into()
}

fn batch(puts: &[(&str, &str)]) -> Batch {
    let mut batch = Batch::new(HERE);
    puts.iter().for_each(|(k, v)| batch.put(key(k), v.as_bytes().to_vec()));
    batch
}

fn everything() -> Range<Key> {
    Key(Vec::new())..Key(vec![0xff; 9])
}

async fn value(engine: &dyn Engine, k: &str) -> Option<Bytes> {
    engine.read(HERE, vec![key(k)]).await.unwrap().pop().unwrap()
}

async fn all_keys(engine: &dyn Engine, partition: Partition) -> Vec<String> {
    let found = engine.scan(partition, everything(), usize::MAX >> 1).await.unwrap();
    found.into_iter().map(|(k, _)| String::from_utf8(k.0).unwrap()).collect()
}

/// Runs every case, each on an engine of its own that `make` gives.
pub async fn engine(make: impl Fn() -> Arc<dyn Engine>) {
    an_empty_engine_has_nothing(&*make()).await;
    what_is_written_is_read(&*make()).await;
    partitions_are_apart(&*make()).await;
    scans_are_ordered_and_bounded(&*make()).await;
    guards_hold_or_nothing_happens(&*make()).await;
    a_batch_sees_the_ones_before_it(&*make()).await;
    a_failure_in_the_middle_fails_what_was_built_on_it(&*make()).await;
    commits_are_heard_of_in_order(&*make()).await;
    later_writes_win_and_clears_come_first(&*make()).await;
    clears_stay_within_their_range(&*make()).await;
    large_and_odd_values_come_back(&*make()).await;
    one_of_many_wins(&*make()).await;
    a_dropped_future_changes_nothing(&*make()).await;
    reads_come_from_one_state(&*make()).await;
    partitions_are_listed(&*make()).await;
}

async fn an_empty_engine_has_nothing(engine: &dyn Engine) {
    assert_eq!(engine.read(HERE, vec![key("a"), key("b")]).await.unwrap(), [None, None]);
    assert_eq!(engine.read(HERE, Vec::new()).await.unwrap(), Vec::<Option<Bytes>>::new());
    assert!(all_keys(engine, HERE).await.is_empty());
    assert_eq!(engine.commit(Batch::new(HERE)).await, Ok(()));
}

async fn what_is_written_is_read(engine: &dyn Engine) {
    engine.commit(batch(&[("a", "1"), ("b", "2"), ("c", "")])).await.unwrap();
    let read = engine.read(HERE, vec![key("c"), key("x"), key("a"), key("a")]).await.unwrap();
    let expected = [Some(""), None, Some("1"), Some("1")].map(|v| v.map(|v| Bytes::copy_from_slice(v.as_bytes())));
    assert_eq!(read, expected, "values in the order of the keys, an empty one is no missing one");
    let mut deletion = Batch::new(HERE);
    deletion.delete(key("a"));
    deletion.delete(key("never there"));
    engine.commit(deletion).await.unwrap();
    assert_eq!(all_keys(engine, HERE).await, ["b", "c"]);
}

async fn partitions_are_apart(engine: &dyn Engine) {
    for (partition, text) in [(HERE, "here"), (THERE, "there"), (Partition::Global, "global")] {
        let mut batch = Batch::new(partition);
        batch.guard(key("k"), Expect::Absent);
        batch.put(key("k"), text);
        assert_eq!(engine.commit(batch).await, Ok(()), "the same key is free in {partition:?}");
    }
    let mut clearing = Batch::new(THERE);
    clearing.clears.push(everything());
    engine.commit(clearing).await.unwrap();
    assert_eq!(engine.read(THERE, vec![key("k")]).await.unwrap(), [None]);
    assert_eq!(engine.read(HERE, vec![key("k")]).await.unwrap(), [Some(Bytes::from("here"))]);
    assert_eq!(engine.read(Partition::Global, vec![key("k")]).await.unwrap(), [Some(Bytes::from("global"))]);
}

async fn scans_are_ordered_and_bounded(engine: &dyn Engine) {
    let mut filling = Batch::new(HERE);
    for octets in [&[1u8][..], &[1, 0], &[1, 0, 0], &[1, 255], &[2], &[255], &[0]] {
        filling.put(Key(octets.to_vec()), octets.to_vec());
    }
    engine.commit(filling).await.unwrap();
    let scan = async |from: &[u8], to: &[u8], limit| {
        let range = Key(from.to_vec())..Key(to.to_vec());
        let found = engine.scan(HERE, range, limit).await.unwrap();
        assert!(found.iter().all(|(k, v)| k.0 == v[..]), "each key comes with its own value");
        found.into_iter().map(|(k, _)| k.0).collect::<Vec<_>>()
    };
    assert_eq!(scan(&[1], &[2], 9).await, [vec![1], vec![1, 0], vec![1, 0, 0], vec![1, 255]]);
    assert_eq!(scan(&[1], &[2], 2).await, [vec![1], vec![1, 0]]);
    assert_eq!(scan(&[1, 0], &[1, 255], 9).await, [vec![1, 0], vec![1, 0, 0]], "the end is excluded");
    assert_eq!(scan(&[2], &[1], 9).await, Vec::<Vec<u8>>::new(), "a range that is turned round is empty");
    assert_eq!(scan(&[1], &[2], 0).await, Vec::<Vec<u8>>::new());
}

async fn guards_hold_or_nothing_happens(engine: &dyn Engine) {
    let mut first = Batch::new(HERE);
    first.guard(key("head"), Expect::Absent);
    first.put(key("head"), versioned(5, "x"));
    engine.commit(first.clone()).await.unwrap();
    assert_eq!(engine.commit(first).await, Err(CommitError::Conflict), "it is there now");

    let with = |guards: &[(&str, Expect)]| {
        let mut batch = batch(&[("other", "written")]);
        batch.clears.push(key("head")..key("heae"));
        guards.iter().for_each(|(k, expect)| batch.guard(key(k), *expect));
        batch
    };
    engine.commit(batch(&[("short", "v")])).await.unwrap();
    for wrong in [
        vec![("head", Expect::Version(4))],
        vec![("head", Expect::Absent)],
        vec![("nothing", Expect::Version(0))],
        vec![("short", Expect::Version(0))],
        vec![("head", Expect::Version(5)), ("head", Expect::Version(6))],
        vec![("head", Expect::Version(5)), ("nothing", Expect::Version(5))],
    ] {
        assert_eq!(engine.commit(with(&wrong)).await, Err(CommitError::Conflict), "{wrong:?}");
        assert_eq!(all_keys(engine, HERE).await, ["head", "short"], "nothing of it happened: {wrong:?}");
    }
    let right = [("head", Expect::Version(5)), ("nothing", Expect::Absent)];
    engine.commit(with(&right)).await.unwrap();
    assert_eq!(all_keys(engine, HERE).await, ["other", "short"]);
}

fn step(from: u64, to: u64) -> Batch {
    let mut batch = Batch::new(HERE);
    batch.guard(key("head"), Expect::Version(from));
    batch.put(key("head"), versioned(to, ""));
    batch.put(key(&format!("step{to:03}")), "");
    batch
}

async fn a_batch_sees_the_ones_before_it(engine: &dyn Engine) {
    let mut first = Batch::new(HERE);
    first.put(key("head"), versioned(0, ""));
    let mut outcomes = vec![engine.commit(first)];
    outcomes.extend((0..100).map(|n| engine.commit(step(n, n + 1))));
    assert!(join_all(outcomes).await.iter().all(Result::is_ok), "each was built on the one before");
    assert_eq!(value(engine, "head").await, Some(versioned(100, "")));
    assert_eq!(all_keys(engine, HERE).await.len(), 101);
}

async fn a_failure_in_the_middle_fails_what_was_built_on_it(engine: &dyn Engine) {
    let mut first = Batch::new(HERE);
    first.put(key("head"), versioned(0, ""));
    let mut outcomes = vec![engine.commit(first)];
    outcomes.extend((0..10).map(|n| engine.commit(step(n, n + 1))));
    outcomes.push(engine.commit(step(99, 11))); // fails: the head is at 10
    outcomes.extend((11..15).map(|n| engine.commit(step(n, n + 1))));
    outcomes.push(engine.commit(step(10, 20))); // the truth: goes on from 10
    let outcomes = join_all(outcomes).await;
    let expected = |n: usize| if (11..16).contains(&n) { Err(CommitError::Conflict) } else { Ok(()) };
    assert_eq!(outcomes, (0..17).map(expected).collect::<Vec<_>>());
    assert_eq!(value(engine, "head").await, Some(versioned(20, "")));
    assert_eq!(value(engine, "step012").await, None);
}

async fn commits_are_heard_of_in_order(engine: &dyn Engine) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    for n in 0..50 {
        let heard = Arc::clone(&heard);
        let mut batch = batch(&[("k", "v")]);
        if n % 7 == 3 {
            batch.guard(key("k"), Expect::Absent);
        }
        engine.submit(batch, Done::new(move |outcome| heard.lock().unwrap().push((n, outcome.is_ok()))));
    }
    engine.commit(Batch::new(HERE)).await.unwrap();
    let expected: Vec<_> = (0..50).map(|n| (n, n % 7 != 3)).collect();
    assert_eq!(*heard.lock().unwrap(), expected);
}

async fn later_writes_win_and_clears_come_first(engine: &dyn Engine) {
    engine.commit(batch(&[("a1", "old"), ("a2", "old"), ("a3", "old")])).await.unwrap();
    let mut change = batch(&[("a1", "first"), ("a1", "second"), ("a4", "new")]);
    change.delete(key("a4"));
    change.delete(key("a5"));
    change.put(key("a5"), "again");
    change.clears.push(key("a")..key("b"));
    engine.commit(change).await.unwrap();
    assert_eq!(all_keys(engine, HERE).await, ["a1", "a5"], "what is cleared and written is written");
    assert_eq!(value(engine, "a1").await, Some(Bytes::from("second")));
}

async fn clears_stay_within_their_range(engine: &dyn Engine) {
    engine.commit(batch(&[("a", ""), ("b", ""), ("b\0", ""), ("bz", ""), ("c", ""), ("d", "")])).await.unwrap();
    let mut clearing = Batch::new(HERE);
    clearing.clears.push(key("b")..key("c"));
    clearing.clears.push(key("x")..key("d"));
    engine.commit(clearing).await.unwrap();
    assert_eq!(all_keys(engine, HERE).await, ["a", "c", "d"], "the end is excluded, a range turned round is empty");
}

async fn large_and_odd_values_come_back(engine: &dyn Engine) {
    let long_key = Key(vec![b'k'; 2000]);
    let large: Bytes = (0..16u32 << 20).map(|n| ((n * 31) >> 3) as u8).collect::<Vec<_>>().into();
    let all_octets: Bytes = (0..=255u8).collect::<Vec<_>>().into();
    let mut writing = Batch::new(HERE);
    writing.put(long_key.clone(), large.clone());
    writing.put(Key(all_octets.to_vec()), all_octets.clone());
    writing.put(Key(vec![0]), Bytes::new());
    engine.commit(writing).await.unwrap();
    let read = engine.read(HERE, vec![long_key, Key(all_octets.to_vec()), Key(vec![0])]).await.unwrap();
    assert!(read == [Some(large), Some(all_octets), Some(Bytes::new())], "every octet as it was written");
}

async fn one_of_many_wins(engine: &dyn Engine) {
    let claim = |n: u32| {
        let mut batch = Batch::new(HERE);
        batch.guard(key("prize"), Expect::Absent);
        batch.put(key("prize"), n.to_be_bytes().to_vec());
        engine.commit(batch)
    };
    let outcomes = join_all((0..64).map(claim)).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let winner = outcomes.iter().position(Result::is_ok).unwrap() as u32;
    assert_eq!(value(engine, "prize").await, Some(winner.to_be_bytes().to_vec().into()));
}

async fn a_dropped_future_changes_nothing(engine: &dyn Engine) {
    drop(engine.commit(batch(&[("a", "1")])));
    engine.commit(batch(&[("b", "2")])).await.unwrap();
    assert_eq!(all_keys(engine, HERE).await, ["a", "b"], "a commit in line happens, whoever waits");
}

async fn reads_come_from_one_state(engine: &dyn Engine) {
    let both = |n: u32| batch(&[("x", &n.to_string()), ("y", &n.to_string())]);
    engine.commit(both(0)).await.unwrap();
    let writes = (1..50).map(|n| engine.commit(both(n)));
    let reads = (1..50).map(|_| engine.read(HERE, vec![key("x"), key("y")]));
    let scans = (1..50).map(|_| engine.scan(HERE, everything(), 9));
    let (writes, (reads, scans)) =
        futures_util::future::join(join_all(writes), futures_util::future::join(join_all(reads), join_all(scans)))
            .await;
    assert!(writes.iter().all(Result::is_ok));
    for read in reads {
        let read = read.unwrap();
        assert_eq!(read[0], read[1], "both keys as one commit left them");
    }
    for scan in scans {
        let scan = scan.unwrap();
        assert_eq!(scan[0].1, scan[1].1, "both keys as one commit left them");
    }
}

async fn partitions_are_listed(engine: &dyn Engine) {
    let all: Vec<Partition> = [Partition::Global].into_iter().chain((1..8).map(account)).collect();
    for partition in &all {
        let mut batch = Batch::new(*partition);
        batch.put(key("k"), "v");
        engine.commit(batch).await.unwrap();
    }
    assert_eq!(engine.partitions(None, 100).await.unwrap(), all, "in order");
    assert_eq!(engine.partitions(None, 3).await.unwrap(), all[..3]);
    assert_eq!(engine.partitions(Some(all[2]), 2).await.unwrap(), all[3..5]);
    assert!(engine.partitions(all.last().copied(), 9).await.unwrap().is_empty());
    let mut emptying = Batch::new(account(4));
    emptying.clears.push(everything());
    engine.commit(emptying).await.unwrap();
    assert!(!engine.partitions(None, 100).await.unwrap().contains(&account(4)), "an empty one is none");
}

fn account(n: u64) -> Partition {
    Partition::Account(AccountId(n))
}

/// Runs every case, each on blobs of their own that `make` gives.
pub async fn blobs(make: impl Fn() -> Arc<dyn Blobs>) {
    bytes_come_back(&*make()).await;
    ranges_are_cut_off(&*make()).await;
    many_at_once_are_kept_apart(&*make()).await;
    a_dropped_writer_leaves_nothing(&*make()).await;
    segments_list_their_records(&*make()).await;
    what_is_not_there_is_missing(&*make()).await;
    removed_segments_are_gone(&*make()).await;
    what_is_read_together_is_what_is_read_alone(&*make()).await;
}

fn octets(len: usize, seed: u8) -> Bytes {
    (0..len).map(|n| (n as u8).wrapping_mul(31).wrapping_add((n >> 8) as u8) ^ seed).collect::<Vec<_>>().into()
}

async fn write(blobs: &dyn Blobs, account: u64, message: u64, bytes: &Bytes, chunk: usize) -> BlobRecord {
    let (account, message) = (AccountId(account), MessageId(message));
    let mut writer = blobs.begin(account, message);
    for chunk in bytes.chunks(chunk) {
        writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    let blob = writer.finish().await.unwrap();
    blobs.settle().await.unwrap();
    assert_eq!(blob.len, bytes.len() as u64);
    BlobRecord { account, message, blob }
}

async fn bytes_come_back(blobs: &dyn Blobs) {
    for (message, len) in [0usize, 1, 7, 8, 4096, 70_000, 3 << 20].into_iter().enumerate() {
        let bytes = octets(len, message as u8);
        let record = write(blobs, 1, message as u64, &bytes, 65_536).await;
        let read = blobs.read(record.blob, 0..len as u64).await.unwrap();
        assert!(read == bytes, "{len} octets, each as it was written");
        blobs.check(record).await.unwrap();
    }
}

async fn ranges_are_cut_off(blobs: &dyn Blobs) {
    for len in [1000usize, 2 << 20] {
        let bytes = octets(len, 3);
        let blob = write(blobs, 1, 1, &bytes, 300_000).await.blob;
        let len = len as u64;
        for (from, to) in [(0, 10), (10, 20), (len - 5, len), (len - 5, len + 100), (0, u64::MAX), (7, 7)] {
            let expected = bytes.slice(from as usize..to.min(len) as usize);
            assert!(blobs.read(blob, from..to).await.unwrap() == expected, "{from}..{to} of {len}");
        }
        assert!(blobs.read(blob, len..len + 5).await.unwrap().is_empty());
        assert!(blobs.read(blob, len + 5..len + 9).await.unwrap().is_empty());
    }
}

async fn many_at_once_are_kept_apart(blobs: &dyn Blobs) {
    let all: Vec<Bytes> = (0..64).map(|n| octets(n * 37, n as u8)).collect();
    let writes = all.iter().enumerate().map(|(n, bytes)| write(blobs, n as u64 % 5, n as u64, bytes, 1000));
    let records = join_all(writes).await;
    for (record, bytes) in records.iter().zip(&all) {
        assert_eq!(blobs.read(record.blob, 0..u64::MAX).await.unwrap(), *bytes);
        blobs.check(*record).await.unwrap();
    }
}

async fn a_dropped_writer_leaves_nothing(blobs: &dyn Blobs) {
    for len in [100, 3 << 20] {
        let mut writer = blobs.begin(AccountId(1), MessageId(99));
        writer.write(octets(len, 1)).await.unwrap();
        drop(writer);
    }
    let kept = write(blobs, 1, 1, &octets(10, 1), 10).await;
    let mut found = Vec::new();
    for segment in blobs.segments().await.unwrap() {
        found.extend(blobs.records(segment.segment).await.unwrap().into_iter().map(Result::unwrap));
    }
    assert_eq!(found, [kept]);
}

async fn segments_list_their_records(blobs: &dyn Blobs) {
    let mut written = Vec::new();
    for n in 0..20u64 {
        let len = if n == 11 { 2 << 20 } else { 1000 };
        written.push(write(blobs, n % 3, n, &octets(len, n as u8), 500_000).await);
    }
    let mut listed = Vec::new();
    for segment in blobs.segments().await.unwrap() {
        let records = blobs.records(segment.segment).await.unwrap();
        let records: Vec<BlobRecord> = records.into_iter().map(Result::unwrap).collect();
        assert!(records.iter().all(|record| record.blob.segment == segment.segment));
        assert!(records.windows(2).all(|two| two[0].blob.offset < two[1].blob.offset), "in order");
        assert!(segment.bytes >= records.iter().map(|record| record.blob.len).sum());
        listed.extend(records);
    }
    let sorted = |mut records: Vec<BlobRecord>| {
        records.sort_by_key(|record| record.blob);
        records
    };
    assert_eq!(sorted(listed), sorted(written));
}

async fn what_is_not_there_is_missing(blobs: &dyn Blobs) {
    let record = write(blobs, 1, 1, &octets(100, 1), 100).await;
    let mut elsewhere = record.blob;
    elsewhere.segment += 1000;
    assert!(matches!(blobs.read(elsewhere, 0..10).await, Err(EngineError::Missing(_))));
    assert!(blobs.records(elsewhere.segment).await.is_err());
    let mut behind = record.blob;
    behind.offset += 1 << 30;
    assert!(blobs.read(behind, 0..10).await.is_err());
    let other = BlobRecord { message: MessageId(2), ..record };
    assert!(blobs.check(other).await.is_err(), "it belongs to another message");
    let longer = BlobRecord { blob: crate::engine::BlobRef { len: 101, ..record.blob }, ..record };
    assert!(blobs.check(longer).await.is_err(), "it has another length");
}

async fn removed_segments_are_gone(blobs: &dyn Blobs) {
    let record = write(blobs, 1, 1, &octets(3 << 20, 1), 300_000).await;
    blobs.remove(record.blob.segment).await.unwrap();
    blobs.remove(record.blob.segment).await.unwrap();
    assert!(matches!(blobs.read(record.blob, 0..10).await, Err(EngineError::Missing(_))));
    assert!(blobs.segments().await.unwrap().iter().all(|segment| segment.segment != record.blob.segment));
    let next = write(blobs, 1, 2, &octets(100, 2), 100).await;
    assert_ne!(next.blob.segment, record.blob.segment, "a number is not used again");
    assert_eq!(blobs.read(next.blob, 0..100).await.unwrap(), octets(100, 2));
}

async fn what_is_read_together_is_what_is_read_alone(blobs: &dyn Blobs) {
    let mut written = Vec::new();
    for n in 0..40u64 {
        let len = if n == 11 { 2 << 20 } else { n as usize * 997 };
        written.push(write(blobs, 1, n, &octets(len, n as u8), 500_000).await.blob);
    }
    let mut missing = written[5];
    missing.segment += 1000;
    let mut shorter = written[20];
    shorter.len -= 1;
    let by_threes = written.iter().step_by(3).chain(&written[30..]).copied().collect();
    let strange = vec![written[4], missing, written[5], written[5], written[3], shorter, written[21]];
    for list in [written.clone(), written.iter().rev().copied().collect(), by_threes, strange, Vec::new()] {
        let together = blobs.read_together(list.clone()).await;
        assert_eq!(together.len(), list.len());
        for (together, blob) in together.into_iter().zip(list) {
            match blobs.read(blob, 0..blob.len).await {
                Ok(alone) => assert!(together.unwrap() == alone, "{blob:?}"),
                Err(_) => assert!(together.is_err(), "{blob:?}"),
            }
        }
    }
}
