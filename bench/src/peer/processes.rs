//! What the kernel says of a server that is several processes: which they are, their processor time, memory and writing.
//! It reads /proc and knows no server.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};

use crate::Failure;

/// How often the peak of memory is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// After a look that took long, of many processes or much memory, it waits so many times as long: what is measured shares the
/// processors with who measures.
const SPARED: u32 = 30;

/// The fields of /proc/PID/stat that are of use here.
#[derive(Clone, Copy)]
struct Stat {
    parent: u32,
    session: u32,
    /// Ticks of its own and of the children it has waited for.
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and parentheses; after the last of them the fields are plain. The first is the state.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let id = |at: usize| u32::try_from(number(at)?).ok();
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Some(Stat { parent: id(1)?, session: id(3)?, ticks })
}

/// `root`, what descends from it, and what else is of its session.
pub(super) fn family(root: u32) -> Result<Vec<u32>, Failure> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some((pid, stat)) = pid.and_then(|pid| Some((pid, stat(pid)?))) {
            all.insert(pid, stat);
        }
    }
    let descends = |mut pid: u32| {
        // A parent may be read as another's child where ids are used again meanwhile: no chain is longer than all.
        for _ in 0..=all.len() {
            match all.get(&pid) {
                _ if pid == root => return true,
                Some(stat) if stat.session == root => return true,
                Some(stat) => pid = stat.parent,
                None => return false,
            }
        }
        false
    };
    let mut family: Vec<u32> = all.keys().copied().filter(|pid| descends(*pid)).collect();
    family.sort_unstable();
    Ok(family)
}

/// Octets of memory that a process has to itself, with its part of what it shares. None where it has gone.
fn memory(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

/// Octets that a process caused to be written to the disk.
fn written(pid: u32) -> Option<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?.trim().parse().ok()
}

/// What a server has used since a gauge began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Used {
    /// Seconds of processor time, of the kernel's too, in all processes, also in those that have ended.
    pub(crate) cpu_seconds: f64,
    /// The largest sum of the processes' proportional set sizes at one look, in octets.
    pub(crate) peak_pss: u64,
    /// Octets that went to the disk, as far as the kernel tells by process.
    pub(crate) written: u64,
}

/// Watches the processes of a server: looks at their memory ten times a second until it is read.
#[derive(Debug)]
pub(crate) struct Gauge {
    root: u32,
    begin: Tally,
    shared: Arc<Shared>,
    looking: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    peak: AtomicU64,
    /// The last seen of each process that wrote, so that what ended is counted.
    writers: Mutex<HashMap<u32, u64>>,
}

impl Shared {
    fn look(&self, root: u32) {
        let Ok(family) = family(root) else { return };
        self.peak.fetch_max(family.iter().filter_map(|pid| memory(*pid)).sum(), Ordering::Relaxed);
        let mut writers = self.writers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        writers.extend(family.iter().filter_map(|pid| Some((*pid, written(*pid)?))));
    }
}

/// Processor time so far of everybody in the family, what they have waited for included.
#[derive(Clone, Debug, Default)]
struct Tally {
    ticks: u64,
    writers: HashMap<u32, u64>,
}

fn tally(root: u32) -> Result<Tally, Failure> {
    let family = family(root)?;
    let ticks = family.iter().filter_map(|pid| Some(stat(*pid)?.ticks)).sum();
    Ok(Tally { ticks, writers: family.iter().filter_map(|pid| Some((*pid, written(*pid)?))).collect() })
}

impl Gauge {
    /// Begins to watch `root` and its family.
    pub(crate) fn begin(root: u32) -> Result<Self, Failure> {
        let begin = tally(root)?;
        let shared = Arc::new(Shared::default());
        let looking = thread::spawn({
            let shared = shared.clone();
            move || {
                while !shared.over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    shared.look(root);
                    thread::park_timeout(LOOK.max(begun.elapsed() * SPARED));
                }
            }
        });
        Ok(Self { root, begin, shared, looking: Some(looking) })
    }

    /// What was used since. Processes that ended and that nobody of the family waited for are missing from the processor time.
    pub(crate) fn read(mut self) -> Result<Used, Failure> {
        self.end();
        self.shared.look(self.root);
        let end = tally(self.root)?;
        let ticks = end.ticks.saturating_sub(self.begin.ticks);
        let writers = self.shared.writers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = |pid: &u32| self.begin.writers.get(pid).copied().unwrap_or(0);
        let written = writers.iter().map(|(pid, octets)| octets.saturating_sub(before(pid))).sum();
        let per_second = rustix::param::clock_ticks_per_second();
        let cpu_seconds = ticks as f64 / per_second as f64;
        Ok(Used { cpu_seconds, peak_pss: self.shared.peak.load(Ordering::Relaxed), written })
    }

    fn end(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(looking) = self.looking.take() {
            looking.thread().unpark();
            _ = looking.join();
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.end();
    }
}

/// The memory of a family once it has stopped changing: the same within a hundredth for a few seconds, or after a minute.
pub(crate) async fn rest(root: u32) -> Result<u64, Failure> {
    const LOOKS: u32 = 30;
    const ALIKE: u32 = 3;
    let sum = || Ok::<u64, Failure>(family(root)?.iter().filter_map(|pid| memory(*pid)).sum());
    let (mut before, mut alike) = (sum()?, 0);
    for _ in 0..LOOKS {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = sum()?;
        alike = if now.abs_diff(before) <= before / 100 { alike + 1 } else { 0 };
        before = now;
        if alike >= ALIKE {
            break;
        }
    }
    Ok(before)
}

/// Makes the kernel forget what it has cached of the files below a directory: all it has cached where this is root's machine,
/// else file by file, which leaves what somebody has mapped. False where neither worked.
pub(super) fn drop_caches(directory: &Path) -> Result<bool, Failure> {
    rustix::fs::sync();
    if fs::write("/proc/sys/vm/drop_caches", "3").is_ok() {
        return Ok(true);
    }
    let mut forgotten = true;
    let mut todo = vec![directory.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() {
                forgotten &=
                    fs::File::open(entry.path()).is_ok_and(|file| fadvise(file, 0, None, Advice::DontNeed).is_ok());
            }
        }
    }
    Ok(forgotten)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_family_is_found_by_descent_and_its_time_is_counted() {
        // The shell has a child of its own, which it waits for, and one that stays until its input ends.
        let mut shell = Command::new("sh")
            .args(["-c", "i=0; (while [ $i -lt 200000 ]; do i=$((i+1)); done); echo; cat; :"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let gauge = Gauge::begin(shell.id()).expect("a gauge");
        let mut output = shell.stdout.take().expect("its output");
        std::io::Read::read_exact(&mut output, &mut [0]).expect("the loop is over");
        assert!(family(shell.id()).expect("a family").contains(&shell.id()));
        assert!(!family(shell.id()).expect("a family").contains(&std::process::id()));
        let used = gauge.read().expect("a reading");
        assert!(used.cpu_seconds > 0.0 && used.peak_pss > 0, "{used:?}");
        drop(shell.stdin.take());
        assert!(shell.wait().expect("it ends").success());
    }
}
