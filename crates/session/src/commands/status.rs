//! STATUS (RFC 9051 §6.3.11, RFC 8438, RFC 8474, RFC 7889).

use std::sync::Arc;

use columba_store::{AccountStore, Head, StoreError};
use columba_types::{MailboxId, MailboxName};
use columba_wire::{RawMailbox, StatusItem, StatusValue};

use super::select::no_such_mailbox;
use crate::capability::append_limit;
use crate::context::Context;
use crate::reply::{Done, Outcome};

/// Allowed for the selected mailbox too.
pub(super) async fn status(context: &mut Context<'_, '_>, raw: RawMailbox, items: Vec<StatusItem>) -> Outcome {
    let name = context.mailbox_name(&raw)?;
    let mail = context.mail()?;
    let id = mail.tree().get(&name).and_then(|entry| entry.mailbox).ok_or_else(|| no_such_mailbox(&name))?;
    if !tell_status(context, &mail, &name, id, &items).await? {
        return Err(no_such_mailbox(&name));
    }
    Ok(Done::new("Status told"))
}

/// Prints the STATUS line; `false` if the mailbox is gone meanwhile.
pub(super) async fn tell_status(
    context: &mut Context<'_, '_>,
    mail: &Arc<AccountStore>,
    name: &MailboxName,
    id: MailboxId,
    items: &[StatusItem],
) -> Result<bool, StoreError> {
    if items.contains(&StatusItem::HighestModSeq) {
        context.enable_condstore();
    }
    let head = match mail.head(id).await {
        Ok(head) => head,
        Err(StoreError::NotFound) => return Ok(false),
        Err(error) => return Err(error),
    };
    let settings = &context.services.settings;
    let login = context.state.login.as_deref();
    let limit = append_limit(login.map_or(settings.message_bytes, |login| login.message_bytes(settings)));
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        let value: StatusValue = match item {
            StatusItem::Messages => head.exists.into(),
            StatusItem::Recent => recent(mail, id, &head).await?.into(),
            StatusItem::UidNext => head.uid_next.value().into(),
            StatusItem::UidValidity => head.uid_validity.value().into(),
            StatusItem::Unseen => head.unseen.into(),
            StatusItem::Deleted => head.deleted.into(),
            StatusItem::Size => head.bytes.into(),
            StatusItem::HighestModSeq => head.highest_modseq.0.into(),
            StatusItem::MailboxId => StatusValue::MailboxId(id),
            StatusItem::AppendLimit => limit.into(),
        };
        values.push((*item, value));
    }
    context.printer().status(name.as_str(), &values);
    Ok(true)
}

/// Messages that no session has been told of yet (RFC 3501 §6.3.10).
async fn recent(mail: &Arc<AccountStore>, id: MailboxId, head: &Head) -> Result<u64, StoreError> {
    if head.recent_from >= head.uid_next {
        return Ok(0);
    }
    let mailbox = mail.mailbox(id).await?;
    let from = mailbox.recent_from();
    Ok(mailbox.snapshot().records().rev().take_while(|record| record.uid >= from).count() as u64)
}
