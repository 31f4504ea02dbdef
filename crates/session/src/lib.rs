//! The IMAP session: phases, command table, the view of each client, one file per command.
//!
//! Invariants:
//! - A client is never told of an EXPUNGE during FETCH, STORE or SEARCH, nor between commands (RFC 9051 §7.5.1).
//! - A tagged OK is never sent before what it stands for is durable; where nobody knows, the connection ends instead.
//! - Nothing is written to a client while a lock or transaction is held.
//! - Nothing that came before STARTTLS survives it (RFC 9051 §6.2.1).
//! - Passwords are never logged, and never taken on a connection that is not protected or trusted.
//! - This crate never opens a socket, reads a clock, starts a task or names an engine.

mod capability;
mod channel;
mod commands;
mod compression;
mod context;
pub mod delivery;
mod gmail;
mod hiding;
mod link;
mod metadata_news;
mod news;
mod notify;
mod pattern;
mod progress;
mod reply;
mod services;
mod session;
mod state;
mod subset;
mod sync;
mod table;
mod view;
mod waiting;

pub use capability::{NEVER_HIDDEN, hideable};
pub use compression::Compressors;
pub use hiding::{ClientPattern, Hiding, matches};
pub use link::{Link, Stop};
pub use services::{AccountFull, Gate, Pass, Peer, Security, Services, Settings, Unwelcome};
pub use session::{End, Session};
pub use table::{COMMANDS, CommandSpec, Expunges, PhaseKind};
pub use view::{News, View};
