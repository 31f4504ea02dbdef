//! What torn writes, bad bits, full and read-only disks and strangers in the directory lead to.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use columba_store::{Batch, BlobRecord, CommitError, EngineError, Key, Partition};
use columba_store_sqlite::{OpenError, Opened, SqliteOptions, open};
use columba_types::{AccountId, MessageId};
use futures_util::FutureExt;

fn one_shard(dir: &Path) -> Opened {
    open(dir, SqliteOptions { shards: 1, readers: 1, ..SqliteOptions::default() }).unwrap()
}

fn octets(number: u64) -> Bytes {
    (0..50 + number * 37).map(|at| (at * 7 + number) as u8).collect::<Vec<_>>().into()
}

async fn write(opened: &Opened, number: u64, octets: Bytes) -> Result<BlobRecord, EngineError> {
    let (account, message) = (AccountId(1), MessageId(number));
    let mut writer = opened.blobs.begin(account, message);
    writer.write(octets).await?;
    let blob = writer.finish().await?;
    opened.blobs.settle().await?;
    Ok(BlobRecord { account, message, blob })
}

async fn write_some(opened: &Opened, numbers: std::ops::Range<u64>) -> Vec<BlobRecord> {
    let mut records = Vec::new();
    for number in numbers {
        records.push(write(opened, number, octets(number)).await.unwrap());
    }
    records
}

async fn records(opened: &Opened) -> Vec<Result<BlobRecord, EngineError>> {
    let mut all = Vec::new();
    for segment in opened.blobs.segments().await.unwrap() {
        all.extend(opened.blobs.records(segment.segment).await.unwrap());
    }
    all
}

fn growing_segment(dir: &Path) -> PathBuf {
    dir.join("segments/00/00000001.open")
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_and_the_segment_grows_on() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    let written = write_some(&opened, 0..5).await;
    drop(opened);
    let whole = std::fs::read(growing_segment(dir.path())).unwrap();
    let last = usize::try_from(written[4].blob.offset).unwrap();
    let garbage: Vec<u8> = (0..40u8).collect();
    // As a crash leaves it: a part of the last record, then nothing, zeros written ahead, or what was there before.
    for cut in (last..whole.len() - 7).step_by(5) {
        for behind in [&[][..], &[0; 4096][..], &garbage] {
            std::fs::write(growing_segment(dir.path()), [&whole[..cut], behind].concat()).unwrap();
            let opened = one_shard(dir.path());
            let next = write(&opened, 9, octets(9)).await.unwrap();
            assert_eq!(next.blob.offset, last as u64, "it takes the place of the torn one");
            let expected: Vec<_> = written[..4].iter().copied().chain([next]).map(Ok).collect();
            assert_eq!(records(&opened).await, expected);
            assert_eq!(opened.blobs.read(written[3].blob, 0..9999).await.unwrap(), octets(3));
        }
    }
}

