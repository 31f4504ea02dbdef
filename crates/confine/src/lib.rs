//! What the process may do: as which user it runs, which files it reaches, which calls of the kernel are left to it. What
//! it does with them is not known here.
//!
//! A server opens what only root can open, then gives up, for good and in this order: other users' groups and its own user
//! ([`User::become_for_good`]), every capability, the file system but for a few places and new TCP connections (Landlock),
//! and every system call that serving does not need (seccomp). See docs/confinement.md.
//!
//! Invariants:
//! - Nothing is given up for one thread and kept by another: a process with several threads is refused.
//! - What was given up cannot be had back: no capability, no new privileges, filters that only add up.
//! - A kernel that cannot do a part is told of in [`Report`]; it is never taken for granted.

mod capabilities;
mod fence;
mod syscalls;
mod user;

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub use fence::{Fence, Places};
pub use user::{User, give_to};

/// Why the process could not be confined. It must not go on then.
#[derive(Debug, Error)]
pub enum ConfineError {
    /// Threads are there already, and each would keep what the one gives up.
    #[error("the process has {0} threads already; it can only be confined while it has one")]
    Threads(usize),
    /// The user could not be changed.
    #[error("the process cannot become the user {user}: {error}")]
    User {
        /// The user's name.
        user: String,
        /// What the kernel says.
        error: io::Error,
    },
    /// The kernel refused to take something away.
    #[error("{what}: {error}")]
    Refused {
        /// What was to be given up.
        what: &'static str,
        /// What the kernel says.
        error: io::Error,
    },
    /// Landlock has to be told of a place that cannot be opened.
    #[error("{} cannot be opened: {reason}", path.display())]
    Place {
        /// The place.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Landlock or seccomp is there and did not do what it should.
    #[error("{what} cannot be set up: {reason}")]
    Filter {
        /// Which.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// What holds from now on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// The version of Landlock's interface in force; `None` where the kernel has none.
    pub landlock: Option<u32>,
    /// Whether Landlock keeps new TCP sockets from being bound and, where [`Places::connect`] is false, connected (version 4).
    pub network: bool,
    /// Whether seccomp is in force; it knows x86-64 and 64-bit ARM.
    pub seccomp: bool,
}

impl Report {
    /// Whether every part is in force.
    pub fn is_whole(&self) -> bool {
        self.network && self.seccomp
    }
}

/// Prints `Landlock 7 (files, network), seccomp`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock {
            None => f.write_str("no Landlock")?,
            Some(version) => {
                let network = if self.network { ", network" } else { "; too old for the network" };
                write!(f, "Landlock {version} (files{network})")?;
            }
        }
        f.write_str(if self.seccomp { ", seccomp" } else { ", no seccomp" })
    }
}

/// Refuses a process that has more than this thread.
fn require_one_thread() -> Result<(), ConfineError> {
    match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(threads) if threads > 1 => Err(ConfineError::Threads(threads)),
        // Without /proc nothing can be said; whoever calls does it first of all.
        _ => Ok(()),
    }
}
