//! X-GM-RAW: the search language of the web page, as far as it has a meaning here, as criteria of SEARCH. What looks like an
//! operator and is none is words to look for, as in the address of a web page; an operator that means nothing here, or whose
//! value cannot be read, is refused in words.

use columba_types::{Date, Flag, SystemFlags, limits};
use columba_wire::{GmLabel, RawMailbox, SearchKey};

const DAY_SECS: u32 = 24 * 60 * 60;

/// What a query asks for; an empty one asks for everything.
///
/// # Errors
/// What of it cannot be searched for, in words.
pub(super) fn criteria(query: &str) -> Result<SearchKey, String> {
    let mut rest = Rest { text: query, keys: limits::SEARCH_KEYS };
    let mut keys = Vec::new();
    while !rest.text.is_empty() {
        keys.extend(rest.group(0)?);
        // A bracket too many is none.
        if !rest.take(')') {
            rest.take('}');
        }
    }
    Ok(all(keys))
}

fn all(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.len() {
        0 => SearchKey::All,
        1 => keys.remove(0),
        _ => SearchKey::And(keys),
    }
}

/// In pairs, and pairs of pairs, so that many of them are no deep tree.
fn any(mut keys: Vec<SearchKey>) -> SearchKey {
    while keys.len() > 1 {
        let mut rest = keys.into_iter();
        let mut pairs = Vec::new();
        while let Some(one) = rest.next() {
            pairs.push(match rest.next() {
                Some(other) => SearchKey::Or(Box::new(one), Box::new(other)),
                None => one,
            });
        }
        keys = pairs;
    }
    all(keys)
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
    fn group(&mut self, depth: usize) -> Result<Vec<SearchKey>, String> {
        // What has to hold, each as its alternatives.
        let mut keys: Vec<Vec<SearchKey>> = Vec::new();
        let mut either = false;
        loop {
            self.text = self.text.trim_start();
            if self.text.is_empty() || self.text.starts_with([')', '}']) {
                return Ok(keys.into_iter().map(any).collect());
            }
            if let Some(rest) = self.text.strip_prefix("OR ") {
                self.text = rest;
                either = true;
                continue;
            }
            let Some(key) = self.term(depth)? else { continue };
            match (keys.last_mut(), std::mem::take(&mut either)) {
                (Some(before), true) => before.push(key),
                _ => keys.push(vec![key]),
            }
        }
    }

    /// `-term`, `(all of these)`, `{any of these}`, `operator:value`, `"a phrase"` or a word.
    fn term(&mut self, depth: usize) -> Result<Option<SearchKey>, String> {
        let mut not = false;
        while self.take('-') {
            not = !not;
        }
        let negated = |key| if not { SearchKey::Not(Box::new(key)) } else { key };
        for (opens, closes) in [('(', ')'), ('{', '}')] {
            if !self.take(opens) {
                continue;
            }
            if depth >= limits::NESTING_DEPTH / 4 {
                return Err("too many brackets within each other".into());
            }
            let keys = self.group(depth + 1)?;
            self.take(closes);
            let key = if opens == '{' { any(keys) } else { all(keys) };
            return Ok(Some(negated(key)));
        }
        let end = self
            .text
            .find(|c: char| c.is_whitespace() || matches!(c, ':' | '"' | ')' | '}'))
            .unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        self.text = rest;
        if word.is_empty() {
            // A colon alone is left where it stands by no operator.
            self.take(':');
            let phrase = self.value();
            return if phrase.is_empty() { Ok(None) } else { self.made(negated(SearchKey::Text(phrase.into()))) };
        }
        if !self.take(':') {
            return self.made(negated(SearchKey::Text(word.into())));
        }
        let key = self.operator(word)?;
        self.made(negated(key))
    }

    /// Counts a criterion.
    fn made(&mut self, key: SearchKey) -> Result<Option<SearchKey>, String> {
        self.keys = self.keys.checked_sub(1).ok_or("too many criteria")?;
        Ok(Some(key))
    }

    /// `operator:value`, also `operator:(all of these)` and `operator:{any of these}`.
    fn operator(&mut self, name: &str) -> Result<SearchKey, String> {
        for (opens, closes) in [('(', ')'), ('{', '}')] {
            if !self.take(opens) {
                continue;
            }
            let mut keys = Vec::new();
            loop {
                self.text = self.text.trim_start();
                if self.text.is_empty() || self.take(closes) {
                    break;
                }
                let before = self.text;
                let value = self.value();
                if !value.is_empty() {
                    keys.extend(self.made(operator(name, value)?)?);
                } else if self.text == before {
                    // The other kind of bracket.
                    self.text = self.text.get(1..).unwrap_or_default();
                }
            }
            return Ok(if opens == '{' { any(keys) } else { all(keys) });
        }
        operator(name, self.value())
    }

    /// A word or a quoted phrase.
    fn value(&mut self) -> &'a str {
        if self.take('"') {
            let (phrase, rest) = self.text.split_once('"').unwrap_or((self.text, ""));
            self.text = rest;
            return phrase;
        }
        let end = self.text.find(|c: char| c.is_whitespace() || matches!(c, ')' | '}')).unwrap_or(self.text.len());
        let (value, rest) = self.text.split_at(end);
        self.text = rest;
        value
    }
}