#[tokio::test]
async fn a_segment_without_any_whole_record_goes() {
    let dir = tempfile::tempdir().unwrap();
    drop(one_shard(dir.path()));
    for torn in [&[][..], b"CLMB", &[0; 100]] {
        std::fs::write(growing_segment(dir.path()), torn).unwrap();
        let opened = one_shard(dir.path());
        assert!(opened.blobs.segments().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn of_two_segments_that_grew_the_last_grows_on() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    let mut written = write_some(&opened, 0..2).await;
    written.push(write(&opened, 2, vec![2; 2 << 20].into()).await.unwrap());
    drop(opened);
    let second = dir.path().join("segments/00/00000002.seg");
    std::fs::rename(&second, second.with_extension("open")).unwrap();
    let opened = one_shard(dir.path());
    written.push(write(&opened, 3, octets(3)).await.unwrap());
    assert_eq!(written[3].blob.segment, written[2].blob.segment);
    assert_eq!(records(&opened).await, written.iter().copied().map(Ok).collect::<Vec<_>>());
    let sealed: Vec<bool> = opened.blobs.segments().await.unwrap().iter().map(|segment| segment.sealed).collect();
    assert_eq!(sealed, [true, false]);
}

#[tokio::test]
async fn a_large_message_survives_impatience_and_leaves_nothing_when_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    let message: Bytes = (0..5u32 << 20).map(|at| (at ^ at >> 9) as u8).collect::<Vec<_>>().into();
    let mut dropped = opened.blobs.begin(AccountId(1), MessageId(1));
    let mut kept = opened.blobs.begin(AccountId(1), MessageId(2));
    for chunk in message.chunks(70_000) {
        // Every future is polled once and dropped, and still nothing may be lost or written twice.
        for writer in [&mut dropped, &mut kept] {
            writer.write(Bytes::copy_from_slice(chunk)).now_or_never();
        }
    }
    drop(dropped);
    let blob = kept.finish().await.unwrap();
    assert!(opened.blobs.read(blob, 0..u64::MAX).await.unwrap() == message);
    assert_eq!(records(&opened).await.len(), 1);
    drop(opened);
    assert_eq!(std::fs::read_dir(dir.path().join("incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn the_log_begins_anew_while_commits_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    let log = dir.path().join("shards/00.sqlite-wal");
    for n in 0..150u64 {
        let [first, second] = [put(n % 7, 600_000), put(n % 11, 600_000)].map(|batch| opened.engine.commit(batch));
        let range = Key(Vec::new())..Key(vec![0xff]);
        opened.engine.scan(Partition::Account(AccountId(1)), range, 1).await.unwrap();
        first.await.unwrap();
        second.await.unwrap();
    }
    // 180 MB went through it.
    let bytes = std::fs::metadata(&log).unwrap().len();
    assert!(bytes < 80 << 20, "the log has {bytes} octets");
    drop(opened);
    assert!(!log.exists(), "and is gone when the shard is closed");
}

#[tokio::test]
async fn what_was_never_finished_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    drop(one_shard(dir.path()));
    std::fs::write(dir.path().join("incoming/17.part"), "half a message").unwrap();
    let opened = one_shard(dir.path());
    assert!(!dir.path().join("incoming/17.part").exists());
    assert!(records(&opened).await.is_empty());
}

#[tokio::test]
async fn every_flipped_bit_is_found_and_costs_one_message() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    let written = write_some(&opened, 0..6).await;
    let victim = written[2];
    let file = std::fs::OpenOptions::new().read(true).write(true).open(growing_segment(dir.path())).unwrap();
    for at in victim.blob.offset..victim.blob.offset + 48 + victim.blob.len {
        let mut octet = [0];
        file.read_exact_at(&mut octet, at).unwrap();
        let bad = octet[0] ^ 1 << (at % 8);
        file.write_all_at(&[bad], at).unwrap();
        assert!(matches!(opened.blobs.check(victim).await, Err(EngineError::Corrupt(_))), "octet {at}");
        assert!(matches!(opened.blobs.read(victim.blob, 0..9999).await, Err(EngineError::Corrupt(_))), "octet {at}");
        let (good, damaged): (Vec<_>, Vec<_>) = records(&opened).await.into_iter().partition(Result::is_ok);
        let others = written.iter().filter(|record| **record != victim).copied();
        assert!(good.into_iter().map(Result::unwrap).eq(others), "the others are still found: octet {at}");
        assert_eq!(damaged.len(), 1, "octet {at}");
        file.write_all_at(&octet, at).unwrap();
        opened.blobs.check(victim).await.unwrap();
    }
}

#[tokio::test]
async fn damage_before_whole_records_survives_a_restart_as_damage() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    let written = write_some(&opened, 0..4).await;
    drop(opened);
    let file = std::fs::OpenOptions::new().write(true).open(growing_segment(dir.path())).unwrap();
    file.write_all_at(b"?", written[1].blob.offset + 20).unwrap();
    let opened = one_shard(dir.path());
    let found = records(&opened).await;
    assert_eq!(found.iter().filter(|record| record.is_ok()).count(), 3, "the last two are not cut off with it");
    assert!(found[1].is_err());
}

#[tokio::test]
async fn a_message_that_looks_like_a_record_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    let first = write(&opened, 1, octets(1)).await.unwrap();
    let segment = std::fs::read(growing_segment(dir.path())).unwrap();
    let forged = segment[usize::try_from(first.blob.offset).unwrap()..][..48 + 87].to_vec();
    let second = write(&opened, 2, forged.into()).await.unwrap();
    let third = write(&opened, 3, octets(3)).await.unwrap();
    // Its own header is lost, so the next one is looked for inside it.
    let file = std::fs::OpenOptions::new().write(true).open(growing_segment(dir.path())).unwrap();
    file.write_all_at(&[0; 48], second.blob.offset).unwrap();
    let good: Vec<_> = records(&opened).await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(good, [first, third]);
}

#[tokio::test]
async fn a_damaged_shard_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    for n in 0..200u64 {
        let mut batch = Batch::new(Partition::Account(AccountId(1)));
        batch.put(Key(n.to_be_bytes().to_vec()), vec![7; 2000]);
        opened.engine.commit(batch).await.unwrap();
    }
    assert_eq!(opened.check_shards().unwrap(), [""; 0]);
    drop(opened);
    let file = std::fs::OpenOptions::new().write(true).open(dir.path().join("shards/00.sqlite")).unwrap();
    file.write_all_at(&[0xaa; 4096], 4096 * 20).unwrap();
    assert!(!one_shard(dir.path()).check_shards().unwrap().is_empty());
}

