//! What it was measured on: the machine, its system, and how long its disk takes to make something durable.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::Failure;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) system: String,
    pub(crate) kernel: String,
    pub(crate) filesystem: String,
    /// Microseconds to append 4 KB to a file and make them durable: the median of a hundred.
    pub(crate) sync_micros: u64,
}

impl Machine {
    /// Looks at this machine, and at the disk that `directory` is on.
    pub(crate) fn look(directory: &Path) -> Result<Self, Failure> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, key: &str, separator: char| -> String {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.map(|rest| rest.trim_start().trim_start_matches(separator).trim().trim_matches('"').to_owned())
                .unwrap_or_default()
        };
        let kib: f64 =
            value(&read("/proc/meminfo"), "MemTotal", ':').trim_end_matches("kB").trim().parse().unwrap_or(0.0);
        Ok(Self {
            processor: value(&read("/proc/cpuinfo"), "model name", ':'),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (kib / 1024.0 / 102.4).round() / 10.0,
            system: value(&read("/etc/os-release"), "PRETTY_NAME", '='),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            filesystem: filesystem(directory)?,
            sync_micros: sync_micros(directory)?,
        })
    }
}

/// The kind of file system a directory is on.
fn filesystem(directory: &Path) -> Result<String, Failure> {
    let directory = directory.canonicalize()?;
    let mounts = fs::read_to_string("/proc/mounts")?;
    let fitting = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (path, kind) = (words.nth(1)?, words.next()?);
        directory.starts_with(path).then_some((path.len(), kind))
    });
    Ok(fitting.max_by_key(|(length, _)| *length).map(|(_, kind)| kind.to_owned()).unwrap_or_default())
}

fn sync_micros(directory: &Path) -> Result<u64, Failure> {
    let mut file = tempfile::tempfile_in(directory)?;
    let mut micros = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        file.write_all(&[b'x'; 4096])?;
        file.sync_data()?;
        micros.push(u64::try_from(begun.elapsed().as_micros())?);
    }
    micros.sort_unstable();
    Ok(micros.get(50).copied().unwrap_or(0))
}

/// Date and time of now, in UTC: `2026-11-23 05:00`.
pub(crate) fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's days to civil: years begin in March, so that the day a leap year has more is its last.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", of_day / 3_600, of_day / 60 % 60)
}
