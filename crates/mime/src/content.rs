//! The Content-* fields of one header block, parsed (RFC 2045, RFC 2183, RFC 2231, RFC 3282).
//!
//! Parameters are given as RFC 9051 §7.5.2 asks: continuations joined, charsets decoded. A decoded parameter takes the
//! plain name (`filename`, not `filename*`): that is what clients look for, and both forms of the name are in the RFC.

use columba_types::limits::{MIME_BOUNDARY_BYTES, MIME_PARAMETERS, STRUCTURED_FIELD_BYTES};

use crate::charset;
use crate::decode::TransferEncoding;
use crate::envelope::EnvelopeFields;
use crate::header::{fields, is_space, trim, trim_end, unfold};
use crate::words::hex;

/// Parameters of a MIME field: names in lower case, values decoded (RFC 2231) to Unicode, in order.
pub type Parameters = Vec<(String, String)>;

/// A Content-Disposition (RFC 2183).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disposition {
    /// `inline`, `attachment`, …, in lower case.
    pub kind: String,
    /// Its parameters, `filename` among them.
    pub parameters: Parameters,
}

/// What the Content-* fields of a part say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// Type, in lower case.
    pub media_type: String,
    /// Subtype, in lower case.
    pub subtype: String,
    /// Parameters of Content-Type.
    pub parameters: Parameters,
    /// Content-Transfer-Encoding.
    pub encoding: TransferEncoding,
    /// The encoding as written, if it is not one that we know.
    pub unknown_encoding: Option<String>,
    /// Content-ID.
    pub id: Option<String>,
    /// Content-Description, encoded-words as they are.
    pub description: Option<String>,
    /// Content-MD5.
    pub md5: Option<String>,
    /// Content-Disposition.
    pub disposition: Option<Disposition>,
    /// Content-Language, its tags.
    pub language: Vec<String>,
    /// Content-Location.
    pub location: Option<String>,
}

/// What a part is without any field (RFC 2045 §5.2).
impl Default for Content {
    fn default() -> Self {
        let mut content = Self::unread();
        content.set_default_type();
        content
    }
}

impl Content {
    /// Of a part whose header has not been read; takes no memory.
    pub(crate) const fn unread() -> Self {
        Self {
            media_type: String::new(),
            subtype: String::new(),
            parameters: Vec::new(),
            encoding: TransferEncoding::SevenBit,
            unknown_encoding: None,
            id: None,
            description: None,
            md5: None,
            disposition: None,
            language: Vec::new(),
            location: None,
        }
    }

    fn set_default_type(&mut self) {
        "text".clone_into(&mut self.media_type);
        "plain".clone_into(&mut self.subtype);
        self.parameters = vec![("charset".to_owned(), "us-ascii".to_owned())];
    }

    /// The value of a parameter of Content-Type.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether this is `message/rfc822` or `message/global`.
    pub fn is_message(&self) -> bool {
        self.media_type == "message" && matches!(self.subtype.as_str(), "rfc822" | "global")
    }

    /// Octets held, about.
    pub(crate) fn bytes(&self) -> usize {
        const STRING: usize = size_of::<String>();
        let pairs = |list: &Parameters| list.iter().map(|(n, v)| n.len() + v.len() + 2 * STRING).sum::<usize>();
        let texts = [&self.unknown_encoding, &self.id, &self.description, &self.md5, &self.location];
        self.media_type.len()
            + self.subtype.len()
            + pairs(&self.parameters)
            + texts.into_iter().flatten().map(String::len).sum::<usize>()
            + self.disposition.as_ref().map_or(0, |d| d.kind.len() + pairs(&d.parameters))
            + self.language.iter().map(|tag| tag.len() + STRING).sum::<usize>()
    }

    /// Drops all that a part can be read without.
    pub(crate) fn drop_details(&mut self) {
        let charset = self.parameters.iter().position(|(name, value)| name == "charset" && value.len() < 64);
        let parameters = charset.map(|at| self.parameters.swap_remove(at)).into_iter().collect();
        let known = |name: &mut String| match name.len() < 64 {
            true => std::mem::take(name),
            false => "x-unknown".to_owned(),
        };
        *self = Self {
            media_type: known(&mut self.media_type),
            subtype: known(&mut self.subtype),
            parameters,
            encoding: self.encoding,
            ..Self::unread()
        };
    }
}

