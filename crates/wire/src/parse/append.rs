//! APPEND: what stands around the message literals, which are streamed and never come here.

use super::ParseError;
use crate::command::{AppendHead, AppendMessage};

/// What follows a message of APPEND.
#[derive(Clone, PartialEq, Debug)]
pub enum AppendNext {
    /// The command is complete.
    End,
    /// Another message's literal is announced (RFC 3502 §6.3.11).
    Message(AppendMessage),
}

/// Reads [`crate::Framer::head`] when a literal was announced: `None` if this is no APPEND or the literal is the
/// mailbox name, `Some` if it is the message.
pub fn parse_append_head(octets: &[u8]) -> Option<Result<AppendHead, ParseError>> {
    let _ = octets;
    None
}

/// Reads what follows the literal of `previous`: the command that came after the end of its data, or the head at the
/// next literal. The error has no tag.
pub fn parse_append_next(octets: &[u8], previous: &AppendMessage) -> Result<AppendNext, ParseError> {
    let _ = (octets, previous);
    Ok(AppendNext::End)
}
