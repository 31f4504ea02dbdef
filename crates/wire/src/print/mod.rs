//! Responses -> octets, appended to a buffer without an allocation per item. Each method prints one whole response or
//! one item of a FETCH response; what a text, a name or a value holds cannot break out of its place.

mod append;
mod code;
mod command;
mod fetch;
mod list;
mod metadata;
mod notify;
mod search;
mod strings;

use crate::command::Tag;
use code::uid_set;
use strings::{Announce, StringMode, decimal};

pub use code::Code;
pub use command::print_command;
pub use fetch::{binary_name, section_name};
pub use list::{ListLine, Namespace, StatusValue};
pub use search::Esearch;

use columba_types::{SeqNum, UidSet};

/// How a connection is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PrintMode {
    /// IMAP4rev2 is enabled (RFC 9051 App. A).
    pub rev2: bool,
    /// UTF8=ACCEPT or IMAP4rev2 is enabled: mailbox names are UTF-8, quoted strings may hold it.
    pub utf8: bool,
    /// UIDONLY is enabled: no sequence number may be sent (RFC 9586 §3).
    pub uid_only: bool,
}

/// How a command ended, or what an untagged condition says (RFC 9051 §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub enum Status {
    Ok,
    No,
    Bad,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
        }
    }
}

/// Prints responses into a buffer. It may be made anew at any point, also in the middle of a FETCH response once the
/// first item is printed.
#[derive(Debug)]
pub struct Printer<'a> {
    /// Where to; printed at its end.
    pub out: &'a mut Vec<u8>,
    /// How.
    pub mode: PrintMode,
    /// Whether the next FETCH item is the first of its response.
    first: bool,
}

impl<'a> Printer<'a> {
    /// A printer that appends to `out`.
    pub const fn new(out: &'a mut Vec<u8>, mode: PrintMode) -> Self {
        Self { out, mode, first: false }
    }

    /// `+ text`. The space is always there, clients wait for it (RFC 9051 §7.6).
    pub fn continuation(&mut self, text: &str) {
        self.bytes(b"+ ");
        self.clean(text);
        self.line_end();
    }

    /// The answer that ends a command.
    pub fn tagged(&mut self, tag: &Tag, status: Status, code: Option<&Code>, text: &str) {
        self.bytes(tag.0.as_bytes());
        self.condition(status.name(), code, text);
    }

    /// `* OK`, `* NO` or `* BAD`.
    pub fn untagged(&mut self, status: Status, code: Option<&Code>, text: &str) {
        self.bytes(b"*");
        self.condition(status.name(), code, text);
    }

    /// The greeting of a connection that needs no login (RFC 9051 §7.1.4).
    pub fn preauth(&mut self, code: Option<&Code>, text: &str) {
        self.bytes(b"*");
        self.condition("PREAUTH", code, text);
    }

    /// The last words of a connection (RFC 9051 §7.1.5).
    pub fn bye(&mut self, code: Option<&Code>, text: &str) {
        self.bytes(b"*");
        self.condition("BYE", code, text);
    }

