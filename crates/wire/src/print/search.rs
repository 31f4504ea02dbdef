//! SEARCH: the command, and the SEARCH and ESEARCH responses.

use std::io::Write;

use columba_types::{Date, Flag, ModSeq, UidSet};

use super::Printer;
use super::code::uid_set;
use super::command::Writer;
use super::strings::decimal;
use crate::command::{Numbering, PartialRange, Search, SearchKey, Tag};

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

impl Writer<'_> {
    pub(super) fn search(&mut self, search: &Search) {
        self.text(if search.numbering == Numbering::Uid { "UID SEARCH " } else { "SEARCH " });
        if let Some(r) = search.returns {
            let options = [(r.min, "MIN"), (r.max, "MAX"), (r.all, "ALL"), (r.count, "COUNT"), (r.save, "SAVE")];
            self.text("RETURN ");
            let options = options.iter().filter(|o| o.0).map(|o| (o.1, None));
            let partial = r.partial.map(|range| ("PARTIAL ", Some(range)));
            self.list(options.chain(partial), |w, (name, range)| {
                w.text(name);
                if let Some(range) = range {
                    range.print(w.out);
                }
            });
            self.text(" ");
        }
        if let Some(charset) = &search.charset {
            self.text("CHARSET ");
            self.strings.astring(self.out, charset);
            self.text(" ");
        }
        match &search.key {
            SearchKey::And(keys) => self.spaced(keys, Self::search_key),
            key => self.search_key(key),
        }
    }

    fn search_key(&mut self, key: &SearchKey) {
        match key {
            SearchKey::And(keys) => self.list(keys, Self::search_key),
            SearchKey::Or(one, other) => {
                self.text("OR ");
                self.search_key(one);
                self.text(" ");
                self.search_key(other);
            }
            SearchKey::Not(key) => {
                self.text("NOT ");
                self.search_key(key);
            }
            SearchKey::All => self.text("ALL"),
            SearchKey::Flag(Flag::System(flag)) => {
                let name = flag.names().next().unwrap_or_default();
                self.text(name.trim_start_matches('\\'));
            }
            SearchKey::Flag(Flag::Keyword(keyword)) => {
                self.text("KEYWORD ");
                self.text(keyword.as_str());
            }
            SearchKey::New => self.text("NEW"),
            SearchKey::Old => self.text("OLD"),
            SearchKey::Recent => self.text("RECENT"),
            SearchKey::Seq(set) => self.set(set),
            SearchKey::Uid(set) => {
                self.text("UID ");
                self.set(set);
            }
            key => self.search_argument(key),
        }
    }

    fn search_argument(&mut self, key: &SearchKey) {
        match key {
            SearchKey::Bcc(text) => self.string_key("BCC ", text),
            SearchKey::Body(text) => self.string_key("BODY ", text),
            SearchKey::Cc(text) => self.string_key("CC ", text),
            SearchKey::From(text) => self.string_key("FROM ", text),
            SearchKey::Header(name, text) => {
                self.string_key("HEADER ", name);
                self.string_key(" ", text);
            }
            SearchKey::Subject(text) => self.string_key("SUBJECT ", text),
            SearchKey::Text(text) => self.string_key("TEXT ", text),
            SearchKey::To(text) => self.string_key("TO ", text),
            SearchKey::Before(date) => self.date_key("BEFORE ", *date),
            SearchKey::On(date) => self.date_key("ON ", *date),
            SearchKey::Since(date) => self.date_key("SINCE ", *date),
            SearchKey::SentBefore(date) => self.date_key("SENTBEFORE ", *date),
            SearchKey::SentOn(date) => self.date_key("SENTON ", *date),
            SearchKey::SentSince(date) => self.date_key("SENTSINCE ", *date),
            SearchKey::SavedBefore(date) => self.date_key("SAVEDBEFORE ", *date),
            SearchKey::SavedOn(date) => self.date_key("SAVEDON ", *date),
            SearchKey::SavedSince(date) => self.date_key("SAVEDSINCE ", *date),
            SearchKey::SaveDateSupported => self.text("SAVEDATESUPPORTED"),
            SearchKey::EmailId(id) => self.object_id_key("EMAILID ", id),
            SearchKey::ThreadId(id) => self.object_id_key("THREADID ", id),
            SearchKey::Larger(size) => self.number_key("LARGER ", *size),
            SearchKey::Smaller(size) => self.number_key("SMALLER ", *size),
            SearchKey::Older(secs) => self.number_key("OLDER ", u64::from(*secs)),
            SearchKey::Younger(secs) => self.number_key("YOUNGER ", u64::from(*secs)),
            SearchKey::GmMsgId(id) => self.number_key("X-GM-MSGID ", *id),
            SearchKey::GmThrId(id) => self.number_key("X-GM-THRID ", *id),
            SearchKey::GmLabels(label) => {
                self.text("X-GM-LABELS ");
                self.gm_label(label);
            }
            SearchKey::GmRaw(text) => self.string_key("X-GM-RAW ", text),
            SearchKey::ModSeq(modseq) => self.number_key("MODSEQ ", modseq.0),
            SearchKey::UidAfter(uid) => {
                self.text("UIDAFTER ");
                self.set(uid);
            }
            SearchKey::UidBefore(uid) => {
                self.text("UIDBEFORE ");
                self.set(uid);
            }
            _ => {}
        }
    }

    fn string_key(&mut self, name: &str, text: &[u8]) {
        self.text(name);
        self.strings.astring(self.out, text);
    }

    fn date_key(&mut self, name: &str, date: Date) {
        // Writing into a Vec cannot fail.
        let _ = write!(self.out, "{name}{}-{}-{:04}", date.day, Date::month_name(date.month), date.year);
    }

    fn object_id_key(&mut self, name: &str, id: &str) {
        self.text(name);
        self.text(id);
    }
}
