//! From settings to bound sockets, and nothing served yet: what is refused or taken is known before anything begins.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpListener as StdTcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use columba_store::Store;
use columba_types::limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tracing::{error, info, warn};

use crate::config::{Config, ListenerConfig, TlsMode};
use crate::running::Running;
use crate::tls::{Tls, TlsError};
use crate::{Address, Server};

/// Anybody on this machine may connect; the directory the socket is in decides who can come near it. The mail server
/// that brings messages runs as a user of its own (Postfix: `postfix`), and IMAP asks for a password anyway.
const SOCKET_MODE: u32 = 0o666;

/// Sockets that cannot be had. None is bound then.
#[derive(Debug, Error)]
pub struct BindError {
    /// Each listener that failed; never empty.
    pub failures: Vec<ListenerError>,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, failure) in self.failures.iter().enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{failure}")?;
        }
        Ok(())
    }
}

/// One listener that cannot be had.
#[derive(Debug, Error)]
#[error("cannot listen for {listener}: {reason}")]
pub struct ListenerError {
    /// Which.
    pub listener: ListenerConfig,
    /// Why.
    pub reason: BindReason,
}

/// Why a listener cannot be had.
#[derive(Debug, Error)]
pub enum BindReason {
    /// Ports below 1024 need root or CAP_NET_BIND_SERVICE; a Unix socket needs a directory one may write to.
    #[error("permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE)")]
    Refused,
    /// Another program listens there.
    #[error("another program listens there already")]
    Taken,
    /// There is something at the path of a Unix socket that is no socket; it is left alone.
    #[error("there is a file of that name which is no socket")]
    NotASocket,
    /// Anything else.
    #[error("{0}")]
    Other(io::Error),
}

impl From<io::Error> for BindReason {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Refused,
            io::ErrorKind::AddrInUse => Self::Taken,
            _ => Self::Other(error),
        }
    }
}

/// A bound socket that nobody accepts from yet, and that no runtime knows.
#[derive(Debug)]
enum BoundSocket {
    Tcp(StdTcpListener),
    Unix(StdUnixListener, Option<SocketFile>),
}

/// A socket that whoever started the process bound for it (sd_listen_fds(3)).
#[derive(Debug)]
pub enum HandedSocket {
    /// An IP address and a port.
    Tcp(StdTcpListener),
    /// A Unix socket; its file belongs to whoever bound it.
    Unix(StdUnixListener),
}

/// A socket to accept from.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "held for what it does when dropped")] Option<SocketFile>),
}

impl BoundSocket {
    /// Within a tokio runtime.
    fn listen(self) -> io::Result<Listener> {
        Ok(match self {
            Self::Tcp(socket) => Listener::Tcp(TcpListener::from_std(socket)?),
            Self::Unix(socket, file) => Listener::Unix(UnixListener::from_std(socket)?, file),
        })
    }
}

impl HandedSocket {
    fn bound(self) -> io::Result<BoundSocket> {
        Ok(match self {
            Self::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                BoundSocket::Tcp(socket)
            }
            Self::Unix(socket) => {
                socket.set_nonblocking(true)?;
                BoundSocket::Unix(socket, None)
            }
        })
    }
}

/// The file of a Unix socket, removed when dropped, unless another server has put its own there since.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: Option<u64>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.inode.is_some() && inode(&self.path) == self.inode {
            _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|file| file.ino())
}

/// The server with its sockets bound and its certificate read.
#[derive(Debug)]
pub struct Bound {
    pub(crate) config: Config,
    listeners: Vec<(ListenerConfig, BoundSocket)>,
    pub(crate) tls: Arc<Tls>,
    tls_error: Option<TlsError>,
}

impl Server {
    /// Binds every listener and reads the certificate, as root where that is needed, and without starting a thread. Sockets
    /// that are there already come in `handed`. A certificate that cannot be used is no error here: see
    /// [`Bound::tls_error`].
    ///
    /// # Errors
    /// Every listener that cannot be had; none is bound then.
    pub fn bind(config: Config, handed: Vec<(ListenerConfig, HandedSocket)>) -> Result<Bound, BindError> {
        raise_file_limit();
        let (mut listeners, mut failures) = (Vec::new(), Vec::new());
        let mut keep = |listener: ListenerConfig, bound: Result<BoundSocket, BindReason>| match bound {
            Ok(bound) => listeners.push((listener, bound)),
            Err(reason) => failures.push(ListenerError { listener, reason }),
        };
        for listener in &config.listeners {
            let bound = match &listener.address {
                Address::Tcp(address) => bind_tcp(*address, &config.listeners).map(BoundSocket::Tcp),
                Address::Unix(path) => bind_unix(path),
            };
            keep(listener.clone(), bound);
        }
        for (listener, socket) in handed {
            keep(listener, socket.bound().map_err(BindReason::from));
        }
        if !failures.is_empty() {
            return Err(BindError { failures });
        }
        let tls = Arc::new(Tls::new(config.tls.clone()));
        let mut tls_error = tls.reload().err();
        if tls.config().is_some()
            && let Some(error) = tls_error.take()
        {
            error!(%error, "one of the certificates cannot be used; the others are");
        }
        Ok(Bound { config, listeners, tls, tls_error })
    }
}

