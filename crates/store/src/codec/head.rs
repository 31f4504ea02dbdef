//! A mailbox's head as octets.

use std::sync::Arc;

use bytes::Bytes;
use columba_types::limits::KEYWORDS_PER_MAILBOX;
use columba_types::{Keyword, MailboxId, ModSeq, Uid, UidValidity};

use super::page::modseq_of;
use super::{DecodeError, Reader, Writer};
use crate::snapshot::Head;

pub(crate) fn encode(head: &Head, version: u64) -> Bytes {
    let mut out = Writer::guarded(version);
    out.varint(u64::from(head.uid_validity.value()));
    out.varint(u64::from(head.uid_next.value()));
    out.varint(head.highest_modseq.0);
    out.varint(u64::from(head.exists));
    out.varint(u64::from(head.unseen));
    out.varint(u64::from(head.deleted));
    out.varint(head.bytes);
    out.varint(head.deleted_bytes);
    out.varint(head.log_floor.0);
    out.varint(u64::from(head.recent_from.value()));
    encode_keywords(&mut out, &head.keywords);
    out.finish()
}

pub(super) fn encode_keywords(out: &mut Writer, keywords: &[Keyword]) {
    out.varint(keywords.len() as u64);
    keywords.iter().for_each(|keyword| out.text(keyword.as_str()));
}

pub(super) fn decode_keywords(input: &mut Reader<'_>) -> Result<Vec<Keyword>, DecodeError> {
    let count = input.count()?;
    if count > KEYWORDS_PER_MAILBOX {
        return Err(DecodeError::Field("number of keywords"));
    }
    let mut keywords: Vec<Keyword> = Vec::with_capacity(count);
    for _ in 0..count {
        let keyword = Keyword::new(input.text()?).map_err(|_| DecodeError::Field("keyword"))?;
        if keywords.contains(&keyword) {
            return Err(DecodeError::Field("keyword, which comes twice"));
        }
        keywords.push(keyword);
    }
    Ok(keywords)
}

/// The head of `mailbox` and its version.
pub(crate) fn decode(octets: &[u8], mailbox: MailboxId) -> Result<(Head, u64), DecodeError> {
    let (version, mut input) = Reader::guarded(octets)?;
    let uid = |n: u32| Uid::new(n).ok_or(DecodeError::Field("UID"));
    let head = Head {
        mailbox,
        uid_validity: UidValidity::new(input.small("UIDVALIDITY")?).ok_or(DecodeError::Field("UIDVALIDITY"))?,
        uid_next: uid(input.small("UIDNEXT")?)?,
        highest_modseq: modseq_of(input.varint()?)?,
        exists: input.small("count")?,
        unseen: input.small("count")?,
        deleted: input.small("count")?,
        bytes: input.varint()?,
        deleted_bytes: input.varint()?,
        log_floor: ModSeq(input.varint()?),
        recent_from: uid(input.small("recent UID")?)?,
        keywords: Arc::from(decode_keywords(&mut input)?),
    };
    input.end()?;
    Ok((head, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn heads_come_back(numbers: (u32, u32, u32, u64, u64), version: u64, words in proptest::collection::hash_set("[a-z$]{1,9}", 0..20)) {
            let (a, b, c, bytes, deleted_bytes) = numbers;
            let head = Head {
                uid_next: Uid::new(a | 1).unwrap(),
                highest_modseq: ModSeq(u64::from(b) + 1),
                exists: b,
                unseen: c,
                deleted: a,
                bytes,
                deleted_bytes,
                keywords: words.iter().map(|w| Keyword::new(w).unwrap()).collect(),
                log_floor: ModSeq(u64::from(c)),
                ..Head::of_new(MailboxId(3), UidValidity::new(c | 1).unwrap())
            };
            let octets = encode(&head, version);
            prop_assert_eq!(decode(&octets, MailboxId(3)), Ok((head, version)));
        }

        #[test]
        fn any_octets_decode_or_are_refused(mut octets in proptest::collection::vec(any::<u8>(), 9..100)) {
            octets[8] = super::super::FORMAT;
            _ = decode(&octets, MailboxId(1));
        }
    }
}
