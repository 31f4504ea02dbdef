//! A whole server on loopback over the memory engine, and a client that speaks lines. An engine that can be told to panic
//! or to refuse stands between them.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its own part of it")]

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use columba_auth::{Secret, quick_hash};
use columba_server::{Address, Config, ListenerConfig, Protocol, Running, Server, TlsFiles, TlsMode};
use columba_store::{
    Account, Batch, BoxFuture, Done, Engine, EngineError, Key, MemoryBlobs, MemoryEngine, NewAccount, Options,
    Partition, Store, SystemClock,
};
use columba_types::MailboxName;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// Longer than any patience of the server; a test that waits for it fails.
const PATIENCE: Duration = Duration::from_secs(400);

/// What an engine does when it is asked to write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well = 0,
    /// Nothing is taken, and nothing has happened.
    Refusing = 1,
    /// A bug.
    Panicking = 2,
}

/// The memory engine, with moods.
#[derive(Debug)]
pub struct Moody {
    inner: MemoryEngine,
    mood: AtomicU8,
}

impl Moody {
    pub fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }
}

impl Engine for Moody {
    fn read(&self, partition: Partition, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, EngineError>> {
        self.inner.read(partition, keys)
    }

    fn scan(
        &self,
        partition: Partition,
        range: Range<Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Key, Bytes)>, EngineError>> {
        self.inner.scan(partition, range, limit)
    }

    fn submit(&self, batch: Batch, done: Done) {
        match self.mood.load(Ordering::SeqCst) {
            0 => self.inner.submit(batch, done),
            1 => done.say(Err(columba_store::CommitError::Refused("the disk is full".into()))),
            _ => panic!("a bug in the engine"),
        }
    }

    fn partitions(&self, after: Option<Partition>, limit: usize) -> BoxFuture<'_, Result<Vec<Partition>, EngineError>> {
        self.inner.partitions(after, limit)
    }
}

/// A running server.
pub struct Site {
    pub running: Running,
    pub store: Store,
    pub engine: Arc<Moody>,
    pub addresses: Vec<(ListenerConfig, Address)>,
    pub directory: TempDir,
}

pub const PASSWORD: &str = "correct horse";

pub fn listener(protocol: Protocol, address: &str, tls: TlsMode) -> ListenerConfig {
    ListenerConfig::new(protocol, address.parse().unwrap(), tls)
}

/// IMAP with STARTTLS, IMAP under TLS, LMTP; a certificate for `localhost`.
pub fn usual(config: &mut Config) {
    config.listeners = vec![
        listener(Protocol::Imap, "127.0.0.1:0", TlsMode::StartTls),
        listener(Protocol::Imap, "127.0.0.1:0", TlsMode::Implicit),
        listener(Protocol::Lmtp, "127.0.0.1:0", TlsMode::StartTls),
    ];
}

/// As [`usual`], with plain-text logins from here.
pub fn trusting(config: &mut Config) {
    usual(config);
    config.plaintext_networks = vec!["127.0.0.0/8".parse().unwrap()];
}

impl Site {
    /// Starts a server with accounts `ann` and `bob`.
    pub async fn start(change: impl FnOnce(&mut Config, &TempDir)) -> Self {
        let directory = TempDir::new().unwrap();
        let files = certificate(&directory, "localhost");
        let mut config = Config {
            tls: Some(files.into()),
            host_name: "mail.example".into(),
            spool: directory.path().to_owned(),
            ..Config::default()
        };
        change(&mut config, &directory);
        let engine = Arc::new(Moody { inner: MemoryEngine::new(), mood: AtomicU8::new(0) });
        let (blobs, clock) = (Arc::new(MemoryBlobs::new()), Arc::new(SystemClock));
        let store = Store::open(engine.clone(), blobs, clock, Options::default()).await.unwrap();
        for name in ["ann", "bob"] {
            add(&store, name, false).await;
        }
        let bound = Server::bind(config, Vec::new()).unwrap();
        let addresses = bound.addresses();
        Self { running: bound.start(store.clone()).unwrap(), store, engine, addresses, directory }
    }

    pub fn address(&self, protocol: Protocol, tls: TlsMode) -> std::net::SocketAddr {
        let fits = |l: &ListenerConfig| l.protocol == protocol && l.tls == tls;
        match &self.addresses.iter().find(|(l, _)| fits(l)).unwrap().1 {
            Address::Tcp(address) => *address,
            Address::Unix(path) => panic!("{path:?}"),
        }
    }

