//! RENAME (RFC 9051 §6.3.6).

use columba_store::StoreError;
use columba_types::SEPARATOR;
use columba_wire::{Code, RawMailbox};

use super::select::no_such_mailbox;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};

/// Mailboxes below come along. INBOX gives its messages to the new name and stays, empty (RFC 9051 §6.3.6).
pub(super) async fn rename(context: &mut Context<'_, '_>, from: RawMailbox, to: RawMailbox) -> Outcome {
    let from = context.mailbox_name(&from)?;
    let to = match to.0.strip_suffix(&[SEPARATOR as u8]) {
        Some(shorter) if !shorter.is_empty() => context.mailbox_name(&RawMailbox(shorter.to_vec()))?,
        _ => context.mailbox_name(&to)?,
    };
    if to.is_inbox() {
        return Err(Failure::no(Code::AlreadyExists, "INBOX is always there"));
    }
    let mail = context.mail()?;
    context.working(|| None, mail.rename_mailbox(&from, &to)).await?.map_err(|error| match error {
        StoreError::NotFound => no_such_mailbox(&from),
        StoreError::Exists => Failure::no(Code::AlreadyExists, "There is a mailbox of that name already"),
        other => other.into(),
    })?;
    context.own.named(&to);
    Ok(Done::new("Renamed"))
}