/// A header block read.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) content: Content,
    /// Whether there was a Content-Type that could be read.
    pub(crate) has_type: bool,
    /// The boundary parameter, exact octets; empty if there is none that can be used.
    pub(crate) boundary: Vec<u8>,
    pub(crate) envelope: EnvelopeFields,
}

impl Header {
    /// Reads a block; the envelope's fields only if this is a whole message's header.
    pub(crate) fn parse(block: &[u8], whole_message: bool) -> Self {
        let mut header = Self {
            content: Content::unread(),
            has_type: false,
            boundary: Vec::new(),
            envelope: EnvelopeFields::default(),
        };
        let mut has_encoding = false;
        for field in fields(block) {
            if let Some((prefix, rest)) = field.name.split_at_checked(8)
                && prefix.eq_ignore_ascii_case(b"content-")
            {
                header.take_content(rest, field.value, &mut has_encoding);
            } else if whole_message && EnvelopeFields::knows(field.name) {
                header.envelope.take(field.name, field.value);
            }
        }
        if !header.has_type {
            header.content.set_default_type();
        }
        header
    }

    // Of several fields of one name the first counts, as for ENVELOPE.
    fn take_content(&mut self, name: &[u8], value: &[u8], has_encoding: &mut bool) {
        let unfolded = unfold(value);
        let value = unfolded.get(..unfolded.len().min(STRUCTURED_FIELD_BYTES)).unwrap_or_default();
        let content = &mut self.content;
        let mut lower = [0; 17];
        match lower_case(name, &mut lower) {
            b"type" if !self.has_type => self.take_type(value),
            b"transfer-encoding" if !std::mem::replace(has_encoding, true) => {
                let token = Scanner::new(value).token();
                content.encoding = TransferEncoding::from_name(token);
                let unknown = content.encoding == TransferEncoding::Unknown;
                content.unknown_encoding = unknown.then(|| charset::header_text(token));
            }
            b"disposition" if content.disposition.is_none() => {
                let mut scanner = Scanner::new(value);
                let kind = charset::header_text(scanner.token()).to_ascii_lowercase();
                let kind = if kind.is_empty() { "attachment".to_owned() } else { kind };
                content.disposition = Some(Disposition { kind, parameters: joined(scanner.parameters()) });
            }
            b"language" if content.language.is_empty() => {
                let tags = value.split(|b| *b == b',').map(|tag| Scanner::new(tag).token());
                content.language =
                    tags.filter(|tag| !tag.is_empty()).take(MIME_PARAMETERS).map(charset::header_text).collect();
            }
            b"id" if content.id.is_none() => content.id = Some(charset::header_text(value)),
            b"description" if content.description.is_none() => content.description = Some(charset::header_text(value)),
            b"md5" if content.md5.is_none() => content.md5 = Some(charset::header_text(value)),
            // RFC 2557 §4.4.1: a long URI is folded, and the folding is no part of it.
            b"location" if content.location.is_none() => {
                let uri: Vec<u8> = value.iter().copied().filter(|b| !is_space(*b)).collect();
                content.location = Some(charset::header_text(&uri));
            }
            _ => {}
        }
    }

    // RFC 2045 §5.2: a Content-Type that cannot be read is text/plain; its charset may still be of use.
    fn take_type(&mut self, value: &[u8]) {
        let mut scanner = Scanner::new(value);
        let kind = charset::header_text(&scanner.media_type()).to_ascii_lowercase();
        let parameters = scanner.parameters();
        match kind.split_once('/') {
            Some((media_type, subtype)) if !media_type.is_empty() && !subtype.is_empty() => {
                self.content.media_type = media_type.to_owned();
                self.content.subtype = subtype.to_owned();
            }
            // The default, but with its own parameters.
            _ if kind == "text" => self.content.set_default_type(),
            _ => return,
        }
        self.has_type = true;
        // The exact octets; but those that RFC 2231 wraps have to be unwrapped first.
        let plain = parameters.iter().find(|p| p.name == "boundary").map(|p| p.value.clone());
        self.content.parameters = joined(parameters);
        let decoded = || self.content.parameter("boundary").unwrap_or_default().as_bytes().to_vec();
        self.boundary = plain.unwrap_or_else(decoded);
        self.boundary.truncate(trim_end(&self.boundary).len());
        if self.boundary.len() > MIME_BOUNDARY_BYTES {
            self.boundary.clear();
        }
    }
}

