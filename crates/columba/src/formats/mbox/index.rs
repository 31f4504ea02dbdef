//! Finds where the messages of an mbox begin and end, in one pass, holding a few octets per message.

use std::io::{self, BufRead};
use std::ops::Range;

use columba_types::DateTime;
use memchr::memchr;

use super::from_line;

/// Where a message is, without its `From ` line and the blank line behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Located {
    pub(super) range: Range<u64>,
    /// From its `From ` line; `None` when the first line of the file has no date.
    pub(super) date: Option<DateTime>,
}

/// Octets of a line that are looked at.
const LINE_HEAD: usize = 512;

/// Lists the messages. `Ok(None)`: this is no mbox, for it does not begin with `From `.
pub(super) fn index(mut file: impl BufRead) -> io::Result<Option<Vec<Located>>> {
    let mut scan = Scan { messages: Vec::new(), open: None, position: 0, blank: Some(0) };
    let mut head: Vec<u8> = Vec::with_capacity(LINE_HEAD);
    let mut length = 0u64;
    loop {
        let buffer = file.fill_buf()?;
        let at_end = buffer.is_empty();
        let end = memchr(b'\n', buffer).map_or(buffer.len(), |at| at + 1);
        let piece = buffer.get(..end).unwrap_or_default();
        head.extend_from_slice(piece.get(..piece.len().min(LINE_HEAD.saturating_sub(head.len()))).unwrap_or_default());
        length += piece.len() as u64;
        let line_ended = piece.ends_with(b"\n");
        file.consume(end);
        if line_ended || (at_end && length > 0) {
            if scan.position == 0 && !head.starts_with(b"From ") {
                return Ok(None);
            }
            scan.line(&head, length);
            head.clear();
            length = 0;
        }
        if at_end {
            scan.close();
            return Ok(Some(scan.messages));
        }
    }
}

struct Scan {
    messages: Vec<Located>,
    /// The message being read: where it began, and its date.
    open: Option<(u64, Option<DateTime>)>,
    /// Where the next line begins.
    position: u64,
    /// Where the line before the next one began, if it was blank; the beginning of the file counts as blank.
    blank: Option<u64>,
}

impl Scan {
    fn line(&mut self, head: &[u8], length: u64) {
        let date = if self.blank.is_some() { from_line::parse(head) } else { None };
        if date.is_some() || self.position == 0 {
            self.close();
            self.open = Some((self.position + length, date));
            self.blank = None;
        } else {
            self.blank = matches!(head, b"\n" | b"\r\n").then_some(self.position);
        }
        self.position += length;
    }

    /// Ends the message before the blank line that belongs to the format.
    fn close(&mut self) {
        if let Some((start, date)) = self.open.take() {
            let end = self.blank.unwrap_or(self.position).max(start);
            self.messages.push(Located { range: start..end, date });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    const A: &str = "From a Thu Jan  1 00:00:00 1970\n";

    fn texts(content: &str) -> Option<Vec<String>> {
        let found = index(BufReader::with_capacity(7, content.as_bytes())).unwrap()?;
        assert_eq!(found, index(content.as_bytes()).unwrap().unwrap());
        let text = |l: &Located| content[l.range.start as usize..l.range.end as usize].to_owned();
        Some(found.iter().map(text).collect())
    }

    #[test]
    fn messages_are_separated_by_blank_lines_and_from_lines() {
        let content = format!("{A}S: 1\n\nx\n\n{A}S: 2\n\nFrom here on\n\nFrom there on\n{A}{A}\n{A}");
        let two = format!("S: 2\n\nFrom here on\n\nFrom there on\n{A}{A}");
        assert_eq!(texts(&content), Some(vec!["S: 1\n\nx\n".into(), two, String::new()]));
    }

    #[test]
    fn the_end_of_the_file_ends_a_message() {
        assert_eq!(texts(&format!("{A}S: 1\n\nx")), Some(vec!["S: 1\n\nx".into()]));
        assert_eq!(texts(&format!("{A}S: 1\n\nx\n\n")), Some(vec!["S: 1\n\nx\n".into()]));
        assert_eq!(texts(&A.replace('\n', "\r\n")), Some(vec![String::new()]));
    }

    #[test]
    fn the_first_line_may_lack_a_date_and_no_other_file_is_an_mbox() {
        assert_eq!(texts("From nobody\nS: 1\n"), Some(vec!["S: 1\n".into()]));
        assert_eq!(texts("Subject: 1\n\n"), None);
        assert_eq!(texts(""), Some(vec![]));
    }
}
