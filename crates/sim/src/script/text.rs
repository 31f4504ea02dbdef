//! Symbols: the octets of a script's line, with its placeholders and literals. Both what is expected and what was
//! received become symbols, so that one reader of responses serves both. Knows nothing of IMAP.

use std::collections::HashMap;

/// Octets that were defined by name: messages, and what placeholders have caught.
pub(crate) type Names = HashMap<String, Vec<u8>>;

/// One symbol of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sym {
    /// An octet.
    Octet(u8),
    /// A literal, with its octets.
    Literal(Literal),
    /// Something that varies.
    Hole(Hole),
}

/// A literal as written in a script or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    /// What it holds.
    pub octets: Vec<u8>,
    /// `~{n}` (RFC 9051 §9 `literal8`).
    pub literal8: bool,
    /// `{n+}` (RFC 7888); only ever sent.
    pub non_sync: bool,
}

/// A placeholder of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hole {
    /// `${*}`: anything.
    Any,
    /// `${name:class}`: something of that class, kept under the name; no name, not kept.
    Take(Option<String>, Class),
    /// `${name}`, `${name+1}`: what was kept, plus a number.
    Kept(String, i64),
    /// `${no:word}`: in an unordered list, a word that must not be there.
    Absent(String),
}

/// What a placeholder takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Digits.
    Number,
    /// No space, parenthesis, bracket or quote.
    Word,
    /// `date-time` without its quotes.
    Date,
    /// Anything, also nothing.
    Text,
}

impl Class {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "number" => Ok(Self::Number),
            "word" => Ok(Self::Word),
            "date" => Ok(Self::Date),
            "text" => Ok(Self::Text),
            other => Err(format!("no class {other:?}: number, word, date or text")),
        }
    }

    fn takes(self, octets: &[u8]) -> bool {
        match self {
            Self::Number => !octets.is_empty() && octets.iter().all(u8::is_ascii_digit),
            Self::Word => !octets.is_empty() && !octets.iter().any(|b| b" ()[]\"\r\n".contains(b)),
            Self::Date => is_date_time(octets),
            Self::Text => true,
        }
    }
}

/// RFC 9051 §9 `date-time`: the day is padded by a space or by zero.
fn is_date_time(octets: &[u8]) -> bool {
    let shape = b"99-Aaa-9999 99:99:99 +9999";
    octets.len() == shape.len()
        && octets.iter().zip(shape).enumerate().all(|(at, (octet, form))| match form {
            b'9' => octet.is_ascii_digit() || (at == 0 && *octet == b' '),
            b'A' => octet.is_ascii_uppercase(),
            b'a' => octet.is_ascii_lowercase(),
            b'+' => matches!(octet, b'+' | b'-'),
            other => octet == other,
        })
}

/// Reads a line of a script: octets, `${…}`, `{"…"}`, `{@name}` and their `+` and `~` forms.
pub(crate) fn parse_line(line: &str, names: &Names) -> Result<Vec<Sym>, String> {
    let mut syms = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if let Some(inside) = rest.strip_prefix("${") {
            let (hole, after) = inside.split_once('}').ok_or("a ${ without its }")?;
            parse_hole(hole, &mut syms)?;
            rest = after;
        } else if let Some((literal, after)) = parse_literal(rest, names)? {
            syms.push(Sym::Literal(literal));
            rest = after;
        } else {
            let width = first.len_utf8();
            syms.extend(rest[..width].bytes().map(Sym::Octet));
            rest = &rest[width..];
        }
    }
    Ok(syms)
}

fn parse_hole(hole: &str, syms: &mut Vec<Sym>) -> Result<(), String> {
    if hole == "*" {
        syms.push(Sym::Hole(Hole::Any));
    } else if let Some(digits) = hole.strip_prefix("hex ") {
        syms.extend(from_hex(digits)?.into_iter().map(Sym::Octet));
    } else if let Some(what) = hole.strip_prefix("repeat ") {
        let (times, text) = what.split_once(' ').ok_or("${repeat N TEXT}")?;
        let times: usize = times.parse().map_err(|_| format!("{times:?} is no number"))?;
        syms.extend(text.repeat(times).bytes().map(Sym::Octet));
    } else if let Some(word) = hole.strip_prefix("no:") {
        syms.push(Sym::Hole(Hole::Absent(word.to_owned())));
    } else if let Some((name, class)) = hole.split_once(':') {
        let name = (!name.is_empty()).then(|| name.to_owned());
        syms.push(Sym::Hole(Hole::Take(name, Class::parse(class)?)));
    } else {
        let at = hole.rfind(['+', '-']).unwrap_or(hole.len());
        let (name, delta) = hole.split_at(at);
        let delta = if delta.is_empty() { Ok(0) } else { delta.parse::<i64>() };
        syms.push(Sym::Hole(Hole::Kept(name.to_owned(), delta.map_err(|e| e.to_string())?)));
    }
    Ok(())
}