/// The name in lower case; empty if it is longer than any that is looked for.
pub(crate) fn lower_case<'a>(name: &[u8], room: &'a mut [u8]) -> &'a [u8] {
    let Some(lower) = room.get_mut(..name.len()) else { return &[] };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    lower
}

/// A parameter as written.
struct Raw {
    name: String,
    value: Vec<u8>,
}

/// Reads tokens and parameters of a MIME field.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    /// The word at the beginning, up to white space, `;` or a comment.
    fn token(&mut self) -> &'a [u8] {
        self.skip_space_and_comments();
        let end = self.rest.iter().position(|b| is_space(*b) || matches!(b, b';' | b'(' | b'"'));
        let (token, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len())).unwrap_or((self.rest, &[]));
        self.rest = rest;
        token
    }

    /// A type and subtype; white space and comments around the slash are no part of it (RFC 822 §3.1.4).
    fn media_type(&mut self) -> Vec<u8> {
        let mut name = self.token().to_vec();
        self.skip_space_and_comments();
        while !name.is_empty() && (self.rest.starts_with(b"/") && !name.contains(&b'/') || name.ends_with(b"/")) {
            let token = self.token();
            name.extend_from_slice(token);
            self.skip_space_and_comments();
            if token.is_empty() {
                break;
            }
        }
        name
    }

    fn skip_space_and_comments(&mut self) {
        let mut depth = 0usize;
        while let Some((first, rest)) = self.rest.split_first() {
            match first {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                _ if depth > 0 || is_space(*first) => {}
                _ => return,
            }
            self.rest = rest;
        }
    }

    /// All parameters, after the first word. What is no parameter is passed over up to the next `;`.
    fn parameters(&mut self) -> Vec<Raw> {
        let mut list = Vec::new();
        while list.len() < MIME_PARAMETERS {
            self.skip_space_and_comments();
            let Some((first, rest)) = self.rest.split_first() else { break };
            if *first == b';' {
                self.rest = rest;
                continue;
            }
            let end = self.rest.iter().position(|b| matches!(b, b'=' | b';')).unwrap_or(self.rest.len());
            let (name, after) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
            self.rest = after;
            let Some(value) = after.strip_prefix(b"=") else { continue };
            self.rest = value;
            let name = charset::header_text(trim(name)).to_ascii_lowercase();
            let value = self.value();
            if !name.is_empty() {
                list.push(Raw { name, value });
            }
        }
        list
    }

    fn value(&mut self) -> Vec<u8> {
        self.skip_space_and_comments();
        if let Some(quoted) = self.rest.strip_prefix(b"\"") {
            return self.quoted(quoted);
        }
        // Unquoted values with spaces and brackets in them are common, so only `;` ends one, and only a comment at
        // its very end is taken away.
        let end = self.rest.iter().position(|b| *b == b';').unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        self.rest = rest;
        let value = trim(value);
        let comment = value
            .ends_with(b")")
            .then(|| value.windows(2).position(|w| matches!(w, [space, b'('] if is_space(*space))))
            .flatten();
        trim(value.get(..comment.unwrap_or(value.len())).unwrap_or_default()).to_vec()
    }

    /// A quoted string whose opening quote has been read; one that is not closed ends with the field.
    fn quoted(&mut self, text: &'a [u8]) -> Vec<u8> {
        let mut value = Vec::new();
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => value.extend(bytes.next()),
                _ => value.push(*byte),
            }
        }
        self.rest = bytes.as_slice();
        value
    }
}

/// A parameter's name taken apart (RFC 2231 §7): `name*2*` is section 2 of `name`, with percent octets.
struct Name<'a> {
    base: &'a str,
    section: Option<u32>,
    extended: bool,
}

impl<'a> Name<'a> {
    /// A name that RFC 2231 gives no meaning is plain.
    fn parse(name: &'a str) -> Self {
        Self::parse_extended(name).unwrap_or(Self { base: name, section: None, extended: false })
    }

