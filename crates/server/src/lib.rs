//! Everything that touches the outside: listeners, TLS, sockets, timers, limits, LMTP. The only crate that starts tasks.
//!
//! Invariants:
//! - A socket is bound before any privilege is dropped and before anything is served; a failure names its listener.
//! - A bug in one connection ends that connection alone: the panic is caught, counted and logged.
//! - Nothing that came before TLS is looked at after it (RFC 9051 §6.2.1).
//! - A certificate that cannot be used never replaces one that can, and never ends a connection.
//! - An LMTP recipient is answered 250 only when the message is durable in its mailbox (RFC 2033 §4.2).
//! - Only listed proxies are believed about whom they speak for, and what they say is the address everywhere from then on.
//! - An idle connection holds no buffer of this crate.
//! - No password and no octet of a message is ever logged.

mod accept;
mod address;
mod bind;
mod config;
mod imap;
mod link;
mod lmtp;
mod network;
mod proxy;
mod registry;
mod running;
mod tls;
mod transport;

pub use address::{Address, InvalidAddress};
pub use bind::{BindError, BindReason, Bound, HandedSocket, ListenerError};
pub use columba_types::{InvalidNetwork, Network, Networks};
pub use config::{Config, ListenerConfig, Protocol, TlsFiles, TlsMode, TlsSettings, TlsVersion};
pub use registry::{ConnectionInfo, Counters};
pub use running::Running;
pub use tls::{TlsError, directories_to};

/// The server, before it has anything: see [`Server::bind`].
#[derive(Debug)]
pub struct Server;
