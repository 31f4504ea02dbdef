//! SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.7, §6.3.8).

use columba_wire::RawMailbox;

use super::select::no_such_mailbox;
use crate::context::Context;
use crate::reply::{Done, Outcome};

/// A name stays subscribed when its mailbox is deleted, but a new subscription has to be of a mailbox that is there
/// (RFC 9051 §6.3.7 lets us check). Unsubscribing what is not subscribed does no harm.
pub(super) async fn subscribe(context: &mut Context<'_, '_>, raw: RawMailbox, on: bool) -> Outcome {
    let name = context.mailbox_name(&raw)?;
    let mail = context.mail()?;
    if on && mail.tree().get(&name).is_none_or(|entry| entry.mailbox.is_none()) {
        return Err(no_such_mailbox(&name));
    }
    context.working(|| None, mail.subscribe(&name, on)).await??;
    context.own.named(&name);
    Ok(Done::new(if on { "Subscribed" } else { "Not subscribed any more" }))
}
