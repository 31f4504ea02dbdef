//! CLOSE and UNSELECT (RFC 9051 §6.4.1, §6.4.2).

use super::expunge::expunge_counted;
use crate::context::Context;
use crate::reply::{Done, Outcome};

/// Removes what is \Deleted, without a word, unless the mailbox was examined.
pub(super) async fn close(context: &mut Context<'_, '_>) -> Outcome {
    let selected = context.selected()?;
    if !selected.read_only {
        let mailbox = context.mailbox()?;
        let expunged = expunge_counted(context, &mailbox, None).await?;
        context.own.expunged(mailbox.id(), &expunged.uids);
    }
    unselect(context)
}

pub(super) fn unselect(context: &mut Context<'_, '_>) -> Outcome {
    context.login()?.selected = None;
    Ok(Done::new("Closed"))
}
