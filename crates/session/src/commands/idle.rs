//! IDLE (RFC 9051 §6.3.13, RFC 2177): changes are told the moment they are published.

use columba_types::limits;
use columba_wire::{Frame, Status};

use crate::channel::Channel;
use crate::context::Context;
use crate::news::tell;
use crate::reply::{Done, Failure, Outcome};
use crate::state::{Login, Told};
use crate::sync::Sync;
use crate::waiting::{Woken, wait};

/// Until DONE. Allowed without a selected mailbox, where there is nothing to tell unless NOTIFY asked for it (RFC 5465 §4:
/// in IDLE just the same is told). The continuation comes first, then whatever was pending (RFC 2177 §3).
pub(super) async fn idle(context: &mut Context<'_, '_>) -> Outcome {
    context.printer().continuation("idling");
    let deadline = context.channel.elapsed() + limits::IDLE_AUTHENTICATED;
    loop {
        tell(context, Sync { expunges: true, uid: false, flags: true, ends_command: false }, &Told::default()).await?;
        // DONE may have come in the same packet as IDLE, and the next command in the same packet as DONE.
        while let Some(frame) = context.channel.frame_at_hand() {
            if let Some(outcome) = ended_by(frame, context.channel) {
                return outcome;
            }
        }
        context.channel.flush().await?;
        let watch = context.state.login.as_deref_mut().and_then(Login::watch);
        match wait(context.channel, watch, deadline).await? {
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
