//! Takes connections from the listeners, refuses those beyond the limits in plain words, and starts a task for each.

use std::io;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use columba_session::Services;
use columba_types::limits;
use columba_wire::{Code, PrintMode, Printer};
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::{debug, error, warn};

use crate::bind::Listener;
use crate::config::{Config, ListenerConfig, Protocol, TlsMode};
use crate::proxy::{Origin, read_header};
use crate::registry::{Full, Place, Registry};
use crate::tls::Tls;
use crate::transport::{Socket, Transport};
use crate::{imap, lmtp};

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) services: Arc<Services>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) tls: Arc<Tls>,
    /// Refusals that are being told over TLS.
    refusals: Arc<Semaphore>,
    /// Connections of proxies whose header has not come.
    headers: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(config: Config, services: Arc<Services>, registry: Arc<Registry>, tls: Arc<Tls>) -> Self {
        let (refusals, headers) = (Semaphore::new(limits::TLS_REFUSALS), Semaphore::new(limits::PROXY_PENDING));
        Self { config, services, registry, tls, refusals: Arc::new(refusals), headers: Arc::new(headers) }
    }
}

/// Accepts for as long as it is polled.
pub(crate) async fn accept(shared: Arc<Shared>, listener: ListenerConfig, socket: Listener) {
    let listener = Arc::new(listener);
    let mut backoff = Backoff::default();
    loop {
        let accepted = match &socket {
            Listener::Tcp(socket) => socket.accept().await.map(|(stream, _)| Socket::tcp(stream)),
            Listener::Unix(socket, _) => socket.accept().await.map(|(stream, _)| Socket::Unix(stream)),
        };
        match accepted {
            Ok(socket) => {
                backoff = Backoff::default();
                take(&shared, &listener, socket);
            }
            Err(error) => backoff.after(&listener, &error).await,
        }
    }
}

/// How long to leave the listener alone after it failed: without file descriptors an accept fails at once, and again.
#[derive(Default)]
struct Backoff {
    next: Option<Duration>,
}

impl Backoff {
    async fn after(&mut self, listener: &ListenerConfig, error: &io::Error) {
        let gone = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
        if gone.contains(&error.kind()) {
            // The client went away while it waited in line: nothing is wrong here.
            return tokio::task::yield_now().await;
        }
        let (first, longest) = limits::ACCEPT_BACKOFF;
        let wait = self.next.unwrap_or(first);
        if self.next.is_none() {
            error!(%listener, %error, "no new connections can be taken; trying again until it is better");
        }
        self.next = Some((wait * 2).min(longest));
        sleep(wait).await;
    }
}

/// A flood of refused connections is not a flood of warnings: every one whose count is a power of two makes one.
fn log_refusal(listener: &ListenerConfig, address: Option<IpAddr>, full: Full, refused: u64) {
    if refused.is_power_of_two() {
        warn!(%listener, ?address, reason = full.words(), refused, "connection refused");
    } else {
        debug!(%listener, ?address, reason = full.words(), refused, "connection refused");
    }
}

/// Whom a connection is from, as the socket says it or a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    /// `None` on a Unix socket.
    pub(crate) address: Option<IpAddr>,
    /// Where the socket comes from.
    pub(crate) peer: Option<IpAddr>,
    /// Whether a proxy says that it has TLS with it.
    pub(crate) tls_at_proxy: bool,
}

/// Takes one connection; that of a proxy once it has said for whom it speaks.
fn take(shared: &Arc<Shared>, listener: &Arc<ListenerConfig>, socket: Socket) {
    let peer = socket.peer();
    if peer.is_none() && matches!(socket, Socket::Tcp(_)) {
        return debug!(%listener, "the client went away at once");
    }
    let peer = peer.map(|peer| peer.ip().to_canonical());
    let client = Client { address: peer, peer, tls_at_proxy: false };
    let of_proxy = |peer| listener.proxy_networks.iter().any(|network| network.contains(peer));
    if !peer.is_some_and(of_proxy) {
        return admit(shared, listener, socket, client);
    }
    let Ok(permit) = Arc::clone(&shared.headers).try_acquire_owned() else {
        return warn!(%listener, proxy = ?peer, "closed: too many connections whose PROXY header has not come");
    };
    let (shared, listener) = (Arc::clone(shared), Arc::clone(listener));
    tokio::spawn(async move {
        let mut socket = socket;
        let read = tokio::time::timeout(limits::PROXY_HEADER, read_header(&mut socket)).await;
        drop(permit);
        match read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(Origin { address: None, .. }) => admit(&shared, &listener, socket, client),
            Ok(Origin { address, tls }) => {
                let address = address.map(|address| address.to_canonical());
                admit(&shared, &listener, socket, Client { address, tls_at_proxy: tls, ..client });
            }
            Err(error) => warn!(%listener, proxy = ?peer, %error, "closed: a proxy did not say for whom it speaks"),
        }
    });
}

