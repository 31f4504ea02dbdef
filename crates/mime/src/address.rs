//! RFC 5322 address lists, with the obsolete forms and with patience for what is really out there.
//!
//! Decisions where the RFC is silent: an address without `@` has its text as mailbox and an empty host (NIL would make
//! it a group); words before a bare `a@b` are its name; a comment is the name if there is no other; an unclosed quote,
//! comment or angle bracket is closed where the address ends.

use std::borrow::Cow;

use columba_types::limits::ENVELOPE_ADDRESSES;

use crate::header::is_space;

/// One element of an ENVELOPE address list (RFC 9051 §7.5.2), raw octets with the quoting removed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Address {
    /// Display name.
    pub name: Option<Vec<u8>>,
    /// Source route, `@a,@b`.
    pub route: Option<Vec<u8>>,
    /// Local part; the name of a group at its start; `None` at its end.
    pub mailbox: Option<Vec<u8>>,
    /// Domain; empty if there was none; `None` marks the start or end of a group.
    pub host: Option<Vec<u8>>,
}

/// Reads a whole unfolded address list; never fails, and gives `ENVELOPE_ADDRESSES` elements at most.
pub fn parse_addresses(value: &[u8]) -> Vec<Address> {
    let mut list = List { in_group: false, out: Vec::new() };
    let mut lexer = Lexer { value, at: 0, no_quote_closes: false, no_comment_closes: false };
    let mut item = Item::default();
    // One element is kept free for the end of an open group.
    while list.out.len() + 1 < ENVELOPE_ADDRESSES {
        let Some(token) = lexer.next() else { break };
        match token.text {
            Text::Special(b',') if !item.in_route => list.push(&mut item),
            Text::Special(b';') => {
                list.push(&mut item);
                list.end_group();
            }
            Text::Special(b':') if item.angle.is_none() && !list.in_group && !item.has_at => {
                list.begin_group(&mut item);
            }
            Text::Special(b'<') if item.angle.is_none() => item.angle = Some(Vec::new()),
            Text::Special(b'>') => item.close(),
            Text::Comment(text) => item.comment = Some(text.into_owned()),
            _ if item.closed => {}
            _ => item.push(token),
        }
    }
    list.push(&mut item);
    list.end_group();
    list.out
}

/// A piece of the value.
#[derive(Debug)]
struct Token<'a> {
    text: Text<'a>,
    /// Whether white space or a comment stands before it.
    spaced: bool,
}

#[derive(Debug)]
enum Text<'a> {
    /// An atom with its dots, a domain literal, or an encoded-word.
    Atom(&'a [u8]),
    /// A quoted string without its quotes.
    Quoted(Cow<'a, [u8]>),
    Comment(Cow<'a, [u8]>),
    /// One of `<>,;:@`
    Special(u8),
}

impl Token<'_> {
    fn octets(&self) -> &[u8] {
        match &self.text {
            Text::Atom(text) => text,
            Text::Quoted(text) | Text::Comment(text) => text,
            Text::Special(byte) => std::slice::from_ref(byte),
        }
    }

    fn is(&self, special: u8) -> bool {
        matches!(self.text, Text::Special(byte) if byte == special)
    }
}

struct Lexer<'a> {
    value: &'a [u8],
    at: usize,
    /// Once a quote was found to be unclosed no later one is looked at, or each would cost the rest of the value.
    no_quote_closes: bool,
    no_comment_closes: bool,
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let mut spaced = false;
        loop {
            let rest = self.value.get(self.at..)?;
            let first = *rest.first()?;
            let (text, length) = match first {
                _ if is_space(first) => {
                    spaced = true;
                    self.at += 1;
                    continue;
                }
                b'"' => match self.delimited(rest, quoted_end) {
                    Some((inner, length)) => (Text::Quoted(inner), length),
                    None => {
                        self.at += 1;
                        continue;
                    }
                },
                b'(' => match self.delimited(rest, comment_end) {
                    Some((inner, length)) => (Text::Comment(inner), length),
                    None => {
                        self.at += 1;
                        continue;
                    }
                },
                b'<' | b'>' | b',' | b';' | b':' | b'@' => (Text::Special(first), 1),
                _ => {
                    let length = atom_length(rest);
                    (Text::Atom(rest.get(..length)?), length)
                }
            };
            self.at += length;
            return Some(Token { text, spaced });
        }
    }
}

