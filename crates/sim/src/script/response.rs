//! Responses as trees, and when an expected one and a received one say the same (RFC 9051 §7). Order counts only where
//! the RFC gives it a meaning: flags, FETCH and STATUS items, attributes and capabilities may come in any order, and
//! a string may be quoted or a literal. Knows no connection.

use super::text::{self, Hole, Names, Sym};

/// One word of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Anything without spaces, `BODY[HEADER.FIELDS (From)]<0>` included.
    Atom(Vec<Sym>),
    /// A quoted string or a literal.
    Str(Vec<Sym>),
    /// A literal8, which is no other string.
    Literal8(Vec<Sym>),
    /// A parenthesised list.
    List(Vec<Node>),
}

/// A response, by how it is compared.
#[derive(Clone, Debug)]
pub(crate) enum Response {
    /// `tag OK [code] text`, `* BYE text`.
    Status { tag: Vec<Sym>, word: String, rest: StatusRest },
    /// `+ text`
    Continuation(Vec<Sym>),
    /// Everything else.
    Data(Vec<Node>),
}

/// What follows OK and its kin.
#[derive(Clone, Debug)]
pub(crate) enum StatusRest {
    /// `${*}`: whatever follows.
    Any,
    /// A code or none, and the text; an expected empty text stands for any.
    Said { code: Option<Vec<Node>>, text: Vec<Sym> },
}

const STATUS_WORDS: [&str; 5] = ["OK", "NO", "BAD", "BYE", "PREAUTH"];

/// Reads one response without its CRLF. `strict` for a received one: exactly one space between words (RFC 9051 §9).
pub(crate) fn parse(syms: &[Sym], strict: bool) -> Result<Response, String> {
    if let [Sym::Octet(b'+'), rest @ ..] = syms {
        return match rest {
            [Sym::Octet(b' '), text @ ..] => Ok(Response::Continuation(text.to_vec())),
            [] if !strict => Ok(Response::Continuation(Vec::new())),
            _ => Err("a continuation request is \"+\", a space and text (RFC 9051 §9 continue-req)".into()),
        };
    }
    let (tag, rest) = split_word(syms);
    let (word, rest) = split_word(rest);
    if let Some(word) = STATUS_WORDS.iter().find(|w| *w.as_bytes() == *octets_of(word)) {
        let word = (*word).to_owned();
        return Ok(Response::Status { tag: tag.to_vec(), word, rest: parse_status_rest(rest, strict)? });
    }
    let mut reader = Reader { syms, at: 0, strict };
    let nodes = reader.nodes()?;
    if reader.at < syms.len() {
        return Err("a ) without its (".into());
    }
    Ok(Response::Data(nodes))
}

fn parse_status_rest(rest: &[Sym], strict: bool) -> Result<StatusRest, String> {
    if rest == [Sym::Hole(Hole::Any)] {
        return Ok(StatusRest::Any);
    }
    let (code, text) = match rest {
        [Sym::Octet(b'['), inside @ ..] => {
            let end = code_end(inside).ok_or("a response code without its ]")?;
            let mut reader = Reader { syms: &inside[..end], at: 0, strict };
            let code = reader.nodes()?;
            let after = &inside[end + 1..];
            (Some(code), after.strip_prefix(&[Sym::Octet(b' ')]).unwrap_or(after))
        }
        _ => (None, rest),
    };
    // RFC 3501 §9 resp-text: the text is never empty.
    if strict && text.is_empty() {
        return Err("a status response without text (RFC 3501 §9 resp-text)".into());
    }
    Ok(StatusRest::Said { code, text: text.to_vec() })
}

