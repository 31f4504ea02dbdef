//! How large a run is. It knows no scenario: only how many, how often, how long.

use std::time::Duration;

/// The numbers scenarios go by.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    /// Messages of the mailbox that most scenarios read and change, of realistic mail.
    pub(crate) messages: u64,
    /// Messages of the mailboxes that are selected, and those of the growth curve: short mail.
    pub(crate) selected: Vec<u64>,
    pub(crate) curve: Vec<u64>,
    /// How long a load goes on, and how long a query is repeated.
    pub(crate) time: Duration,
    /// How often what takes long is done, at least.
    pub(crate) rounds: u32,
    /// Connections of a load with many of them, and those that log in at once.
    pub(crate) connections: usize,
    pub(crate) logins: usize,
    /// Messages whose bodies are read, and octets of the large one.
    pub(crate) bodies: u64,
    pub(crate) large: usize,
    /// Messages that are copied and moved, expunged by half, and changed before a client comes back.
    pub(crate) copied: u64,
    pub(crate) expunged: u64,
    pub(crate) changed: u64,
    /// Connections that idle, and messages appended while somebody does.
    pub(crate) idle: Vec<usize>,
    pub(crate) pushes: u64,
    /// Clients of the mixed load.
    pub(crate) clients: usize,
}

impl Sizes {
    /// Seconds in all: that everything works, not how fast.
    pub(crate) fn quick() -> Self {
        Self {
            messages: 300,
            selected: vec![300],
            curve: vec![100, 300],
            time: Duration::from_millis(200),
            rounds: 1,
            connections: 8,
            logins: 8,
            bodies: 100,
            large: 2_000_000,
            copied: 100,
            expunged: 200,
            changed: 100,
            idle: vec![20],
            pushes: 5,
            clients: 6,
        }
    }

    /// Some minutes, once the mailboxes are there.
    pub(crate) fn usual() -> Self {
        Self {
            messages: 10_000,
            selected: vec![1_000, 100_000],
            curve: vec![1_000, 10_000, 100_000],
            time: Duration::from_secs(2),
            rounds: 3,
            connections: 64,
            logins: 50,
            bodies: 1_000,
            large: 50_000_000,
            copied: 10_000,
            expunged: 10_000,
            changed: 2_000,
            idle: vec![500],
            pushes: 100,
            clients: 50,
        }
    }

    /// What issue and design name; hours, most of them the first time, to fill the mailboxes.
    pub(crate) fn full() -> Self {
        Self {
            messages: 100_000,
            selected: vec![1_000, 100_000, 1_000_000],
            curve: vec![1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000],
            time: Duration::from_secs(10),
            expunged: 100_000,
            changed: 10_000,
            idle: vec![500, 10_000],
            pushes: 500,
            ..Self::usual()
        }
    }

    /// Accounts that scenarios need.
    pub(crate) fn accounts(&self) -> usize {
        // Ten thousand idle connections are those of two hundred accounts.
        let idle = self.idle.iter().map(|connections| connections.div_ceil(50)).max().unwrap_or(0);
        self.connections.max(self.logins).max(self.clients).max(idle) + 1
    }
}
