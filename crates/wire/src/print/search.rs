//! SEARCH and ESEARCH responses.

use columba_types::{ModSeq, UidSet};

use super::Printer;
use super::code::uid_set;
use super::strings::decimal;
use crate::command::{PartialRange, Tag};

/// An ESEARCH response (RFC 9051 §7.3.4). What was not asked for is `None`.
#[derive(Clone, Copy, Debug)]
pub struct Esearch<'a> {
    /// Of the SEARCH command.
    pub tag: &'a Tag,
    /// Whether the numbers are UIDs.
    pub uid: bool,
    /// `None` also where nothing was found.
    pub min: Option<u32>,
    /// `None` also where nothing was found.
    pub max: Option<u32>,
    /// 0 is printed.
    pub count: Option<u32>,
    /// An empty set is left out (RFC 9051 §6.4.4).
    pub all: Option<&'a UidSet>,
    /// The range asked for, and what is in it; an empty set is NIL (RFC 9394 §3.1).
    pub partial: Option<(PartialRange, &'a UidSet)>,
    /// The highest of all messages found, if the criteria named MODSEQ (RFC 4731 §3.2).
    pub modseq: Option<ModSeq>,
}

impl Printer<'_> {
    /// `* SEARCH`, also when nothing was found (RFC 3501 §7.2.5); with the highest mod-sequence of what was found if the
    /// criteria named MODSEQ (RFC 7162 §3.1.6).
    pub fn search(&mut self, numbers: impl IntoIterator<Item = u32>, modseq: Option<ModSeq>) {
        self.bytes(b"* SEARCH");
        for number in numbers {
            self.bytes(b" ");
            self.decimal(u64::from(number));
        }
        if let Some(modseq) = modseq {
            self.bytes(b" (MODSEQ ");
            self.decimal(modseq.0);
            self.bytes(b")");
        }
        self.line_end();
    }

    /// `* ESEARCH`
    pub fn esearch(&mut self, result: &Esearch<'_>) {
        // New Outlook breaks on a tag that is not quoted, and a tag needs no escapes.
        self.bytes(b"* ESEARCH (TAG \"");
        self.bytes(result.tag.0.as_bytes());
        self.bytes(b"\")");
        if result.uid {
            self.bytes(b" UID");
        }
        for (name, value) in [(" MIN ", result.min), (" MAX ", result.max), (" COUNT ", result.count)] {
            if let Some(value) = value {
                self.bytes(name.as_bytes());
                self.decimal(u64::from(value));
            }
        }
        if let Some(all) = result.all.filter(|all| !all.is_empty()) {
            self.bytes(b" ALL ");
            uid_set(self.out, all);
        }
        if let Some((range, found)) = result.partial {
            self.bytes(b" PARTIAL (");
            range.print(self.out);
            self.bytes(b" ");
            if found.is_empty() {
                self.bytes(b"NIL");
            } else {
                uid_set(self.out, found);
            }
            self.bytes(b")");
        }
        if let Some(modseq) = result.modseq {
            self.bytes(b" MODSEQ ");
            self.decimal(modseq.0);
        }
        self.line_end();
    }

    /// `* UIDBATCHES`, the ranges from the highest down, each `high:low`, also where the two are one (RFC 10022 §4).
    pub fn uid_batches(&mut self, tag: &Tag, ranges: impl IntoIterator<Item = (u32, u32)>) {
        self.bytes(b"* UIDBATCHES (TAG \"");
        self.bytes(tag.0.as_bytes());
        self.bytes(b"\")");
        for (i, (high, low)) in ranges.into_iter().enumerate() {
            self.bytes(if i == 0 { b" " } else { b"," });
            self.decimal(u64::from(high));
            self.bytes(b":");
            self.decimal(u64::from(low));
        }
        self.line_end();
    }
}

impl PartialRange {
    /// As written: `1:500` or `-1:-100`.
    pub(super) fn print(self, out: &mut Vec<u8>) {
        let minus: &[u8] = if self.from_end { b"-" } else { b"" };
        out.extend_from_slice(minus);
        decimal(out, u64::from(self.first));
        out.push(b':');
        out.extend_from_slice(minus);
        decimal(out, u64::from(self.last));
    }
}
