//! UIDBATCHES (RFC 10022): ranges of UIDs with the same number of messages each, from the newest to the oldest.

use columba_types::{SeqNum, limits};
use columba_wire::{Code, Tag};

use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};

/// `batches` are the first and last one asked for, counted from 1.
pub(super) fn uid_batches(context: &mut Context<'_, '_>, tag: &Tag, size: u32, batches: Option<(u32, u32)>) -> Outcome {
    if let Some((first, last)) = batches
        && first > last
    {
        // RFC 10022 §3.1.5
        return Err(Failure::Bad(Some(Code::ClientBug), "UIDBATCHES: the last batch comes before the first".into()));
    }
    let least = context.services.settings.batch_messages.max(1);
    if size < least {
        let text = format!("A batch has at least {least} messages");
        return Err(Failure::no(Code::TooFew, text));
    }
    if let Some((first, last)) = batches
        && u64::from(last - first + 1).saturating_mul(u64::from(size)) > limits::UID_BATCHES_MESSAGES
    {
        let text = format!("One command can ask for batches of {} messages in all", limits::UID_BATCHES_MESSAGES);
        return Err(Failure::no(Code::TooMany, text));
    }
    let view = &context.selected()?.view;
    let exists = view.exists();
    let last_there = exists.div_ceil(size);
    let (first, last) = batches.unwrap_or((1, last_there));
    let uid_at = |seq: u32| SeqNum::new(seq).and_then(|seq| view.uid(seq)).map_or(1, |uid| uid.value());
    let range = |batch: u32| {
        // No overflow: a batch that is there begins within the mailbox.
        let high = exists - (batch - 1) * size;
        // The last one ends at 1, which tells the client that it is the last (RFC 10022 §3.1.4).
        let low = if high > size { uid_at(high - size + 1) } else { 1 };
        (uid_at(high), low)
    };
    let ranges: Vec<(u32, u32)> = (first..=last.min(last_there)).map(range).collect();
    context.printer().uid_batches(tag, ranges);
    Ok(Done::new("These are the batches"))
}