impl<'a> Lexer<'a> {
    /// The inside of a quoted string or comment, and the length of it all; `None` if it is never closed.
    fn delimited(&mut self, rest: &'a [u8], end: fn(&[u8]) -> Option<usize>) -> Option<(Cow<'a, [u8]>, usize)> {
        let quote = rest.first() == Some(&b'"');
        let known_open = if quote { &mut self.no_quote_closes } else { &mut self.no_comment_closes };
        let length = if *known_open { None } else { end(rest) };
        *known_open = length.is_none();
        let length = length?;
        Some((unescaped(rest.get(1..length - 1)?), length))
    }
}

/// Length of the quoted string at the start, quotes included.
fn quoted_end(rest: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match rest.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// Length of the comment at the start with all that nest in it.
fn comment_end(rest: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0usize);
    loop {
        match rest.get(at)? {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.extend(bytes.next()),
            _ => out.push(*byte),
        }
    }
    Cow::Owned(out)
}

/// Length of the atom at the start; one octet at least.
fn atom_length(rest: &[u8]) -> usize {
    if let Some(length) = encoded_word_length(rest) {
        return length;
    }
    // RFC 5322 §3.4.1: a domain literal.
    if rest.first() == Some(&b'[')
        && let Some(end) = rest.iter().position(|b| matches!(b, b']' | b'<' | b'>' | b','))
        && rest.get(end) == Some(&b']')
    {
        return end + 1;
    }
    let ends = |b: &u8| is_space(*b) || b"\"(<>,;:@".contains(b);
    rest.iter().skip(1).position(ends).map_or(rest.len(), |at| at + 1)
}

/// An encoded-word in a phrase is one atom, also when a careless mailer left commas or brackets in it.
fn encoded_word_length(rest: &[u8]) -> Option<usize> {
    // RFC 2047 §2: 75 octets; some write far longer ones.
    const WORD_BYTES: usize = 1000;
    let word = rest.get(..rest.len().min(WORD_BYTES)).filter(|w| w.starts_with(b"=?"))?;
    let word = word.get(..word.iter().position(|b| is_space(*b)).unwrap_or(word.len()))?;
    let charset = 2 + word.get(2..)?.iter().position(|b| *b == b'?')?;
    match word.get(charset..charset + 3)? {
        [b'?', b'q' | b'Q' | b'b' | b'B', b'?'] => {}
        _ => return None,
    }
    memchr::memmem::find(word.get(charset + 3..)?, b"?=").map(|at| charset + 3 + at + 2)
}

/// What stands between two commas.
#[derive(Default)]
struct Item<'a> {
    outside: Vec<Token<'a>>,
    /// What stands between `<` and `>`.
    angle: Option<Vec<Token<'a>>>,
    closed: bool,
    /// Whether an `@` stands outside of the angle brackets.
    has_at: bool,
    /// Inside a source route commas separate domains (RFC 5322 §4.4 `obs-route`).
    in_route: bool,
    comment: Option<Vec<u8>>,
}

impl<'a> Item<'a> {
    /// Forgets the address before, but keeps its memory for the next one.
    fn begin(&mut self) {
        let mut outside = std::mem::take(&mut self.outside);
        outside.clear();
        *self = Self { outside, ..Self::default() };
    }

    fn push(&mut self, token: Token<'a>) {
        match &mut self.angle {
            Some(angle) => {
                self.in_route = if angle.is_empty() { token.is(b'@') } else { self.in_route && !token.is(b':') };
                angle.push(token);
            }
            None => {
                self.has_at |= token.is(b'@');
                self.outside.push(token);
            }
        }
    }

    fn close(&mut self) {
        self.closed |= self.angle.is_some();
        self.in_route = false;
    }
}

struct List {
    in_group: bool,
    out: Vec<Address>,
}

impl List {
    fn begin_group(&mut self, item: &mut Item<'_>) {
        self.in_group = true;
        self.out.push(Address { mailbox: Some(phrase(&item.outside)), ..Address::default() });
        item.begin();
    }

    fn end_group(&mut self) {
        if std::mem::take(&mut self.in_group) {
            self.out.push(Address::default());
        }
    }

