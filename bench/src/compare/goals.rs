//! The goals, as the design's list of numbers to reach has them: how many times better than the best of the others at equal
//! durability, or a number that has to be kept whatever the others do.

use serde::Serialize;

use super::ratio::Spread;
use crate::record::{Better, Row};

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// So many times better than the best that counts.
    Times(f64),
    /// Kilobytes (1024) for each connection at most.
    KibEach(f64),
    /// Milliseconds at most for 99 of 100.
    P99Millis(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Met,
    /// In the middle, but not in every round.
    Almost,
    Missed,
    /// There is nothing to compare with.
    Unknown,
}

impl Goal {
    /// Where it lies among ratios, if it is one.
    pub(crate) fn times(self) -> Option<f64> {
        if let Self::Times(times) = self { Some(times) } else { None }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Times(times) => write!(f, "≥ {times}×"),
            Self::KibEach(kib) => write!(f, "≤ {kib} KiB"),
            Self::P99Millis(millis) => write!(f, "p99 ≤ {millis} ms"),
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::Almost => "met in the median",
            Self::Missed => "MISSED",
            Self::Unknown => "nothing to compare with",
        })
    }
}

/// The goal of a variant of a scenario, if it has one.
pub(crate) fn goal(scenario: &str, variant: &str) -> Option<Goal> {
    let one = variant.contains(" 1 connection");
    let times = match scenario {
        "append" if variant.starts_with("4 KB") => {
            if one {
                3.0
            } else {
                4.0
            }
        }
        "select-cold" => 1.5,
        "select-warm" | "login" | "fetch-bodies" | "fetch-large" | "sort" | "thread" => 2.0,
        "fetch-flags" | "fetch-headers-thunderbird" | "fetch-headers-mutt" | "store-all" => 3.0,
        "fetch-envelope" | "fetch-bodystructure" => 2.5,
        "store-one" => 1.0,
        "search" if variant.starts_with("body") || variant.starts_with("text") => 50.0,
        "search" if variant.starts_with("subject") => 4.0,
        "idle" | "idle-memory" if variant.contains("compress") => return Some(Goal::KibEach(40.0)),
        "idle" | "idle-memory" if variant.contains("tls") || variant.contains("TLS") => {
            return Some(Goal::KibEach(24.0));
        }
        "idle" | "idle-memory" => return Some(Goal::KibEach(8.0)),
        "push" | "idle-push" => return Some(Goal::P99Millis(2.0)),
        _ => return None,
    };
    Some(Goal::Times(times))
}

/// Why a rival is shown beside the others, and no measure of the goal.
pub(crate) fn apart(peer: &str, scenario: &str) -> Option<&'static str> {
    match peer {
        "dovecot-default" => Some("does not sync changes of flags"),
        "dovecot-argon2id" => None,
        _ if scenario == "login" => Some("has its passwords in clear"),
        _ => None,
    }
}

/// Whether a goal is reached, by our own rows and how many times better than the best we are.
pub(crate) fn verdict(goal: Goal, ours: &[&Row], best: Option<Spread>) -> Verdict {
    let judge = |spread: Option<Spread>, limit: f64, better: Better| {
        let Some(spread) = spread else { return Verdict::Unknown };
        let reaches = |value: f64| if better == Better::Higher { value >= limit } else { value <= limit };
        match (reaches(spread.median), reaches(spread.low) && reaches(spread.high)) {
            (true, true) => Verdict::Met,
            (true, false) => Verdict::Almost,
            (false, _) => Verdict::Missed,
        }
    };
    match goal {
        Goal::Times(times) => judge(best, times, Better::Higher),
        Goal::KibEach(kib) => {
            let each = ours
                .iter()
                .map(|row| row.figure.value * if row.figure.unit.starts_with("KiB") { 1.0 } else { 1.0 / 1024.0 });
            judge(Spread::of(each.collect()), kib, Better::Lower)
        }
        Goal::P99Millis(millis) => {
            let p99 = ours.iter().filter_map(|row| Some(row.latency?.p99_micros as f64 / 1e3));
            judge(Spread::of(p99.collect()), millis, Better::Lower)
        }
    }
}
