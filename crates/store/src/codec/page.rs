//! A page as octets: its records column by column.

use bytes::Bytes;
use columba_types::limits::PAGE_RECORDS;
use columba_types::{DateTime, Flags, KeywordBits, MessageId, ModSeq, SystemFlags, Uid};

use super::{DecodeError, Reader, Writer};
use crate::page::Page;
use crate::snapshot::Record;

/// Every system flag there is.
const SYSTEM_MASK: u8 = 0b1_1111;

pub(crate) fn encode(page: &Page) -> Bytes {
    let records = &page.records;
    let mut out = Writer::plain();
    out.varint(records.len() as u64);
    let mut expected = page.key;
    let gaps: Vec<u64> = records.iter().map(|r| gap(&mut expected, r.uid)).collect();
    out.values(gaps.iter().copied());
    out.deltas(records.iter().map(|r| r.modseq.0));
    encode_flags(&mut out, records);
    out.deltas(records.iter().map(|r| r.message.0));
    out.deltas(records.iter().map(|r| r.internal_date.unix_secs as u64));
    out.values(records.iter().map(|r| super::zigzag(i64::from(r.internal_date.zone_minutes))));
    out.deltas(records.iter().map(|r| r.saved_secs as u64));
    out.values(records.iter().map(|r| r.size));
    out.finish()
}

/// How far a UID is from the one that was expected, the one after the last.
fn gap(expected: &mut u32, uid: Uid) -> u64 {
    let gap = uid.value().saturating_sub(*expected);
    *expected = uid.value().saturating_add(1);
    u64::from(gap)
}

fn encode_flags(out: &mut Writer, records: &[Record]) {
    let mut pairs: Vec<Flags> = Vec::new();
    let mut indices: Vec<u64> = Vec::with_capacity(records.len());
    for record in records {
        let at = pairs.iter().position(|pair| *pair == record.flags).unwrap_or_else(|| {
            pairs.push(record.flags);
            pairs.len() - 1
        });
        indices.push(at as u64);
    }
    out.varint(pairs.len() as u64);
    for pair in pairs {
        out.u8(pair.system.0);
        out.wide_varint(pair.keywords.0);
    }
    out.values(indices.iter().copied());
}

fn decode_pairs(input: &mut Reader<'_>) -> Result<Vec<Flags>, DecodeError> {
    let count = input.count()?;
    if count > PAGE_RECORDS {
        return Err(DecodeError::Field("number of flag sets"));
    }
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let system = input.u8()?;
        if system & !SYSTEM_MASK != 0 {
            return Err(DecodeError::Field("system flag"));
        }
        pairs.push(Flags { system: SystemFlags(system), keywords: KeywordBits(input.wide_varint()?) });
    }
    Ok(pairs)
}

/// The page stored under `key`, the UID in its key.
pub(crate) fn decode(octets: &[u8], key: u32) -> Result<Page, DecodeError> {
    let mut input = Reader::plain(octets)?;
    let count: usize = input.small("count")?;
    if count == 0 || count > PAGE_RECORDS {
        return Err(DecodeError::Field("number of records"));
    }
    let mut gaps = input.values(count)?;
    let mut modseqs = input.deltas(count)?;
    let pairs = decode_pairs(&mut input)?;
    let mut indices = input.values(count)?;
    let mut messages = input.deltas(count)?;
    let mut dates = input.deltas(count)?;
    let mut zones = input.values(count)?;
    let mut saved = input.deltas(count)?;
    let mut sizes = input.values(count)?;
    input.end()?;

    let mut records = Vec::with_capacity(count);
    let mut expected = u64::from(key);
    let (mut modseq, mut message, mut date, mut saved_secs) = (0, 0, 0, 0);
    for _ in 0..count {
        let uid = expected.checked_add(gaps.next()?).and_then(|n| u32::try_from(n).ok()).and_then(Uid::new);
        let uid = uid.ok_or(DecodeError::Field("UID"))?;
        expected = u64::from(uid.value()) + 1;
        let index = usize::try_from(indices.next()?).ok();
        let flags = index.and_then(|i| pairs.get(i)).copied();
        let zone = i16::try_from(super::unzigzag(zones.next()?)).ok().filter(|zone| zone.unsigned_abs() < 24 * 60);
        records.push(Record {
            uid,
            modseq: modseq_of(modseqs.next(&mut modseq)?)?,
            flags: flags.ok_or(DecodeError::Field("flags"))?,
            message: MessageId(messages.next(&mut message)?),
            internal_date: DateTime {
                unix_secs: dates.next(&mut date)? as i64,
                zone_minutes: zone.ok_or(DecodeError::Field("zone"))?,
            },
            saved_secs: saved.next(&mut saved_secs)? as i64,
            size: sizes.next()?,
        });
    }
    Ok(Page::new(key, records))
}