    fn push(&mut self, item: &mut Item<'_>) {
        let mut address = match &item.angle {
            Some(angle) => {
                let mut address = in_angle(angle);
                address.name = Some(phrase(&item.outside));
                address
            }
            None if item.outside.is_empty() => return item.begin(),
            None => bare(&item.outside),
        };
        address.name = address.name.filter(|name| !name.is_empty()).or(item.comment.take());
        self.out.push(address);
        item.begin();
    }
}

/// `[@route:]local@domain`
fn in_angle(tokens: &[Token<'_>]) -> Address {
    let mut tokens = tokens;
    let mut route = None;
    if tokens.first().is_some_and(|t| t.is(b'@'))
        && let Some(colon) = tokens.iter().position(|t| t.is(b':'))
    {
        route = tokens.get(..colon).map(joined);
        tokens = tokens.get(colon + 1..).unwrap_or_default();
    }
    let (local, domain) = at_last_at(tokens);
    let host = domain.map(joined).unwrap_or_default();
    Address { name: None, route, mailbox: Some(addr_text(local)), host: Some(host) }
}

/// `[words] local@domain [rubbish]` without angle brackets, or just words.
fn bare(tokens: &[Token<'_>]) -> Address {
    let (before, domain) = at_last_at(tokens);
    let Some(domain) = domain else {
        return Address { mailbox: Some(phrase(tokens)), host: Some(Vec::new()), ..Address::default() };
    };
    // RFC 5322 §4.4: the obsolete local part and domain may have white space around their dots.
    let local_at = (1..before.len()).rev().find(|at| !joins(before, *at)).unwrap_or(0);
    let (name, local) = before.split_at_checked(local_at).unwrap_or((&[], before));
    let domain_end = (1..domain.len()).find(|at| !joins(domain, *at)).unwrap_or(domain.len());
    let host = joined(domain.get(..domain_end).unwrap_or_default());
    Address { name: Some(phrase(name)), route: None, mailbox: Some(addr_text(local)), host: Some(host) }
}

fn at_last_at<'t, 'a>(tokens: &'t [Token<'a>]) -> (&'t [Token<'a>], Option<&'t [Token<'a>]>) {
    match tokens.iter().rposition(|t| t.is(b'@')) {
        Some(at) => (tokens.get(..at).unwrap_or_default(), tokens.get(at + 1..)),
        None => (tokens, None),
    }
}

