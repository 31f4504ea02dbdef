//! How long work shows that it goes on: a bar on a terminal, a line every few seconds elsewhere, nothing for programs.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{Output, count, seconds, size};

/// Between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Shows how far a piece of work has come.
#[derive(Debug)]
pub(crate) struct Progress {
    doing: &'static str,
    total: Option<u64>,
    started: Instant,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines { next: Instant },
    Nothing,
}

impl Progress {
    /// Begins; `doing` as in "importing". With a total it can tell when it will be done.
    pub(crate) fn begin(doing: &'static str, total: Option<u64>, output: Output) -> Self {
        let started = Instant::now();
        let shown = if stderr().is_terminal() {
            Shown::Bar(bar(doing, total))
        } else if output == Output::Json {
            Shown::Nothing
        } else {
            Shown::Lines { next: started + BETWEEN_LINES }
        };
        Self { doing, total, started, shown }
    }

    /// So many messages and octets are done.
    pub(crate) fn at(&mut self, messages: u64, octets: u64) {
        let elapsed = self.started.elapsed();
        match &mut self.shown {
            Shown::Bar(bar) => {
                bar.set_position(messages);
                bar.set_message(format!("{}/s", size(rate(octets, elapsed))));
            }
            Shown::Lines { next } if Instant::now() >= *next => {
                *next = Instant::now() + BETWEEN_LINES;
                let of = self.total.map(|total| format!(" of {}", count(total))).unwrap_or_default();
                let rest = self.total.and_then(|total| left(messages, total, elapsed));
                let rest = rest.map(|rest| format!(", about {} left", seconds(rest))).unwrap_or_default();
                eprintln!(
                    "{}: {}{of} messages, {} messages/s, {}/s{rest}",
                    self.doing,
                    count(messages),
                    count(rate(messages, elapsed)),
                    size(rate(octets, elapsed))
                );
            }
            Shown::Lines { .. } | Shown::Nothing => {}
        }
    }

    /// It is over; how long it took.
    pub(crate) fn end(self) -> Duration {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}

fn bar(doing: &'static str, total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{prefix} [{bar:30}] {human_pos}/{human_len} messages, {per_sec}, {msg}, {eta} left",
        None => "{prefix} {spinner} {human_pos} messages, {per_sec}, {msg}, {elapsed}",
    };
    let bar = ProgressBar::new(total.unwrap_or(0));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(doing);
    bar
}

/// How many a second.
pub(crate) fn rate(number: u64, elapsed: Duration) -> u64 {
    (number as f64 / elapsed.as_secs_f64().max(0.001)) as u64
}

fn left(done: u64, total: u64, elapsed: Duration) -> Option<Duration> {
    let rest = total.checked_sub(done)?;
    (done > 0).then(|| elapsed.mul_f64((rest as f64 / done as f64).min(1e6)))
}
