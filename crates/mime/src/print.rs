//! IMAP strings, printed so that they are always legal: quoted, literal or NIL, with or without UTF-8.

use std::borrow::Cow;

use columba_types::limits::QUOTED_STRING_BYTES;

use crate::{charset, words};

/// Collects what is sent to a client of one kind.
#[derive(Debug)]
pub(crate) struct Printer {
    /// What has been printed.
    pub(crate) out: Vec<u8>,
    utf8: bool,
    /// Whether a client of the other kind would be sent something else.
    pub(crate) differs: bool,
}

impl Printer {
    /// For a client with (`utf8`) or without UTF-8 in quoted strings.
    pub(crate) fn new(utf8: bool) -> Self {
        Self { out: Vec::with_capacity(512), utf8, differs: false }
    }

    /// Whether this is for a client with UTF-8.
    pub(crate) const fn utf8(&self) -> bool {
        self.utf8
    }

    /// Syntax, as it is.
    pub(crate) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A number.
    pub(crate) fn number(&mut self, number: u64) {
        let mut digits = [0u8; 20];
        let (mut rest, mut at) = (number, digits.len());
        for (place, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            at = place;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(digits.get(at..).unwrap_or_default());
    }

    /// A `string` of a header's octets. RFC 6855 §3: never raw 8-bit for a client without UTF-8; it gets encoded-words.
    pub(crate) fn octets(&mut self, octets: &[u8]) {
        if octets.is_ascii() {
            self.ascii_or_utf8(octets);
        } else {
            self.text(&charset::guess(octets));
        }
    }

    /// A `string` of text.
    pub(crate) fn text(&mut self, text: &str) {
        if text.is_ascii() {
            return self.ascii_or_utf8(text.as_bytes());
        }
        self.differs = true;
        let text = if self.utf8 { Cow::Borrowed(text) } else { Cow::Owned(words::encode_header(text)) };
        self.ascii_or_utf8(text.as_bytes());
    }

    /// An `nstring` of a header's octets.
    pub(crate) fn octets_or_nil(&mut self, octets: Option<&[u8]>) {
        match octets {
            Some(octets) => self.octets(octets),
            None => self.raw("NIL"),
        }
    }

    /// An `nstring` of text.
    pub(crate) fn text_or_nil(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.raw("NIL"),
        }
    }

    // RFC 9051 §4.3: NUL cannot be sent at all, CR and LF only in a literal.
    fn ascii_or_utf8(&mut self, text: &[u8]) {
        let without_nul: Vec<u8>;
        let mut text = text;
        if text.contains(&0) {
            without_nul = text.iter().copied().filter(|b| *b != 0).collect();
            text = &without_nul;
        }
        if text.len() > QUOTED_STRING_BYTES || memchr::memchr2(b'\r', b'\n', text).is_some() {
            self.raw("{");
            self.number(text.len() as u64);
            self.raw("}\r\n");
            return self.out.extend_from_slice(text);
        }
        self.out.push(b'"');
        let mut rest = text;
        while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
            let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.out.extend_from_slice(plain);
            self.out.push(b'\\');
            self.out.extend(special.first());
            rest = special.get(1..).unwrap_or_default();
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(utf8: bool, octets: &[u8]) -> String {
        let mut printer = Printer::new(utf8);
        printer.octets(octets);
        String::from_utf8(printer.out).unwrap()
    }

    #[test]
    fn strings_are_quoted_or_literals() {
        assert_eq!(printed(false, b""), r#""""#);
        assert_eq!(printed(false, br#"a "b" \c"#), r#""a \"b\" \\c""#);
        assert_eq!(printed(false, b"a\0b"), r#""ab""#);
        assert_eq!(printed(false, b"a\rb\0"), "{3}\r\na\rb");
        let long = "x".repeat(QUOTED_STRING_BYTES + 1);
        assert_eq!(printed(false, long.as_bytes()), format!("{{4097}}\r\n{long}"));
    }

    #[test]
    fn eight_bit_is_encoded_unless_the_client_takes_utf8() {
        assert_eq!(printed(true, "ü".as_bytes()), "\"ü\"");
        assert_eq!(printed(true, b"\xfc"), "\"ü\"");
        assert_eq!(printed(false, b"\xfc"), "\"=?UTF-8?B?w7w=?=\"");
    }

    #[test]
    fn numbers() {
        let mut printer = Printer::new(false);
        for number in [0, 7, 1234567890, u64::MAX] {
            printer.number(number);
            printer.raw(" ");
        }
        assert_eq!(printer.out, b"0 7 1234567890 18446744073709551615 ");
    }
}
