//! COPY and UID COPY (RFC 9051 §6.4.7), and what MOVE has in common with it.

use std::sync::Arc;

use columba_store::{Copied, Mailbox, StoreError};
use columba_types::MailboxName;
use columba_wire::{Code, MessageSet, Numbering, RawMailbox};

use super::select::printable;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};
use crate::subset::within_limit;

pub(super) async fn copy(
    context: &mut Context<'_, '_>,
    numbering: Numbering,
    set: MessageSet,
    raw: RawMailbox,
) -> Outcome {
    let uids = context.resolve(numbering, &set)?;
    let settings = &context.services.settings;
    let (uids, limited) = within_limit(settings.save_limit.or(settings.message_limit), uids);
    if let Some(code) = limited {
        // RFC 9738 §3.1: COPY is all or nothing.
        return Err(Failure::no(code, "One command cannot copy that many messages: nothing was copied"));
    }
    let target = target(context, &raw).await?;
    let mailbox = context.mailbox()?;
    let copied = context.working(|| None, mailbox.copy(&uids, &target)).await?.map_err(no_target)?;
    context.own.arrived(target.id(), &copied.to);
    Ok(match copy_uid(&copied) {
        Some(code) => Done::with(code, "Copied"),
        None => Done::new("There was nothing to copy"),
    })
}

/// The mailbox to copy or append to. It is never made by that (RFC 9051 §6.4.7, §6.3.12).
pub(super) async fn target(context: &mut Context<'_, '_>, raw: &RawMailbox) -> Result<Arc<Mailbox>, Failure> {
    let name = context.mailbox_name(raw)?;
    open_target(context, &name).await
}

/// The mailbox of that name, or TRYCREATE.
pub(super) async fn open_target(context: &mut Context<'_, '_>, name: &MailboxName) -> Result<Arc<Mailbox>, Failure> {
    let mail = context.mail()?;
    let id = mail.tree().get(name).and_then(|entry| entry.mailbox);
    let Some(id) = id else { return Err(try_create(name)) };
    mail.mailbox(id).await.map_err(|error| match error {
        StoreError::NotFound => try_create(name),
        other => other.into(),
    })
}

fn try_create(name: &MailboxName) -> Failure {
    Failure::no(Code::TryCreate, format!("There is no mailbox {}, create it first", printable(name.as_str())))
}

/// A target that was deleted while the command ran.
pub(super) fn no_target(error: StoreError) -> Failure {
    match error {
        StoreError::NotFound => Failure::no(Code::TryCreate, "The mailbox was deleted meanwhile"),
        other => other.into(),
    }
}

/// COPYUID, unless nothing was copied (RFC 4315 §3).
pub(super) fn copy_uid(copied: &Copied) -> Option<Code> {
    (!copied.from.is_empty()).then(|| Code::CopyUid {
        validity: copied.uid_validity,
        from: copied.from.clone(),
        to: copied.to.clone(),
    })
}
