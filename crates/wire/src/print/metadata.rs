//! METADATA responses (RFC 5464 §4.4).

use columba_types::EntryName;

use super::Printer;
use super::strings::literal_head;
use crate::command::MetadataDepth;

impl MetadataDepth {
    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zero => "0",
            Self::One => "1",
            Self::Infinity => "infinity",
        }
    }
}

impl Printer<'_> {
    /// `* METADATA mailbox (entry value …)`; the empty name is the server, `None` is NIL. Nothing for no entries, for which
    /// there is no form.
    pub fn metadata<'e>(
        &mut self,
        mailbox: &str,
        entries: impl IntoIterator<Item = (&'e EntryName, Option<&'e [u8]>)>,
    ) {
        let mut first = true;
        for (name, value) in entries {
            match std::mem::replace(&mut first, false) {
                true => {
                    self.metadata_begin(mailbox);
                    self.bytes(b" (");
                }
                false => self.bytes(b" "),
            }
            self.astring(name.as_str().as_bytes());
            self.bytes(b" ");
            match value {
                // value = nstring / literal8: a string cannot have NUL.
                Some(octets) if memchr::memchr(0, octets).is_some() => {
                    literal_head(self.out, octets.len() as u64, true, false);
                    self.bytes(octets);
                }
                value => self.nstring(value),
            }
        }
        if !first {
            self.bytes(b")\r\n");
        }
    }

    /// `* METADATA mailbox entry …`: what has changed, without values (RFC 5464 §4.4.2).
    pub fn metadata_changed<'e>(&mut self, mailbox: &str, names: impl IntoIterator<Item = &'e EntryName>) {
        self.metadata_begin(mailbox);
        for name in names {
            self.bytes(b" ");
            self.astring(name.as_str().as_bytes());
        }
        self.line_end();
    }

    fn metadata_begin(&mut self, mailbox: &str) {
        self.bytes(b"* METADATA ");
        self.mailbox(mailbox);
    }
}