/// Where the `]` of a code is; one in a quoted string does not count.
fn code_end(syms: &[Sym]) -> Option<usize> {
    let mut quoted = false;
    for (at, sym) in syms.iter().enumerate() {
        match sym {
            Sym::Octet(b'"') => quoted = !quoted,
            Sym::Octet(b']') if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn split_word(syms: &[Sym]) -> (&[Sym], &[Sym]) {
    let end = syms.iter().position(|s| *s == Sym::Octet(b' ')).unwrap_or(syms.len());
    (&syms[..end], syms.get(end + 1..).unwrap_or_default())
}

/// The plain octets of these symbols; what is no octet is left out.
fn octets_of(syms: &[Sym]) -> Vec<u8> {
    syms.iter().filter_map(|s| if let Sym::Octet(o) = s { Some(*o) } else { None }).collect()
}

struct Reader<'a> {
    syms: &'a [Sym],
    at: usize,
    strict: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Sym> {
        self.syms.get(self.at)
    }

    /// Words up to the end or a closing parenthesis.
    fn nodes(&mut self) -> Result<Vec<Node>, String> {
        let mut nodes: Vec<Node> = Vec::new();
        loop {
            let spaces = self.skip_spaces();
            let Some(sym) = self.peek() else {
                return if self.strict && spaces > 0 { Err("a space at the end".into()) } else { Ok(nodes) };
            };
            let closing = *sym == Sym::Octet(b')');
            // Only the bodies of a multipart stand side by side (RFC 9051 §9 body-type-mpart), and addresses.
            let joined = matches!((nodes.last(), sym), (Some(Node::List(_)), Sym::Octet(b'(')));
            let wanted = usize::from(!(nodes.is_empty() || closing || (joined && spaces == 0)));
            if self.strict && spaces != wanted {
                return Err(format!("{spaces} spaces where {wanted} belong"));
            }
            if closing {
                return Ok(nodes);
            }
            nodes.push(self.node()?);
        }
    }

    fn skip_spaces(&mut self) -> usize {
        let from = self.at;
        while self.peek() == Some(&Sym::Octet(b' ')) {
            self.at += 1;
        }
        self.at - from
    }

    fn node(&mut self) -> Result<Node, String> {
        match self.peek() {
            Some(Sym::Octet(b'(')) => {
                self.at += 1;
                let nodes = self.nodes()?;
                if self.peek() != Some(&Sym::Octet(b')')) {
                    return Err("a ( without its )".into());
                }
                self.at += 1;
                Ok(Node::List(nodes))
            }
            Some(Sym::Octet(b'"')) => self.quoted(),
            Some(Sym::Literal(literal)) => {
                let octets = literal.octets.iter().copied().map(Sym::Octet).collect();
                let literal8 = literal.literal8;
                self.at += 1;
                Ok(if literal8 { Node::Literal8(octets) } else { Node::Str(octets) })
            }
            _ => self.atom(),
        }
    }

    fn quoted(&mut self) -> Result<Node, String> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let sym = self.peek().cloned().ok_or("a quoted string without its end")?;
            self.at += 1;
            match sym {
                Sym::Octet(b'"') => return Ok(Node::Str(text)),
                Sym::Octet(b'\\') => {
                    let escaped = self.peek().cloned().ok_or("a quoted string without its end")?;
                    // RFC 9051 §9 quoted: only the quote and the backslash are escaped.
                    if self.strict && !matches!(escaped, Sym::Octet(b'"' | b'\\')) {
                        return Err("a backslash before neither quote nor backslash".into());
                    }
                    self.at += 1;
                    text.push(escaped);
                }
                Sym::Octet(0 | b'\r' | b'\n') if self.strict => return Err("CR, LF or NUL in a quoted string".into()),
                other => text.push(other),
            }
        }
    }

    fn atom(&mut self) -> Result<Node, String> {
        let mut text = Vec::new();
        let mut depth = 0_usize;
        while let Some(sym) = self.peek() {
            match sym {
                Sym::Octet(b' ' | b'(' | b')' | b'"') | Sym::Literal(_) if depth == 0 => break,
                Sym::Octet(b'[') => depth += 1,
                Sym::Octet(b']') => depth = depth.saturating_sub(1),
                Sym::Octet(0..32 | 127) if self.strict => return Err("a control character".into()),
                _ => {}
            }
            text.push(sym.clone());
            self.at += 1;
        }
        if depth > 0 { Err("a [ without its ]".into()) } else { Ok(Node::Atom(text)) }
    }
}

