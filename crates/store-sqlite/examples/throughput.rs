//! How much the embedded engine does in a second, beside what the disk could do at most.
//!
//! `cargo run --release -p columba-store-sqlite --example throughput [directory] [seconds] [case…]`
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use columba_store::{Batch, Key, Partition};
use columba_store_sqlite::{Opened, SqliteOptions, open};
use columba_types::{AccountId, MessageId};

const ACCOUNTS: u64 = 200;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join("columba-throughput");
    let time = Duration::from_secs(arguments.next().and_then(|n| n.parse().ok()).unwrap_or(3));
    let cases: Vec<String> = arguments.collect();
    let wanted = |case: &str| cases.is_empty() || cases.iter().any(|wanted| case.contains(wanted.as_str()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let bench = Bench { dir, time, runtime };
    for round in 1..=2 {
        println!("round {round}");
        for threads in [1, 4] {
            if wanted("raw") {
                bench.raw_syncs(threads);
            }
        }
        for tasks in [1, 64] {
            for (name, case) in [("commit", Case::Commit), ("blob", Case::Blob), ("deliver", Case::Deliver)] {
                if wanted(name) {
                    bench.durable(name, case, tasks);
                }
            }
        }
        if wanted("bulk") {
            bench.bulk();
        }
        if wanted("read") {
            bench.reads();
        }
    }
    _ = std::fs::remove_dir_all(&bench.dir);
}

#[derive(Clone, Copy)]
enum Case {
    Commit,
    Blob,
    Deliver,
}

struct Bench {
    dir: PathBuf,
    time: Duration,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn fresh(&self) -> Opened {
        _ = std::fs::remove_dir_all(&self.dir);
        open(&self.dir, SqliteOptions::default()).unwrap()
    }

    fn raw_syncs(&self, threads: usize) {
        _ = std::fs::remove_dir_all(&self.dir);
        std::fs::create_dir_all(&self.dir).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..threads)
            .map(|n| {
                let (path, stop) = (self.dir.join(format!("raw{n}")), Arc::clone(&stop));
                std::thread::spawn(move || raw_thread(&path, &stop))
            })
            .collect();
        let count = threads.len();
        std::thread::sleep(self.time);
        stop.store(true, Ordering::Relaxed);
        let syncs: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        println!("  raw 4 KB + fdatasync, {count} threads: {:.0}/s", per_second(syncs, self.time));
    }

    fn durable(&self, name: &str, case: Case, tasks: u64) {
        let opened = self.fresh();
        let stop = Arc::new(AtomicBool::new(false));
        let slowest = Arc::new(AtomicU64::new(0));
        let used = processor_time();
        let begun = Instant::now();
        let tasks: Vec<_> = (0..tasks)
            .map(|task| {
                let (opened, stop, slowest) = (opened.clone(), Arc::clone(&stop), Arc::clone(&slowest));
                self.runtime.spawn(async move { work(&opened, case, task, &stop, &slowest).await })
            })
            .collect();
        let count = tasks.len();
        std::thread::sleep(self.time);
        stop.store(true, Ordering::Relaxed);
        let done: u64 = tasks.into_iter().map(|task| self.runtime.block_on(task).unwrap()).sum();
        let took = begun.elapsed();
        let used = (processor_time() - used).as_secs_f64() * 1e6 / done as f64;
        let slowest = slowest.load(Ordering::Relaxed) as f64 / 1000.0;
        println!(
            "  {name}, {count} at once: {:.0}/s, {used:.0} µs cpu each, slowest {slowest:.1} ms",
            per_second(done, took)
        );
    }

    fn bulk(&self) {
        let opened = self.fresh();
        let begun = Instant::now();
        self.runtime.block_on(async {
            for step in 0..100u64 {
                let mut batch = Batch::new(Partition::Account(AccountId(1)));
                for n in 0..1000u64 {
                    batch.put(message_key(step * 1000 + n), value(2000, n));
                }
                opened.engine.commit(batch).await.unwrap();
            }
        });
        println!("  bulk, 100,000 values of 2 KB in commits of 1,000: {:.2?}", begun.elapsed());
        let begun = Instant::now();
        drop(opened);
        println!("  bulk, closing after it: {:.2?}", begun.elapsed());
    }

    fn reads(&self) {
        let opened = self.fresh();
        let account = Partition::Account(AccountId(1));
        let blobs = self.runtime.block_on(async {
            for step in 0..20u64 {
                let mut batch = Batch::new(account);
                (0..1000u64).for_each(|n| batch.put(message_key(step * 1000 + n), value(2000, n)));
                (0..40u64).for_each(|n| batch.put(page_key(step * 40 + n), value(3000, n)));
                opened.engine.commit(batch).await.unwrap();
            }
            let mut blobs = Vec::new();
            for n in 0..1000u64 {
                let mut writer = opened.blobs.begin(AccountId(1), MessageId(n));
                writer.write(value(4096, n).into()).await.unwrap();
                blobs.push(writer.finish());
            }
            futures_util::future::join_all(blobs).await.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        });
        let rate = |what: &str, each: u64, took: Duration| {
            println!(
                "  read, {what}: {:.0}/s, {:.1} µs each",
                per_second(each, took),
                took.as_secs_f64() * 1e6 / each as f64
            );
        };
        for tasks in [1u64, 16] {
            let took = self.many(tasks, &opened, |opened, n| async move {
                let keys = vec![message_key(n.wrapping_mul(7919) % 20_000)];
                assert!(opened.engine.read(Partition::Account(AccountId(1)), keys).await.unwrap()[0].is_some());
            });
            rate(&format!("one value of 2 KB, {tasks} at once"), tasks * 5000, took);
            let blobs = blobs.clone();
            let took = self.many(tasks, &opened, move |opened, n| {
                let blob = blobs[n as usize % 1000];
                async move { assert_eq!(opened.blobs.read(blob, 0..blob.len).await.unwrap().len(), 4096) }
            });
            rate(&format!("one warm message of 4 KB, {tasks} at once"), tasks * 5000, took);
        }
        let begun = Instant::now();
        let rounds = 50;
        for _ in 0..rounds {
            let scan = opened.engine.scan(account, page_key(0)..page_key(u64::MAX), 10_000);
            assert_eq!(self.runtime.block_on(scan).unwrap().len(), 800);
        }
        println!("  read, scan of 800 values of 3 KB: {:.2?}", begun.elapsed() / rounds);
    }

    fn many<F>(&self, tasks: u64, opened: &Opened, work: impl Fn(Opened, u64) -> F + Clone + Send + 'static) -> Duration
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..tasks)
            .map(|task| {
                let (opened, work) = (opened.clone(), work.clone());
                self.runtime.spawn(async move {
                    for n in 0..5000 {
                        work(opened.clone(), task * 977 + n).await;
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| self.runtime.block_on(task).unwrap());
        begun.elapsed()
    }
}

async fn work(opened: &Opened, case: Case, task: u64, stop: &AtomicBool, slowest: &AtomicU64) -> u64 {
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        // Every task has its own accounts; some thousands of messages each.
        let account = AccountId((task + done * 64) % ACCOUNTS);
        let message = task << 40 | done;
        if !matches!(case, Case::Commit) {
            let mut writer = opened.blobs.begin(account, MessageId(message));
            writer.write(value(4096, message).into()).await.unwrap();
            writer.finish().await.unwrap();
        }
        match case {
            Case::Blob => {}
            Case::Commit => {
                let mut batch = Batch::new(Partition::Account(account));
                batch.put(Key(b"head".to_vec()), value(300, message));
                batch.put(page_key(done / 128), value(1500, message));
                opened.engine.commit(batch).await.unwrap();
            }
            Case::Deliver => opened.engine.commit(delivery(account, message, done)).await.unwrap(),
        }
        done += 1;
        slowest.fetch_max(u64::try_from(begun.elapsed().as_micros()).unwrap(), Ordering::Relaxed);
    }
    done
}

fn delivery(account: AccountId, message: u64, done: u64) -> Batch {
    let mut batch = Batch::new(Partition::Account(account));
    batch.put(Key(b"head".to_vec()), value(300, message));
    batch.put(page_key(done / 128), value(1500, message));
    batch.put(Key([b"log".as_slice(), &message.to_be_bytes()].concat()), value(60, message));
    batch.put(message_key(message), value(2000, message));
    batch.put(Key([b"link".as_slice(), &message.to_be_bytes()].concat()), value(8, message));
    batch
}

fn message_key(message: u64) -> Key {
    Key([b"message".as_slice(), &message.to_be_bytes()].concat())
}

fn page_key(page: u64) -> Key {
    Key([b"page".as_slice(), &page.to_be_bytes()].concat())
}

fn value(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut octets = Vec::with_capacity(len + 8);
    while octets.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        octets.extend_from_slice(&state.to_le_bytes());
    }
    octets.truncate(len);
    octets
}

fn raw_thread(path: &Path, stop: &AtomicBool) -> u64 {
    let file = std::fs::File::create(path).unwrap();
    let octets = value(4096, 1);
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        file.write_all_at(&octets, done * 4096).unwrap();
        file.sync_data().unwrap();
        done += 1;
    }
    done
}

fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap())
}