    fn parse_extended(name: &'a str) -> Option<Self> {
        let (base, rest) = name.split_once('*').filter(|(base, _)| !base.is_empty())?;
        if rest.is_empty() {
            return Some(Self { base, section: None, extended: true });
        }
        let digits = rest.strip_suffix('*').unwrap_or(rest);
        Some(Self { base, section: Some(digits.parse().ok()?), extended: digits.len() < rest.len() })
    }
}

/// Joins and decodes the parameters that RFC 2231 cut up; each stands where its first piece stood.
fn joined(raw: Vec<Raw>) -> Parameters {
    if raw.iter().all(|p| !p.name.contains('*')) {
        return raw.into_iter().map(|p| (p.name, charset::header_text(&p.value))).collect();
    }
    let pieces = raw.iter().enumerate().map(|(at, p)| Piece { at, name: Name::parse(&p.name), value: &p.value });
    let mut pieces: Vec<Piece<'_>> = pieces.collect();
    pieces.sort_by_key(|piece| (piece.name.base, piece.at));
    let mut out = Vec::with_capacity(pieces.len());
    for group in pieces.chunk_by(|a, b| a.name.base == b.name.base) {
        match decoded(group) {
            // RFC 6266 §4.3: a plain form beside it is for those who cannot read this one.
            Some(value) => out.extend(group.first().map(|p| (p.at, p.name.base, value))),
            None => out.extend(group.iter().map(|p| (p.at, p.name.base, charset::header_text(p.value)))),
        }
    }
    out.sort_by_key(|(at, ..)| *at);
    out.into_iter().map(|(_, name, value)| (name.to_owned(), value)).collect()
}

/// A parameter, by the meaning of its name.
struct Piece<'a> {
    /// Its place in the field.
    at: usize,
    name: Name<'a>,
    value: &'a [u8],
}

