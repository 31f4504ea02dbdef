//! APPEND and REPLACE: what stands around the message literals, which are streamed and never come here. A command is
//! read in segments: up to the first of those literals, from one to the next, and after the last.

use columba_types::limits;

use super::cursor::{Cursor, Parsed};
use super::date::date_time;
use super::set::seq_number;
use super::store::flag_list;
use super::{ParseError, ParseMode, error, tag};
use crate::command::{Append, AppendPart, CommandBody, Numbering, Tag};

/// A command up to its first message literal.
#[derive(Clone, PartialEq, Debug)]
pub struct AppendHead {
    /// What the answer has to carry.
    pub tag: Tag,
    /// What was said so far. Its last part is [`AppendPart::Octets`].
    pub append: Append,
    /// Where the octets stand in the command, for what follows them.
    pub place: AppendPlace,
}

/// Where a message literal stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendPlace {
    /// Whether it is a part of CATENATE, and not the message.
    catenate: bool,
    /// Whether it is wrapped as `UTF8 (~{n}…)`.
    wrapped: bool,
    /// Whether no second message may follow (RFC 8508 §4.7).
    single: bool,
}

impl AppendPlace {
    /// After a plain literal of APPEND, for tests.
    #[doc(hidden)]
    pub const PLAIN: Self = Self { catenate: false, wrapped: false, single: false };

    /// Whether it is a part of a message (RFC 4469), and not all of it.
    pub const fn is_part(self) -> bool {
        self.catenate
    }
}

/// How a segment ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ends {
    /// With the command.
    Command,
    /// With the head of a literal that is octets of a message.
    Octets(AppendPlace),
    /// With the head of a literal that is a mailbox name or a URL: it belongs to the command.
    Argument,
}

/// Reads [`crate::Framer::head`] when a literal was announced: `None` if this is no APPEND or REPLACE, or if the literal
/// is one of its other arguments; `Some` if it is octets of a message, or nothing that could stand there.
pub fn parse_append_head(octets: &[u8], mode: ParseMode) -> Option<Result<AppendHead, ParseError>> {
    let mut c = Cursor::new(octets, mode);
    let tag = tag(&mut c).ok()?;
    let (name, numbering) = command_name(&mut c)?;
    let mut append = Append::default();
    let ends = match segment(&mut c, &mut append, numbering, true) {
        Ok(Ends::Argument) => return None,
        Ok(Ends::Octets(place)) => Ok(place),
        Ok(Ends::Command) => c.fail("expected a message"),
        Err(fail) => Err(fail),
    };
    Some(match ends {
        Ok(place) => Ok(AppendHead { tag, append, place }),
        Err(fail) => Err(error(Some(tag), name, &fail)),
    })
}

/// Reads what follows the octets at `place`, when another literal was announced: the parts up to it, and where it
/// stands. `None` if it is an argument and not octets of a message. The error has no tag.
pub fn parse_append_next(
    octets: &[u8],
    place: AppendPlace,
    mode: ParseMode,
) -> Option<Result<(Vec<AppendPart>, AppendPlace), ParseError>> {
    let mut c = Cursor::new(octets, mode);
    let mut parts = Vec::new();
    match resume(&mut c, place, &mut parts, true) {
        Ok(Ends::Octets(next)) => Some(Ok((parts, next))),
        Ok(Ends::Argument) => None,
        Ok(Ends::Command) => Some(c.fail("expected a message").map_err(|fail| error(None, "APPEND", &fail))),
        Err(fail) => Some(Err(error(None, "APPEND", &fail))),
    }
}

/// Reads what follows the octets at `place`, up to the end of the command. The error has no tag.
pub fn parse_append_end(octets: &[u8], place: AppendPlace, mode: ParseMode) -> Result<Vec<AppendPart>, ParseError> {
    let mut c = Cursor::new(octets, mode);
    let mut parts = Vec::new();
    resume(&mut c, place, &mut parts, false).map_err(|fail| error(None, "APPEND", &fail))?;
    Ok(parts)
}

/// A whole command without message literals: what it appends is named by URLs.
pub(super) fn append(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    whole(c, None)
}

/// The same for REPLACE.
pub(super) fn replace(c: &mut Cursor<'_>, numbering: Numbering) -> Parsed<CommandBody> {
    whole(c, Some(numbering))
}

fn whole(c: &mut Cursor<'_>, replaces: Option<Numbering>) -> Parsed<CommandBody> {
    let mut append = Append::default();
    segment(c, &mut append, replaces, false)?;
    Ok(CommandBody::Append(append))
}

/// `SP "APPEND"`, `SP "REPLACE"` or `SP "UID" SP "REPLACE"`.
fn command_name(c: &mut Cursor<'_>) -> Option<(&'static str, Option<Numbering>)> {
    if !c.take(b' ') {
        return None;
    }
    match c.name().as_str() {
        "APPEND" => Some(("APPEND", None)),
        "REPLACE" => Some(("REPLACE", Some(Numbering::Seq))),
        "UID" if c.take(b' ') && c.take_name("REPLACE") => Some(("REPLACE", Some(Numbering::Uid))),
        _ => None,
    }
}

// append          = "APPEND" SP mailbox 1*append-message          (RFC 3502 §6.3.11)
// replace         = "REPLACE" SP seq-number SP mailbox append-message          (RFC 8508 §5)
fn segment(c: &mut Cursor<'_>, append: &mut Append, replaces: Option<Numbering>, literal: bool) -> Parsed<Ends> {
    c.space()?;
    if let Some(numbering) = replaces {
        append.replaced = Some((numbering, seq_number(c)?));
        c.space()?;
    }
    if literal && literal_is_last(c) {
        return Ok(Ends::Argument);
    }
    append.mailbox = c.mailbox()?;
    Reader { c, parts: &mut append.parts, single: replaces.is_some(), literal }.read(Next::Message)
}

