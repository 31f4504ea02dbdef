//! What is left when the power goes: only what was synced. Small messages are synced with the log of their shard and not
//! at their place, so these tests take away what the segment has and leave the log.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use columba_store::{Batch, BlobRecord, Key, Partition};
use columba_store_sqlite::{Opened, SqliteOptions, open};
use columba_types::limits::{LOGGED_BYTES, MESSAGE_IN_LOG_BYTES};
use columba_types::{AccountId, MessageId};
use tempfile::TempDir;

const ACCOUNT: AccountId = AccountId(1);

fn one_shard(dir: &Path) -> Opened {
    open(dir, SqliteOptions { shards: 1, readers: 1, ..SqliteOptions::default() }).unwrap()
}

fn octets(number: u64, len: usize) -> Bytes {
    (0..len).map(|at| (at as u64 * 7 + number) as u8 | 1).collect::<Vec<_>>().into()
}

async fn place(opened: &Opened, number: u64, octets: Bytes) -> BlobRecord {
    let message = MessageId(number);
    let mut writer = opened.blobs.begin(ACCOUNT, message);
    writer.write(octets).await.unwrap();
    BlobRecord { account: ACCOUNT, message, blob: writer.finish().await.unwrap() }
}

async fn commit(opened: &Opened, number: u64) {
    let mut batch = Batch::new(Partition::Account(ACCOUNT));
    batch.put(Key(number.to_be_bytes().to_vec()), "a message");
    opened.engine.commit(batch).await.unwrap();
}

/// Octets of the nth message: some of every size up to those that have a sync of their own.
fn len(number: u64) -> usize {
    [0, 1, 300, 4000, MESSAGE_IN_LOG_BYTES, MESSAGE_IN_LOG_BYTES + 1, 20_000][number as usize % 7]
}

async fn deliver(opened: &Opened, numbers: std::ops::Range<u64>) -> Vec<BlobRecord> {
    let mut delivered = Vec::new();
    for number in numbers {
        delivered.push(place(opened, number, octets(number, len(number))).await);
        commit(opened, number).await;
    }
    delivered
}

fn segment(dir: &Path) -> PathBuf {
    dir.join("segments/00/00000001.open")
}

/// The directory as it is now, without what only this process knows.
fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for name in ["shards", "segments/00", "incoming"] {
        std::fs::create_dir_all(to.path().join(name)).unwrap();
        for entry in std::fs::read_dir(from.join(name)).unwrap() {
            let name = Path::new(name).join(entry.unwrap().file_name());
            if !name.to_string_lossy().ends_with("-shm") {
                std::fs::copy(from.join(&name), to.path().join(&name)).unwrap();
            }
        }
    }
    std::fs::copy(from.join("format"), to.path().join("format")).unwrap();
    to
}

async fn all_records(opened: &Opened) -> Vec<BlobRecord> {
    let mut records = Vec::new();
    for segment in opened.blobs.segments().await.unwrap() {
        records.extend(opened.blobs.records(segment.segment).await.unwrap().into_iter().map(Result::unwrap));
    }
    records
}

async fn all_are_there(opened: &Opened, delivered: &[BlobRecord]) {
    for record in delivered {
        let number = record.message.0;
        assert_eq!(opened.blobs.read(record.blob, 0..u64::MAX).await.unwrap(), octets(number, len(number)));
        opened.blobs.check(*record).await.unwrap();
    }
    assert_eq!(all_records(opened).await, delivered);
    assert_eq!(opened.check_shards().unwrap(), [""; 0]);
}

#[tokio::test]
async fn what_only_the_log_has_is_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    let delivered = deliver(&opened, 0..40).await;
    let in_log = |record: &&BlobRecord| record.blob.len <= MESSAGE_IN_LOG_BYTES as u64 && record.message.0 > 0;
    assert!(delivered.iter().filter(in_log).count() > 20);
    for cut in [false, true] {
        let lost = copy(dir.path());
        let file = std::fs::OpenOptions::new().write(true).open(segment(lost.path())).unwrap();
        for record in delivered.iter().filter(in_log) {
            file.write_all_at(&vec![0; 48 + record.blob.len as usize], record.blob.offset).unwrap();
        }
        if cut {
            // A file's length is synced with its octets.
            let synced = delivered.iter().rfind(|record| !in_log(record)).unwrap().blob;
            file.set_len(synced.offset + 48 + synced.len.next_multiple_of(8)).unwrap();
        }
        // More than once: the log may have what was put back still, and then others in the same places must not suffer.
        let mut expected = delivered.clone();
        for next in [40..43, 43..60, 60..61] {
            let opened = one_shard(lost.path());
            all_are_there(&opened, &expected).await;
            expected.extend(deliver(&opened, next).await);
        }
        all_are_there(&one_shard(lost.path()), &expected).await;
    }
    all_are_there(&opened, &delivered).await;
}

#[tokio::test]
async fn a_place_whose_message_never_came_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    let mut delivered = deliver(&opened, 0..3).await;
    place(&opened, 99, octets(99, 500)).await;
    // This one does not go by the log, and a place behind it may be given out again.
    delivered.push(place(&opened, 6, octets(6, len(6))).await);
    let lost = copy(dir.path());
    let opened = one_shard(lost.path());
    all_are_there(&opened, &delivered).await;
    delivered.extend(deliver(&opened, 7..12).await);
    all_are_there(&opened, &delivered).await;
}

#[tokio::test]
async fn the_log_forgets_what_the_segment_has() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    let reader = rusqlite::Connection::open(dir.path().join("shards/00.sqlite")).unwrap();
    let count = "SELECT count(*) FROM logged";
    let held = || reader.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned();
    let mut delivered = Vec::new();
    let (mut number, mut most) = (0, 0);
    // Each message is of 4,000 octets. The log is told by another thread what it may forget, so it may take a few more.
    while held() >= most {
        most = held();
        delivered.push(place(&opened, number * 7 + 3, octets(number * 7 + 3, 4000)).await);
        commit(&opened, number).await;
        number += 1;
        assert!(number * 4000 < 20 * LOGGED_BYTES as u64, "it never forgets");
    }
    assert!(most * 4000 >= LOGGED_BYTES as u64 / 2, "it forgets too early to be of use: after {most}");
    drop(opened);
    all_are_there(&one_shard(dir.path()), &delivered).await;
}

#[tokio::test]
async fn shards_of_the_first_format_are_brought_to_this_one() {
    let dir = tempfile::tempdir().unwrap();
    let delivered = deliver(&one_shard(dir.path()), 0..10).await;
    for shard in ["global", "00"] {
        let shard = rusqlite::Connection::open(dir.path().join(format!("shards/{shard}.sqlite"))).unwrap();
        shard.execute_batch("DROP TABLE logged; PRAGMA user_version = 1;").unwrap();
    }
    let opened = one_shard(dir.path());
    all_are_there(&opened, &delivered).await;
    deliver(&opened, 10..13).await;
}
