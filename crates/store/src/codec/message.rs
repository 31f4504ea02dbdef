//! A message value as octets.

use bytes::Bytes;
use columba_types::{DateTime, MessageId, ThreadId};

use super::{DecodeError, Reader, Writer};
use crate::engine::BlobRef;
use crate::message::{Message, MessageSummary, SortKeys};

pub(crate) fn encode(message: &Message) -> Bytes {
    let summary = &message.summary;
    let mut out = Writer::guarded(message.generation);
    out.varint(message.blob.segment);
    out.varint(message.blob.offset);
    out.varint(message.blob.len);
    out.varint(message.size);
    out.u64(message.thread.0);
    out.octets(&summary.envelope);
    out.optional(summary.envelope_utf8.as_deref());
    out.octets(&summary.body_structure);
    out.optional(summary.body_structure_utf8.as_deref());
    out.octets(&summary.parts);
    encode_sent(&mut out, summary.sent);
    for text in [&summary.subject, &summary.from, &summary.to, &summary.cc, &summary.bcc, &summary.base_subject] {
        out.text(text);
    }
    out.optional(summary.message_id.as_deref().map(str::as_bytes));
    out.varint(summary.references.len() as u64);
    summary.references.iter().for_each(|reference| out.text(reference));
    if let Some(keys) = &summary.sort_keys {
        out.varint(SORT_KEYS);
        out.octets(&encode_sort_keys(keys));
    }
    if let Some(preview) = &summary.preview {
        out.varint(PREVIEW);
        out.text(preview);
    }
    out.finish()
}

pub(crate) fn encode_sent(out: &mut Writer, sent: Option<DateTime>) {
    out.u8(sent.is_some().into());
    if let Some(sent) = sent {
        out.zigzag(sent.unix_secs);
        out.zigzag(i64::from(sent.zone_minutes));
    }
}

/// Tags of what came to the value later; each stands once at most, rising, before its length and octets.
const SORT_KEYS: u64 = 1;
const PREVIEW: u64 = 2;

fn encode_sort_keys(keys: &SortKeys) -> Bytes {
    let mut out = Writer::default();
    for text in [&keys.from_mailbox, &keys.to_mailbox, &keys.cc_mailbox, &keys.display_from, &keys.display_to] {
        out.text(text);
    }
    out.u8(keys.subject_is_reply.into());
    out.finish()
}

fn decode_sort_keys(octets: &[u8]) -> Result<SortKeys, DecodeError> {
    let mut input = Reader::bare(octets);
    let keys = SortKeys {
        from_mailbox: input.text()?.to_owned(),
        to_mailbox: input.text()?.to_owned(),
        cc_mailbox: input.text()?.to_owned(),
        display_from: input.text()?.to_owned(),
        display_to: input.text()?.to_owned(),
        subject_is_reply: match input.u8()? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::Field("sort key")),
        },
    };
    input.end()?;
    Ok(keys)
}

/// What follows the fields that were always there. A tag that is not known is refused: a newer version wrote it.
fn decode_tagged(input: &mut Reader<'_>, summary: &mut MessageSummary) -> Result<(), DecodeError> {
    let mut last = 0;
    while !input.is_empty() {
        let tag = input.varint()?;
        if tag <= last {
            return Err(DecodeError::Field("order of tags"));
        }
        last = tag;
        match tag {
            SORT_KEYS => summary.sort_keys = Some(decode_sort_keys(input.octets()?)?),
            PREVIEW => summary.preview = Some(input.text()?.to_owned()),
            other => return Err(DecodeError::Tag(other)),
        }
    }
    Ok(())
}

/// The message `id` without its summary, which is most of its value: for those who want the message's octets only.
pub(crate) fn decode_place(value: &[u8], id: MessageId) -> Result<Message, DecodeError> {
    let (generation, mut input) = Reader::guarded(value)?;
    let (blob, size, thread) = decode_front(&mut input)?;
    Ok(Message { id, blob, size, thread, summary: MessageSummary::default(), octets: None, generation })
}

fn decode_front(input: &mut Reader<'_>) -> Result<(BlobRef, u64, ThreadId), DecodeError> {
    let blob = BlobRef { segment: input.varint()?, offset: input.varint()?, len: input.varint()? };
    Ok((blob, input.varint()?, ThreadId(input.u64()?)))
}