/// Whether `received` is what `expected` says. What placeholders catch is in `names` afterwards, also when not.
pub(crate) fn agrees(expected: &Response, received: &Response, names: &mut Names) -> bool {
    match (expected, received) {
        (Response::Continuation(text), Response::Continuation(got)) => text.is_empty() || text_agrees(text, got, names),
        (Response::Status { tag, word, rest }, Response::Status { tag: got_tag, word: got_word, rest: got }) => {
            word == got_word && text_agrees(tag, got_tag, names) && status_rest_agrees(rest, got, names)
        }
        (Response::Data(expected), Response::Data(received)) => data_agrees(expected, received, names),
        _ => false,
    }
}

fn status_rest_agrees(expected: &StatusRest, received: &StatusRest, names: &mut Names) -> bool {
    let (StatusRest::Said { code, text }, StatusRest::Said { code: got_code, text: got_text }) = (expected, received)
    else {
        return matches!(expected, StatusRest::Any);
    };
    let code_agrees = match (code, got_code) {
        (None, None) => true,
        (Some(code), Some(got)) => code_agrees(code, got, names),
        _ => false,
    };
    code_agrees && (text.is_empty() || text_agrees(text, got_text, names))
}

fn code_agrees(expected: &[Node], received: &[Node], names: &mut Names) -> bool {
    match (word(received, 0).as_deref(), expected, received) {
        (Some("PERMANENTFLAGS"), [name, Node::List(flags)], [got_name, Node::List(got)]) => {
            node_agrees(name, got_name, names) && set_agrees(flags, got, names)
        }
        (Some("CAPABILITY"), _, _) => set_agrees(expected, received, names),
        _ => list_agrees(expected, received, false, names),
    }
}

fn data_agrees(expected: &[Node], received: &[Node], names: &mut Names) -> bool {
    match (word(received, 1).as_deref(), word(received, 2).as_deref()) {
        (Some("CAPABILITY" | "ENABLED" | "SEARCH"), _) => set_agrees(expected, received, names),
        (Some("FLAGS"), _) => match (expected, received) {
            ([e0, e1, Node::List(flags)], [r0, r1, Node::List(got)]) => {
                node_agrees(e0, r0, names) && node_agrees(e1, r1, names) && set_agrees(flags, got, names)
            }
            _ => false,
        },
        (Some("LIST" | "LSUB"), _) => list_response_agrees(expected, received, names),
        (Some("STATUS"), _) => match (expected, received) {
            ([e0, e1, e2, Node::List(items)], [r0, r1, r2, Node::List(got)]) => {
                node_agrees(e0, r0, names)
                    && node_agrees(e1, r1, names)
                    && astring_agrees(e2, r2, names)
                    && pairs_agree(items, got, names)
            }
            _ => false,
        },
        (Some("ESEARCH"), _) => esearch_agrees(expected, received, names),
        (_, Some("FETCH" | "UIDFETCH")) => match (expected, received) {
            ([e0, e1, e2, Node::List(items)], [r0, r1, r2, Node::List(got)]) => {
                node_agrees(e0, r0, names)
                    && node_agrees(e1, r1, names)
                    && node_agrees(e2, r2, names)
                    && pairs_agree(items, got, names)
            }
            _ => false,
        },
        _ => list_agrees(expected, received, false, names),
    }
}

