//! Engines that misbehave on purpose, and a clock to be set: for tests of everything above them. No product code uses them.

use std::sync::atomic::{AtomicI64, Ordering};

mod faulty;
mod lagging;
mod mirror;

pub use faulty::{Fault, Faulty};
pub use lagging::Lagging;
pub use mirror::Mirror;

use crate::Clock;

/// A clock that stands still until it is told.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl Default for TestClock {
    /// 2026-11-22.
    fn default() -> Self {
        Self(AtomicI64::new(1_795_300_000_000))
    }
}

impl TestClock {
    /// Lets milliseconds go by.
    pub fn pass(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now_millis(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
