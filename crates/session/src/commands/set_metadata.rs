//! SETMETADATA (RFC 5464 §4.3).

use bytes::Bytes;
use columba_store::{Annotated, SpecialUse, StoreError};
use columba_types::{EntryName, limits};
use columba_wire::{Code, RawMailbox};

use super::create::special_use_of;
use super::get_metadata::{is_special_use, subject};
use super::select::no_such_mailbox;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};

/// All of it is set, or nothing is (RFC 5464 §4.3).
pub(super) async fn set_metadata(
    context: &mut Context<'_, '_>,
    raw: RawMailbox,
    entries: Vec<(EntryName, Option<Vec<u8>>)>,
) -> Outcome {
    let subject = subject(context, &raw)?;
    if subject.of == Annotated::Server && entries.iter().any(|(name, _)| name.is_shared()) {
        // RFC 5464 §3.3: what concerns everybody is the administrator's.
        return Err(Failure::no(Code::NoPerm, "Shared annotations of the server are set by its administrator"));
    }
    let is_of_tree = |name: &EntryName| subject.of != Annotated::Server && is_special_use(name);
    let mut uses = None;
    let mut kept = Vec::new();
    for (name, value) in entries {
        match is_of_tree(&name) {
            // RFC 6154 §4: checked as in CREATE.
            true => uses = Some(special_uses(value.as_deref())?),
            false => kept.push((name, value.map(Bytes::from))),
        }
    }
    let mail = context.mail()?;
    let mut changes = Vec::new();
    if !kept.is_empty() {
        changes.push(mail.set_metadata(subject.of, &kept).await.map_err(refused)?);
    }
    if let Some(uses) = uses {
        let name = context.mailbox_name(&raw)?;
        let before = mail.tree();
        mail.take_uses(&name, &uses).await.map_err(|error| match error {
            StoreError::NotFound => no_such_mailbox(&name),
            other => other.into(),
        })?;
        // Those that lost a use have changed too (RFC 6154 §5.4).
        let lost = before.iter().filter(|(_, entry)| entry.uses.iter().any(|special_use| uses.contains(special_use)));
        let others = lost.filter_map(|(_, entry)| entry.mailbox).map(Annotated::Mailbox);
        let own = std::iter::once(subject.of);
        let entry = EntryName::new("/private/specialuse").ok();
        for of in own.chain(others.filter(|of| *of != subject.of)) {
            changes.extend(entry.clone().map(|entry| mail.note_metadata(of, vec![entry])));
        }
    }
    context.login()?.own_metadata.extend(changes);
    Ok(Done::new("Set"))
}

/// `\Sent \Archive`, or nothing.
fn special_uses(value: Option<&[u8]>) -> Result<Vec<SpecialUse>, Failure> {
    let text = String::from_utf8_lossy(value.unwrap_or_default());
    text.split_ascii_whitespace().map(special_use_of).collect()
}

fn refused(error: StoreError) -> Failure {
    match error {
        StoreError::TooBig => {
            let most = limits::METADATA_VALUE_BYTES;
            Failure::no(Code::MetadataMaxSize(most as u64), format!("A value has at most {most} octets"))
        }
        StoreError::Limit(_) => Failure::no(Code::MetadataTooMany, "There are as many annotations as there can be"),
        other => other.into(),
    }
}