    pub async fn connect(&self, protocol: Protocol, tls: TlsMode) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address(protocol, tls)).await.unwrap())
    }

    /// IMAP without TLS, greeted.
    pub async fn imap(&self) -> Client<TcpStream> {
        let mut client = self.connect(Protocol::Imap, TlsMode::StartTls).await;
        assert!(client.line().await.starts_with("* OK [CAPABILITY "));
        client
    }

    /// IMAP under TLS from the first octet, not yet greeted.
    pub async fn imaps(&self) -> Client<tokio_rustls::client::TlsStream<TcpStream>> {
        self.connect(Protocol::Imap, TlsMode::Implicit).await.secured(&self.directory).await
    }

    /// LMTP, greeted and introduced.
    pub async fn lmtp(&self) -> Client<TcpStream> {
        let mut client = self.connect(Protocol::Lmtp, TlsMode::StartTls).await;
        assert_eq!(client.line().await, "220 mail.example LMTP Columba ready");
        client.send("LHLO mx.example").await;
        while client.line().await.starts_with("250-") {}
        client
    }

    pub async fn account(&self, name: &str) -> Account {
        self.store.account_named(name).await.unwrap().unwrap()
    }

    /// The octets of every message of a mailbox.
    pub async fn messages(&self, account: &str, mailbox: &str) -> Vec<Vec<u8>> {
        let mail = self.store.open_account(self.account(account).await.id).await.unwrap();
        let id = mail.tree().get(&MailboxName::new(mailbox).unwrap()).unwrap().mailbox.unwrap();
        let snapshot = mail.mailbox(id).await.unwrap().snapshot();
        let mut found = Vec::new();
        for record in snapshot.records() {
            let message = mail.message(record.message).await.unwrap();
            found.push(mail.read(&message, 0..message.size).await.unwrap().to_vec());
        }
        found
    }
}

pub async fn add(store: &Store, name: &str, disabled: bool) {
    let credentials = quick_hash(&Secret::from(PASSWORD));
    store.create_account(NewAccount { name: name.into(), credentials, disabled }).await.unwrap();
}

/// Writes a new certificate and key for that name.
pub fn certificate(directory: &TempDir, name: &str) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let at = |file: &str| -> PathBuf { directory.path().join(file) };
    fs::write(at("cert.pem"), made.cert.pem()).unwrap();
    fs::write(at("key.pem"), made.signing_key.serialize_pem()).unwrap();
    TlsFiles { certificate: at("cert.pem"), key: at("key.pem") }
}

/// A client that speaks lines.
pub struct Client<S> {
    stream: BufReader<S>,
}

impl Client<UnixStream> {
    pub async fn unix(path: &std::path::Path) -> Self {
        Self::new(UnixStream::connect(path).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    pub fn into_inner(self) -> S {
        self.stream.into_inner()
    }

    /// Sends octets as they are.
    pub async fn raw(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends a line.
    pub async fn send(&mut self, line: &str) {
        self.raw(format!("{line}\r\n").as_bytes()).await;
    }

    /// The next line without its end; `None` when the server has closed.
    pub async fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.stream.read_line(&mut line)).await;
        // A reset is a close, too.
        _ = read.expect("the server says nothing");
        line.ends_with('\n').then(|| line.trim_end_matches("\r\n").to_owned())
    }

    /// The next line; empty when the server has closed.
    pub async fn line(&mut self) -> String {
        self.next_line().await.unwrap_or_default()
    }

    /// Whether the server has closed and said nothing more.
    pub async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await;
        _ = read.expect("the server does not close");
        rest.is_empty()
    }

    /// Sends an IMAP command; all lines up to its tagged answer, which is the last.
    pub async fn command(&mut self, tag: &str, command: &str) -> Vec<String> {
        self.send(&format!("{tag} {command}")).await;
        let mut lines = Vec::new();
        loop {
            let line = self.next_line().await.unwrap_or_else(|| panic!("closed after {lines:?}"));
            let last = line.starts_with(&format!("{tag} "));
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    /// Its tagged answer alone.
    pub async fn answer(&mut self, tag: &str, command: &str) -> String {
        self.command(tag, command).await.pop().unwrap()
    }

    pub async fn login(&mut self, account: &str) {
        let answer = self.answer("login", &format!("LOGIN {account} \"{PASSWORD}\"")).await;
        assert!(answer.starts_with("login OK"), "{answer}");
    }

    pub async fn login_after_greeting(&mut self, account: &str) {
        assert!(self.line().await.starts_with("* OK"));
        self.login(account).await;
    }

    /// Sends an LMTP command; its reply of one line.
    pub async fn say(&mut self, line: &str) -> String {
        self.send(line).await;
        self.line().await
    }

    /// Speaks the LMTP lines, and expects a reply to each that begins so.
    pub async fn converse(&mut self, lines: &[(&str, &str)]) {
        for (line, expected) in lines {
            let reply = self.say(line).await;
            assert!(reply.starts_with(expected), "{line}: {reply}, not {expected}");
        }
    }

    /// The TLS handshake, with trust in just the certificate of the directory.
    pub async fn try_secured(self, directory: &TempDir) -> std::io::Result<Client<tokio_rustls::client::TlsStream<S>>> {
        // What was buffered is from before TLS, and dropped like a careful client does.
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(directory.path().join("cert.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, self.stream.into_inner());
        Ok(Client::new(tokio::time::timeout(PATIENCE, connecting).await.expect("no handshake")?))
    }

    pub async fn secured(self, directory: &TempDir) -> Client<tokio_rustls::client::TlsStream<S>> {
        self.try_secured(directory).await.unwrap()
    }
}
