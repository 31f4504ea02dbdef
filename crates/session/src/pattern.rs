//! LIST patterns: `*` matches anything, `%` anything but the separator (RFC 9051 §6.3.9).

use columba_types::SEPARATOR;
use unicode_normalization::UnicodeNormalization as _;

/// A pattern in UTF-8, joined with its reference.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// With INBOX in capitals where it is the first component.
    text: Vec<char>,
}

impl Pattern {
    /// A pattern that begins with the separator stands for itself; else the reference comes before it, as it is
    /// (RFC 9051 §6.3.9 leaves this to the server).
    pub(crate) fn new(reference: &str, pattern: &str) -> Self {
        // Names are kept in NFC, and a client may write them in any form (RFC 9051 §5.1).
        let joined: String = format!("{reference}{pattern}").nfc().collect();
        let first = joined.split(SEPARATOR).next().unwrap_or_default();
        let text = match first.eq_ignore_ascii_case("INBOX") {
            true => format!("INBOX{}", &joined[first.len()..]),
            false => joined,
        };
        let mut text: Vec<char> = text.chars().collect();
        // `**` says nothing that `*` does not, and `*%` neither.
        text.dedup_by(|b, a| *a == '*' && (*b == '*' || *b == '%'));
        Self { text }
    }

    pub(crate) fn ends_in_percent(&self) -> bool {
        self.text.last() == Some(&'%')
    }

    /// Time is at most the product of both lengths, whatever the pattern: a row of states, no recursion.
    pub(crate) fn matches(&self, name: &str) -> bool {
        // states[i]: the first i characters of the pattern have matched what was read so far.
        let mut states = vec![false; self.text.len() + 1];
        states[0] = true;
        self.skip_wildcards(&mut states);
        for (at, c) in name.chars().enumerate() {
            let mut next = vec![false; states.len()];
            for (i, wanted) in self.text.iter().enumerate().filter(|(i, _)| states[*i]) {
                match wanted {
                    '*' => next[i] = true,
                    '%' => next[i] |= c != SEPARATOR,
                    // INBOX is the same in any case, where it is the first component.
                    _ => next[i + 1] |= *wanted == c || (at < 5 && self.is_inbox_char(i, *wanted, c, name)),
                }
            }
            self.skip_wildcards(&mut next);
            states = next;
        }
        states[self.text.len()]
    }

    /// A wildcard matches nothing as well.
    fn skip_wildcards(&self, states: &mut [bool]) {
        for (i, wanted) in self.text.iter().enumerate() {
            if states[i] && matches!(wanted, '*' | '%') {
                states[i + 1] = true;
            }
        }
    }

    /// `inb%` has to find INBOX too.
    fn is_inbox_char(&self, i: usize, wanted: char, c: char, name: &str) -> bool {
        let in_inbox = name == "INBOX" || name.starts_with("INBOX/");
        in_inbox && i < 5 && wanted.eq_ignore_ascii_case(&c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new("", pattern).matches(name)
    }

    #[test]
    fn percent_stops_at_the_separator_and_star_does_not() {
        assert!(matches("*", "a/b/c") && matches("a/*", "a/b/c") && matches("*c", "a/b/c"));
        assert!(matches("%", "a") && !matches("%", "a/b") && matches("%/%", "a/b") && matches("a/%", "a/b"));
        assert!(!matches("a/%", "a") && !matches("a", "ab") && matches("a*b*c", "a/xb/c"));
    }

    // RFC 9051 §5.1: INBOX is the same in any case.
    #[test]
    fn inbox_matches_in_any_case() {
        assert!(matches("inbox", "INBOX") && matches("inBOX/%", "INBOX/x") && matches("in%", "INBOX"));
        assert!(!matches("inboxes", "INBOX") && !matches("a/inbox", "a/INBOX"));
    }

    #[test]
    fn a_decomposed_pattern_finds_a_composed_name() {
        assert!(matches("cafe\u{301}", "caf\u{e9}") && matches("cafe\u{301}%", "caf\u{e9}s"));
    }

    #[test]
    fn the_reference_comes_before_the_pattern() {
        assert!(Pattern::new("a/", "%").matches("a/b"));
        assert!(!Pattern::new("a/", "%").matches("b"));
    }

    /// The obvious way, exponential in the worst case.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some('*'), _) => naive(&pattern[1..], name) || (!name.is_empty() && naive(pattern, &name[1..])),
            (Some('%'), c) => {
                naive(&pattern[1..], name) || (c.is_some_and(|c| *c != '/') && naive(pattern, &name[1..]))
            }
            (Some(p), Some(c)) => p == c && naive(&pattern[1..], &name[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_obvious_way(pattern in "[ab/%*]{0,8}", name in "[ab/]{0,10}") {
            let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(matches(&pattern, &name), naive(&p, &n));
        }
    }
}
