//! A clock that stands still until it is told to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use columba_store::Clock;

/// When a script begins: 15 January 2026, noon, UTC, in milliseconds since 1970.
pub const START_MILLIS: i64 = 1_768_478_400_000;

/// Shared by all who hold a clone.
#[derive(Clone, Debug)]
pub struct VirtualClock(Arc<AtomicI64>);

impl Default for VirtualClock {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(START_MILLIS)))
    }
}

impl VirtualClock {
    /// Time passes.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now_millis(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
