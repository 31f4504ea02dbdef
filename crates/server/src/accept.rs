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
}

impl Shared {
    pub(crate) fn new(config: Config, services: Arc<Services>, registry: Arc<Registry>, tls: Arc<Tls>) -> Self {
        Self { config, services, registry, tls, refusals: Arc::new(Semaphore::new(limits::TLS_REFUSALS)) }
    }
}

/// Accepts for as long as it is polled.
pub(crate) async fn accept(shared: Arc<Shared>, listener: ListenerConfig, socket: Listener) {
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

/// Starts serving one connection, or refuses it.
fn take(shared: &Arc<Shared>, listener: &ListenerConfig, socket: Socket) {
    let peer = socket.peer();
    if peer.is_none() && matches!(socket, Socket::Tcp(_)) {
        return debug!(%listener, "the client went away at once");
    }
    let address = peer.map(|peer| peer.ip().to_canonical());
    let place = match shared.registry.admit(listener.protocol, address) {
        Ok(place) => place,
        Err(full) => {
            log_refusal(listener, address, full, shared.registry.counters().refused);
            return refuse(shared, listener, socket, full);
        }
    };
    debug!(connection = place.id, %listener, address = ?address, "connection");
    let task = place.task();
    let how = How { protocol: listener.protocol, mode: listener.tls, x_gm_ext_1: listener.x_gm_ext_1 };
    let shared = Arc::clone(shared);
    let handle = tokio::spawn(async move {
        let (registry, id) = (Arc::clone(place.registry()), place.id);
        let served = AssertUnwindSafe(serve(shared, place, how, socket)).catch_unwind().await;
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

/// What a connection needs to know of its listener.
#[derive(Clone, Copy)]
struct How {
    protocol: Protocol,
    mode: TlsMode,
    x_gm_ext_1: bool,
}

async fn serve(shared: Arc<Shared>, place: Place, how: How, socket: Socket) {
    let transport = Transport::Plain(socket);
    let transport = match how.mode {
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
    let starttls = how.mode == TlsMode::StartTls;
    match how.protocol {
        Protocol::Imap => {
            let offered = imap::Offered { starttls, x_gm_ext_1: how.x_gm_ext_1 };
            imap::serve(&shared, &place, transport, offered).await;
        }
        Protocol::Lmtp => lmtp::serve(&shared, &place, transport, starttls).await,
    }
}

/// Tells a client why it is not served. On implicit TLS only a few at once are told: a handshake costs more than serving.
fn refuse(shared: &Arc<Shared>, listener: &ListenerConfig, socket: Socket, full: Full) {
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
