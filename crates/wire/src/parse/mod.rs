//! Octets -> commands, by the grammar of RFC 9051 §9 and, where a client of IMAP4rev1 says something else, RFC 3501 §9.
//! Here the command's name is looked up; each group of commands has a file of its own. What a command means, and
//! whether it is allowed now, is not known here.

mod append;

use std::fmt;

use crate::command::{Command, Tag};

pub use append::{AppendNext, parse_append_head, parse_append_next};

/// How a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ParseMode {
    /// UTF8=ACCEPT or IMAP4rev2 is enabled: quoted strings may hold UTF-8 (RFC 9755 §3, RFC 9051 §4.3). Literals
    /// always may.
    pub utf8: bool,
}

/// Octets that are no command: the answer is BAD.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Its tag, if there is one.
    pub tag: Option<Tag>,
    /// What the BAD says: what was expected, and where. Printable ASCII, no octet of an argument.
    pub text: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ParseError {}

/// Reads one complete command as [`crate::Frame::Command`] gives it.
pub fn parse_command(octets: &[u8], mode: ParseMode) -> Result<Command, ParseError> {
    let _ = mode;
    Err(ParseError { tag: tag_of(octets), text: "Not built yet".into() })
}

/// The tag at the beginning of what may or may not be a command.
pub fn tag_of(octets: &[u8]) -> Option<Tag> {
    let end = octets.iter().position(|b| matches!(b, b' ' | b'\r' | b'\n')).unwrap_or(octets.len());
    let tag = octets.get(..end).filter(|tag| !tag.is_empty() && tag.iter().all(|b| is_tag_char(*b)))?;
    std::str::from_utf8(tag).ok().map(|tag| Tag(tag.into()))
}

fn is_tag_char(b: u8) -> bool {
    b.is_ascii_graphic() && !b"(){%*\"\\+".contains(&b)
}
