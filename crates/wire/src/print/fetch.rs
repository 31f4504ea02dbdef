//! FETCH responses, item by item, so that large values can be streamed between them.

use std::io::Write;

use columba_types::{DateTime, MessageId, ModSeq, SeqNum, SystemFlags, ThreadId, Uid};

use super::strings::{Announce, StringMode, decimal, literal_head};
use super::{PrintMode, Printer};
use crate::command::{Section, SectionText};

impl Printer<'_> {
    /// `* n FETCH (`, or `* uid UIDFETCH (` once UIDONLY is enabled (RFC 9586 §3.3); items follow, at least one, then
    /// [`Printer::fetch_end`].
    pub fn fetch_begin(&mut self, seq: SeqNum, uid: Uid) {
        self.bytes(b"* ");
        self.decimal(u64::from(if self.mode.uid_only { uid.value() } else { seq.value() }));
        self.bytes(if self.mode.uid_only { b" UIDFETCH (" } else { b" FETCH (" });
        self.first = true;
    }

    /// Goes on with a FETCH response that another printer began; `first` if it has no item yet.
    pub fn fetch_resume(&mut self, first: bool) {
        self.first = first;
    }

    /// `)` and the line end.
    pub fn fetch_end(&mut self) {
        self.first = false;
        self.bytes(b")\r\n");
    }

    /// `UID n`
    pub fn fetch_uid(&mut self, uid: Uid) {
        self.item(b"UID");
        self.decimal(u64::from(uid.value()));
    }

    /// `FLAGS (…)`; \Recent is for rev1 only.
    pub fn fetch_flags<'s>(&mut self, recent: bool, system: SystemFlags, keywords: impl IntoIterator<Item = &'s str>) {
        self.item(b"FLAGS");
        self.bytes(b"(");
        let recent = recent.then_some("\\Recent");
        let system = system.names().map(|name| -> &'s str { name });
        self.spaced(system.chain(recent).chain(keywords));
        self.bytes(b")");
    }

    /// `INTERNALDATE "…"`
    pub fn fetch_internal_date(&mut self, date: DateTime) {
        self.item(b"INTERNALDATE");
        // Writing into a Vec cannot fail.
        let _ = write!(self.out, "\"{date}\"");
    }

    /// `SAVEDATE "…"` (RFC 8514 §4.2)
    pub fn fetch_save_date(&mut self, date: DateTime) {
        self.item(b"SAVEDATE");
        let _ = write!(self.out, "\"{date}\"");
    }

    /// `X-GM-MSGID n` or `X-GM-THRID n` (X-GM-EXT-1).
    pub fn fetch_gm_number(&mut self, name: &[u8], number: u64) {
        self.item(name);
        self.decimal(number);
    }

    /// `X-GM-LABELS (…)` (X-GM-EXT-1): system labels as they are, names of mailboxes as this client reads them.
    pub fn fetch_gm_labels<'s>(
        &mut self,
        system: impl IntoIterator<Item = &'s str>,
        names: impl IntoIterator<Item = &'s str>,
    ) {
        self.item(b"X-GM-LABELS");
        self.bytes(b"(");
        let mut first = true;
        for label in system {
            self.bytes(if first { b"" } else { b" " });
            self.bytes(label.as_bytes());
            first = false;
        }
        for name in names {
            self.bytes(if first { b"" } else { b" " });
            self.mailbox(name);
            first = false;
        }
        self.bytes(b")");
    }

    /// `EMAILID (M…)` (RFC 8474 §5.3)
    pub fn fetch_email_id(&mut self, id: MessageId) {
        self.item(b"EMAILID");
        let _ = write!(self.out, "({id})");
    }

    /// `THREADID (T…)` (RFC 8474 §5.3)
    pub fn fetch_thread_id(&mut self, id: ThreadId) {
        self.item(b"THREADID");
        let _ = write!(self.out, "({id})");
    }

    /// `RFC822.SIZE n`
    pub fn fetch_size(&mut self, size: u64) {
        self.item(b"RFC822.SIZE");
        self.decimal(size);
    }

    /// `MODSEQ (n)` (RFC 7162 §3.1.4.2)
    pub fn fetch_modseq(&mut self, modseq: ModSeq) {
        self.item(b"MODSEQ");
        self.bytes(b"(");
        self.decimal(modseq.0);
        self.bytes(b")");
    }

    /// An item whose value is ready to be sent: an envelope, a structure.
    pub fn fetch_raw(&mut self, name: &[u8], value: &[u8]) {
        self.item(name);
        self.bytes(value);
    }

    /// An item whose value is a literal; exactly `size` octets must be sent next. `literal8` is for BINARY only.
    pub fn fetch_literal_begin(&mut self, name: &[u8], size: u64, literal8: bool) {
        self.item(name);
        literal_head(self.out, size, literal8, false);
    }

    /// An item whose value is a literal that is at hand.
    pub fn fetch_literal(&mut self, name: &[u8], octets: &[u8]) {
        self.fetch_literal_begin(name, octets.len() as u64, false);
        self.bytes(octets);
    }

    /// An item whose value is a string or NIL.
    pub fn fetch_nstring(&mut self, name: &[u8], value: Option<&[u8]>) {
        self.item(name);
        self.nstring(value);
    }

    /// `BINARY.SIZE[part] n`
    pub fn fetch_binary_size(&mut self, part: &[u32], size: u64) {
        self.separate();
        self.bytes(b"BINARY.SIZE[");
        part_numbers(self.out, part);
        self.bytes(b"] ");
        self.decimal(size);
    }

    fn item(&mut self, name: &[u8]) {
        self.separate();
        self.bytes(name);
        self.bytes(b" ");
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.bytes(b" ");
        }
    }
}

