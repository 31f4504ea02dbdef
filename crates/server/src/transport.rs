//! The octets of a connection, whatever carries them: TCP or a Unix socket, plain or under TLS.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use columba_types::limits;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Answers leave at once, and a client that vanished is noticed some day.
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        // Neither is worth refusing a client for.
        _ = stream.set_nodelay(true);
        _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(limits::TCP_KEEPALIVE));
        Self::Tcp(stream)
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Writes a few octets if the kernel takes them at once.
    pub(crate) fn try_write(&self, octets: &[u8]) {
        _ = match self {
            Self::Tcp(stream) => stream.try_write(octets),
            Self::Unix(stream) => stream.try_write(octets),
        };
    }

    /// Reads what a client goes on sending to a connection that is over. Closing before would reset the connection, and the
    /// client would never see the last words (RFC 9293 §3.10.4).
    async fn drain(&self) -> io::Result<()> {
        let mut dropped = Vec::new();
        let at_once = poll_fn(|cx| Poll::Ready(self.poll_fill(cx, &mut dropped))).await;
        let Poll::Ready(mut read) = at_once else { return Ok(()) };
        let mut left = limits::LINGER_BYTES;
        loop {
            let octets = read? as u64;
            left = left.saturating_sub(octets);
            if octets == 0 || left == 0 {
                return Ok(());
            }
            dropped.clear();
            read = poll_fn(|cx| self.poll_fill(cx, &mut dropped)).await;
        }
    }

    /// Appends what has arrived, straight into `into`; memory is taken once there is something.
    fn poll_fill(&self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        loop {
            let read = match self {
                Self::Tcp(stream) => {
                    ready!(stream.poll_read_ready(cx))?;
                    make_room(into);
                    stream.try_read_buf(into)
                }
                Self::Unix(stream) => {
                    ready!(stream.poll_read_ready(cx))?;
                    make_room(into);
                    stream.try_read_buf(into)
                }
            };
            match read {
                // It was a false alarm; the readiness is cleared, and the next look registers the task.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }
}

/// Room for a read without growing a large buffer for every few octets.
fn make_room(into: &mut Vec<u8>) {
    if into.capacity() - into.len() < limits::READ_BYTES / 4 {
        into.reserve(limits::READ_BYTES);
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Boxed, and made outside of any `async fn`: what is only moved within one still takes its room there, and a connection
/// should hold none for a handshake that is over.
fn handshake(config: Arc<rustls::ServerConfig>, socket: Socket) -> Pin<Box<Accept<Socket>>> {
    Box::pin(TlsAcceptor::from(config).accept(socket))
}

/// A socket, perhaps with TLS on it.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Transport {
    /// Does the handshake. A transport that has TLS already is refused.
    pub(crate) async fn secured(self, config: Arc<rustls::ServerConfig>, patience: Duration) -> io::Result<Self> {
        let Self::Plain(socket) = self else { return Err(io::ErrorKind::AlreadyExists.into()) };
        let stream = tokio::time::timeout(patience, handshake(config, socket)).await??;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Appends what has arrived; 0 when the client has closed its side. A client that closes without TLS's goodbye has
    /// closed, too: IMAP and LMTP mark their ends themselves.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_fill(cx, into),
            Self::Tls(stream) => {
                // On the stack, so that a connection which waits holds nothing.
                let mut room = [MaybeUninit::<u8>::uninit(); limits::READ_BYTES];
                let mut room = ReadBuf::uninit(&mut room);
                match ready!(Pin::new(stream).poll_read(cx, &mut room)) {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
                    Err(error) => Poll::Ready(Err(error)),
                    Ok(()) => {
                        into.extend_from_slice(room.filled());
                        Poll::Ready(Ok(room.filled().len()))
                    }
                }
            }
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, octets),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Says goodbye, and waits a little for it to leave.
    pub(crate) async fn close(mut self) {
        let parting = async {
            match &mut self {
                Self::Plain(socket) => socket.shutdown().await,
                Self::Tls(stream) => stream.shutdown().await,
            }?;
            let socket = match &self {
                Self::Plain(socket) => socket,
                Self::Tls(stream) => stream.get_ref().0,
            };
            socket.drain().await
        };
        _ = tokio::time::timeout(limits::LINGER, parting).await;
    }
}
