//! What tests need around the server: connections in memory, a clock that stands still until it is told, the player of
//! the scripts in `tests/scripts`, and the model test. No product code depends on this crate.
//!
//! Invariants:
//! - Nothing here sleeps in order to wait for a server in this process: it is polled until it waits for its client.
//! - A script fails on any line the server says that the script does not know of.

mod clock;
mod link;
pub mod model;
pub mod script;

pub use clock::{START_MILLIS, VirtualClock};
pub use link::{ClientEnd, LinkOptions, MemoryLink, Waits, connect};