/// RFC 7162 §3.1: mod-sequences have 63 bits and are never 0.
pub(super) fn modseq_of(n: u64) -> Result<ModSeq, DecodeError> {
    if n == 0 || n > i64::MAX as u64 { Err(DecodeError::Field("modseq")) } else { Ok(ModSeq(n)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records() -> impl Strategy<Value = (u32, Vec<Record>)> {
        let flags = (0u8..32, prop_oneof![Just(0u128), any::<u128>()]);
        let record = (1u32..50, 1..i64::MAX as u64, flags, any::<u64>(), any::<(i64, i64, u64)>(), -1439i16..1440);
        (1u32..1000, proptest::collection::vec(record, 1..=PAGE_RECORDS)).prop_map(|(key, list)| {
            let mut uid = key - 1;
            let record = |(gap, modseq, (system, bits), message, (date, saved_secs, size), zone_minutes)| {
                uid += gap;
                Record {
                    uid: Uid::new(uid).unwrap(),
                    modseq: ModSeq(modseq),
                    flags: Flags { system: SystemFlags(system), keywords: KeywordBits(bits) },
                    message: MessageId(message),
                    internal_date: DateTime { unix_secs: date, zone_minutes },
                    saved_secs,
                    size,
                }
            };
            (key, list.into_iter().map(record).collect())
        })
    }

    proptest! {
        #[test]
        fn pages_come_back((key, records) in records(), cut in any::<prop::sample::Index>()) {
            let page = Page::new(key, records);
            let octets = encode(&page);
            prop_assert_eq!(decode(&octets, key), Ok(page));
            prop_assert!(decode(&octets[..cut.index(octets.len())], key).is_err());
        }

        #[test]
        fn any_octets_decode_or_are_refused(
            mut octets in proptest::collection::vec(any::<u8>(), 0..300), key: u32, flip in any::<prop::sample::Index>(),
        ) {
            if let Some(first) = octets.first_mut() {
                *first = super::super::FORMAT;
            }
            _ = decode(&octets, key);
            let good = encode(&Page::new(1, vec![record(1), record(2), record(9)]));
            let mut bad = good.to_vec();
            let at = flip.index(bad.len());
            bad[at] ^= octets.len() as u8;
            if let Ok(page) = decode(&bad, 1) {
                prop_assert_eq!(decode(&encode(&page), 1), Ok(page));
            }
        }
    }

    fn record(uid: u32) -> Record {
        Record {
            uid: Uid::new(uid).unwrap(),
            modseq: ModSeq(u64::from(uid)),
            flags: Flags::NONE,
            message: MessageId(1_700_000_000_000 << 20),
            internal_date: DateTime::utc(1_700_000_000),
            saved_secs: 1_700_000_000,
            size: 4000,
        }
    }

    #[test]
    fn a_full_page_of_even_records_is_small() {
        let page = Page::new(1, (1..=128).map(record).collect());
        let len = encode(&page).len();
        assert!(len < 60, "{len}");
    }

    // Written by hand from docs/design/disk-format.md.
    #[test]
    fn a_page_is_as_the_format_page_says() {
        let mut plain = record(5);
        plain.message = MessageId(7);
        plain.internal_date = DateTime { unix_secs: 2, zone_minutes: -1 };
        plain.saved_secs = 3;
        plain.flags = Flags { system: SystemFlags::SEEN, keywords: KeywordBits(0x80) };
        let octets = [
            vec![1, 1],
            vec![0, 2],
            vec![0, 0, 0, 0, 0, 0, 0, 5, 0, 0],
            vec![1, 1, 0x80, 1, 0, 0],
            vec![0, 0, 0, 0, 0, 0, 0, 7, 0, 0],
            vec![0, 0, 0, 0, 0, 0, 0, 2, 0, 0],
            vec![0, 1],
            vec![0, 0, 0, 0, 0, 0, 0, 3, 0, 0],
            vec![0, 0xa0, 0x1f],
        ]
        .concat();
        assert_eq!(encode(&Page::new(3, vec![plain])), octets);
    }
}
