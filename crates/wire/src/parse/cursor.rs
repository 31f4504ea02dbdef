//! The tokens that all commands are made of: space, atoms, strings, numbers. It knows where it is and what it expected
//! there, and no command.

use std::borrow::Cow;

use columba_types::ModSeq;
use columba_types::limits::{LIST_ITEMS, MAILBOX_NAME_BYTES};
use memchr::{memchr2, memchr3};

use super::ParseMode;
use crate::mailbox::RawMailbox;

/// What was expected, and the octet it was not found at. The text never holds an octet of the command.
#[derive(Debug)]
pub(super) struct Fail {
    pub(super) at: usize,
    pub(super) text: Cow<'static, str>,
}

pub(super) type Parsed<T> = Result<T, Fail>;

/// A place in a command.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    octets: &'a [u8],
    at: usize,
    mode: ParseMode,
}

/// A short atom in upper case, to be looked up in a `match`; one that is longer than any name we know is empty.
pub(super) struct Name {
    octets: [u8; 24],
    len: usize,
}

impl Name {
    pub(super) fn new(atom: &[u8]) -> Self {
        let mut name = Self { octets: [0; 24], len: 0 };
        if let Some(place) = name.octets.get_mut(..atom.len()) {
            place.copy_from_slice(atom);
            place.make_ascii_uppercase();
            name.len = atom.len();
        }
        name
    }

    pub(super) fn as_str(&self) -> &str {
        self.octets.get(..self.len).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }
}

