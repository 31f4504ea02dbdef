//! The boundaries that may end the part being read, and which of them a line is.

use crate::header::trim_end;

/// What a line that begins with `--` does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Delimiter {
    /// The open multipart it belongs to, by its place in the stack of open parts.
    pub(crate) level: usize,
    /// Whether it is the last one, with `--` behind it.
    pub(crate) closes: bool,
}

/// Boundaries of the open multiparts, sorted, so that a line costs a few comparisons however many are open.
#[derive(Debug, Default)]
pub(crate) struct Boundaries {
    /// Sorted by boundary, then level.
    sorted: Vec<(Vec<u8>, usize)>,
    /// A bit for each octet that a boundary begins with: most lines are dismissed by it.
    firsts: [u64; 4],
}

impl Boundaries {
    /// Whether no multipart is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// A multipart begins at that level of the stack.
    pub(crate) fn open(&mut self, boundary: Vec<u8>, level: usize) {
        let entry = (boundary, level);
        let at = self.sorted.partition_point(|other| *other < entry);
        self.sorted.insert(at, entry);
        self.note_firsts();
    }

    /// All multiparts at that level and above have ended.
    pub(crate) fn close_from(&mut self, level: usize) {
        let before = self.sorted.len();
        self.sorted.retain(|(_, at)| *at < level);
        if self.sorted.len() < before {
            self.note_firsts();
        }
    }

    /// Nothing ends anything any more.
    pub(crate) fn clear(&mut self) {
        self.sorted.clear();
        self.note_firsts();
    }

    fn note_firsts(&mut self) {
        self.firsts = [0; 4];
        for first in self.sorted.iter().filter_map(|(boundary, _)| boundary.first()) {
            self.firsts[usize::from(first >> 6)] |= 1 << (first & 63);
        }
    }

    /// Whether a line that begins with these octets may be a delimiter; a quick answer, wrong only towards yes.
    pub(crate) fn may_begin_line(&self, start: &[u8]) -> bool {
        match start {
            [b'-', b'-', first, ..] => self.may_begin_with(*first),
            _ => matches!(start, [] | [b'-'] | [b'-', b'-']),
        }
    }

    fn may_begin_with(&self, first: u8) -> bool {
        self.firsts[usize::from(first >> 6)] & 1 << (first & 63) != 0
    }

    /// Which delimiter a line is, given without its line end.
    // RFC 2046 §5.1.1: `--` boundary [`--`] white space. The boundary need only be a prefix of the line; a line that is a
    // boundary as a whole is preferred to one that only begins with one, and then the longest, then the innermost.
    pub(crate) fn find(&self, line: &[u8]) -> Option<Delimiter> {
        let rest = line.strip_prefix(b"--").filter(|rest| rest.first().is_some_and(|b| self.may_begin_with(*b)))?;
        let whole = trim_end(rest);
        if let Some(level) = self.exact(whole) {
            return Some(Delimiter { level, closes: false });
        }
        if let Some(level) = whole.strip_suffix(b"--").and_then(|boundary| self.exact(boundary)) {
            return Some(Delimiter { level, closes: true });
        }
        let (boundary, level) = self.longest_prefix(rest)?;
        let closes = rest.get(boundary.len()..).is_some_and(|after| after.starts_with(b"--"));
        Some(Delimiter { level, closes })
    }

    /// The innermost level with that boundary.
    fn exact(&self, boundary: &[u8]) -> Option<usize> {
        let after = self.sorted.partition_point(|(other, _)| other.as_slice() <= boundary);
        let (other, level) = self.sorted.get(after.checked_sub(1)?)?;
        (other == boundary).then_some(*level)
    }

    /// The longest boundary that `line` begins with.
    fn longest_prefix(&self, line: &[u8]) -> Option<(&[u8], usize)> {
        let mut upto = self.sorted.partition_point(|(other, _)| other.as_slice() <= line);
        // The nearest boundary before the line need not be a prefix of it, but shares more with it than any other; so
        // the prefixes of the line are among the prefixes of what they share.
        let mut shared = line;
        while let Some((other, level)) = self.sorted.get(..upto)?.last() {
            let common = shared.iter().zip(other).take_while(|(a, b)| a == b).count();
            if common == other.len() {
                return Some((other, *level));
            }
            if common == 0 {
                return None;
            }
            shared = shared.get(..common)?;
            upto = self.sorted.partition_point(|(other, _)| other.as_slice() <= shared);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(list: &[&str]) -> Boundaries {
        let mut boundaries = Boundaries::default();
        for (level, boundary) in list.iter().enumerate() {
            boundaries.open(boundary.as_bytes().to_vec(), level);
        }
        boundaries
    }

    fn found(boundaries: &Boundaries, line: &str) -> Option<(usize, bool)> {
        boundaries.find(line.as_bytes()).map(|d| (d.level, d.closes))
    }

    // RFC 2046 §5.1.1
    #[test]
    fn lines_that_are_delimiters() {
        let one = of(&["abc"]);
        assert_eq!(found(&one, "--abc"), Some((0, false)));
        assert_eq!(found(&one, "--abc--"), Some((0, true)));
        assert_eq!(found(&one, "--abc \t"), Some((0, false)));
        assert_eq!(found(&one, "--abc--  "), Some((0, true)));
        assert_eq!(found(&one, "--abcdef"), Some((0, false)));
        assert_eq!(found(&one, "--abc--def"), Some((0, true)));
        for other in ["abc", "-abc", "--ab", "-- abc", "--ABC", "--", ""] {
            assert_eq!(found(&one, other), None, "{other}");
        }
    }

    #[test]
    fn the_longest_then_the_innermost_wins() {
        let many = of(&["a", "ab", "ab-", "ab", "abc"]);
        assert_eq!(found(&many, "--a"), Some((0, false)));
        assert_eq!(found(&many, "--ab"), Some((3, false)));
        assert_eq!(found(&many, "--ab--"), Some((3, true)));
        assert_eq!(found(&many, "--ab-"), Some((2, false)));
        assert_eq!(found(&many, "--abd"), Some((3, false)));
        assert_eq!(found(&many, "--ax"), Some((0, false)));
        assert_eq!(found(&many, "--abcz"), Some((4, false)));
    }

    proptest! {
        #[test]
        fn agrees_with_trying_each(list in proptest::collection::vec("[ab]{1,5}", 0..8), line in "--[ab]{0,7}") {
            let names: Vec<&str> = list.iter().map(String::as_str).collect();
            let rest = line.get(2..).unwrap();
            let best = names.iter().enumerate().filter(|(_, b)| rest.starts_with(**b)).max_by_key(|(level, b)| (b.len(), *level));
            prop_assert_eq!(found(&of(&names), &line).map(|(level, _)| level), best.map(|(level, _)| level));
        }
    }
}
