//! A message value as octets.

use bytes::Bytes;
use columba_types::{DateTime, MessageId, ThreadId};

use super::{DecodeError, Reader, Writer};
use crate::engine::BlobRef;
use crate::message::{Message, MessageSummary};

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
    match summary.sent {
        None => out.u8(0),
        Some(sent) => {
            out.u8(1);
            out.zigzag(sent.unix_secs);
            out.zigzag(i64::from(sent.zone_minutes));
        }
    }
    for text in [&summary.subject, &summary.from, &summary.to, &summary.cc, &summary.bcc, &summary.base_subject] {
        out.text(text);
    }
    out.optional(summary.message_id.as_deref().map(str::as_bytes));
    out.varint(summary.references.len() as u64);
    summary.references.iter().for_each(|reference| out.text(reference));
    out.finish()
}

/// The message `id`. Its octets are shared with the value, not copied.
pub(crate) fn decode(value: &Bytes, id: MessageId) -> Result<Message, DecodeError> {
    let (generation, mut input) = Reader::guarded(value)?;
    let shared = |octets: &[u8]| value.slice_ref(octets);
    let blob = BlobRef { segment: input.varint()?, offset: input.varint()?, len: input.varint()? };
    let size = input.varint()?;
    let thread = ThreadId(input.u64()?);
    let summary = MessageSummary {
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
    };
    input.end()?;
    Ok(Message { id, blob, size, thread, summary, generation })
}

fn utf8(octets: &[u8]) -> Result<String, DecodeError> {
    std::str::from_utf8(octets).map(str::to_owned).map_err(|_| DecodeError::Field("text"))
}

fn decode_sent(input: &mut Reader<'_>) -> Result<Option<DateTime>, DecodeError> {
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
        (octets(), octets(), octets(), optional, texts, ids, sent).prop_map(|(a, b, c, (d, e), texts, ids, sent)| {
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
            }
        })
    }

    proptest! {
        #[test]
        fn messages_come_back(summary in summary(), n: (u64, u64, u64, u64), cut in any::<prop::sample::Index>()) {
            let blob = BlobRef { segment: n.0, offset: n.1, len: n.2 };
            let message = Message { id: MessageId(9), blob, size: n.2, thread: ThreadId(n.3), summary, generation: n.1 };
            let value = encode(&message);
            prop_assert_eq!(decode(&value, MessageId(9)), Ok(message));
            prop_assert!(decode(&value.slice(..cut.index(value.len())), MessageId(9)).is_err());
        }

        #[test]
        fn any_octets_decode_or_are_refused(mut octets in proptest::collection::vec(any::<u8>(), 9..200)) {
            octets[8] = super::super::FORMAT;
            _ = decode(&octets.into(), MessageId(1));
        }
    }
}