/// `* LIST (attributes) separator name [extended]`: attributes are a set, the name an astring.
fn list_response_agrees(expected: &[Node], received: &[Node], names: &mut Names) -> bool {
    match (expected, received) {
        (
            [e0, e1, Node::List(attributes), separator, name, extended @ ..],
            [r0, r1, Node::List(got), got_separator, got_name, got_extended @ ..],
        ) => {
            node_agrees(e0, r0, names)
                && node_agrees(e1, r1, names)
                && set_agrees(attributes, got, names)
                && node_agrees(separator, got_separator, names)
                && astring_agrees(name, got_name, names)
                && list_agrees(extended, got_extended, false, names)
        }
        _ => false,
    }
}

/// `* ESEARCH (TAG "a") UID MIN 1 ALL 1:3`: the pairs may come in any order (RFC 9051 §7.3.4).
fn esearch_agrees(expected: &[Node], received: &[Node], names: &mut Names) -> bool {
    let head = |nodes: &[Node]| {
        let correlator = nodes.len().min(2) + usize::from(matches!(nodes.get(2), Some(Node::List(_))));
        correlator + usize::from(word(nodes, correlator).as_deref() == Some("UID"))
    };
    let (expected_head, received_head) = (head(expected), head(received));
    expected_head == received_head
        && list_agrees(&expected[..expected_head], &received[..received_head], false, names)
        && pairs_agree(&expected[expected_head..], &received[received_head..], names)
}

/// Names and values alternate; the pairs may come in any order.
fn pairs_agree(expected: &[Node], received: &[Node], names: &mut Names) -> bool {
    let (mut open, mut wanted) = (false, Vec::new());
    let mut rest = expected;
    while let Some((name, values)) = rest.split_first() {
        // `${*}` in the place of a name allows further pairs, in the place of a value any value.
        if is_any(name) {
            open = true;
            rest = values;
        } else {
            wanted.push(&rest[..rest.len().min(2)]);
            rest = values.get(1..).unwrap_or_default();
        }
    }
    let got: Vec<_> = received.chunks(2).collect();
    if !received.len().is_multiple_of(2) || (!open && wanted.len() != got.len()) {
        return false;
    }
    assigns(&wanted, &got, names, &|pair, got, names| match (pair, got) {
        ([name, value], [got_name, got_value]) => {
            let same_name = match (name, got_name) {
                (Node::Atom(name), Node::Atom(got)) => text::matches(name, &octets_of(got), true, names),
                _ => false,
            };
            same_name && value_agrees(&octets_of_node(got_name), value, got_value, names)
        }
        _ => false,
    })
}

fn value_agrees(name: &[u8], expected: &Node, received: &Node, names: &mut Names) -> bool {
    match (name, expected, received) {
        (b"FLAGS", Node::List(flags), Node::List(got)) => set_agrees(flags, got, names),
        // RFC 9051 §7.5.2: types, parameter names and encodings are the same in any case.
        (b"BODY" | b"BODYSTRUCTURE", Node::List(structure), Node::List(got)) => {
            list_agrees(structure, got, true, names)
        }
        _ => node_agrees(expected, received, names),
    }
}

/// Words in any order. `${*}` allows others, `${no:word}` forbids one.
fn set_agrees(expected: &[Node], received: &[Node], names: &mut Names) -> bool {
    let open = expected.iter().any(is_any);
    let absent = |node: &Node| match node {
        Node::Atom(text) => match text.as_slice() {
            [Sym::Hole(Hole::Absent(word))] => Some(word.clone()),
            _ => None,
        },
        _ => None,
    };
    let forbidden: Vec<String> = expected.iter().filter_map(absent).collect();
    if received.iter().any(|node| forbidden.iter().any(|word| octets_of_node(node) == word.as_bytes())) {
        return false;
    }
    let wanted: Vec<&Node> = expected.iter().filter(|n| !is_any(n) && absent(n).is_none()).collect();
    let got: Vec<&Node> = received.iter().collect();
    if !open && wanted.len() != got.len() {
        return false;
    }
    assigns(&wanted, &got, names, &|node, got, names| node_agrees(node, got, names))
}