fn operator(name: &str, value: &str) -> Result<SearchKey, String> {
    let octets = || value.as_bytes().to_vec();
    let header = |field: &str| SearchKey::Header(field.as_bytes().to_vec(), octets());
    let name = name.to_ascii_lowercase();
    let unread = |wanted: &str| format!("{name}:{value} is no {wanted}");
    Ok(match name.as_str() {
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
        "is" => state(value).ok_or_else(|| unread("state: there are read, unread, starred and important"))?,
        "in" | "label" => label(value),
        "after" | "newer" => SearchKey::Since(date(value).ok_or_else(|| unread("date, as in 2004/04/16"))?),
        "before" | "older" => SearchKey::Before(date(value).ok_or_else(|| unread("date, as in 2004/04/16"))?),
        "older_than" => SearchKey::Older(age_secs(value).ok_or_else(|| unread("age, as in 2d, 3m, 1y"))?),
        "newer_than" => SearchKey::Younger(age_secs(value).ok_or_else(|| unread("age, as in 2d, 3m, 1y"))?),
        "larger" | "size" => SearchKey::Larger(octets_of(value).ok_or_else(|| unread("size, as in 10M"))?),
        "smaller" => SearchKey::Smaller(octets_of(value).ok_or_else(|| unread("size, as in 10M"))?),
        "has" | "category" => return Err(format!("{name}:{value} means nothing here")),
        _ => SearchKey::Text(format!("{name}:{value}").into()),
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

/// `2004/04/16` or `04/16/2004`, also with dashes.
fn date(value: &str) -> Option<Date> {
    let parts: Vec<&str> = value.split(['/', '-']).collect();
    let [year, month, day] = match parts.as_slice() {
        [year, month, day] if year.len() == 4 => [year, month, day],
        [month, day, year] if year.len() == 4 => [year, month, day],
        _ => return None,
    };
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
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

    fn is(query: &str, expected: SearchKey) {
        assert_eq!(criteria(query), Ok(expected), "{query}");
    }

    #[test]
    fn words_and_operators() {
        is("", All);
        is("one", text("one"));
        is("one \"two three\"", And(vec![text("one"), text("two three")]));
        let both = And(vec![From(b"anna".to_vec()), Header(b"Content-Type".to_vec(), b"multipart/mixed".to_vec())]);
        is("from:anna has:attachment", both);
        is("subject:\"dinner out\"", Subject(b"dinner out".to_vec()));
        is("-is:unread", Not(Box::new(Not(Box::new(Flag(super::Flag::System(SystemFlags::SEEN)))))));
        is("after:2004/04/16", Since(Date::new(2004, 4, 16).unwrap()));
        is("before:04/16/2004", Before(Date::new(2004, 4, 16).unwrap()));
        is("older_than:2d", Older(2 * DAY_SECS));
        is("larger:10M", Larger(10 << 20));
        is("in:sent", GmLabels(GmLabel::System("sent".into())));
        is("what:ever", text("what:ever"));
        is("http://example.org/", text("http://example.org/"));
    }

    #[test]
    fn all_of_them_and_any_of_them() {
        let or = |a, b| Or(Box::new(a), Box::new(b));
        is("a OR b", or(text("a"), text("b")));
        is("OR a OR b OR c", or(or(text("a"), text("b")), text("c")));
        is("{a b}", or(text("a"), text("b")));
        is("{from:a \"b c\"} d", And(vec![or(From(b"a".to_vec()), text("b c")), text("d")]));
        is("-{a b}", Not(Box::new(or(text("a"), text("b")))));
        is("(a b) -c", And(vec![And(vec![text("a"), text("b")]), Not(Box::new(text("c")))]));
        is("subject:(dinner out)", And(vec![Subject(b"dinner".to_vec()), Subject(b"out".to_vec())]));
        is("from:{a b}", or(From(b"a".to_vec()), From(b"b".to_vec())));
        is("from:(\"a b\" c", And(vec![From(b"a b".to_vec()), From(b"c".to_vec())]));
        is("a) b} c", And(vec![text("a"), text("b"), text("c")]));
    }

    #[test]
    fn what_cannot_be_searched_for_is_refused() {
        let asked =
            ["after:yesterday", "older_than:2w", "larger:much", "is:snoozed", "has:drive", "category:social", "size:"];
        for query in asked {
            assert!(criteria(query).is_err_and(|why| why.contains(query)), "{query}");
        }
        assert!(criteria(&"(".repeat(100)).is_err());
        assert!(criteria(&"a ".repeat(limits::SEARCH_KEYS + 1)).is_err());
    }

    proptest! {
        /// It ends, whatever is asked.
        #[test]
        fn takes_anything(query in "[-a-z:(){}\" ORé0-9/]{0,60}") {
            let _ = criteria(&query);
        }
    }
}
