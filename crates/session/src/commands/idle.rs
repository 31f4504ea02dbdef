//! IDLE (RFC 9051 §6.3.13, RFC 2177): changes are told the moment they are published.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use columba_types::limits;
use columba_wire::{Frame, Status};

use crate::channel::{Channel, Ended};
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};
use crate::state::Told;
use crate::sync::{Sync, sync};

/// What ended one wait.
enum Woken {
    Octets,
    Changes,
    KeepAlive,
}

/// Until DONE. Allowed without a selected mailbox, where there is nothing to tell. The continuation comes first, then
/// whatever was pending (RFC 2177 §3).
pub(super) async fn idle(context: &mut Context<'_, '_>) -> Outcome {
    let enabled = context.state.enabled;
    context.printer().continuation("idling");
    let deadline = context.channel.elapsed() + limits::IDLE_AUTHENTICATED;
    loop {
        context.open_selected().await?;
        if let Ok((selected, channel)) = context.selected_and_channel() {
            sync(selected, channel, enabled, Sync { expunges: true, uid: false }, &Told::default()).await?;
            selected.rest();
        }
        // DONE may have come in the same packet as IDLE, and the next command in the same packet as DONE.
        while let Some(frame) = context.channel.frame_at_hand() {
            if let Some(outcome) = ended_by(frame, context.channel) {
                return outcome;
            }
        }
        context.channel.flush().await?;
        match wait(context, deadline).await? {
            Woken::Octets | Woken::Changes => {}
            Woken::KeepAlive => context.printer().untagged(Status::Ok, None, "Still here"),
        }
    }
}

/// The end of IDLE, if the frame brings it.
fn ended_by(frame: Frame, channel: &mut Channel<'_>) -> Option<Outcome> {
    match frame {
        Frame::Command(line) if line.eq_ignore_ascii_case(b"DONE") => Some(Ok(Done::new("Idled"))),
        Frame::Command(line) if line.is_empty() => None,
        Frame::Literal(_) => {
            channel.framer.refuse();
            Some(Err(Failure::bad("Only DONE ends IDLE")))
        }
        // RFC 9051 §6.3.13: anything else is a mistake of the client.
        Frame::Command(_) | Frame::Refused(_) => Some(Err(Failure::bad("Only DONE ends IDLE"))),
        Frame::Data(_) | Frame::DataEnd => None,
    }
}

/// Waits for octets, changes, or the time to say that we are still here. Silence for longer than the deadline ends the
/// connection.
async fn wait(context: &mut Context<'_, '_>, deadline: Duration) -> Result<Woken, Ended> {
    let channel = &mut *context.channel;
    let selected = context.state.login.as_deref_mut().and_then(|login| login.selected.as_deref_mut());
    let left = deadline.saturating_sub(channel.elapsed());
    channel.set_timer(left.min(limits::IDLE_KEEPALIVE));
    let changed = async {
        match selected {
            Some(selected) => selected.watch.changed().await,
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
