//! Numbers, atoms, quoted strings and literals, in the form that is legal and shortest.

use crate::mailbox::{NameForm, encode_mailbox};

/// A decimal number.
pub(crate) fn decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// How octets can be sent as a `string`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Atom,
    Quoted,
    Literal,
}

// RFC 9051 §9: ASTRING-CHAR, quoted, literal. Non-ASCII is for quoted strings only where UTF-8 was agreed.
fn form(octets: &[u8], utf8: bool) -> Form {
    // An atom NIL would be legal, but clients take it for nil (RFC 9051 §4.5).
    let mut form = if octets.is_empty() || octets.eq_ignore_ascii_case(b"NIL") { Form::Quoted } else { Form::Atom };
    let mut ascii = true;
    for b in octets {
        match b {
            0 | b'\r' | b'\n' => return Form::Literal,
            0x80.. => ascii = false,
            b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | 0..=b' ' | 0x7f => form = Form::Quoted,
            _ => {}
        }
    }
    match ascii {
        true => form,
        false if utf8 && std::str::from_utf8(octets).is_ok() => Form::Quoted,
        false => Form::Literal,
    }
}

/// How a literal is announced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announce {
    /// By a server, which never waits.
    Plain,
    /// By a client, which does not wait for small ones (RFC 7888 §5).
    NonSynchronizing,
}

/// Where strings go and what they may hold.
#[derive(Clone, Copy)]
pub(crate) struct StringMode {
    pub(crate) utf8: bool,
    pub(crate) announce: Announce,
}

impl StringMode {
    /// `quoted / literal`
    pub(crate) fn string(self, out: &mut Vec<u8>, octets: &[u8]) {
        match form(octets, self.utf8) {
            Form::Atom | Form::Quoted => quoted(out, octets),
            Form::Literal => self.literal(out, octets),
        }
    }

    /// `1*ASTRING-CHAR / string`
    pub(crate) fn astring(self, out: &mut Vec<u8>, octets: &[u8]) {
        match form(octets, self.utf8) {
            Form::Atom => out.extend_from_slice(octets),
            Form::Quoted => quoted(out, octets),
            Form::Literal => self.literal(out, octets),
        }
    }

    /// `string / nil`
    pub(crate) fn nstring(self, out: &mut Vec<u8>, octets: Option<&[u8]>) {
        match octets {
            Some(octets) => self.string(out, octets),
            None => out.extend_from_slice(b"NIL"),
        }
    }

    /// A mailbox name, in modified UTF-7 or UTF-8.
    pub(crate) fn mailbox(self, out: &mut Vec<u8>, name: &str) {
        self.astring(out, &encode_mailbox(name, self.name_form()));
    }

    /// How mailbox names are written.
    pub(crate) const fn name_form(self) -> NameForm {
        if self.utf8 { NameForm::Utf8 } else { NameForm::ModifiedUtf7 }
    }

    fn literal(self, out: &mut Vec<u8>, octets: &[u8]) {
        let small = octets.len() as u64 <= columba_types::limits::LITERAL_MINUS_BYTES;
        let plus = self.announce == Announce::NonSynchronizing && small;
        literal_head(out, octets.len() as u64, false, plus);
        out.extend_from_slice(octets);
    }
}

/// `{n}`, `{n+}` or `~{n}`, and its line end.
pub(crate) fn literal_head(out: &mut Vec<u8>, size: u64, literal8: bool, plus: bool) {
    out.extend_from_slice(if literal8 { b"~{" } else { b"{" });
    decimal(out, size);
    out.extend_from_slice(if plus { b"+}\r\n" } else { b"}\r\n" });
}

/// The quoted form; the octets hold no CR, LF or NUL.
fn quoted(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(b'"');
    let mut rest = octets;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        out.push(b'\\');
        out.extend_from_slice(from.get(..1).unwrap_or_default());
        rest = from.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
