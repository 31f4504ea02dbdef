//! APPEND (RFC 9051 §6.3.12, RFC 3502, RFC 4469): octets go to the store as they arrive, or are copied within it. All
//! messages of one command are seen at once, or none.

use columba_store::Appended;
use columba_wire::{Append, Code};

use super::copy::{no_target, target};
use super::intake;
use crate::context::Context;
use crate::reply::{Done, Outcome};

pub(super) async fn append(context: &mut Context<'_, '_>, append: Append) -> Outcome {
    // Everything that can be refused is refused before the client is asked to send its message. The mailbox is never
    // made by the appending (RFC 9051 §6.3.12).
    let mailbox = target(context, &append.mailbox).await?;
    let messages = intake::messages(context, append.parts).await?;
    let appended = context.working(|| None, mailbox.append(messages)).await?.map_err(no_target)?;
    context.own.arrived(mailbox.id(), &appended.uids);
    Ok(Done::with(append_uid(appended), "Appended"))
}

/// RFC 4315 §3, RFC 3502: as many UIDs as there were messages, in their order.
pub(super) fn append_uid(appended: Appended) -> Code {
    Code::AppendUid { validity: appended.uid_validity, uids: appended.uids }
}