#[tokio::test]
async fn keys_in_a_shard_where_nobody_looks_for_them_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    for account in [1, 2] {
        let mut batch = Batch::new(Partition::Account(AccountId(account)));
        batch.put(Key(vec![1]), "v");
        opened.engine.commit(batch).await.unwrap();
    }
    assert_eq!(opened.engine.check().await.unwrap(), [""; 0]);
    drop(opened);
    let shard = rusqlite::Connection::open(dir.path().join("shards/00.sqlite")).unwrap();
    shard.execute("DELETE FROM account WHERE id = 2", []).unwrap();
    drop(shard);
    let findings = one_shard(dir.path()).engine.check().await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].starts_with("shards/00.sqlite: there are keys of account "), "{findings:?}");
}

#[test]
fn a_second_one_a_missing_shard_and_a_newer_format_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let opened = one_shard(dir.path());
    let second = open(dir.path(), SqliteOptions::default()).unwrap_err();
    assert!(
        matches!(&second, OpenError::InUse { holder, .. } if *holder == std::process::id().to_string()),
        "{second}"
    );
    let Opened { engine, blobs, .. } = opened;
    drop(engine);
    assert!(open(dir.path(), SqliteOptions::default()).is_err(), "the blobs are still in use");
    drop(blobs);
    drop(one_shard(dir.path()));

    let shard = dir.path().join("shards/00.sqlite");
    let kept = std::fs::read(&shard).unwrap();
    std::fs::remove_file(&shard).unwrap();
    let missing = open(dir.path(), SqliteOptions::default()).unwrap_err();
    assert_eq!(missing.to_string(), "damaged: shards/00.sqlite is missing");

    // The header of a SQLite file has user_version at 60.
    let mut newer = kept;
    newer[60..64].copy_from_slice(&9u32.to_be_bytes());
    std::fs::write(&shard, newer).unwrap();
    let newer = open(dir.path(), SqliteOptions::default()).unwrap_err().to_string();
    assert_eq!(newer, "shards/00.sqlite has format 9, and this program knows formats up to 2: use a newer Columba");
}

/// A small file system of its own; gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where mounting is not permitted.
    fn mount(mebibytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "columba-test"]).arg(dir.path()).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        eprintln!("skipped: mounting a file system is not permitted here");
        None
    }

    fn remount_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(self.0.path()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn put(number: u64, len: usize) -> Batch {
    let mut batch = Batch::new(Partition::Account(AccountId(1)));
    batch.put(Key(number.to_be_bytes().to_vec()), vec![7; len]);
    batch
}

fn is_full(words: &str) -> bool {
    words.ends_with("the disk is full")
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let dir = disk.0.path().join("data");
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 6 << 20]).unwrap();
    let opened = one_shard(&dir);
    let kept = write(&opened, 0, octets(0)).await.unwrap();

    // One commit that does not fit harms none of those beside it.
    let together =
        [opened.engine.commit(put(0, 100)), opened.engine.commit(put(1, 30 << 20)), opened.engine.commit(put(2, 100))];
    let [before, large, after] = together;
    assert_eq!(before.await, Ok(()));
    assert!(matches!(large.await, Err(CommitError::Refused(words)) if is_full(&words)));
    assert_eq!(after.await, Ok(()));

    let mut done = 3;
    let refused = loop {
        match opened.engine.commit(put(done, 100_000)).await {
            Ok(()) => done += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&refused, CommitError::Refused(words) if is_full(words)), "{refused}");
    let large = write(&opened, 1, vec![1; 9 << 20].into()).await.unwrap_err();
    assert!(matches!(&large, EngineError::Unavailable(words) if is_full(words)), "{large}");
    let small = loop {
        if let Err(error) = write(&opened, 2, vec![2; 300_000].into()).await {
            break error;
        }
    };
    assert!(matches!(&small, EngineError::Unavailable(words) if is_full(words)), "{small}");

    // Reading goes on, and so does writing when there is room again.
    assert_eq!(opened.blobs.read(kept.blob, 0..9999).await.unwrap(), octets(0));
    std::fs::remove_file(&ballast).unwrap();
    opened.engine.commit(put(done, 100_000)).await.unwrap();
    let late = write(&opened, 3, octets(3)).await.unwrap();
    drop(opened);
    let opened = one_shard(&dir);
    assert_eq!(opened.blobs.read(late.blob, 0..9999).await.unwrap(), octets(3));
    assert!(records(&opened).await.iter().all(Result::is_ok));
    let range = Key(Vec::new())..Key(vec![0xff]);
    let found = opened.engine.scan(Partition::Account(AccountId(1)), range, 1 << 20).await.unwrap();
    assert_eq!(found.len() as u64, done, "all that was acknowledged, and nothing else");
    assert_eq!(opened.check_shards().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_read_only_disk_is_called_that() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let dir = disk.0.path().join("data");
    drop(one_shard(&dir));
    disk.remount_read_only();
    let refused = open(&dir, SqliteOptions::default()).unwrap_err().to_string();
    assert!(refused.ends_with("the disk or the data directory is read-only"), "{refused}");
}
