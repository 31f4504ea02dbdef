//! Sets of message numbers: as a client writes them ([`NumSet`], with `*`), and resolved ([`UidSet`]).

use std::fmt;

use crate::Uid;

/// One number of a set as written: a number or `*`, the highest one there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum SetNum {
    /// A number, never zero.
    Num(u32),
    /// `*`
    Star,
}

impl SetNum {
    /// The number it stands for when `*` is `last`.
    pub const fn resolve(self, last: u32) -> u32 {
        match self {
            Self::Num(n) => n,
            Self::Star => last,
        }
    }
}

/// One range of a set as written; a single number is a range of itself. Either end may be the higher.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct NumRange {
    /// The end written first.
    pub start: SetNum,
    /// The end written last.
    pub end: SetNum,
}

/// A `sequence-set` as a client wrote it (RFC 9051 §9): never empty; order and repeats are kept.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct NumSet(pub Vec<NumRange>);

impl NumSet {
    /// The numbers meant when `*` is `last`. `*` in an empty list (`last` 0) stands for nothing; a range `n:*`
    /// always includes `last`, also when `n` is beyond it (RFC 9051 §9 `seq-range`).
    pub fn resolve(&self, last: u32) -> UidSet {
        let mut ranges = Vec::with_capacity(self.0.len());
        for range in &self.0 {
            let (a, b) = (range.start.resolve(last), range.end.resolve(last));
            let (low, high) = (a.min(b), a.max(b));
            if high != 0 {
                ranges.push((low.max(1), high));
            }
        }
        UidSet::from_ranges(ranges)
    }

    /// Whether `*` occurs.
    pub fn has_star(&self) -> bool {
        self.0.iter().any(|r| r.start == SetNum::Star || r.end == SetNum::Star)
    }

    /// The highest number written, `*` not counted; 0 if there is none.
    pub fn highest_written(&self) -> u32 {
        self.0.iter().flat_map(|r| [r.start.resolve(0), r.end.resolve(0)]).max().unwrap_or(0)
    }
}

/// A set of non-zero 32-bit numbers as sorted, disjoint, non-touching inclusive ranges. Mostly UIDs.
#[derive(Clone, PartialEq, Eq, Default, Hash)]
pub struct UidSet(Vec<(u32, u32)>);

