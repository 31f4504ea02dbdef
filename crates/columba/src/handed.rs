//! Sockets that systemd bound for the server (sd_listen_fds(3)): which of them are for what. A server that is handed its
//! sockets needs no right to bind any, and connections wait in line while it restarts.
//!
//! A socket is known by its name: `imap` (STARTTLS), `imaps` (TLS from the first octet), `lmtp`. Listeners of the
//! configuration for the same purpose are not bound then; what else the first of them says holds for the socket.

use columba_server::{HandedSocket, ListenerConfig};
use listenfd::ListenFd;
use tracing::info;

use crate::commands::server_listener;
use crate::config::{Address, Config, Listener, Protocol, TlsMode};
use crate::failure::Failure;

/// Names of sockets, and what they are for.
const PURPOSES: [(&str, Protocol, TlsMode); 3] = [
    ("imap", Protocol::Imap, TlsMode::StartTls),
    ("imaps", Protocol::Imap, TlsMode::Implicit),
    ("lmtp", Protocol::Lmtp, TlsMode::None),
];

/// Takes the sockets that were handed over, and the listeners they replace out of `config`.
///
/// # Errors
/// A socket whose name says nothing, or that is no listening stream socket.
pub(crate) fn take(config: &mut Config) -> Result<Vec<(ListenerConfig, HandedSocket)>, Failure> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut sockets = ListenFd::from_env();
    let names: Vec<&str> = names.split(':').collect();
    let mut handed = Vec::new();
    let mut taken: Vec<(Protocol, TlsMode)> = Vec::new();
    for place in 0..sockets.len() {
        let name = names.get(place).copied().unwrap_or_default();
        let Some((_, protocol, tls)) = PURPOSES.iter().find(|(known, ..)| *known == name) else {
            return Err(Failure::new(format!("systemd handed over a socket called {name:?}"))
                .hint("set FileDescriptorName= in the .socket unit to imap, imaps or lmtp"));
        };
        let (address, socket) = take_one(&mut sockets, place).map_err(|error| {
            Failure::new(format!("the socket {name} that systemd handed over cannot be used: {error}"))
        })?;
        let like = config.listeners.iter().find(|listener| purpose(listener) == (*protocol, *tls));
        let listener = Listener {
            address,
            ..like.cloned().unwrap_or_else(|| Listener::new(*protocol, Address::Unix("/".into()), *tls))
        };
        info!(name, address = %listener.address, "a socket was handed over");
        handed.push((server_listener(&listener), socket));
        taken.push((*protocol, *tls));
    }
    config.listeners.retain(|listener| !taken.contains(&purpose(listener)));
    Ok(handed)
}

fn purpose(listener: &Listener) -> (Protocol, TlsMode) {
    (listener.protocol, listener.tls)
}

fn take_one(sockets: &mut ListenFd, place: usize) -> std::io::Result<(Address, HandedSocket)> {
    // Whichever it is not fails and leaves it where it is.
    if let Ok(Some(socket)) = sockets.take_tcp_listener(place) {
        return Ok((Address::Tcp(socket.local_addr()?), HandedSocket::Tcp(socket)));
    }
    match sockets.take_unix_listener(place)? {
        Some(socket) => {
            let path = socket.local_addr()?.as_pathname().map(ToOwned::to_owned).unwrap_or_default();
            Ok((Address::Unix(path), HandedSocket::Unix(socket)))
        }
        None => Err(std::io::ErrorKind::NotFound.into()),
    }
}