/// `{"text"}`, `{@name}`, `{@name 3+10}`, each with `~` before and `+` inside; `None` where there is no such literal.
fn parse_literal<'a>(text: &'a str, names: &Names) -> Result<Option<(Literal, &'a str)>, String> {
    let (literal8, inside) = match text.strip_prefix("~{") {
        Some(inside) => (true, inside),
        None => match text.strip_prefix('{') {
            Some(inside) => (false, inside),
            None => return Ok(None),
        },
    };
    let (non_sync, inside) = match inside.strip_prefix('+') {
        Some(inside) => (true, inside),
        None => (false, inside),
    };
    let (octets, after) = if let Some(quoted) = inside.strip_prefix('"') {
        let (octets, after) = parse_escaped(quoted)?;
        (octets, after.strip_prefix('}').ok_or("a literal {\"…\"} without its }")?)
    } else if let Some(reference) = inside.strip_prefix('@') {
        let (reference, after) = reference.split_once('}').ok_or("a literal {@name} without its }")?;
        (named(reference, names)?, after)
    } else {
        return Ok(None);
    };
    Ok(Some((Literal { octets, literal8, non_sync }, after)))
}

/// The octets of `name`, or `name 3+10`: ten of them from the fourth on; `name.header` and `name.text` are parts.
pub(crate) fn named(reference: &str, names: &Names) -> Result<Vec<u8>, String> {
    let (name, range) = match reference.split_once(' ') {
        Some((name, range)) => (name, Some(range)),
        None => (reference, None),
    };
    let octets = match names.get(name) {
        Some(octets) => octets.clone(),
        None => part_of(name, names).ok_or_else(|| format!("no octets are called {name:?}"))?,
    };
    let Some(range) = range else { return Ok(octets) };
    let (offset, length) = range.split_once('+').ok_or("a range is OFFSET+LENGTH")?;
    let offset: usize = offset.parse().map_err(|_| "a range is OFFSET+LENGTH")?;
    let length: usize = length.parse().map_err(|_| "a range is OFFSET+LENGTH")?;
    Ok(octets.into_iter().skip(offset).take(length).collect())
}

fn part_of(name: &str, names: &Names) -> Option<Vec<u8>> {
    let (name, part) = name.rsplit_once('.')?;
    let octets = names.get(name)?;
    let text_at = octets.windows(4).position(|w| w == b"\r\n\r\n").map_or(octets.len(), |at| at + 4);
    match part {
        "header" => Some(octets[..text_at].to_vec()),
        "text" => Some(octets[text_at..].to_vec()),
        _ => None,
    }
}

/// Reads up to the closing quote; `\r \n \t \0 \\ \" \xHH` as in C. Returns what follows the quote.
pub(crate) fn parse_escaped(text: &str) -> Result<(Vec<u8>, &str), String> {
    let mut octets = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((octets, &text[at + 1..])),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('r') => octets.push(b'\r'),
                Some('n') => octets.push(b'\n'),
                Some('t') => octets.push(b'\t'),
                Some('0') => octets.push(0),
                Some(c @ ('\\' | '"')) => octets.push(c as u8),
                Some('x') => octets.extend(from_hex(text.get(at + 2..at + 4).ok_or("\\xHH")?)?),
                _ => return Err("escapes are \\r \\n \\t \\0 \\\\ \\\" \\xHH".into()),
            },
            c => octets.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
        if text[at..].starts_with("\\x") {
            chars.nth(1);
        }
    }
    Err("a quoted text without its end".into())
}

fn from_hex(digits: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = digits.bytes().filter(|b| *b != b' ').collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(|p| pair(p).ok_or_else(|| format!("no hexadecimal: {p:?}"))).collect()
}

/// Turns what was received, literals inline as `{3}\r\nabc`, into symbols. The final CRLF is not part of it.
pub(crate) fn received(octets: &[u8]) -> Vec<Sym> {
    let mut syms = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        match literal_at(octets, at) {
            Some((literal8, start, end)) => {
                let octets = octets[start..end].to_vec();
                syms.push(Sym::Literal(Literal { octets, literal8, non_sync: false }));
                at = end;
            }
            None => {
                syms.push(Sym::Octet(octet));
                at += 1;
            }
        }
    }
    syms
}