    /// `* CAPABILITY` and the names.
    pub fn capability<'s>(&mut self, names: impl IntoIterator<Item = &'s str>) {
        self.words("CAPABILITY", names);
    }

    /// `* ENABLED` and the names; also with none of them (RFC 5161 §3.2).
    pub fn enabled<'s>(&mut self, names: impl IntoIterator<Item = &'s str>) {
        self.words("ENABLED", names);
    }

    /// `* n EXISTS`
    pub fn exists(&mut self, count: u32) {
        self.counted(count, "EXISTS");
    }

    /// `* n RECENT`, rev1 only (RFC 9051 App. E).
    pub fn recent(&mut self, count: u32) {
        self.counted(count, "RECENT");
    }

    /// `* n EXPUNGE`
    pub fn expunge(&mut self, seq: SeqNum) {
        self.counted(seq.value(), "EXPUNGE");
    }

    /// `* VANISHED`, in place of EXPUNGE once QRESYNC or UIDONLY is enabled; `earlier` for what was gone before the client
    /// selected the mailbox, or what it asked to be reminded of (RFC 7162 §3.2.10). Nothing for the empty set.
    pub fn vanished(&mut self, earlier: bool, uids: &UidSet) {
        if uids.is_empty() {
            return;
        }
        self.bytes(if earlier { b"* VANISHED (EARLIER) " } else { b"* VANISHED " });
        uid_set(self.out, uids);
        self.line_end();
    }

    /// `* FLAGS (…)`
    pub fn flags(&mut self, names: &[&str]) {
        self.bytes(b"* FLAGS (");
        self.spaced(names.iter().copied());
        self.bytes(b")\r\n");
    }

    /// The answer to ID (RFC 2971 §3.2); `None` is NIL.
    pub fn id(&mut self, fields: Option<&[(&str, Option<&str>)]>) {
        self.bytes(b"* ID ");
        match fields {
            None => self.bytes(b"NIL"),
            Some(fields) => {
                self.bytes(b"(");
                for (i, (name, value)) in fields.iter().enumerate() {
                    if i > 0 {
                        self.bytes(b" ");
                    }
                    self.string(name.as_bytes());
                    self.bytes(b" ");
                    self.nstring(value.map(str::as_bytes));
                }
                self.bytes(b")");
            }
        }
        self.line_end();
    }

    /// An atom where that is legal, else as [`Printer::string`].
    pub fn astring(&mut self, octets: &[u8]) {
        self.strings().astring(self.out, octets);
    }

    /// A quoted string where that is legal in this mode, else a literal.
    pub fn string(&mut self, octets: &[u8]) {
        self.strings().string(self.out, octets);
    }

    /// As [`Printer::string`], or NIL.
    pub fn nstring(&mut self, octets: Option<&[u8]>) {
        self.strings().nstring(self.out, octets);
    }

    fn mailbox(&mut self, name: &str) {
        self.strings().mailbox(self.out, name);
    }

    const fn strings(&self) -> StringMode {
        StringMode { utf8: self.mode.utf8, announce: Announce::Plain }
    }

    fn condition(&mut self, name: &str, code: Option<&Code>, text: &str) {
        self.bytes(b" ");
        self.bytes(name.as_bytes());
        self.bytes(b" ");
        if let Some(code) = code {
            code.print(self.out);
            self.bytes(b" ");
        } else if text.starts_with('[') {
            // It would be taken for a code.
            self.bytes(b": ");
        }
        // RFC 3501 §9: resp-text is never empty.
        self.clean(if text.is_empty() { "Done" } else { text });
        self.line_end();
    }

    /// A text that stays on its line. Only IMAP4rev2 has anything but ASCII there (RFC 9051 §9 `text`).
    fn clean(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                ' '..='~' => self.out.push(c as u8),
                _ if self.mode.rev2 && !c.is_control() => self.bytes(c.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => self.out.push(b'?'),
            }
        }
    }

    fn counted(&mut self, number: u32, name: &str) {
        self.bytes(b"* ");
        self.decimal(u64::from(number));
        self.bytes(b" ");
        self.bytes(name.as_bytes());
        self.line_end();
    }

    fn words<'s>(&mut self, name: &str, words: impl IntoIterator<Item = &'s str>) {
        self.bytes(b"* ");
        self.bytes(name.as_bytes());
        for word in words {
            self.bytes(b" ");
            self.bytes(word.as_bytes());
        }
        self.line_end();
    }

    fn spaced<'s>(&mut self, words: impl IntoIterator<Item = &'s str>) {
        for (i, word) in words.into_iter().enumerate() {
            if i > 0 {
                self.bytes(b" ");
            }
            self.bytes(word.as_bytes());
        }
    }

    fn decimal(&mut self, number: u64) {
        decimal(self.out, number);
    }

    fn bytes(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    fn line_end(&mut self) {
        self.bytes(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
