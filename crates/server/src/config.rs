//! What the server is told to do, checked and typed. Where it was written is the binary's matter.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use columba_session::Hiding;
use columba_types::{Networks, limits};

use crate::{Address, Network};

/// What is spoken on a listener.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// IMAP (RFC 9051).
    Imap,
    /// LMTP (RFC 2033), for the mail server that brings messages.
    Lmtp,
}

/// How a listener comes to TLS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TlsMode {
    /// The client may ask for it (RFC 9051 §6.2.1; in LMTP RFC 3207).
    StartTls,
    /// From the first octet (RFC 8314 §3).
    Implicit,
    /// Never.
    None,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Imap => "IMAP",
            Self::Lmtp => "LMTP",
        })
    }
}

/// One socket to listen on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ListenerConfig {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where. `[::]` takes IPv4 too, unless a listener of its own has `0.0.0.0` with the same port.
    pub address: Address,
    /// How it is protected.
    pub tls: TlsMode,
    /// Whether X-GM-EXT-1 is offered there.
    pub x_gm_ext_1: bool,
    /// Who is served there; others find the connection closed.
    pub networks: Networks,
    /// Proxies: each of their connections has to begin with the header of the PROXY protocol, which says for whom they speak.
    pub proxy_networks: Vec<Network>,
    /// Proxies that may say so by ID before login, as Dovecot's do.
    pub id_networks: Vec<Network>,
}

impl ListenerConfig {
    /// A listener for everybody, without proxies.
    pub fn new(protocol: Protocol, address: Address, tls: TlsMode) -> Self {
        Self {
            protocol,
            address,
            tls,
            x_gm_ext_1: false,
            networks: Networks::default(),
            proxy_networks: Vec::new(),
            id_networks: Vec::new(),
        }
    }
}

/// Prints `IMAP on 0.0.0.0:143`.
impl fmt::Display for ListenerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.protocol, self.address)
    }
}

/// PEM files of the certificate and its key; they are read again when they change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// The certificate, followed by those between it and the root.
    pub certificate: PathBuf,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// The oldest version of TLS that is spoken. There is none below 1.2 (RFC 8996).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    V1_2,
    /// TLS 1.3 alone.
    V1_3,
}

/// What TLS takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsSettings {
    /// Never empty. A client gets the first that has the name it asks for; else the first of all.
    pub certificates: Vec<TlsFiles>,
    /// The oldest version spoken.
    pub minimum: TlsVersion,
    /// PEM file of those who vouch for certificates of clients. With it clients are asked for one, and may have none.
    pub client_ca: Option<PathBuf>,
}

impl From<TlsFiles> for TlsSettings {
    fn from(files: TlsFiles) -> Self {
        Self { certificates: vec![files], minimum: TlsVersion::default(), client_ca: None }
    }
}

/// All the server is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listeners: Vec<ListenerConfig>,
    /// Certificates and keys. While there are none, or none that can be used, STARTTLS is not offered, connections to
    /// implicit TLS are closed, and plain-text logins stay refused.
    pub tls: Option<TlsSettings>,
    /// From where LOGIN and PLAIN are taken without TLS. Unix sockets are always trusted.
    pub plaintext_networks: Vec<Network>,
    /// How long a password that was right is known without its slow hash; zero: never.
    pub password_cache: Duration,
    /// Connections one account may have at once.
    pub connections_per_account: usize,
    /// IMAP connections one address (IPv6: one /64) may have at once. The machine itself may have any number.
    pub connections_per_address: usize,
    /// Connections of the whole server.
    pub connections: usize,
    /// The server's name in LMTP's greeting and in Received fields.
    pub host_name: String,
    /// The name in IMAP's greeting.
    pub server_name: String,
    /// Octets of the largest message taken.
    pub message_bytes: u64,
    /// Messages that one IMAP command may be about (RFC 9738, MESSAGELIMIT); `None`: any number.
    pub messages_per_command: Option<u32>,
    /// Messages that one COPY or APPEND may be about (RFC 9738, SAVELIMIT).
    pub messages_per_copy: Option<u32>,
    /// Which capabilities are kept from whom.
    pub hiding: Vec<Hiding>,
    /// How to reach the administrator, a URI, for clients that ask (RFC 5464, /shared/admin).
    pub admin_contact: Option<String>,
    /// What the server says of itself to clients that ask (RFC 5464, /shared/comment).
    pub comment: Option<String>,
    /// Directory for messages too large for memory while they arrive by LMTP. On the same disk as the data.
    pub spool: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            tls: None,
            plaintext_networks: Vec::new(),
            password_cache: limits::PASSWORD_CACHE,
            connections_per_account: limits::CONNECTIONS_PER_ACCOUNT,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS,
            connections: limits::CONNECTIONS,
            host_name: "localhost".into(),
            server_name: "Columba".into(),
            message_bytes: limits::MESSAGE_BYTES,
            messages_per_command: None,
            messages_per_copy: None,
            hiding: Vec::new(),
            admin_contact: None,
            comment: None,
            spool: std::env::temp_dir(),
        }
    }
}
