//! A connection in memory: two pipes of bounded size, a timer by the virtual clock, a stop signal. It also knows
//! whether the server's end is at rest, which is how a test knows that nothing more will be said.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use columba_session::{Link, Stop};
use columba_store::Clock as _;

use crate::clock::VirtualClock;

/// How a link treats octets.
#[derive(Clone, Copy, Debug)]
pub struct LinkOptions {
    /// Octets of one read at most: 1 splits everything.
    pub read_bytes: usize,
    /// Octets that fit into the pipe to the client before it has taken some.
    pub pipe_bytes: usize,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self { read_bytes: usize::MAX, pipe_bytes: usize::MAX }
    }
}

#[derive(Debug, Default)]
struct Pipes {
    to_server: VecDeque<u8>,
    to_client: Vec<u8>,
    client_closed: bool,
    server_closed: bool,
    stop: Option<Stop>,
    timer_due: Option<i64>,
    waker: Option<Waker>,
    /// What the server asked for and did not get since it was last polled.
    waits: Waits,
}

/// What a server waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// For octets of the client.
    pub for_octets: bool,
    /// For the client to take octets.
    pub for_room: bool,
    /// For the timer.
    pub for_timer: bool,
}

/// The client's end; clones are the same end.
#[derive(Clone, Debug)]
pub struct ClientEnd {
    pipes: Arc<Mutex<Pipes>>,
}

/// The server's end, a [`Link`].
#[derive(Debug)]
pub struct MemoryLink {
    pipes: Arc<Mutex<Pipes>>,
    options: LinkOptions,
    clock: VirtualClock,
    began_millis: i64,
}

/// Two ends of a connection.
pub fn connect(clock: &VirtualClock, options: LinkOptions) -> (ClientEnd, MemoryLink) {
    let pipes = Arc::new(Mutex::new(Pipes::default()));
    let link = MemoryLink { pipes: pipes.clone(), options, clock: clock.clone(), began_millis: clock.now_millis() };
    (ClientEnd { pipes }, link)
}

fn lock(pipes: &Mutex<Pipes>) -> MutexGuard<'_, Pipes> {
    pipes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pipes {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn pending<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl ClientEnd {
    /// Sends.
    ///
    /// # Errors
    /// `BrokenPipe` once the server has closed.
    pub fn send(&self, octets: &[u8]) -> io::Result<()> {
        let mut pipes = lock(&self.pipes);
        if pipes.server_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        pipes.to_server.extend(octets);
        pipes.wake();
        Ok(())
    }

    /// Takes what the server said; empty if nothing.
    pub fn take(&self) -> Vec<u8> {
        let mut pipes = lock(&self.pipes);
        let octets = std::mem::take(&mut pipes.to_client);
        if !octets.is_empty() && pipes.waits.for_room {
            pipes.wake();
        }
        octets
    }

    /// Closes the client's side: the server reads to the end, then learns of it.
    pub fn close(&self) {
        let mut pipes = lock(&self.pipes);
        pipes.client_closed = true;
        pipes.wake();
    }

    /// Makes the server end the connection.
    pub fn stop(&self, why: Stop) {
        let mut pipes = lock(&self.pipes);
        pipes.stop = Some(why);
        pipes.wake();
    }

    /// Throws away what the server has not read: under STARTTLS it would go to TLS, and be no TLS.
    pub fn discard_unread(&self) {
        lock(&self.pipes).to_server.clear();
    }

    /// Looks at the clock again, after it was moved.
    pub fn clock_moved(&self) {
        lock(&self.pipes).wake();
    }

    /// Whether the server has closed.
    pub fn server_closed(&self) -> bool {
        lock(&self.pipes).server_closed
    }

    /// Called before the server is polled.
    pub fn before_poll(&self) {
        lock(&self.pipes).waits = Waits::default();
    }

    /// What the server waits for, and whether there are octets it has not read.
    pub fn waits(&self) -> (Waits, bool) {
        let pipes = lock(&self.pipes);
        (pipes.waits, !pipes.to_server.is_empty())
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        lock(&self.pipes).server_closed = true;
    }
}

impl Link for MemoryLink {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let mut pipes = lock(&self.pipes);
        let taken = pipes.to_server.len().min(self.options.read_bytes);
        if taken == 0 && !pipes.client_closed {
            pipes.waits.for_octets = true;
            return pipes.pending(cx);
        }
        into.extend(pipes.to_server.drain(..taken));
        Poll::Ready(Ok(taken))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipes = lock(&self.pipes);
        if pipes.client_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let taken = octets.len().min(self.options.pipe_bytes.saturating_sub(pipes.to_client.len()));
        if taken == 0 && !octets.is_empty() {
            pipes.waits.for_room = true;
            return pipes.pending(cx);
        }
        pipes.to_client.extend_from_slice(&octets[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.clock.now_millis() - self.began_millis).unwrap_or(0))
    }

    fn set_timer(&mut self, after: Duration) {
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        lock(&self.pipes).timer_due = Some(self.clock.now_millis().saturating_add(after));
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut pipes = lock(&self.pipes);
        if pipes.timer_due.is_some_and(|due| due <= self.clock.now_millis()) {
            return Poll::Ready(());
        }
        pipes.waits.for_timer = true;
        pipes.pending(cx)
    }

    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        let mut pipes = lock(&self.pipes);
        match pipes.stop {
            Some(why) => Poll::Ready(why),
            None => pipes.pending(cx),
        }
    }
}