/// Goes on after the octets at `place`.
fn resume(c: &mut Cursor<'_>, place: AppendPlace, parts: &mut Vec<AppendPart>, literal: bool) -> Parsed<Ends> {
    let mut reader = Reader { c, parts, single: place.single, literal };
    if place.wrapped {
        reader.c.expect(b')', "expected ) after the octets")?;
    }
    let next = if place.catenate {
        reader.after_part()?
    } else {
        reader.parts.push(AppendPart::End);
        reader.after_message()?
    };
    reader.read(next)
}

/// What has to be read next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Message,
    Part,
    Nothing(Ends),
}

/// Reads messages and their parts, one after the other, up to the end of the segment.
struct Reader<'r, 'a> {
    c: &'r mut Cursor<'a>,
    parts: &'r mut Vec<AppendPart>,
    /// Whether one message is all there may be.
    single: bool,
    /// Whether the segment ends with the head of a literal.
    literal: bool,
}

impl Reader<'_, '_> {
    fn read(&mut self, mut next: Next) -> Parsed<Ends> {
        loop {
            next = match next {
                Next::Message | Next::Part if self.parts.len() >= limits::APPEND_PARTS => {
                    return self.c.fail("there are too many messages or parts");
                }
                Next::Message => self.message()?,
                Next::Part => self.cat_part()?,
                Next::Nothing(ends) => return Ok(ends),
            };
        }
    }

    // append-message  = [SP flag-list] [SP date-time] SP append-data
    // append-data     = literal / literal8 / "UTF8" SP "(" literal8 ")" / "CATENATE" SP "(" cat-part *(SP cat-part) ")"
    //                   (RFC 9051 §9, RFC 3516 §7, RFC 6855 §4, RFC 4469 §5)
    fn message(&mut self) -> Parsed<Next> {
        let (mut flags, mut date) = (Vec::new(), None);
        self.c.space()?;
        if self.c.peek() == Some(b'(') {
            flags = flag_list(self.c)?;
            self.c.space()?;
        }
        if self.c.peek() == Some(b'"') {
            date = Some(date_time(self.c)?);
            self.c.space()?;
        }
        self.parts.push(AppendPart::Begin { flags, date });
        if self.c.take_name("CATENATE") {
            self.c.space()?;
            self.c.expect(b'(', "expected ( and the parts of the message")?;
            return Ok(Next::Part);
        }
        let wrapped = self.utf8()?;
        if !matches!(self.c.rest(), [b'{', ..] | [b'~', b'{', ..]) {
            return self.c.fail("expected flags, a date or the message as a literal");
        }
        self.octets(AppendPlace { catenate: false, wrapped, single: self.single })
    }

    // cat-part        = "TEXT" SP literal / "URL" SP astring / "UTF8" SP "(" literal8 ")"
    fn cat_part(&mut self) -> Parsed<Next> {
        let place = |wrapped| AppendPlace { catenate: true, wrapped, single: self.single };
        let (text, utf8) = (place(false), place(true));
        if self.c.take_name("TEXT") {
            self.c.space()?;
            return self.octets(text);
        }
        if self.utf8()? {
            return self.octets(utf8);
        }
        if !self.c.take_name("URL") {
            return self.c.fail("expected TEXT and a literal, or URL and a URL");
        }
        self.c.space()?;
        if self.literal && literal_is_last(self.c) {
            return Ok(Next::Nothing(Ends::Argument));
        }
        let at = self.c.place();
        let url = self.c.astring("expected a URL")?;
        if url.len() > limits::URL_BYTES {
            return self.c.fail_at(at, "the URL is too long");
        }
        self.parts.push(AppendPart::Url(url));
        self.after_part()
    }

    fn after_part(&mut self) -> Parsed<Next> {
        if self.c.take(b')') {
            self.parts.push(AppendPart::End);
            return self.after_message();
        }
        self.c.expect(b' ', "expected a space or ) after a part of the message")?;
        Ok(Next::Part)
    }

    fn after_message(&mut self) -> Parsed<Next> {
        match self.c.rest() {
            [] | [b' '] => Ok(Next::Nothing(Ends::Command)),
            _ if self.single => self.c.fail("REPLACE takes one message"),
            _ => Ok(Next::Message),
        }
    }

    /// `UTF8 (` if it is there; then a literal8 has to follow.
    fn utf8(&mut self) -> Parsed<bool> {
        if !self.c.take_name("UTF8") {
            return Ok(false);
        }
        self.c.space()?;
        self.c.expect(b'(', "expected ( and a literal after UTF8")?;
        if self.c.peek() == Some(b'~') { Ok(true) } else { self.c.fail("expected a literal like ~{100}") }
    }

    /// The head of the literal at which the segment ends.
    fn octets(&mut self, place: AppendPlace) -> Parsed<Next> {
        self.c.take(b'~');
        self.c.literal_head()?;
        if !self.literal || !self.c.rest().is_empty() {
            return self.c.fail("what is appended has to come as a literal");
        }
        self.parts.push(AppendPart::Octets);
        Ok(Next::Nothing(Ends::Octets(place)))
    }
}

/// Whether the octets end with the head of the literal that begins here.
fn literal_is_last(c: &Cursor<'_>) -> bool {
    let mut c = Cursor::new(c.rest(), ParseMode::default());
    c.literal_head().is_ok() && c.rest().is_empty()
}

#[cfg(test)]
mod tests;
