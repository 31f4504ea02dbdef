//! The two directions of one LMTP connection: pieces of what the client says in, replies out, with patience. It knows no
//! command.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use columba_session::Stop;
use columba_types::limits::{LMTP_IDLE, TLS_HANDSHAKE};
use tokio::time::timeout;

use crate::lmtp::framer::{Event, Framer};
use crate::lmtp::reply::Reply;
use crate::registry::StopSignal;
use crate::transport::Transport;

/// Why nothing more comes.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The client closed its side, or the connection broke.
    Gone,
    /// It was silent for too long, or took no reply.
    Silent,
    /// The server wants the connection to end.
    Stopped(Stop),
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

pub(crate) struct Wire {
    transport: Transport,
    stop: Arc<StopSignal>,
    pub(crate) framer: Framer,
    input: Vec<u8>,
    /// Octets of `input` already taken.
    taken: usize,
    out: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(transport: Transport, stop: Arc<StopSignal>) -> Self {
        Self { transport, stop, framer: Framer::default(), input: Vec::new(), taken: 0, out: Vec::new() }
    }

    /// The next piece. Replies are sent before waiting for the client, so that a pipeline gets its answers in one go
    /// (RFC 2920 §3.2).
    pub(crate) async fn event(&mut self) -> Result<Event, Ended> {
        loop {
            let mut rest = self.input.get(self.taken..).unwrap_or_default();
            let before = rest.len();
            let event = self.framer.next(&mut rest);
            self.taken += before - rest.len();
            if let Some(event) = event {
                return Ok(event);
            }
            // An idle connection holds no buffer.
            (self.input, self.taken) = (Vec::new(), 0);
            self.flush().await?;
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Ended> {
        let Self { transport, stop, framer, input, .. } = self;
        let between_commands = framer.is_idle();
        let read = poll_fn(|cx| {
            // A message that is under way may come to its end.
            if between_commands && let Poll::Ready(stop) = stop.poll(cx) {
                return Poll::Ready(Err(Ended::Stopped(stop)));
            }
            transport.poll_fill(cx, input).map_err(Ended::from)
        });
        match timeout(LMTP_IDLE, read).await {
            Err(_) => Err(Ended::Silent),
            Ok(Ok(0)) => Err(Ended::Gone),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(ended)) => Err(ended),
        }
    }

    /// Sends a reply with the next flush.
    pub(crate) fn reply(&mut self, reply: &Reply) {
        reply.print(&mut self.out);
    }

    /// Sends what was said.
    pub(crate) async fn flush(&mut self) -> Result<(), Ended> {
        let out = std::mem::take(&mut self.out);
        if out.is_empty() {
            return Ok(());
        }
        let transport = &mut self.transport;
        let sending = async {
            let mut rest = out.as_slice();
            while !rest.is_empty() {
                let sent = poll_fn(|cx| transport.poll_write(cx, rest)).await?;
                if sent == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                rest = rest.get(sent..).unwrap_or_default();
            }
            poll_fn(|cx| transport.poll_flush(cx)).await
        };
        match timeout(LMTP_IDLE, sending).await {
            Err(_) => Err(Ended::Silent),
            Ok(sent) => Ok(sent?),
        }
    }

    /// Changes to TLS. What the client sent before is dropped (RFC 3207 §6).
    pub(crate) async fn start_tls(self, config: Arc<rustls::ServerConfig>) -> io::Result<Self> {
        Ok(Self::new(self.transport.secured(config, TLS_HANDSHAKE).await?, self.stop))
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    pub(crate) async fn close(mut self) {
        if self.flush().await.is_ok() {
            self.transport.close().await;
        }
    }
}