/// The value of all extended pieces of one name; `None` if there is none, or its beginning is missing.
fn decoded(group: &[Piece<'_>]) -> Option<String> {
    let mut sections: Vec<(u32, bool, &[u8])> =
        group.iter().filter_map(|p| Some((p.name.section?, p.name.extended, p.value))).collect();
    sections.sort_by_key(|(number, ..)| *number);
    sections.dedup_by_key(|(number, ..)| *number);
    if let Some(whole) = group.iter().find(|p| p.name.section.is_none() && p.name.extended) {
        sections = vec![(0, true, whole.value)];
    }
    let mut charset = "";
    let mut octets = Vec::new();
    // RFC 2231 §3: sections count from zero; what comes after a gap is lost.
    let unbroken = sections.iter().zip(0..).take_while(|((number, ..), expected)| number == expected);
    for ((number, extended, value), _) in unbroken {
        let mut value = *value;
        if *number == 0 && *extended {
            (charset, value) = without_charset(value);
        }
        if *extended { percent_decode(value, &mut octets) } else { octets.extend_from_slice(value) }
    }
    let begins = sections.first().is_some_and(|(number, ..)| *number == 0);
    begins.then(|| charset::decode(charset, &octets).replace('\0', ""))
}

/// Takes `charset'language'` from the beginning (RFC 2231 §4).
fn without_charset(value: &[u8]) -> (&str, &[u8]) {
    let mut pieces = value.splitn(3, |b| *b == b'\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(text)) => (std::str::from_utf8(charset).unwrap_or_default(), text),
        _ => ("", value),
    }
}

fn percent_decode(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            _ => out.push(*first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(block: &str) -> Content {
        Header::parse(block.as_bytes(), false).content
    }

    fn parameters(value: &str) -> Vec<(String, String)> {
        content(&format!("Content-Type: a/b; {value}\r\n")).parameters
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    // RFC 2045 §5.1: comments, quotes, case; §5.2: the default.
    #[test]
    fn types_and_parameters() {
        let plain = content("Content-type: Text/PLAIN; Charset=us-ascii (Plain text)\r\n");
        assert_eq!((plain.media_type.as_str(), plain.subtype.as_str()), ("text", "plain"));
        assert_eq!(plain.parameters, pairs(&[("charset", "us-ascii")]));
        for odd in
            ["Content-Type:\r\n", "Content-Type: text\r\n", "Content-Type: /\r\n", "X: y\r\n", "Content-Type: ;\r\n"]
        {
            let content = content(odd);
            assert_eq!((content.media_type.as_str(), content.subtype.as_str()), ("text", "plain"), "{odd}");
        }
        for spaced in ["image (c) / (d) png (e)", "image/ png", "image /png", "image/png"] {
            let content = content(&format!("Content-Type: {spaced}; a=b"));
            assert_eq!((content.media_type.as_str(), content.subtype.as_str()), ("image", "png"), "{spaced}");
            assert_eq!(content.parameters, pairs(&[("a", "b")]));
        }
        assert_eq!(content("Content-Type: text; charset=utf-8").parameters, pairs(&[("charset", "utf-8")]));
        assert_eq!(content("Content-Type: text/html").parameters, []);
    }

    #[test]
    fn careless_parameters() {
        assert_eq!(
            parameters("name=my report (1).pdf; x = \"a;\\\"b\""),
            pairs(&[("name", "my report (1).pdf"), ("x", "a;\"b")])
        );
        assert_eq!(parameters("a=\"1\" b=2"), pairs(&[("a", "1"), ("b", "2")]));
        assert_eq!(parameters(";;junk; =x; a=; b=\"open"), pairs(&[("a", ""), ("b", "open")]));
        assert_eq!(parameters("name=\"Grüße\""), pairs(&[("name", "Grüße")]));
    }

    // The examples of RFC 2231 §3, §4 and §4.1.
    #[test]
    fn continuations_and_charsets_of_the_rfc() {
        let value = "access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"";
        let url = "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar";
        assert_eq!(parameters(value), pairs(&[("access-type", "URL"), ("url", url)]));
        let value = "title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A";
        assert_eq!(parameters(value), pairs(&[("title", "This is ***fun***")]));
        let value =
            "title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"";
        assert_eq!(parameters(value), pairs(&[("title", "This is even more ***fun*** isn't it!")]));
    }

    #[test]
    fn odd_continuations() {
        assert_eq!(parameters("n*1=b; n*0=a; n*3=d"), pairs(&[("n", "ab")]));
        assert_eq!(parameters("n=plain; n*=utf-8''%C3%BC"), pairs(&[("n", "ü")]));
        assert_eq!(parameters("n*0*=iso-8859-1''%fc; n*1*=%E4"), pairs(&[("n", "üä")]));
        assert_eq!(parameters("n*1=lost"), pairs(&[("n", "lost")]));
        assert_eq!(parameters("n*=utf-8''"), pairs(&[("n", "")]));
        assert_eq!(parameters("n*=no-quotes%20; *=x; m*x=y"), pairs(&[("n", "no-quotes "), ("*", "x"), ("m*x", "y")]));
    }

    #[test]
    fn the_other_fields() {
        let all = content(
            "Content-Disposition: ATTACHMENT; filename=a\r\nContent-Language: de, en (x)\r\nContent-ID: <a@b>\r\n\
             Content-Location: http://a/\r\n b\r\nContent-MD5: Q2hl\r\nContent-Description: d\r\n\
             Content-Transfer-Encoding: Base64 (really)\r\nContent-Transfer-Encoding: 8bit\r\n",
        );
        assert_eq!(
            all.disposition,
            Some(Disposition { kind: "attachment".to_owned(), parameters: pairs(&[("filename", "a")]) })
        );
        assert_eq!(all.language, ["de", "en"]);
        assert_eq!(all.id.as_deref(), Some("<a@b>"));
        assert_eq!(all.location.as_deref(), Some("http://a/b"));
        assert_eq!((all.md5.as_deref(), all.description.as_deref()), (Some("Q2hl"), Some("d")));
        assert_eq!((all.encoding, all.unknown_encoding), (TransferEncoding::Base64, None));
        assert_eq!(content("Content-Transfer-Encoding: X-uu").unknown_encoding.as_deref(), Some("X-uu"));
    }

    proptest! {
        #[test]
        fn never_panics(value in "[ab*012=;'\"%\\\\() /]{0,60}") {
            parameters(&value);
        }
    }
}
