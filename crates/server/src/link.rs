//! The session's link to the outside, over a real connection and the real clock.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use columba_session::{Link, Stop};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::registry::StopSignal;
use crate::transport::Transport;

/// One connection as the session sees it. Under 200 octets besides what the transport holds.
#[derive(Debug)]
pub(crate) struct SocketLink {
    pub(crate) transport: Transport,
    stop: Arc<StopSignal>,
    begun: Instant,
    /// When the timer runs out. The one of the runtime may run out earlier, never later: most are set anew long before,
    /// and moving one costs more than being woken for nothing now and then.
    due: Instant,
    timer: Pin<Box<Sleep>>,
}

impl SocketLink {
    pub(crate) fn new(transport: Transport, stop: Arc<StopSignal>, begun: Instant) -> Self {
        Self { transport, stop, begun, due: begun, timer: Box::pin(sleep_until(begun)) }
    }

    /// When the connection began.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }
}

impl Link for SocketLink {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        self.transport.poll_fill(cx, into)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.transport.poll_write(cx, octets)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_flush(cx)
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn set_timer(&mut self, after: Duration) {
        self.due = Instant::now() + after;
        if self.timer.is_elapsed() || self.timer.deadline() > self.due {
            self.timer.as_mut().reset(self.due);
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if self.timer.deadline() >= self.due {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.due);
        }
    }

    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        self.stop.poll(cx)
    }
}
