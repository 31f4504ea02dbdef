//! MOVE and UID MOVE (RFC 9051 §6.4.8): one commit, in which messages come and go.

use columba_wire::{MessageSet, Numbering, RawMailbox, Status};

use super::copy::{copy_uid, no_target, target};
use crate::context::Context;
use crate::progress::gone;
use crate::reply::{Done, Outcome};

/// COPYUID is told untagged, before the EXPUNGEs that the sync at the end tells (RFC 6851 §4.3).
pub(super) async fn r#move(
    context: &mut Context<'_, '_>,
    numbering: Numbering,
    set: MessageSet,
    raw: RawMailbox,
) -> Outcome {
    let (uids, limited) = {
        let uids = context.resolve(numbering, &set)?;
        context.within_limit(uids)
    };
    let target = target(context, &raw).await?;
    let mailbox = context.mailbox()?;
    let measure = || gone(&mailbox, &uids);
    let moved = context.working(measure, mailbox.move_to(&uids, &target)).await?.map_err(no_target)?;
    context.own.expunged(mailbox.id(), &moved.from);
    context.own.arrived(target.id(), &moved.to);
    match copy_uid(&moved) {
        None => Ok(Done::new("There was nothing to move")),
        Some(code) => {
            context.printer().untagged(Status::Ok, Some(&code), "Moved");
            let done = context.took_out("Moved", mailbox.snapshot().head.highest_modseq);
            Ok(context.limited(done, limited))
        }
    }
}
