//! What a measurement leaves behind: rows of numbers that people and programs read. It knows no server and no scenario.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::peer::Used;

/// One variant of one scenario, done once by one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// As `bench scenarios` lists it.
    pub(crate) scenario: String,
    /// What of the scenario: size of the mailbox, connections, TLS. Together with the scenario it names what is compared.
    pub(crate) variant: String,
    /// As [`crate::peer::Peer::name`].
    pub(crate) peer: String,
    /// The number that comparisons go by.
    pub(crate) figure: Figure,
    /// How many of `unit` were done, in how many seconds of the clock.
    pub(crate) unit: String,
    pub(crate) operations: u64,
    pub(crate) seconds: f64,
    /// Operations a second.
    pub(crate) throughput: f64,
    /// Of single operations (commands), where each was timed.
    pub(crate) latency: Option<Latency>,
    /// Microseconds of the server's processor time for one operation, in all of its processes.
    pub(crate) cpu_micros_per_operation: f64,
    /// Octets of memory at most, as the sum over its processes of the proportional set size.
    pub(crate) peak_pss: u64,
    /// Octets written to the disk.
    pub(crate) written: u64,
    /// Octets that the client read, where answers are large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) read: Option<u64>,
    /// More numbers, by name with its unit (`loopback_mb_per_second`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) more: BTreeMap<String, f64>,
    /// What whoever reads the number has to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// The number that comparisons go by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    /// `per second`, `MB/s`, `ms`, `bytes per connection`.
    pub(crate) unit: String,
    pub(crate) better: Better,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// Microseconds, from the first octet that is sent to the last that is read.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50_micros: u64,
    pub(crate) p99_micros: u64,
    pub(crate) max_micros: u64,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50_micros: histogram.value_at_quantile(0.5),
            p99_micros: histogram.value_at_quantile(0.99),
            max_micros: histogram.max(),
        }
    }
}

/// What a scenario could not do with a server, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Skipped {
    pub(crate) scenario: String,
    pub(crate) variant: String,
    pub(crate) peer: String,
    pub(crate) reason: String,
}

/// What one run of scenarios against one server gave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) peer: String,
    pub(crate) version: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) skipped: Vec<Skipped>,
    /// How many scenarios broke off, which a server that lacks something does not count for.
    #[serde(default)]
    pub(crate) failed: u64,
}

impl Row {
    /// A row whose figure is operations a second; `unit` in the plural (`messages`).
    pub(crate) fn new(
        peer: &str,
        scenario: &str,
        variant: &str,
        unit: &str,
        operations: u64,
        seconds: f64,
        used: Used,
    ) -> Self {
        let throughput = if seconds > 0.0 { operations as f64 / seconds } else { 0.0 };
        Self {
            scenario: scenario.to_owned(),
            variant: variant.to_owned(),
            peer: peer.to_owned(),
            figure: Figure { value: throughput, unit: format!("{unit}/s"), better: Better::Higher },
            unit: unit.to_owned(),
            operations,
            seconds,
            throughput,
            latency: None,
            cpu_micros_per_operation: used.cpu_seconds * 1e6 / operations.max(1) as f64,
            peak_pss: used.peak_pss,
            written: used.written,
            read: None,
            more: BTreeMap::new(),
            note: None,
        }
    }
}
