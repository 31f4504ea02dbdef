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

#[cfg(test)]
mod tests {
    use super::*;
    use columba_types::{Date, DateTime, Flag, SystemFlags};

    fn head(octets: &str) -> Option<Result<AppendHead, ParseError>> {
        parse_append_head(octets.as_bytes(), ParseMode::default())
    }

    fn mailbox_and_message(octets: &str) -> (String, AppendMessage) {
        let head = head(octets).unwrap().unwrap();
        assert_eq!(&*head.tag.0, "a");
        (String::from_utf8(head.mailbox.0).unwrap(), head.message)
    }

    // RFC 9051 §6.3.12
    #[test]
    fn flags_and_date_are_optional() {
        let day = Date::new(1994, 2, 7).unwrap();
        let date = DateTime::from_local(day, 21, 52, 25, -8 * 60);
        let flags = vec![Flag::System(SystemFlags::SEEN), Flag::parse("$Junk").unwrap()];
        let box_ = "saved-messages".to_owned();
        let message = |flags: &[Flag], date| AppendMessage { flags: flags.to_vec(), date, utf8: false };
        assert_eq!(mailbox_and_message("a APPEND saved-messages {310}\r\n"), (box_.clone(), message(&[], None)));
        let full = "a append saved-messages (\\Seen \\Recent $Junk) \" 7-Feb-1994 21:52:25 -0800\" {310+}\r\n";
        assert_eq!(mailbox_and_message(full), (box_.clone(), message(&flags, date)));
        let no_flags = "a APPEND {14}\r\nsaved-messages \"07-Feb-1994 21:52:25 -0800\" ~{310}\r\n";
        assert_eq!(mailbox_and_message(no_flags), (box_, message(&[], date)));
    }

    #[test]
    fn only_the_literal_of_a_message_is_one() {
        assert_eq!(head("a APPEND {5}\r\n"), None);
        assert_eq!(head("a APPEND {0+}\r\n"), None);
        assert_eq!(head("a LOGIN {5}\r\n"), None);
        assert_eq!(head("a APPENDX x {5}\r\n"), None);
        assert_eq!(head("+ APPEND x {5}\r\n"), None);
        assert!(head("a APPEND {0+}\r\n {5}\r\n").unwrap().is_ok());
        for wrong in [
            "a APPEND x y {5}\r\n",
            "a APPEND x{5}\r\n",
            "a APPEND x ({5}\r\n",
            "a APPEND x (\\Seen \\Unknown) {5}\r\n",
            "a APPEND x \"32-Feb-1994 21:52:25 -0800\" {5}\r\n",
            "a APPEND x \"7-Feb-1994 21:52:25 -0800\" {5}\r\n",
            "a APPEND x \" 7-Feb-1994 21:52:25 -0860\" {5}\r\n",
            "a APPEND x UTF8 ({5}\r\n",
            "a APPEND x CATENATE (TEXT {5}\r\n",
            "a APPEND x y",
        ] {
            let error = head(wrong).unwrap().unwrap_err();
            assert_eq!(error.tag.as_ref().map(|tag| &*tag.0), Some("a"), "{wrong}");
            assert!(error.text.starts_with("APPEND: "), "{wrong}: {error}");
        }
    }

    // RFC 3502 §6.3.11, RFC 6855 §4
    #[test]
    fn what_follows_a_message() {
        let next = |octets: &str, utf8| {
            parse_append_next(octets.as_bytes(), &AppendMessage { utf8, ..AppendMessage::default() })
        };
        assert_eq!(next("", false), Ok(AppendNext::End));
        assert_eq!(next(" ", false), Ok(AppendNext::End));
        assert_eq!(next(")", true), Ok(AppendNext::End));
        let flagged = AppendMessage { flags: vec![Flag::System(SystemFlags::FLAGGED)], ..AppendMessage::default() };
        assert_eq!(next(" (\\Flagged) {7}\r\n", false), Ok(AppendNext::Message(flagged)));
        let utf8 = AppendMessage { utf8: true, ..AppendMessage::default() };
        assert_eq!(next(") UTF8 (~{7+}\r\n", true), Ok(AppendNext::Message(utf8)));
        for (wrong, utf8) in [("", true), (")", false), ("x", false), (" (\\Seen)", false), ("{7}\r\n", false)] {
            assert_eq!(next(wrong, utf8).unwrap_err().tag, None, "{wrong}");
        }
    }
}
