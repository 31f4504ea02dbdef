//! A page of the expunge history as octets.

use bytes::Bytes;
use columba_types::ModSeq;

use super::page::modseq_of;
use super::{DecodeError, Reader, Writer};
use crate::log::{LogPage, LogRange};

pub(crate) fn encode(page: &LogPage) -> Bytes {
    let mut out = Writer::plain();
    out.varint(page.ranges.len() as u64);
    out.deltas(page.ranges.iter().map(|r| r.modseq.0));
    out.deltas(page.ranges.iter().map(|r| u64::from(r.low)));
    out.values(page.ranges.iter().map(|r| u64::from(r.high - r.low)));
    out.finish()
}

/// The page stored under `key`, the modseq in its key.
pub(crate) fn decode(octets: &[u8], key: ModSeq) -> Result<LogPage, DecodeError> {
    let mut input = Reader::plain(octets)?;
    let count: usize = input.small("count")?;
    // A single commit may expunge from every second UID of a step, so there is no lower bound than this one.
    if count == 0 || count > columba_types::limits::LOG_EXPUNGED_UIDS as usize {
        return Err(DecodeError::Field("number of ranges"));
    }
    let mut modseqs = input.deltas(count)?;
    let mut lows = input.deltas(count)?;
    let mut spans = input.values(count)?;
    input.end()?;
    let (mut modseq, mut low) = (0, 0);
    let mut ranges: Vec<LogRange> = Vec::new();
    for _ in 0..count {
        let modseq = modseq_of(modseqs.next(&mut modseq)?)?;
        let low = lows.next(&mut low)?;
        let high = low.checked_add(spans.next()?).and_then(|n| u32::try_from(n).ok());
        let (Ok(low), Some(high)) = (u32::try_from(low), high) else { return Err(DecodeError::Field("UID")) };
        let last = ranges.last().map_or((key, 0), |r| (r.modseq, r.high));
        let in_order = modseq > last.0 || (modseq == last.0 && low > last.1);
        if low == 0 || !in_order {
            return Err(DecodeError::Field("order of ranges"));
        }
        ranges.push(LogRange { modseq, low, high });
    }
    Ok(LogPage { key, ranges })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn log_pages_come_back(list in proptest::collection::vec((0u64..5, 1u32..9, 0u32..9), 1..50), cut in any::<prop::sample::Index>()) {
            let mut last = LogRange { modseq: ModSeq(7), low: 0, high: 0 };
            let mut ranges = Vec::new();
            for (later, gap, span) in list {
                let low = if later == 0 { last.high + gap } else { gap };
                last = LogRange { modseq: ModSeq(last.modseq.0 + later), low, high: low + span };
                ranges.push(last);
            }
            let page = LogPage { key: ModSeq(7), ranges };
            let octets = encode(&page);
            prop_assert_eq!(decode(&octets, ModSeq(7)), Ok(page));
            prop_assert!(decode(&octets[..cut.index(octets.len())], ModSeq(7)).is_err());
        }

        #[test]
        fn any_octets_decode_or_are_refused(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            _ = decode(&octets, ModSeq(1));
        }
    }
}
