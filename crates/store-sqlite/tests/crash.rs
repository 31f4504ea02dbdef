//! A process that is killed in the middle of its work loses nothing it was told is done, and leaves nothing half done.
//!
//! The test runs itself as a child that delivers messages and prints what was acknowledged, kills it after a random
//! number of lines, and looks at what it left. `COLUMBA_CRASH_ROUNDS` sets how many times (8).
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use columba_store::{Batch, BlobRecord, BlobRef, Expect, Key, Partition};
use columba_store_sqlite::{Opened, SqliteOptions, open};
use columba_types::{AccountId, MessageId};

const DIR: &str = "COLUMBA_CRASH_DIR";
const ACCOUNTS: u64 = 12;

fn head_key() -> Key {
    Key(b"head".to_vec())
}

fn message_key(number: u64) -> Key {
    Key([b"message".as_slice(), &number.to_be_bytes()].concat())
}

/// The octets of a message can be told from its account and number; every 40th is too large for memory.
fn octets(account: u64, number: u64) -> Bytes {
    let mixed = (account << 32 | number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let len = if number % 40 == 7 { 1_300_000 } else { mixed as usize % 6000 };
    (0..len as u64).map(|at| (mixed.rotate_left((at % 61) as u32) ^ at) as u8).collect::<Vec<_>>().into()
}

fn encode(blob: BlobRef) -> Vec<u8> {
    [blob.segment, blob.offset, blob.len].iter().flat_map(|n| n.to_be_bytes()).collect()
}

fn decode(value: &[u8]) -> BlobRef {
    let number = |at: usize| u64::from_be_bytes(value[at..at + 8].try_into().unwrap());
    BlobRef { segment: number(0), offset: number(8), len: number(16) }
}

async fn head(opened: &Opened, account: u64) -> u64 {
    let values = opened.engine.read(Partition::Account(AccountId(account)), vec![head_key()]).await.unwrap();
    values[0].as_ref().map_or(0, |head| u64::from_be_bytes(head[..8].try_into().unwrap()))
}

async fn deliver(opened: Arc<Opened>, account: u64) {
    let mut number = head(&opened, account).await;
    loop {
        let expect = if number == 0 { Expect::Absent } else { Expect::Version(number) };
        number += 1;
        let mut writer = opened.blobs.begin(AccountId(account), MessageId(number));
        for chunk in octets(account, number).chunks(100_000) {
            writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        let blob = writer.finish().await.unwrap();
        let mut batch = Batch::new(Partition::Account(AccountId(account)));
        batch.guard(head_key(), expect);
        batch.put(head_key(), number.to_be_bytes().to_vec());
        batch.put(message_key(number), encode(blob));
        opened.engine.commit(batch).await.unwrap();
        // One write each, so that a line is whole or not there.
        let line = format!("ack {account} {number}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}

/// Not a test of its own: what the child does. Without a directory it has nothing to do.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let opened = Arc::new(open(Path::new(&dir), SqliteOptions::default()).unwrap());
        let tasks: Vec<_> = (0..ACCOUNTS).map(|account| tokio::spawn(deliver(Arc::clone(&opened), account))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Runs the child until it has acknowledged `lines` commits, kills it, and gives the last number of each account.
fn run_and_kill(dir: &Path, lines: usize) -> HashMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = HashMap::new();
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The harness writes on the same line as the first one of ours.
        let Some(words) = line.split("ack ").nth(1) else { continue };
        let (account, number) = words.split_once(' ').unwrap();
        acknowledged.insert(account.parse().unwrap(), number.parse().unwrap());
        seen += 1;
        if seen == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= lines, "the child ended by itself after {seen} lines");
    acknowledged
}

async fn look(opened: &Opened, acknowledged: &HashMap<u64, u64>) {
    for account in 0..ACCOUNTS {
        let last = head(opened, account).await;
        assert!(last >= acknowledged.get(&account).copied().unwrap_or(0), "an acknowledged commit is there");
        let partition = Partition::Account(AccountId(account));
        let found = opened.engine.scan(partition, message_key(0)..message_key(u64::MAX), 1 << 30).await.unwrap();
        let numbers: Vec<Key> = found.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(numbers, (1..=last).map(message_key).collect::<Vec<_>>(), "a commit is there wholly or not at all");
        for (number, (_, value)) in (1..=last).zip(&found) {
            let blob = decode(value);
            assert!(opened.blobs.read(blob, 0..u64::MAX).await.unwrap() == octets(account, number));
            let record = BlobRecord { account: AccountId(account), message: MessageId(number), blob };
            opened.blobs.check(record).await.unwrap();
        }
    }
    for segment in opened.blobs.segments().await.unwrap() {
        for record in opened.blobs.records(segment.segment).await.unwrap() {
            let BlobRecord { account, message, blob } = record.unwrap();
            // One that no commit refers to is whole all the same.
            assert_eq!(opened.blobs.read(blob, 0..u64::MAX).await.unwrap(), octets(account.0, message.0));
        }
    }
    assert_eq!(opened.check_shards().unwrap(), [""; 0]);
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let rounds = std::env::var("COLUMBA_CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let mut dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut dice = u64::from(std::process::id()) | 1;
    for round in 0..rounds {
        // What one process left is the next one's beginning, until looking at all of it takes too long.
        if round % 4 == 0 {
            dir = tempfile::tempdir().unwrap();
        }
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let acknowledged = run_and_kill(dir.path(), 1 + dice as usize % 300);
        let opened = open(dir.path(), SqliteOptions::default()).unwrap();
        runtime.block_on(look(&opened, &acknowledged));
        assert_eq!(std::fs::read_dir(dir.path().join("incoming")).unwrap().count(), 0, "left-overs are gone");
    }
}
