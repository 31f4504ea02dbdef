//! CREATE (RFC 9051 §6.3.4).

use columba_store::StoreError;
use columba_types::SEPARATOR;
use columba_wire::{Code, RawMailbox};

use super::list::list_line_of;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};

/// A separator at the end only says that there will be mailboxes below, and is left out of the name (RFC 9051 §6.3.4).
pub(super) async fn create(
    context: &mut Context<'_, '_>,
    raw: RawMailbox,
    special_use: Option<Vec<String>>,
) -> Outcome {
    if special_use.is_some() {
        // CREATE-SPECIAL-USE is not announced.
        return Err(Failure::no(Code::UseAttr, "A special use cannot be given to a new mailbox"));
    }
    let raw = match raw.0.strip_suffix(&[SEPARATOR as u8]) {
        Some(shorter) if !shorter.is_empty() => RawMailbox(shorter.to_vec()),
        _ => raw,
    };
    let name = context.mailbox_name(&raw)?;
    if name.is_inbox() {
        return Err(Failure::no(Code::AlreadyExists, "INBOX is always there"));
    }
    let mail = context.mail()?;
    let id = mail.create_mailbox(&name, &[]).await.map_err(|error| match error {
        StoreError::Exists => Failure::no(Code::AlreadyExists, "There is a mailbox of that name already"),
        StoreError::Limit(_) => Failure::no(Code::Limit, "The account has as many mailboxes as it can have"),
        other => other.into(),
    })?;
    context.own.named(&name);
    if let Some(given) = context.old_name(&raw, &name) {
        let mut line = list_line_of(&mail.tree(), &name);
        line.old_name = Some(given);
        context.printer().list(&line.as_printed());
    }
    // RFC 8474 §4.1
    Ok(Done::with(Code::MailboxId(id), "Created"))
}
