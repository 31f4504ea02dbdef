//! What a session needs of the outside: octets in and out, one timer, and word that the server stops.
//! The server implements it over sockets, tests over memory; the session knows neither.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

/// One client's connection. Every poll is cancel-safe: one that was not ready has done nothing.
pub trait Link: Send + Unpin {
    /// Appends what has arrived to `into`; 0 when the client has closed its side. Memory is taken only when there is
    /// something to read, so that an idle connection holds no buffer.
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>>;

    /// Takes some of `octets`; how many.
    fn poll_write(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>>;

    /// Ready when everything taken is on its way.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Time since the connection began, from a clock that never goes back.
    fn elapsed(&self) -> Duration;

    /// Sets the one timer, from now on; an earlier setting is forgotten.
    fn set_timer(&mut self, after: Duration);

    /// Ready once the timer has run out, until it is set again.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Ready once the connection has to end: the server stops, or the account was barred.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<Stop>;
}

/// Why a connection has to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The server shuts down.
    Shutdown,
    /// An administrator ended this connection, or disabled or deleted the account.
    Kicked,
}

/// Writes all of `octets` and flushes, unless the client takes nothing for `patience`.
///
/// # Errors
/// What the link says, or `TimedOut`.
pub(crate) async fn write_all(link: &mut dyn Link, mut octets: &[u8], patience: Duration) -> io::Result<()> {
    if octets.is_empty() {
        return Ok(());
    }
    while !octets.is_empty() {
        // The timer is set only where there is something to wait for: mostly the octets go at once.
        let mut waits = false;
        let taken = poll_fn(|cx| match link.poll_write(cx, octets) {
            Poll::Pending => out_of_patience(link, cx, patience, &mut waits).map(Err),
            ready => ready,
        })
        .await?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        octets = &octets[taken.min(octets.len())..];
    }
    let mut waits = false;
    poll_fn(|cx| match link.poll_flush(cx) {
        Poll::Pending => out_of_patience(link, cx, patience, &mut waits).map(Err),
        ready => ready,
    })
    .await
}

/// Ready when the client has taken nothing for so long. `waits`: whether the timer is set already.
fn out_of_patience(link: &mut dyn Link, cx: &mut Context<'_>, patience: Duration, waits: &mut bool) -> Poll<io::Error> {
    if !std::mem::replace(waits, true) {
        link.set_timer(patience);
    }
    link.poll_timer(cx).map(|()| io::ErrorKind::TimedOut.into())
}
