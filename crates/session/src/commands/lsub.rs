//! LSUB (RFC 3501 §6.3.9), for clients that know nothing newer. rev2 has no such command, but answering does no harm.

use std::collections::BTreeMap;

use columba_types::{MailboxName, SEPARATOR};
use columba_wire::{ListLine, RawMailbox};

use super::list::pattern;
use crate::context::Context;
use crate::reply::{Done, Outcome};

/// Subscribed names that match. With `%`, a level above a subscribed name that is not subscribed itself is told as
/// \Noselect.
pub(super) async fn lsub(context: &mut Context<'_, '_>, reference: RawMailbox, raw: RawMailbox) -> Outcome {
    let Some(pattern) = pattern(context, &reference, &raw) else {
        return Ok(Done::new("There is nothing of an empty name"));
    };
    let tree = context.mail()?.tree();
    let mut found: BTreeMap<MailboxName, bool> = BTreeMap::new();
    for (name, _) in tree.iter().filter(|(_, entry)| entry.subscribed) {
        if pattern.matches(name.as_str()) {
            found.insert(name.clone(), true);
        }
        if pattern.ends_in_percent() {
            for ancestor in name.ancestors().filter(|ancestor| pattern.matches(ancestor.as_str())) {
                found.entry(ancestor).or_insert(false);
            }
        }
    }
    for (name, subscribed) in found {
        let exists = tree.get(&name).is_some_and(|entry| entry.mailbox.is_some());
        let attributes: &[&str] = if subscribed && exists { &[] } else { &["\\Noselect"] };
        let line =
            ListLine { attributes, separator: Some(SEPARATOR), name: name.as_str(), child_info: false, old_name: None };
        context.printer().lsub(&line);
        context.relieve().await?;
    }
    Ok(Done::new("Subscriptions listed"))
}
