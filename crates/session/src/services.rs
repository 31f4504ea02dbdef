//! What all sessions of a server share: the store, the password checker, the gate that counts connections, settings.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use columba_auth::PasswordChecker;
use columba_store::Store;
use columba_types::{AccountId, limits};

use crate::compression::Compressors;
use crate::hiding::Hiding;

/// Shared by all sessions of one server.
#[derive(Debug)]
pub struct Services {
    /// Where the mail is.
    pub store: Store,
    /// Who may log in.
    pub passwords: PasswordChecker,
    /// How many may be there at once.
    pub gate: Arc<dyn Gate>,
    /// What people may change.
    pub settings: Settings,
    /// The compressors at work.
    pub compressors: Compressors,
}

/// Settings that reach the session.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name in the greeting and the ID answer after login.
    pub server_name: String,
    /// Version in the ID answer after login; never told before (it would help an attacker choose).
    pub version: String,
    /// Octets of the largest message taken.
    pub message_bytes: u64,
    /// Messages that one command may be about; `None`: any number (RFC 9738, MESSAGELIMIT).
    pub message_limit: Option<u32>,
    /// Messages that one COPY or APPEND may be about, where that is more (RFC 9738, SAVELIMIT).
    pub save_limit: Option<u32>,
    /// Messages that a batch of UIDBATCHES has at least (RFC 10022 §3.1.3.1).
    pub batch_messages: u32,
    /// Which capabilities are kept from whom.
    pub hiding: Vec<Hiding>,
    /// How to reach the administrator, a URI: the annotation /shared/admin of the server (RFC 5464 §3.2.1.1).
    pub admin_contact: Option<String>,
    /// The annotation /shared/comment of the server.
    pub comment: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_name: "Columba".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            message_bytes: limits::MESSAGE_BYTES,
            message_limit: None,
            save_limit: None,
            batch_messages: limits::UID_BATCH_MESSAGES,
            hiding: Vec::new(),
            admin_contact: None,
            comment: None,
        }
    }
}

/// Counts the connections of accounts, and tells a connection to end when its account is barred.
pub trait Gate: Send + Sync + fmt::Debug {
    /// Called after the password was right and before the client is told. `Err` when the account has its fill.
    /// The pass is held for as long as the session is logged in; dropping it counts the connection out.
    fn enter(&self, connection: u64, account: AccountId) -> Result<Pass, AccountFull>;

    /// A trusted proxy has said where the client of this connection really is. `Err`: nobody is served there.
    fn found_at(&self, _connection: u64, _address: IpAddr) -> Result<(), Unwelcome> {
        Ok(())
    }
}

/// Clients from there are not served, or there are too many of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unwelcome;

/// Proof of having been counted in.
pub type Pass = Box<dyn std::any::Any + Send + Sync>;

/// The account has as many connections as it may have.
#[derive(Clone, Copy, Debug)]
pub struct AccountFull {
    /// How many that is.
    pub limit: usize,
}

/// What is known of a connection from the start.
#[derive(Clone, Debug)]
pub struct Peer {
    /// A number for logs, unique while the server runs.
    pub connection: u64,
    /// Where it comes from; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// How it is protected.
    pub security: Security,
    /// Whether LOGIN and PLAIN are allowed without TLS (the address is in `auth.plaintext_networks`).
    pub plaintext_allowed: bool,
    /// Whether the listener offers X-GM-EXT-1.
    pub x_gm_ext_1: bool,
    /// Whether the client is a proxy that may say by ID where the real one is.
    pub id_trusted: bool,
}

/// How a connection is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// Not at all, and it cannot be.
    Plain,
    /// Not yet: STARTTLS is offered.
    StartTlsOffered,
    /// By TLS.
    Tls,
}
