//! LMTP replies and how they are printed: a code, an enhanced status code (RFC 2034), words. Which one is right is
//! others' matter.

use std::borrow::Cow;

/// One reply. All lines of it carry the same codes (RFC 2034 §4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    /// `2.1.0`; empty where RFC 2034 §4 has none: greeting, LHLO, and the 3xx replies.
    pub(crate) status: &'static str,
    pub(crate) lines: Vec<Cow<'static, str>>,
}

impl Reply {
    pub(crate) fn new(code: u16, status: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status, lines: vec![text.into()] }
    }

    /// Whether the command came to nothing (4xx and 5xx).
    pub(crate) fn is_error(&self) -> bool {
        self.code >= 400
    }

    /// Whether the client speaks wrongly: bad syntax or a bad sequence. An unknown recipient is none.
    pub(crate) fn is_mistake(&self) -> bool {
        matches!(self.code, 500..=504 | 555)
    }

    /// Appends the lines as they go to the client. Nothing in a text can begin a line of its own.
    pub(crate) fn print(&self, out: &mut Vec<u8>) {
        for (at, text) in self.lines.iter().enumerate() {
            let mark = if at + 1 == self.lines.len() { ' ' } else { '-' };
            let space = if self.status.is_empty() { "" } else { " " };
            out.extend_from_slice(format!("{}{mark}{}{space}", self.code, self.status).as_bytes());
            out.extend(text.bytes().map(|b| if b.is_ascii_control() { b'?' } else { b }));
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.print(&mut out);
        String::from_utf8(out).unwrap()
    }

    // RFC 5321 §4.2.1: a hyphen on every line but the last; RFC 2034 §4: the status on every line.
    #[test]
    fn lines_are_marked() {
        let reply = Reply { code: 214, status: "2.0.0", lines: vec!["a".into(), "b".into()] };
        assert_eq!(printed(&reply), "214-2.0.0 a\r\n214 2.0.0 b\r\n");
        assert_eq!(printed(&Reply::new(354, "", "go on")), "354 go on\r\n");
    }

    #[test]
    fn no_text_begins_a_line() {
        assert_eq!(printed(&Reply::new(250, "2.0.0", "x\r\n250 y")), "250 2.0.0 x??250 y\r\n");
    }
}