impl UidSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// From inclusive ranges in any order, overlapping or not. Ranges with a zero or reversed are not allowed.
    pub fn from_ranges(mut ranges: Vec<(u32, u32)>) -> Self {
        debug_assert!(ranges.iter().all(|(low, high)| *low >= 1 && low <= high));
        if ranges.windows(2).any(|w| w[0] > w[1]) {
            ranges.sort_unstable();
        }
        let mut set = Self(Vec::with_capacity(ranges.len()));
        for (low, high) in ranges {
            set.push_range(low, high);
        }
        set
    }

    /// The set of just `low..=high`.
    pub fn range(low: u32, high: u32) -> Self {
        if low == 0 || low > high { Self::new() } else { Self(vec![(low, high)]) }
    }

    /// Adds a number that is not below the start of the last range: the cheap way to build a set in order.
    pub fn push(&mut self, n: u32) {
        self.push_range(n, n);
    }

    fn push_range(&mut self, low: u32, high: u32) {
        match self.0.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => {
                debug_assert!(low >= last.0);
                last.1 = last.1.max(high);
            }
            _ => self.0.push((low, high)),
        }
    }

    /// Adds one number anywhere.
    pub fn insert(&mut self, n: u32) {
        match self.0.last() {
            Some(last) if n < last.0 => *self = self.union(&Self::range(n, n)),
            _ => self.push(n),
        }
    }

    /// How many numbers.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(low, high)| u64::from(high - low) + 1).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, rising.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// The numbers, rising.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.0.iter().flat_map(|(low, high)| *low..=*high)
    }

    /// The UIDs, rising.
    pub fn uids(&self) -> impl DoubleEndedIterator<Item = Uid> + '_ {
        self.iter().filter_map(Uid::new)
    }

    /// Whether `n` is in it, in O(log ranges).
    pub fn contains(&self, n: u32) -> bool {
        let at = self.0.partition_point(|(_, high)| *high < n);
        self.0.get(at).is_some_and(|(low, _)| *low <= n)
    }

    /// The lowest number.
    pub fn first(&self) -> Option<u32> {
        self.0.first().map(|r| r.0)
    }

    /// The highest number.
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|r| r.1)
    }

    /// The numbers in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut ranges = Vec::with_capacity(self.0.len() + other.0.len());
        ranges.extend_from_slice(&self.0);
        ranges.extend_from_slice(&other.0);
        Self::from_ranges(ranges)
    }

    /// The numbers in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut out = Vec::new();
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let (low, high) = (x.0.max(y.0), x.1.min(y.1));
            if low <= high {
                out.push((low, high));
            }
            if x.1 < y.1 {
                a.next()
            } else {
                b.next()
            };
        }
        Self(out)
    }

    /// The numbers of this set that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = Vec::with_capacity(self.0.len());
        let mut holes = other.0.iter().peekable();
        for &(low, high) in &self.0 {
            let mut from = low;
            while let Some(&&(hole_low, hole_high)) = holes.peek() {
                if hole_high < from {
                    holes.next();
                    continue;
                }
                if hole_low > high {
                    break;
                }
                if hole_low > from {
                    out.push((from, hole_low - 1));
                }
                if hole_high >= high {
                    from = 0;
                    break;
                }
                from = hole_high + 1;
            }
            if from != 0 {
                out.push((from, high));
            }
        }
        Self(out)
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        Self::from_ranges(numbers.into_iter().map(|n| (n, n)).collect())
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        uids.into_iter().map(Uid::value).collect()
    }
}

/// Prints the `sequence-set` form, `1:3,5`; nothing for the empty set, which has no form on the wire.
impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (low, high)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match low == high {
                true => write!(f, "{comma}{low}")?,
                false => write!(f, "{comma}{low}:{high}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn star(n: u32) -> NumRange {
        NumRange { start: SetNum::Num(n), end: SetNum::Star }
    }

    // RFC 9051 §9 seq-range: 559:* always includes the last message.
    #[test]
    fn a_range_to_star_includes_the_last() {
        assert_eq!(NumSet(vec![star(559)]).resolve(12).to_string(), "12:559");
        assert!(NumSet(vec![star(559)]).resolve(12).contains(12));
        assert_eq!(NumSet(vec![NumRange { start: SetNum::Star, end: SetNum::Star }]).resolve(0), UidSet::new());
    }

    #[test]
    fn prints_ranges() {
        assert_eq!([7u32, 1, 2, 3].into_iter().collect::<UidSet>().to_string(), "1:3,7");
        assert_eq!(UidSet::range(u32::MAX, u32::MAX).to_string(), "4294967295");
    }

    fn sets() -> impl Strategy<Value = (BTreeSet<u32>, BTreeSet<u32>)> {
        let set = || proptest::collection::btree_set(1u32..60, 0..40);
        (set(), set())
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set((a, b) in sets(), probe in 1u32..60) {
            let (x, y): (UidSet, UidSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert_eq!(x.len(), a.len() as u64);
            prop_assert_eq!(x.contains(probe), a.contains(&probe));
            prop_assert!(x.iter().eq(a.iter().copied()));
            prop_assert!(x.union(&y).iter().eq(a.union(&b).copied()));
            prop_assert!(x.intersection(&y).iter().eq(a.intersection(&b).copied()));
            prop_assert!(x.difference(&y).iter().eq(a.difference(&b).copied()));
            let mut grown = x.clone();
            grown.insert(probe);
            prop_assert!(grown.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0));
            prop_assert!(grown.contains(probe) && grown.len() >= x.len());
        }
    }
}
