//! Waiting for the client and for changes at once: one poll, no buffer. IDLE waits so, and between commands those who
//! asked for it with NOTIFY.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use columba_store::Watch;
use columba_types::limits;

use crate::channel::{Channel, Ended};

/// What ended one wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    Octets,
    Changes,
    /// It is time to say that we are still here.
    KeepAlive,
}

/// Waits. Silence for longer than the deadline, a time since the connection began, ends the connection.
pub(crate) async fn wait(
    channel: &mut Channel<'_>,
    watch: Option<&mut Watch>,
    deadline: Duration,
) -> Result<Woken, Ended> {
    let left = deadline.saturating_sub(channel.elapsed());
    channel.set_timer(left.min(limits::IDLE_KEEPALIVE));
    let changed = async {
        match watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
    };
    let mut changed = pin!(changed);
    poll_fn(|cx| {
        if changed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(Woken::Changes));
        }
        channel.poll_fill(cx).map(|filled| match filled {
            Ok(()) => Ok(Woken::Octets),
            Err(Ended::Silent) if left > limits::IDLE_KEEPALIVE => Ok(Woken::KeepAlive),
            Err(ended) => Err(ended),
        })
    })
    .await
}
