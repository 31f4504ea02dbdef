//! X-GM-RAW: the search language of the web page, as far as it has a meaning here, as criteria of SEARCH. It never fails:
//! what it does not know it takes for words to look for.

use columba_types::{Date, Flag, SystemFlags, limits};
use columba_wire::{GmLabel, RawMailbox, SearchKey};

const DAY_SECS: u32 = 24 * 60 * 60;

/// What a query asks for; nothing for an empty one is everything.
pub(super) fn criteria(query: &str) -> SearchKey {
    let mut rest = Rest { text: query, keys: limits::SEARCH_KEYS };
    let mut keys = Vec::new();
    while !rest.text.is_empty() && rest.keys > 0 {
        keys.extend(rest.group(0));
        // A bracket too many is none.
        rest.take(')');
    }
    all(keys)
}

fn all(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.len() {
        0 => SearchKey::All,
        1 => keys.remove(0),
        _ => SearchKey::And(keys),
    }
}

/// What of the query was not read yet.
struct Rest<'a> {
    text: &'a str,
    /// Criteria that may still be made.
    keys: usize,
}

impl<'a> Rest<'a> {
    fn take(&mut self, c: char) -> bool {
        let rest = self.text.strip_prefix(c);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    /// Terms up to a closing bracket: all of them, but `OR` between two means either.
    fn group(&mut self, depth: usize) -> Vec<SearchKey> {
        let mut keys: Vec<SearchKey> = Vec::new();
        let mut either = false;
        loop {
            self.text = self.text.trim_start();
            if self.text.is_empty() || self.text.starts_with(')') || self.keys == 0 {
                return keys;
            }
            if let Some(rest) = self.text.strip_prefix("OR ") {
                self.text = rest;
                either = !keys.is_empty();
                continue;
            }
            let Some(key) = self.term(depth) else { continue };
            self.keys -= 1;
            if std::mem::take(&mut either)
                && let Some(before) = keys.pop()
            {
                keys.push(SearchKey::Or(Box::new(before), Box::new(key)));
            } else {
                keys.push(key);
            }
        }
    }

    /// `-term`, `(terms)`, `operator:value`, `"a phrase"` or a word.
    fn term(&mut self, depth: usize) -> Option<SearchKey> {
        if self.take('-') {
            let key = self.term(depth)?;
            return Some(SearchKey::Not(Box::new(key)));
        }
        if self.take('(') {
            return (depth < limits::NESTING_DEPTH / 4).then(|| {
                let key = all(self.group(depth + 1));
                self.take(')');
                key
            });
        }
        let end =
            self.text.find(|c: char| c.is_whitespace() || matches!(c, ':' | '"' | ')')).unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        self.text = rest;
        if word.is_empty() {
            let phrase = self.value();
            return (!phrase.is_empty()).then(|| SearchKey::Text(phrase.into()));
        }
        if !self.take(':') {
            return Some(SearchKey::Text(word.into()));
        }
        let value = self.value();
        Some(operator(word, value).unwrap_or_else(|| SearchKey::Text(format!("{word}:{value}").into())))
    }

    /// A word, a quoted phrase, or what stands in brackets.
    fn value(&mut self) -> &'a str {
        let (closing, begin) = match self.text.chars().next() {
            Some('"') => ('"', 1),
            Some('(') => (')', 1),
            _ => (' ', 0),
        };
        let text = self.text.get(begin..).unwrap_or_default();
        let ends = |c: char| c == closing || begin == 0 && (c.is_whitespace() || c == ')');
        let end = text.find(ends).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        self.text = if begin == 1 { rest.strip_prefix(closing).unwrap_or(rest) } else { rest };
        // A colon alone is left where it stands by no value.
        if value.is_empty() && begin == 0 {
            let mut chars = self.text.chars();
            chars.next();
            self.text = chars.as_str();
        }
        value
    }
}