/// Starts serving one connection, or refuses it.
fn admit(shared: &Arc<Shared>, listener: &Arc<ListenerConfig>, socket: Socket, client: Client) {
    let address = client.address;
    let place = match shared.registry.admit(listener, address) {
        Ok(place) => place,
        Err(full) => {
            log_refusal(listener, address, full, shared.registry.counters().refused);
            return refuse(shared, listener, socket, full);
        }
    };
    let through = client.peer.filter(|peer| client.address != Some(*peer));
    debug!(connection = place.id, %listener, ?address, ?through, "connection");
    let task = place.task();
    let (shared, listener) = (Arc::clone(shared), Arc::clone(listener));
    let handle = tokio::spawn(async move {
        let (registry, id) = (Arc::clone(place.registry()), place.id);
        let served = AssertUnwindSafe(serve(shared, place, listener, socket, client)).catch_unwind().await;
        if let Err(panic) = served {
            registry.count_bug();
            error!(connection = id, panic = panic_text(&*panic), "BUG: the connection ended by a panic");
        }
        debug!(connection = id, "connection closed");
    });
    Place::served_by(&task, handle.abort_handle());
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    match panic.downcast_ref::<&str>() {
        Some(text) => text,
        None => panic.downcast_ref::<String>().map_or("", String::as_str),
    }
}

async fn serve(shared: Arc<Shared>, place: Place, listener: Arc<ListenerConfig>, socket: Socket, client: Client) {
    let transport = Transport::Plain(socket);
    let transport = match listener.tls {
        TlsMode::Implicit => {
            let Some(config) = shared.tls.config() else {
                return debug!(connection = place.id, "closed: there is no certificate");
            };
            match transport.secured(config, limits::TLS_HANDSHAKE).await {
                Ok(transport) => transport,
                Err(error) => {
                    shared.registry.count_tls_failure();
                    return debug!(connection = place.id, %error, "no TLS came about");
                }
            }
        }
        TlsMode::StartTls | TlsMode::None => transport,
    };
    match listener.protocol {
        Protocol::Imap => imap::serve(&shared, &place, transport, &listener, client).await,
        Protocol::Lmtp => {
            let starttls = listener.tls == TlsMode::StartTls;
            lmtp::serve(&shared, &place, transport, starttls, client.address).await;
        }
    }
}

/// Tells a client why it is not served. On implicit TLS only a few at once are told: a handshake costs more than serving.
fn refuse(shared: &Arc<Shared>, listener: &ListenerConfig, socket: Socket, full: Full) {
    if full == Full::Network {
        // Whoever must not come in is not talked with.
        return;
    }
    let words = match listener.protocol {
        Protocol::Imap => {
            let mut out = Vec::new();
            Printer::new(&mut out, PrintMode::default()).bye(Some(&Code::Limit), full.words());
            out
        }
        Protocol::Lmtp => lmtp::refusal(full.words()),
    };
    if listener.tls != TlsMode::Implicit {
        return socket.try_write(&words);
    }
    let (Some(config), Ok(permit)) = (shared.tls.config(), Arc::clone(&shared.refusals).try_acquire_owned()) else {
        return;
    };
    tokio::spawn(async move {
        if let Ok(mut transport) = Transport::Plain(socket).secured(config, limits::LINGER).await {
            // A few octets: they fit into the TLS buffer.
            _ = tokio::time::timeout(limits::LINGER, std::future::poll_fn(|cx| transport.poll_write(cx, &words))).await;
            transport.close().await;
        }
        drop(permit);
    });
}