// ATOM-CHAR = <any CHAR except atom-specials>
pub(super) const fn is_atom_char(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

// ASTRING-CHAR = ATOM-CHAR / resp-specials
pub(super) const fn is_astring_char(b: u8) -> bool {
    is_atom_char(b) || b == b']'
}

// list-char = ATOM-CHAR / list-wildcards / resp-specials
const fn is_list_char(b: u8) -> bool {
    is_astring_char(b) || matches!(b, b'%' | b'*')
}

// tag = 1*<any ASTRING-CHAR except "+">
pub(super) const fn is_tag_char(b: u8) -> bool {
    is_astring_char(b) && b != b'+'
}

const fn is_name_char(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(octets: &'a [u8], mode: ParseMode) -> Self {
        Self { octets, at: 0, mode }
    }

    pub(super) fn fail<T>(&self, text: impl Into<Cow<'static, str>>) -> Parsed<T> {
        self.fail_at(self.at, text)
    }

    pub(super) fn fail_at<T>(&self, at: usize, text: impl Into<Cow<'static, str>>) -> Parsed<T> {
        Err(Fail { at, text: text.into() })
    }

    /// Where it is, to be given to [`Cursor::fail_at`].
    pub(super) const fn place(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.octets.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    /// Takes the octet if it is there.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.at += usize::from(found);
        found
    }

    /// Leaves the octet that was seen with [`Cursor::peek`] behind.
    pub(super) fn skip(&mut self) {
        self.at += usize::from(self.at < self.octets.len());
    }

    pub(super) fn expect(&mut self, octet: u8, text: &'static str) -> Parsed<()> {
        if self.take(octet) { Ok(()) } else { self.fail(text) }
    }

    // RFC 9051 §9: SP is exactly one space.
    pub(super) fn space(&mut self) -> Parsed<()> {
        self.expect(b' ', "expected a space")
    }

    /// The end of the command. A space before it is what several clients send, and harms nobody.
    pub(super) fn end(&mut self) -> Parsed<()> {
        while self.take(b' ') {}
        if self.peek().is_none() { Ok(()) } else { self.fail("expected the end of the command") }
    }

    /// The octets from here on for which `belongs` holds; none is fine.
    pub(super) fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().position(|b| !belongs(*b)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    pub(super) fn atom(&mut self, expected: &'static str) -> Parsed<&'a str> {
        let atom = self.run(is_atom_char);
        match std::str::from_utf8(atom) {
            Ok(atom) if !atom.is_empty() => Ok(atom),
            _ => self.fail(expected),
        }
    }

    /// Letters, digits, `.`, `-` and `_`, to be looked up: what names commands, options and items.
    pub(super) fn name(&mut self) -> Name {
        Name::new(self.run(is_name_char))
    }

    /// Whether that word comes next and ends there, in any case; only then it is taken.
    pub(super) fn take_name(&mut self, name: &str) -> bool {
        let (before, found) = (self.at, self.run(is_name_char).eq_ignore_ascii_case(name.as_bytes()));
        if !found {
            self.at = before;
        }
        found
    }

    // astring = 1*ASTRING-CHAR / string
    pub(super) fn astring(&mut self, expected: &'static str) -> Parsed<Vec<u8>> {
        self.chars_or_string(is_astring_char, expected)
    }

    fn chars_or_string(&mut self, belongs: impl Fn(u8) -> bool, expected: &'static str) -> Parsed<Vec<u8>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string(expected);
        }
        let octets = self.run(belongs);
        if octets.is_empty() { self.fail(expected) } else { Ok(octets.to_vec()) }
    }

    // mailbox = "INBOX" / astring
    pub(super) fn mailbox(&mut self) -> Parsed<RawMailbox> {
        let at = self.at;
        let octets = self.astring("expected a mailbox name")?;
        self.bounded_name(at, octets)
    }

    // list-mailbox = 1*list-char / string
    pub(super) fn list_mailbox(&mut self) -> Parsed<RawMailbox> {
        let at = self.at;
        let octets = self.chars_or_string(is_list_char, "expected a mailbox pattern")?;
        self.bounded_name(at, octets)
    }

    /// Modified UTF-7 takes at most 8 octets for the 2 of a short character in UTF-8, and pays for each run.
    fn bounded_name(&self, at: usize, octets: Vec<u8>) -> Parsed<RawMailbox> {
        if octets.len() > 4 * MAILBOX_NAME_BYTES {
            return self.fail_at(at, "the mailbox name is too long");
        }
        Ok(RawMailbox(octets))
    }

    // string = quoted / literal
    pub(super) fn string(&mut self, expected: &'static str) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => self.fail(expected),
        }
    }

    // nstring = string / nil
    pub(super) fn nstring(&mut self, expected: &'static str) -> Parsed<Option<Vec<u8>>> {
        // RFC 9051 §4.5: NIL is nil, "NIL" is a string of three letters.
        if self.take_name("NIL") { Ok(None) } else { self.string(expected).map(Some) }
    }

    // quoted          = DQUOTE *QUOTED-CHAR DQUOTE
    // QUOTED-CHAR     = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials / UTF8-2 / UTF8-3 / UTF8-4
    fn quoted(&mut self) -> Parsed<Vec<u8>> {
        let start = self.at;
        self.at += 1;
        let mut value = Vec::new();
        loop {
            let rest = self.rest();
            let Some(len) = memchr2(b'"', b'\\', rest) else {
                return self.fail_at(start, "the quoted string is not closed");
            };
            let (piece, from) = rest.split_at(len);
            if memchr3(0, b'\r', b'\n', piece).is_some() {
                return self.fail_at(start, "a quoted string cannot contain CR, LF or NUL");
            }
            value.extend_from_slice(piece);
            self.at += len + 1;
            if from.first() == Some(&b'"') {
                break;
            }
            match self.peek() {
                Some(escaped @ (b'"' | b'\\')) => value.push(escaped),
                _ => return self.fail("expected \" or \\ after a backslash"),
            }
            self.at += 1;
        }
        if !value.is_ascii() {
            if !self.mode.utf8 {
                return self.fail_at(start, "8-bit characters in a quoted string need ENABLE UTF8=ACCEPT or IMAP4rev2");
            }
            if std::str::from_utf8(&value).is_err() {
                return self.fail_at(start, "the quoted string is not valid UTF-8");
            }
        }
        Ok(value)
    }

    // literal = "{" number64 ["+"] "}" CRLF *CHAR8
    fn literal(&mut self) -> Parsed<Vec<u8>> {
        let start = self.at;
        let size = self.literal_head()?;
        let rest = self.rest();
        let Some(value) = usize::try_from(size).ok().and_then(|size| rest.get(..size)) else {
            return self.fail_at(start, "the literal is not complete");
        };
        // RFC 9051 §9: CHAR8 is any octet except NUL.
        if memchr::memchr(0, value).is_some() {
            return self.fail_at(start, "a literal cannot contain NUL here");
        }
        self.at += value.len();
        Ok(value.to_vec())
    }

    // literal8 = "~{" number64 ["+"] "}" CRLF *OCTET
    pub(super) fn literal8(&mut self) -> Parsed<Vec<u8>> {
        let start = self.at;
        self.expect(b'~', "expected a literal8")?;
        let size = self.literal_head()?;
        let Some(value) = usize::try_from(size).ok().and_then(|size| self.rest().get(..size)) else {
            return self.fail_at(start, "the literal is not complete");
        };
        self.at += value.len();
        Ok(value.to_vec())
    }

    /// `{n}` or `{n+}` and its line end; the size.
    pub(super) fn literal_head(&mut self) -> Parsed<u64> {
        self.expect(b'{', "expected a literal")?;
        let size = self.number64()?;
        self.take(b'+');
        self.expect(b'}', "expected } after the size of the literal")?;
        self.take(b'\r');
        self.expect(b'\n', "expected a line end after the size of the literal")?;
        Ok(size)
    }

    // number64 = 1*DIGIT    ; Unsigned 63-bit integer
    pub(super) fn number64(&mut self) -> Parsed<u64> {
        self.digits(i64::MAX as u64, "expected a number of at most 9223372036854775807")
    }

    /// A number of 64 bits, as X-GM-EXT-1 has them.
    pub(super) fn number64_whole(&mut self) -> Parsed<u64> {
        self.digits(u64::MAX, "expected a number of at most 18446744073709551615")
    }

    // mod-sequence-valzer = "0" / mod-sequence-value     (RFC 7162 §7)
    pub(super) fn modseq(&mut self) -> Parsed<ModSeq> {
        self.number64().map(ModSeq)
    }

    // number = 1*DIGIT      ; Unsigned 32-bit integer
    pub(super) fn number(&mut self) -> Parsed<u32> {
        let number = self.digits(u64::from(u32::MAX), "expected a number of at most 4294967295")?;
        Ok(number as u32)
    }

    // nz-number = digit-nz *DIGIT
    pub(super) fn nz_number(&mut self) -> Parsed<u32> {
        let at = self.at;
        match self.number()? {
            0 => self.fail_at(at, "expected a number that is not zero"),
            number => Ok(number),
        }
    }

    fn digits(&mut self, highest: u64, expected: &'static str) -> Parsed<u64> {
        let at = self.at;
        let digits = self.run(|b| b.is_ascii_digit());
        let add = |n: u64, b: &u8| n.checked_mul(10)?.checked_add(u64::from(b - b'0')).filter(|n| *n <= highest);
        match digits.iter().try_fold(0, add) {
            Some(number) if !digits.is_empty() => Ok(number),
            _ => self.fail_at(at, expected),
        }
    }

    /// `"(" [item *(SP item)] ")"`
    pub(super) fn list<T>(&mut self, expected: &'static str, item: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.list_up_to(LIST_ITEMS, expected, item)
    }

    /// The same with a limit of its own.
    pub(super) fn list_up_to<T>(
        &mut self,
        most: usize,
        expected: &'static str,
        item: impl Fn(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        self.expect(b'(', expected)?;
        let mut items = Vec::new();
        while !self.take(b')') {
            if !items.is_empty() {
                self.expect(b' ', "expected a space or )")?;
            }
            if items.len() >= most {
                return self.fail("the list has too many items");
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `"(" item *(SP item) ")"`
    pub(super) fn full_list<T>(
        &mut self,
        expected: &'static str,
        item: impl Fn(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let at = self.at;
        let items = self.list(expected, item)?;
        if items.is_empty() { self.fail_at(at, "the list cannot be empty") } else { Ok(items) }
    }
}