/// Whether the token at `at` goes on with the one before it: no space between them, or a dot on either side of it.
fn joins(tokens: &[Token<'_>], at: usize) -> bool {
    let dot_before = matches!(at.checked_sub(1).and_then(|b| tokens.get(b)), Some(Token { text: Text::Atom(text), .. }) if text.ends_with(b"."));
    tokens.get(at).is_none_or(|token| {
        !token.spaced || dot_before || matches!(token.text, Text::Atom(text) if text.starts_with(b"."))
    })
}

fn joined(tokens: &[Token<'_>]) -> Vec<u8> {
    tokens.iter().flat_map(Token::octets).copied().collect()
}

/// A local part: white space around dots goes, other white space stays, as one space.
fn addr_text(tokens: &[Token<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if at > 0 && !joins(tokens, at) {
            out.push(b' ');
        }
        out.extend_from_slice(token.octets());
    }
    out
}

/// The words of a display name, with one space where there was any.
fn phrase(tokens: &[Token<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if at > 0 && token.spaced {
            out.push(b' ');
        }
        out.extend_from_slice(token.octets());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `name|route|mailbox|host`, `-` for NIL.
    fn shown(value: &str) -> Vec<String> {
        let part = |p: &Option<Vec<u8>>| p.as_ref().map_or("-".to_owned(), |p| String::from_utf8_lossy(p).into_owned());
        let line = |a: &Address| [part(&a.name), part(&a.route), part(&a.mailbox), part(&a.host)].join("|");
        parse_addresses(value.as_bytes()).iter().map(line).collect()
    }

    // RFC 5322 Appendix A.1.2, A.1.3, A.5, A.6.1
    #[test]
    fn addresses_of_the_rfc() {
        for (value, expected) in [
            (r#""Joe Q. Public" <john.q.public@example.com>"#, vec!["Joe Q. Public|-|john.q.public|example.com"]),
            (
                "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
                vec!["Mary Smith|-|mary|x.test", "-|-|jdoe|example.org", "Who?|-|one|y.test"],
            ),
            (
                r#"<boss@nil.test>, "Giant; \"Big\" Box" <sysservices@example.net>"#,
                vec!["-|-|boss|nil.test", r#"Giant; "Big" Box|-|sysservices|example.net"#],
            ),
            (
                "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
                vec!["-|-|A Group|-", "Ed Jones|-|c|a.test", "-|-|joe|where.test", "John|-|jdoe|one.test", "-|-|-|-"],
            ),
            ("Undisclosed recipients:;", vec!["-|-|Undisclosed recipients|-", "-|-|-|-"]),
            (r"Pete(A nice \) chap) <pete(his account)@silly.test(his host)>", vec!["Pete|-|pete|silly.test"]),
            (
                "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
                vec!["-|-|Hidden recipients|-", "-|-|-|-"],
            ),
            ("Joe Q. Public <john.q.public@example.com>", vec!["Joe Q. Public|-|john.q.public|example.com"]),
            (
                "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
                vec!["Mary Smith|@node.test|mary|example.net", "-|-|jdoe|test.example"],
            ),
            ("John Doe <jdoe@machine(comment).  example>", vec!["John Doe|-|jdoe|machine.example"]),
        ] {
            assert_eq!(shown(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_really_out_there() {
        for (value, expected) in [
            ("", vec![]),
            (" , ,", vec![]),
            ("root", vec!["-|-|root|"]),
            ("John Doe", vec!["-|-|John Doe|"]),
            ("John Doe john@x.org", vec!["John Doe|-|john|x.org"]),
            ("john@x.org <john@x.org>", vec!["john@x.org|-|john|x.org"]),
            ("john@x.org (John Doe)", vec!["John Doe|-|john|x.org"]),
            ("<>", vec!["-|-||"]),
            ("<root>", vec!["-|-|root|"]),
            ("<a@b@c>", vec!["-|-|a@b|c"]),
            ("\"john doe\"@x.org", vec!["-|-|john doe|x.org"]),
            ("\"John <john@x.org>", vec!["John|-|john|x.org"]),
            ("John (x <john@x.org>", vec!["John x|-|john|x.org"]),
            ("John <john@x.org, Mary <mary@x.org", vec!["John|-|john|x.org", "Mary|-|mary|x.org"]),
            ("a@x.org; b@x.org", vec!["-|-|a|x.org", "-|-|b|x.org"]),
            ("<@a,@b:c@d>", vec!["-|@a,@b|c|d"]),
            ("me@[10.0.0.1]", vec!["-|-|me|[10.0.0.1]"]),
            ("[list] <a@b>", vec!["[list]|-|a|b"]),
            ("group: a@b", vec!["-|-|group|-", "-|-|a|b", "-|-|-|-"]),
            ("=?utf-8?q?a,_b?= <a@b>", vec!["=?utf-8?q?a,_b?=|-|a|b"]),
            ("=?utf-8?q?a?= =?utf-8?q?b?= <a@b>", vec!["=?utf-8?q?a?= =?utf-8?q?b?=|-|a|b"]),
            ("\"\" <a@b>", vec!["-|-|a|b"]),
            ("@b", vec!["-|-||b"]),
            ("Jörg <jörg@bücher.example>", vec!["Jörg|-|jörg|bücher.example"]),
        ] {
            assert_eq!(shown(value), expected, "{value}");
        }
    }

    #[test]
    fn a_list_is_bounded_and_its_group_closed() {
        let addresses = parse_addresses(format!("g:{}", "a,".repeat(ENVELOPE_ADDRESSES * 2)).as_bytes());
        assert_eq!(addresses.len(), ENVELOPE_ADDRESSES);
        assert_eq!(addresses.last(), Some(&Address::default()));
    }

    #[test]
    fn unclosed_quotes_are_cheap() {
        assert_eq!(parse_addresses("\"\\".repeat(100_000).as_bytes()).len(), 1);
        assert_eq!(parse_addresses("(".repeat(100_000).as_bytes()), []);
    }

    proptest! {
        #[test]
        fn never_panics(value in "[ab<>@,;:()\"\\\\.\\[\\] =?]{0,40}", octets: Vec<u8>) {
            parse_addresses(&octets);
            for address in parse_addresses(value.as_bytes()) {
                // A host makes an address, none makes a marker: the two never mix.
                prop_assert!(address.host.is_none() || address.mailbox.is_some());
                prop_assert!(address.host.is_some() || address.name.is_none());
            }
        }
    }
}