/// The name under which a section is answered: `BODY[1.HEADER.FIELDS (From To)]<0>`. `origin` is the offset of a
/// partial fetch; its length is never echoed (RFC 9051 §6.4.5). Field names are as sent, quoted where needed.
pub fn section_name(section: &Section, origin: Option<u64>, mode: PrintMode) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    out.extend_from_slice(b"BODY");
    print_section(&mut out, section, StringMode { utf8: mode.utf8, announce: Announce::Plain });
    print_origin(&mut out, origin);
    out
}

/// The name under which BINARY is answered: `BINARY[1.2]<0>`.
pub fn binary_name(part: &[u32], origin: Option<u64>) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    out.extend_from_slice(b"BINARY[");
    part_numbers(&mut out, part);
    out.push(b']');
    print_origin(&mut out, origin);
    out
}

/// `[…]` of BODY.
pub(super) fn print_section(out: &mut Vec<u8>, section: &Section, strings: StringMode) {
    out.push(b'[');
    part_numbers(out, &section.part);
    if !section.part.is_empty() && section.text != SectionText::All {
        out.push(b'.');
    }
    match &section.text {
        SectionText::All => {}
        SectionText::Header => out.extend_from_slice(b"HEADER"),
        SectionText::HeaderFields(names) => field_names(out, b"HEADER.FIELDS (", names, strings),
        SectionText::HeaderFieldsNot(names) => field_names(out, b"HEADER.FIELDS.NOT (", names, strings),
        SectionText::Text => out.extend_from_slice(b"TEXT"),
        SectionText::Mime => out.extend_from_slice(b"MIME"),
    }
    out.push(b']');
}

fn field_names(out: &mut Vec<u8>, begin: &[u8], names: &[Vec<u8>], strings: StringMode) {
    out.extend_from_slice(begin);
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        strings.astring(out, name);
    }
    out.push(b')');
}

/// `1.2.3`
pub(super) fn part_numbers(out: &mut Vec<u8>, part: &[u32]) {
    for (i, number) in part.iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        decimal(out, u64::from(*number));
    }
}

fn print_origin(out: &mut Vec<u8>, origin: Option<u64>) {
    if let Some(origin) = origin {
        out.push(b'<');
        decimal(out, origin);
        out.push(b'>');
    }
}