/// Whether each of `wanted` can be given a different one of `got`.
fn assigns<T: Copy>(wanted: &[T], got: &[T], names: &mut Names, same: &dyn Fn(T, T, &mut Names) -> bool) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return true };
    (0..got.len()).any(|at| {
        let mut tried = names.clone();
        let others: Vec<T> = got.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, n)| *n).collect();
        let fits = same(*first, got[at], &mut tried) && assigns(rest, &others, &mut tried, same);
        if fits {
            *names = tried;
        }
        fits
    })
}

/// Words in their order; `${*}` stands for any number of them.
fn list_agrees(expected: &[Node], received: &[Node], ignore_case: bool, names: &mut Names) -> bool {
    match (expected.split_first(), received.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if is_any(first) => {
            (0..=received.len()).any(|skipped| list_agrees(rest, &received[skipped..], ignore_case, names))
        }
        (Some((first, rest)), Some((got, received))) => {
            node_agrees_in(first, got, ignore_case, names) && list_agrees(rest, received, ignore_case, names)
        }
        _ => false,
    }
}

fn node_agrees(expected: &Node, received: &Node, names: &mut Names) -> bool {
    node_agrees_in(expected, received, false, names)
}

fn node_agrees_in(expected: &Node, received: &Node, ignore_case: bool, names: &mut Names) -> bool {
    match (expected, received) {
        (expected, _) if is_any(expected) => true,
        (Node::Atom(text), Node::Atom(got)) | (Node::Str(text), Node::Str(got)) => {
            text::matches(text, &octets_of(got), ignore_case, names)
        }
        (Node::Literal8(text), Node::Literal8(got)) => text::matches(text, &octets_of(got), false, names),
        (Node::List(nodes), Node::List(got)) => list_agrees(nodes, got, ignore_case, names),
        _ => false,
    }
}

/// An astring says the same as an atom, quoted or as a literal (RFC 9051 §4.3).
fn astring_agrees(expected: &Node, received: &Node, names: &mut Names) -> bool {
    match (expected, received) {
        (Node::Atom(text) | Node::Str(text), Node::Atom(got) | Node::Str(got)) => text_agrees(text, got, names),
        _ => false,
    }
}

fn text_agrees(expected: &[Sym], received: &[Sym], names: &mut Names) -> bool {
    text::matches(expected, &octets_of(received), false, names)
}

fn is_any(node: &Node) -> bool {
    matches!(node, Node::Atom(text) if *text == [Sym::Hole(Hole::Any)])
}

fn octets_of_node(node: &Node) -> Vec<u8> {
    match node {
        Node::Atom(text) | Node::Str(text) | Node::Literal8(text) => octets_of(text),
        Node::List(_) => Vec::new(),
    }
}