impl Bound {
    /// Each listener with the address it really has (port 0 is exchanged for the one the system chose).
    pub fn addresses(&self) -> Vec<(ListenerConfig, Address)> {
        let actual = |listener: &BoundSocket, configured: &Address| match listener {
            BoundSocket::Tcp(socket) => socket.local_addr().map_or_else(|_| configured.clone(), Address::Tcp),
            BoundSocket::Unix(..) => configured.clone(),
        };
        self.listeners.iter().map(|(config, socket)| (config.clone(), actual(socket, &config.address))).collect()
    }

    /// Why there is no TLS although there should be. The server starts all the same: it offers no STARTTLS, closes
    /// connections to implicit TLS, and takes the certificate as soon as it can be used.
    pub fn tls_error(&self) -> Option<&TlsError> {
        self.tls_error.as_ref()
    }

    /// Begins to serve. Must run within a tokio runtime.
    ///
    /// # Errors
    /// The runtime cannot take a socket.
    pub fn start(self, store: Store) -> io::Result<Running> {
        self.log_addresses();
        let Self { config, listeners, tls, .. } = self;
        let listen = |(listener, socket): (ListenerConfig, BoundSocket)| Ok((listener, socket.listen()?));
        let listeners = listeners.into_iter().map(listen).collect::<io::Result<Vec<_>>>()?;
        Ok(Running::start(config, listeners, tls, store))
    }

    fn log_addresses(&self) {
        for (listener, address) in self.addresses() {
            info!(protocol = %listener.protocol, %address, tls = ?listener.tls, "listening");
        }
        let wants_tls = self.listeners.iter().any(|(listener, _)| listener.tls != TlsMode::None);
        match &self.tls_error {
            Some(error) => {
                warn!(%error, "no certificate that can be used: no STARTTLS, no implicit TLS, no logins from afar")
            }
            None if wants_tls && !self.tls.is_set() => {
                warn!("no certificate is configured: no STARTTLS, no implicit TLS, no logins from afar");
            }
            None => {}
        }
    }
}

/// A connection needs a file descriptor; the soft limit of most systems is 1024.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

fn bind_tcp(address: SocketAddr, all: &[ListenerConfig]) -> Result<StdTcpListener, BindReason> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(SocketProtocol::TCP))?;
    // A restart need not wait for the connections of the server before.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        let v4 = SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, address.port());
        let v4_apart = all.iter().any(|listener| listener.address == Address::Tcp(v4.into()));
        let any = address.ip().is_unspecified();
        socket.set_only_v6(!any || v4_apart)?;
    }
    socket.bind(&address.into())?;
    socket.listen(limits::LISTEN_BACKLOG)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path) -> Result<BoundSocket, BindReason> {
    clear_stale_socket(path)?;
    let socket = StdUnixListener::bind(path)?;
    let file = SocketFile { path: path.to_owned(), inode: inode(path) };
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
    socket.set_nonblocking(true)?;
    Ok(BoundSocket::Unix(socket, Some(file)))
}

/// Removes the socket of a server that ended without removing it; one that answers is left alone.
fn clear_stale_socket(path: &Path) -> Result<(), BindReason> {
    let Ok(file) = fs::symlink_metadata(path) else { return Ok(()) };
    if !file.file_type().is_socket() {
        return Err(BindReason::NotASocket);
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(error) => Err(error.into()),
        Ok(_) => Err(BindReason::Taken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;

    fn listener(address: Address) -> ListenerConfig {
        ListenerConfig::new(Protocol::Imap, address, TlsMode::None)
    }

    fn config(addresses: &[&str]) -> Config {
        let listeners = addresses.iter().map(|address| listener(address.parse().unwrap())).collect();
        Config { listeners, ..Config::default() }
    }

    #[test]
    fn port_zero_becomes_a_real_one_and_a_taken_one_is_named() {
        let bound = Server::bind(config(&["127.0.0.1:0"]), Vec::new()).unwrap();
        let (_, taken) = bound.addresses().remove(0);
        assert_ne!(taken, "127.0.0.1:0".parse().unwrap());
        let error = Server::bind(config(&["127.0.0.1:0", &taken.to_string()]), Vec::new()).unwrap_err();
        assert_eq!(error.failures.len(), 1);
        assert!(matches!(error.failures[0].reason, BindReason::Taken));
        assert_eq!(
            error.to_string(),
            format!("cannot listen for IMAP on {taken}: another program listens there already")
        );
    }

    #[test]
    fn both_wildcards_share_a_port() {
        let free = std::net::TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
        let both = [format!("[::]:{free}"), format!("0.0.0.0:{free}")];
        Server::bind(config(&[&both[0], &both[1]]), Vec::new()).unwrap();
        Server::bind(config(&[&both[1], &both[0]]), Vec::new()).unwrap();
    }

    #[test]
    fn a_socket_file_left_behind_is_replaced_and_a_live_one_is_not() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("lmtp");
        drop(StdUnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let text = format!("unix:{}", path.display());
        let bound = Server::bind(config(&[&text]), Vec::new()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        let error = Server::bind(config(&[&text]), Vec::new()).unwrap_err();
        assert!(matches!(error.failures[0].reason, BindReason::Taken));
        drop(bound);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        let error = Server::bind(config(&[&text]), Vec::new()).unwrap_err();
        assert!(matches!(error.failures[0].reason, BindReason::NotASocket));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_missing_directory_is_told() {
        let error = Server::bind(config(&["unix:/nonexistent/lmtp"]), Vec::new()).unwrap_err();
        assert!(error.to_string().contains("No such file or directory"), "{error}");
    }
}
