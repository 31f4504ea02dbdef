//! APPEND and REPLACE -> octets. What is streamed is not held here, so each message is printed as CATENATE of its URLs.

use std::io::Write;

use super::command::Writer;
use crate::command::{Append, AppendPart, Numbering};

impl Writer<'_> {
    pub(super) fn append(&mut self, append: &Append) {
        match append.replaced {
            None => self.text("APPEND "),
            Some((numbering, number)) => {
                self.text(if numbering == Numbering::Uid { "UID REPLACE " } else { "REPLACE " });
                self.set_num(number);
                self.text(" ");
            }
        }
        self.mailbox(&append.mailbox);
        let mut first = true;
        for part in &append.parts {
            match part {
                AppendPart::Begin { flags, date } => {
                    if !flags.is_empty() {
                        self.text(" ");
                        self.list(flags, Self::flag);
                    }
                    if let Some(date) = date {
                        // Writing into a Vec cannot fail.
                        let _ = write!(self.out, " \"{date}\"");
                    }
                    self.text(" CATENATE (");
                    first = true;
                }
                AppendPart::Url(url) => {
                    self.text(if std::mem::take(&mut first) { "URL " } else { " URL " });
                    self.strings.astring(self.out, url);
                }
                AppendPart::End => self.text(")"),
                AppendPart::Octets => {}
            }
        }
    }
}