fn word(nodes: &[Node], at: usize) -> Option<String> {
    match nodes.get(at) {
        Some(Node::Atom(text)) => String::from_utf8(octets_of(text)).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(expected: &str, got: &str) -> bool {
        let mut names = Names::new();
        let expected = parse(&text::parse_line(expected, &names).unwrap(), false).unwrap();
        let got = parse(&text::received(got.as_bytes()), true).unwrap();
        agrees(&expected, &got, &mut names)
    }

    #[test]
    fn order_counts_only_where_it_means_something() {
        assert!(agree("* 1 FETCH (UID 5 FLAGS (\\Seen \\Draft))", "* 1 FETCH (FLAGS (\\Draft \\Seen) UID 5)"));
        assert!(!agree("* 1 FETCH (UID 5)", "* 1 FETCH (UID 5 FLAGS ())"));
        assert!(!agree("* 1 FETCH (UID 5 FLAGS ())", "* 1 FETCH (UID 5)"));
        assert!(agree("* 1 FETCH (UID 5 ENVELOPE ${*})", "* 1 FETCH (ENVELOPE (NIL NIL) UID 5)"));
        assert!(!agree("* 1 FETCH (UID 5 ENVELOPE ${*})", "* 1 FETCH (UID 5)"));
        assert!(agree("* 1 FETCH (UID 5 ${*})", "* 1 FETCH (ENVELOPE (NIL NIL) UID 5)"));
        assert!(agree("* STATUS INBOX (MESSAGES 1 UNSEEN 0)", "* STATUS \"INBOX\" (UNSEEN 0 MESSAGES 1)"));
        assert!(!agree("* STATUS INBOX (MESSAGES 1 UNSEEN 0)", "* STATUS INBOX (UNSEEN 1 MESSAGES 0)"));
        assert!(agree("* SEARCH 2 1", "* SEARCH 1 2"));
        assert!(!agree("* SEARCH 2 1", "* SEARCH 1 2 3"));
        assert!(!agree("* 2 EXPUNGE", "* 1 EXPUNGE"));
    }

    #[test]
    fn capabilities_may_be_wanted_and_unwanted() {
        assert!(agree("* CAPABILITY IDLE ${*}", "* CAPABILITY IMAP4rev1 IDLE"));
        assert!(!agree("* CAPABILITY IDLE", "* CAPABILITY IMAP4rev1 IDLE"));
        assert!(!agree("* CAPABILITY ${*} ${no:IDLE}", "* CAPABILITY IMAP4rev1 IDLE"));
    }

    #[test]
    fn codes_count_and_texts_do_not() {
        assert!(agree("a1 OK", "a1 OK done"));
        assert!(!agree("a1 OK", "a1 OK [READ-WRITE] done"));
        assert!(agree("a1 OK [READ-WRITE]", "a1 OK [READ-WRITE] done"));
        assert!(agree("a1 OK ${*}", "a1 OK [READ-WRITE] done"));
        assert!(!agree("a1 OK said", "a1 OK done"));
        assert!(!agree("a1 OK", "a2 OK done"));
        assert!(agree("* OK [PERMANENTFLAGS (\\Seen \\*)]", "* OK [PERMANENTFLAGS (\\* \\Seen)] Limited"));
    }

    #[test]
    fn a_string_is_the_same_quoted_or_as_a_literal_but_never_an_atom() {
        assert!(agree("* 1 FETCH (BODY[TEXT] \"abc\")", "* 1 FETCH (BODY[TEXT] {3}\r\nabc)"));
        assert!(agree("* 1 FETCH (BODY[TEXT] {\"abc\"})", "* 1 FETCH (BODY[TEXT] \"abc\")"));
        assert!(!agree("* 1 FETCH (BODY[TEXT] NIL)", "* 1 FETCH (BODY[TEXT] \"NIL\")"));
        assert!(!agree("* 1 FETCH (BINARY[1] ~{\"abc\"})", "* 1 FETCH (BINARY[1] {3}\r\nabc)"));
        assert!(agree("* LIST () \"/\" a", "* LIST () \"/\" \"a\""));
    }

    #[test]
    fn malformed_responses_are_refused() {
        for bad in [
            "* 1  FETCH (UID 5)",
            "* LIST () \"/\" a ",
            "* 1 FETCH (UID 5",
            "a1 OK",
            "+",
            "* x \"a\\b\"",
            "* 1 FETCH (UID 5))",
        ] {
            assert!(parse(&text::received(bad.as_bytes()), true).is_err(), "{bad:?}");
        }
        assert!(parse(&text::received(b"* 1 FETCH (BODY ((\"a\" \"b\")(\"c\" \"d\") \"mixed\"))"), true).is_ok());
    }

    #[test]
    fn esearch_pairs_come_in_any_order() {
        assert!(agree("* ESEARCH (TAG \"a\") UID MIN 1 COUNT 2", "* ESEARCH (TAG \"a\") UID COUNT 2 MIN 1"));
        assert!(!agree("* ESEARCH (TAG \"a\") UID COUNT 2", "* ESEARCH (TAG \"a\") COUNT 2"));
        assert!(agree("* ESEARCH (TAG \"a\")", "* ESEARCH (TAG \"a\")"));
    }
}