/// Where the octets of the literal announced at `at` begin and end.
fn literal_at(octets: &[u8], at: usize) -> Option<(bool, usize, usize)> {
    let (literal8, rest) = match octets.get(at..)? {
        [b'~', b'{', rest @ ..] => (true, rest),
        [b'{', rest @ ..] => (false, rest),
        _ => return None,
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    rest.get(digits..)?.strip_prefix(b"}\r\n")?;
    let size: usize = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let start = octets.len() - rest.len() + digits + 3;
    (start + size <= octets.len()).then_some((literal8, start, start + size))
}

/// Whether the expected symbols (no literals) match these octets; what is caught is kept in `names`.
pub(crate) fn matches(expected: &[Sym], octets: &[u8], ignore_case: bool, names: &mut Names) -> bool {
    // Octets are compared in a loop: a literal may be long, placeholders are few.
    let plain = expected.iter().take_while(|sym| matches!(sym, Sym::Octet(_))).count();
    let Some((begin, octets)) = octets.split_at_checked(plain) else { return false };
    let same = |(sym, octet): (&Sym, &u8)| match sym {
        Sym::Octet(wanted) => wanted == octet || (ignore_case && wanted.eq_ignore_ascii_case(octet)),
        _ => false,
    };
    if !expected.iter().zip(begin).all(same) {
        return false;
    }
    let Some((Sym::Hole(hole), rest)) = expected[plain..].split_first() else {
        return expected.len() == plain && octets.is_empty();
    };
    if let Hole::Kept(name, delta) = hole {
        return kept(name, *delta, names)
            .and_then(|value| octets.strip_prefix(value.as_slice()))
            .is_some_and(|octets| matches(rest, octets, ignore_case, names));
    }
    (0..=octets.len()).rev().any(|length| {
        let (taken, octets) = octets.split_at(length);
        let fits = match hole {
            Hole::Any => true,
            Hole::Take(_, class) => class.takes(taken),
            _ => false,
        };
        if !fits || !matches(rest, octets, ignore_case, names) {
            return false;
        }
        if let Hole::Take(Some(name), _) = hole {
            names.insert(name.clone(), taken.to_vec());
        }
        true
    })
}

/// What was kept under `name`, with `delta` added when that is not 0.
pub(crate) fn kept(name: &str, delta: i64, names: &Names) -> Option<Vec<u8>> {
    let value = names.get(name)?;
    if delta == 0 {
        return Some(value.clone());
    }
    let number: i64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    Some((number + delta).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &str, octets: &str) -> Option<Names> {
        let mut names = Names::new();
        let syms = parse_line(pattern, &names).unwrap();
        matches(&syms, octets.as_bytes(), false, &mut names).then_some(names)
    }

    #[test]
    fn placeholders_take_what_they_say() {
        assert!(matched("UIDNEXT ${:number}", "UIDNEXT 4").is_some());
        assert!(matched("UIDNEXT ${:number}", "UIDNEXT x").is_none());
        assert!(matched("${*}c", "abc").is_some());
        assert_eq!(matched("${v:number}/${w:word}", "12/ab").unwrap()["w"], b"ab");
        assert!(matched("${:date}", " 1-Jan-2026 10:00:00 +0000").is_some());
        assert!(matched("${:date}", "1-Jan-2026 10:00:00 +0000").is_none());
    }

    #[test]
    fn what_was_kept_can_be_asked_for_and_counted_from() {
        let mut names = Names::from([("next".to_owned(), b"41".to_vec())]);
        let syms = parse_line("${next} ${next+1} ${next-1}", &names).unwrap();
        assert!(matches(&syms, b"41 42 40", false, &mut names));
    }

    #[test]
    fn literals_are_symbols_in_both_directions() {
        let names = Names::from([("hello".to_owned(), b"Hello, you".to_vec())]);
        let syms = parse_line("a {+\"x\\r\\n\\xff\"} ~{@hello 7+3}", &names).unwrap();
        let literal =
            |octets: &[u8], literal8, non_sync| Sym::Literal(Literal { octets: octets.to_vec(), literal8, non_sync });
        assert_eq!(syms[2], literal(b"x\r\n\xff", false, true));
        assert_eq!(syms[4], literal(b"you", true, false));
        assert_eq!(received(b"{3}\r\nabc")[0], literal(b"abc", false, false));
        assert_eq!(received(b"{3}\r\nab").len(), 7);
    }

    #[test]
    fn plain_braces_stay_text() {
        assert_eq!(parse_line("a {3}", &Names::new()).unwrap().len(), 5);
    }
}
