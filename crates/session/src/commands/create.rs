//! CREATE (RFC 9051 §6.3.4), with the uses a mailbox is made for (RFC 6154 §3).

use columba_store::{SpecialUse, StoreError};
use columba_types::SEPARATOR;
use columba_wire::{Code, RawMailbox};

use super::list::list_line_of;
use super::select::printable;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};

/// A separator at the end only says that there will be mailboxes below, and is left out of the name (RFC 9051 §6.3.4).
pub(super) async fn create(
    context: &mut Context<'_, '_>,
    raw: RawMailbox,
    special_use: Option<Vec<String>>,
) -> Outcome {
    let uses =
        special_use.unwrap_or_default().iter().map(|text| special_use_of(text)).collect::<Result<Vec<_>, _>>()?;
    let raw = match raw.0.strip_suffix(&[SEPARATOR as u8]) {
        Some(shorter) if !shorter.is_empty() => RawMailbox(shorter.to_vec()),
        _ => raw,
    };
    let name = context.mailbox_name(&raw)?;
    if name.is_inbox() {
        return Err(Failure::no(Code::AlreadyExists, "INBOX is always there"));
    }
    let mail = context.mail()?;
    let work = mail.create_mailbox_taking_uses(&name, &uses);
    let id = context.working(|| None, work).await?.map_err(|error| match error {
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

/// The use of that name, if a mailbox can have it. One that another mailbox has is taken from it (RFC 6154 §3 leaves this to
/// the server): the client says which mailbox it wants for it now.
pub(super) fn special_use_of(text: &str) -> Result<SpecialUse, Failure> {
    let known = SpecialUse::parse(text).filter(|special_use| !special_use.is_virtual());
    known.ok_or_else(|| Failure::no(Code::UseAttr, format!("No mailbox can have the use {}", printable(text))))
}
