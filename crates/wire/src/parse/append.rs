//! APPEND: what stands around the message literals, which are streamed and never come here.

use super::cursor::{Cursor, Parsed};
use super::date::date_time;
use super::store::flag_list;
use super::{ParseError, ParseMode, error, tag};
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
/// mailbox name, `Some` if it is the message, or nothing that APPEND could have there.
pub fn parse_append_head(octets: &[u8], mode: ParseMode) -> Option<Result<AppendHead, ParseError>> {
    let mut c = Cursor::new(octets, mode);
    let tag = tag(&mut c).ok()?;
    if !(c.take(b' ') && c.take_name("APPEND") && c.take(b' ')) || literal_is_last(&c) {
        return None;
    }
    let head = match c.mailbox() {
        Ok(mailbox) => message(&mut c).map(|message| AppendHead { tag: tag.clone(), mailbox, message }),
        Err(fail) => Err(fail),
    };
    Some(head.map_err(|fail| error(Some(tag), "APPEND", &fail)))
}

/// Reads what follows the literal of `previous`: the command that came after the end of its data, or the head at the
/// next literal. The error has no tag.
pub fn parse_append_next(octets: &[u8], previous: &AppendMessage) -> Result<AppendNext, ParseError> {
    let mut c = Cursor::new(octets, ParseMode::default());
    next(&mut c, previous).map_err(|fail| error(None, "APPEND", &fail))
}

// append          = "APPEND" SP mailbox 1*append-message          (RFC 3502 §6.3.11)
fn next(c: &mut Cursor<'_>, previous: &AppendMessage) -> Parsed<AppendNext> {
    if previous.utf8 {
        c.expect(b')', "expected ) after the message")?;
    }
    if matches!(c.rest(), [] | [b' ']) {
        return Ok(AppendNext::End);
    }
    message(c).map(AppendNext::Message)
}

// append-message  = [SP flag-list] [SP date-time] SP append-data
// append-data     = literal / literal8 / "UTF8" SP "(" literal8 ")"        (RFC 9051 §9, RFC 3516 §7, RFC 6855 §4)
fn message(c: &mut Cursor<'_>) -> Parsed<AppendMessage> {
    let mut message = AppendMessage::default();
    c.space()?;
    if c.peek() == Some(b'(') {
        message.flags = flag_list(c)?;
        c.space()?;
    }
    if c.peek() == Some(b'"') {
        message.date = Some(date_time(c)?);
        c.space()?;
    }
    if c.take_name("UTF8") {
        message.utf8 = true;
        c.space()?;
        c.expect(b'(', "expected ( and a literal after UTF8")?;
        c.expect(b'~', "expected a literal like ~{100}")?;
    } else {
        c.take(b'~');
    }
    if c.peek() != Some(b'{') {
        return c.fail("expected flags, a date or the message as a literal");
    }
    c.literal_head()?;
    if !c.rest().is_empty() {
        return c.fail("the message must be a literal");
    }
    Ok(message)
}

/// Whether the octets end with the head of the literal that begins here.
fn literal_is_last(c: &Cursor<'_>) -> bool {
    let mut c = Cursor::new(c.rest(), ParseMode::default());
    c.literal_head().is_ok() && c.rest().is_empty()
}