fn operator(name: &str, value: &str) -> Option<SearchKey> {
    let octets = || value.as_bytes().to_vec();
    let header = |field: &str| SearchKey::Header(field.as_bytes().to_vec(), octets());
    Some(match name.to_ascii_lowercase().as_str() {
        "from" => SearchKey::From(octets()),
        "to" => SearchKey::To(octets()),
        "cc" => SearchKey::Cc(octets()),
        "bcc" => SearchKey::Bcc(octets()),
        "subject" => SearchKey::Subject(octets()),
        "list" => header("List-Id"),
        "deliveredto" => header("Delivered-To"),
        "rfc822msgid" => header("Message-ID"),
        "filename" => SearchKey::Text(octets()),
        "has" if value.eq_ignore_ascii_case("attachment") => {
            SearchKey::Header(b"Content-Type".to_vec(), b"multipart/mixed".to_vec())
        }
        "is" => return state(value),
        "in" | "label" => return Some(label(value)),
        "after" | "newer" => SearchKey::Since(date(value)?),
        "before" | "older" => SearchKey::Before(date(value)?),
        "older_than" => SearchKey::Older(age_secs(value)?),
        "newer_than" => SearchKey::Younger(age_secs(value)?),
        "larger" | "size" => SearchKey::Larger(octets_of(value)?),
        "smaller" => SearchKey::Smaller(octets_of(value)?),
        _ => return None,
    })
}

fn state(value: &str) -> Option<SearchKey> {
    let has = |flag| SearchKey::Flag(Flag::System(flag));
    Some(match value.to_ascii_lowercase().as_str() {
        "read" => has(SystemFlags::SEEN),
        "unread" => SearchKey::Not(Box::new(has(SystemFlags::SEEN))),
        "starred" => has(SystemFlags::FLAGGED),
        "important" => SearchKey::Flag(Flag::parse("$Important").ok()?),
        _ => return None,
    })
}

fn label(value: &str) -> SearchKey {
    match value.to_ascii_lowercase().as_str() {
        "anywhere" | "all" => SearchKey::All,
        name @ ("inbox" | "sent" | "drafts" | "draft" | "trash" | "spam" | "junk" | "important") => {
            SearchKey::GmLabels(GmLabel::System(name.into()))
        }
        // Names come as this client writes them, in whichever form.
        _ => SearchKey::GmLabels(GmLabel::Name(RawMailbox(value.into()))),
    }
}

/// `2004/04/16`, also with dashes.
fn date(value: &str) -> Option<Date> {
    let mut parts = value.split(['/', '-']);
    let (year, month, day) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Date::new(year, month, day).filter(|_| parts.next().is_none())
}

/// `3d`, `2m`, `1y`
fn age_secs(value: &str) -> Option<u32> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let days: u32 = match unit {
        "d" => 1,
        "m" => 30,
        "y" => 365,
        _ => return None,
    };
    digits.parse::<u32>().ok()?.checked_mul(days)?.checked_mul(DAY_SECS).filter(|secs| *secs > 0)
}

/// `5000`, `10K`, `2M`
fn octets_of(value: &str) -> Option<u64> {
    let factor = match value.bytes().last()?.to_ascii_uppercase() {
        b'K' => 1 << 10,
        b'M' => 1 << 20,
        _ => 1_u64,
    };
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use SearchKey::*;
    use proptest::prelude::*;

    fn text(word: &str) -> SearchKey {
        Text(word.into())
    }

    #[test]
    fn words_and_operators() {
        assert_eq!(criteria(""), All);
        assert_eq!(criteria("one"), text("one"));
        assert_eq!(criteria("one \"two three\""), And(vec![text("one"), text("two three")]));
        let both = And(vec![From(b"anna".to_vec()), Header(b"Content-Type".to_vec(), b"multipart/mixed".to_vec())]);
        assert_eq!(criteria("from:anna has:attachment"), both);
        assert_eq!(criteria("subject:(dinner out)"), Subject(b"dinner out".to_vec()));
        assert_eq!(criteria("-is:unread"), Not(Box::new(Not(Box::new(Flag(super::Flag::System(SystemFlags::SEEN)))))));
        assert_eq!(criteria("a OR b"), Or(Box::new(text("a")), Box::new(text("b"))));
        assert_eq!(criteria("(a b) -c"), And(vec![And(vec![text("a"), text("b")]), Not(Box::new(text("c")))]));
        assert_eq!(criteria("after:2004/04/16"), Since(Date::new(2004, 4, 16).unwrap()));
        assert_eq!(criteria("older_than:2d"), Older(2 * DAY_SECS));
        assert_eq!(criteria("larger:10M"), Larger(10 << 20));
        assert_eq!(criteria("in:sent"), GmLabels(GmLabel::System("sent".into())));
        assert_eq!(criteria("what:ever"), text("what:ever"));
        assert_eq!(criteria("after:yesterday"), text("after:yesterday"));
    }

    proptest! {
        /// It ends, and never fails, whatever is asked.
        #[test]
        fn takes_anything(query in "[-a-z:()\" ORé0-9/]{0,60}") {
            criteria(&query);
        }
    }
}
