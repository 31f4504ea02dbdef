//! DELETE (RFC 9051 §6.3.5).

use columba_store::StoreError;
use columba_wire::{Code, RawMailbox};

use super::select::no_such_mailbox;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};

/// A mailbox with others below it leaves its name behind as \NonExistent; a name that is only that cannot be deleted.
/// The client's own selected mailbox may be deleted too: it is closed first.
pub(super) async fn delete(context: &mut Context<'_, '_>, raw: RawMailbox) -> Outcome {
    let name = context.mailbox_name(&raw)?;
    if name.is_inbox() {
        return Err(Failure::no(Code::Cannot, "INBOX cannot be deleted"));
    }
    let mail = context.mail()?;
    let id = mail.tree().get(&name).and_then(|entry| entry.mailbox);
    context.working(|| None, mail.delete_mailbox(&name)).await?.map_err(|error| match error {
        StoreError::NotFound => no_such_mailbox(&name),
        StoreError::HasChildren => Failure::no(Code::HasChildren, "There are mailboxes below that name"),
        other => other.into(),
    })?;
    context.own.named(&name);
    let login = context.login()?;
    if login.selected.as_ref().is_some_and(|selected| Some(selected.id) == id) {
        login.selected = None;
    }
    Ok(Done::new("Deleted"))
}