/// The message `id`. Its octets are shared with the value, not copied.
pub(crate) fn decode(value: &Bytes, id: MessageId) -> Result<Message, DecodeError> {
    let (generation, mut input) = Reader::guarded(value)?;
    let shared = |octets: &[u8]| value.slice_ref(octets);
    let (blob, size, thread) = decode_front(&mut input)?;
    let mut summary = MessageSummary {
        envelope: shared(input.octets()?),
        envelope_utf8: input.optional()?.map(shared),
        body_structure: shared(input.octets()?),
        body_structure_utf8: input.optional()?.map(shared),
        parts: shared(input.octets()?),
        sent: decode_sent(&mut input)?,
        subject: input.text()?.to_owned(),
        from: input.text()?.to_owned(),
        to: input.text()?.to_owned(),
        cc: input.text()?.to_owned(),
        bcc: input.text()?.to_owned(),
        base_subject: input.text()?.to_owned(),
        message_id: input.optional()?.map(utf8).transpose()?,
        references: decode_references(&mut input)?,
        ..MessageSummary::default()
    };
    decode_tagged(&mut input, &mut summary)?;
    Ok(Message { id, blob, size, thread, summary, octets: None, generation })
}

fn utf8(octets: &[u8]) -> Result<String, DecodeError> {
    std::str::from_utf8(octets).map(str::to_owned).map_err(|_| DecodeError::Field("text"))
}

pub(crate) fn decode_sent(input: &mut Reader<'_>) -> Result<Option<DateTime>, DecodeError> {
    match input.u8()? {
        0 => Ok(None),
        1 => decode_date(input).map(Some),
        _ => Err(DecodeError::Field("date")),
    }
}

pub(super) fn decode_date(input: &mut Reader<'_>) -> Result<DateTime, DecodeError> {
    let unix_secs = input.zigzag()?;
    let zone = i16::try_from(input.zigzag()?).ok().filter(|zone| zone.unsigned_abs() < 24 * 60);
    Ok(DateTime { unix_secs, zone_minutes: zone.ok_or(DecodeError::Field("zone"))? })
}

fn decode_references(input: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    let count = input.count()?;
    let mut references = Vec::new();
    for _ in 0..count {
        references.push(input.text()?.to_owned());
    }
    Ok(references)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn octets() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
    }

    fn summary() -> impl Strategy<Value = MessageSummary> {
        let texts = proptest::collection::vec(".{0,8}", 6);
        let ids = (proptest::option::of(".{0,8}"), proptest::collection::vec(".{0,8}", 0..4));
        let sent = proptest::option::of((any::<i64>(), -1439i16..1440));
        let optional = (proptest::option::of(octets()), proptest::option::of(octets()));
        let sort_keys = (".{0,4}", ".{0,4}", any::<bool>()).prop_map(|(from_mailbox, display_to, subject_is_reply)| {
            SortKeys { from_mailbox, display_to, subject_is_reply, ..SortKeys::default() }
        });
        let tagged = (proptest::option::of(sort_keys), proptest::option::of(".{0,9}"));
        let parts = (octets(), octets(), octets(), optional, texts, ids, sent, tagged);
        parts.prop_map(|(a, b, c, (d, e), texts, ids, sent, (sort_keys, preview))| {
            let mut texts = texts.into_iter();
            let mut text = || texts.next().unwrap_or_default();
            MessageSummary {
                envelope: a,
                envelope_utf8: d,
                body_structure: b,
                body_structure_utf8: e,
                parts: c,
                sent: sent.map(|(unix_secs, zone_minutes)| DateTime { unix_secs, zone_minutes }),
                subject: text(),
                from: text(),
                to: text(),
                cc: text(),
                bcc: text(),
                base_subject: text(),
                message_id: ids.0,
                references: ids.1,
                sort_keys,
                preview,
            }
        })
    }

    proptest! {
        #[test]
        fn messages_come_back(summary in summary(), n: (u64, u64, u64, u64), cut in any::<prop::sample::Index>()) {
            let blob = BlobRef { segment: n.0, offset: n.1, len: n.2 };
            let message = Message { id: MessageId(9), blob, size: n.2, thread: ThreadId(n.3), summary: summary.clone(), octets: None, generation: n.1 };
            let value = encode(&message);
            prop_assert_eq!(decode(&value, MessageId(9)), Ok(message));
            // Cut between two tags it is a value still, with less in it.
            if let Ok(less) = decode(&value.slice(..cut.index(value.len())), MessageId(9)) {
                prop_assert!(less.summary.preview.is_none() && less.summary.references == summary.references);
            }
        }

        #[test]
        fn a_value_without_tags_opens(summary in summary()) {
            let old = MessageSummary { sort_keys: None, preview: None, ..summary };
            let blob = BlobRef { segment: 1, offset: 2, len: 3 };
            let message = Message { id: MessageId(9), blob, size: 3, thread: ThreadId(4), summary: old, octets: None, generation: 0 };
            let value = encode(&message);
            prop_assert_eq!(decode(&value, MessageId(9)), Ok(message));
            let newer = Bytes::from([&value[..], &[99, 1, 0]].concat());
            prop_assert_eq!(decode(&newer, MessageId(9)), Err(DecodeError::Tag(99)));
        }

        #[test]
        fn any_octets_decode_or_are_refused(mut octets in proptest::collection::vec(any::<u8>(), 9..200)) {
            octets[8] = super::super::FORMAT;
            _ = decode(&octets.into(), MessageId(1));
        }
    }
}
