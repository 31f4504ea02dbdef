//! SEARCH and ESEARCH responses.

use columba_types::UidSet;

use super::Printer;
use super::code::uid_set;
use crate::command::Tag;

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
}

impl Printer<'_> {
    /// `* SEARCH`, also when nothing was found (RFC 3501 §7.2.5).
    pub fn search(&mut self, numbers: impl IntoIterator<Item = u32>) {
        self.bytes(b"* SEARCH");
        for number in numbers {
            self.bytes(b" ");
            self.decimal(u64::from(number));
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
        self.line_end();
    }
}
