//! Parts of a set of messages: pieces by position (RFC 9394), and as many as one command may be about (RFC 9738). It knows numbers
//! only.

use columba_types::{Uid, UidSet};
use columba_wire::{Code, PartialRange};

/// The UIDs in a range of positions (RFC 9394 §3.1).
pub(crate) fn within(range: PartialRange, uids: &UidSet) -> UidSet {
    let (low, high) = (u64::from(range.first.min(range.last)), u64::from(range.first.max(range.last)));
    let count = uids.len();
    // As positions from the lowest UID, counted from 0; the second is the one after the last.
    let (from, to) = match range.from_end {
        false => (low - 1, high.min(count)),
        true => (count.saturating_sub(high), (count + 1).saturating_sub(low)),
    };
    let mut found = Vec::new();
    let mut before = 0;
    for &(first, last) in uids.ranges() {
        let len = u64::from(last - first) + 1;
        let (begin, end) = (from.max(before), to.min(before + len));
        if begin < end {
            // Both fit: they are positions within this range of 32-bit numbers.
            found.push((first + (begin - before) as u32, first + (end - before - 1) as u32));
        }
        before += len;
    }
    UidSet::from_ranges(found)
}

/// The highest of these UIDs, as many as one command may be about, and, if some had to be left out, the code that says so: the
/// client goes on below the UID it names (RFC 9738 §3.1).
pub(crate) fn within_limit(limit: Option<u32>, uids: UidSet) -> (UidSet, Option<Code>) {
    match limit {
        Some(limit) if uids.len() > u64::from(limit) => {
            let highest = within(PartialRange { first: 1, last: limit, from_end: true }, &uids);
            let lowest = highest.first().and_then(Uid::new);
            (highest, Some(Code::MessageLimit { limit, lowest }))
        }
        _ => (uids, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // RFC 9394 §3.1: as if all were listed and a piece cut out of the list.
        #[test]
        fn a_range_is_a_piece_of_the_list(
            uids: std::collections::BTreeSet<u8>,
            first in 1u32..40,
            last in 1u32..40,
            from_end: bool,
        ) {
            let all: Vec<u32> = uids.iter().map(|uid| u32::from(*uid) + 1).collect();
            let (low, high) = (first.min(last) as usize, first.max(last) as usize);
            let mut listed = all.clone();
            if from_end {
                listed.reverse();
            }
            let mut piece: Vec<u32> = listed.into_iter().skip(low - 1).take(high - low + 1).collect();
            piece.sort_unstable();
            let cut = within(PartialRange { first, last, from_end }, &all.into_iter().collect());
            prop_assert_eq!(cut.iter().collect::<Vec<_>>(), piece);
        }
    }
}
