//! Octets -> commands, by the grammar of RFC 9051 §9 and, where a client of IMAP4rev1 says something else, RFC 3501 §9.
//! Here the command's name is looked up; each group of commands has a file of its own. What a command means, and
//! whether it is allowed now, is not known here.

mod append;
mod cursor;
mod date;
mod fetch;
mod list;
mod mailbox;
mod metadata;
mod notify;
mod search;
mod session;
mod set;
mod store;
mod url;

use std::fmt;

use crate::command::{Command, CommandBody, Numbering, Tag};
use cursor::{Cursor, Fail, Name, Parsed, is_atom_char, is_tag_char};

pub use append::{AppendHead, AppendPlace, parse_append_end, parse_append_head, parse_append_next};
pub use url::{BadUrl, MessageUrl, parse_message_url};

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

/// Octets of a command name that an error text repeats.
const SHOWN_NAME_BYTES: usize = 32;

/// Reads one complete command as [`crate::Frame::Command`] gives it. APPEND and REPLACE are read here only where no
/// message literal is streamed; else by [`parse_append_head`] and its kin.
pub fn parse_command(octets: &[u8], mode: ParseMode) -> Result<Command, ParseError> {
    let mut c = Cursor::new(octets, mode);
    let tag = tag(&mut c).map_err(|fail| error(None, "", &fail))?;
    let name = if c.take(b' ') { c.run(is_atom_char) } else { b"" };
    if name.is_empty() {
        return Err(failed(Some(tag), "Expected the name of a command after the tag".into()));
    }
    let known = Name::new(name);
    match body(&mut c, known.as_str()) {
        Some(body) => match body.and_then(|body| c.end().map(|()| body)) {
            Ok(body) => Ok(Command { tag, body }),
            Err(fail) => Err(error(Some(tag), known.as_str(), &fail)),
        },
        None => {
            let shown = String::from_utf8_lossy(name.get(..SHOWN_NAME_BYTES).unwrap_or(name));
            Err(failed(Some(tag), format!("Unknown command {shown}")))
        }
    }
}

// command         = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
fn body(c: &mut Cursor<'_>, name: &str) -> Option<Parsed<CommandBody>> {
    Some(match name {
        "APPEND" => append::append(c),
        "AUTHENTICATE" => session::authenticate(c),
        "CAPABILITY" => Ok(CommandBody::Capability),
        "CHECK" => Ok(CommandBody::Check),
        "CLOSE" => Ok(CommandBody::Close),
        "COMPRESS" => session::compress(c),
        "COPY" => store::copy(c, Numbering::Seq),
        "CREATE" => mailbox::create(c),
        "DELETE" => mailbox::one(c).map(|mailbox| CommandBody::Delete { mailbox }),
        "ENABLE" => session::enable(c),
        "EXAMINE" => mailbox::select(c, true),
        "EXPUNGE" => Ok(CommandBody::Expunge { uids: None }),
        "FETCH" => fetch::fetch(c, Numbering::Seq),
        "GETMETADATA" => metadata::get_metadata(c),
        "ID" => session::id(c),
        "IDLE" => Ok(CommandBody::Idle),
        "LIST" => list::list(c),
        "LOGIN" => session::login(c),
        "LOGOUT" => Ok(CommandBody::Logout),
        "LSUB" => list::lsub(c),
        "MOVE" => store::r#move(c, Numbering::Seq),
        "NAMESPACE" => Ok(CommandBody::Namespace),
        "NOOP" => Ok(CommandBody::Noop),
        "NOTIFY" => notify::notify(c),
        "RENAME" => mailbox::rename(c),
        "REPLACE" => append::replace(c, Numbering::Seq),
        "SEARCH" => search::search(c, Numbering::Seq),
        "SELECT" => mailbox::select(c, false),
        "SETMETADATA" => metadata::set_metadata(c),
        "STARTTLS" => Ok(CommandBody::StartTls),
        "STATUS" => mailbox::status(c),
        "STORE" => store::store(c, Numbering::Seq),
        "SUBSCRIBE" => mailbox::one(c).map(|mailbox| CommandBody::Subscribe { mailbox }),
        "UID" => uid(c),
        "UIDBATCHES" => store::uid_batches(c),
        "UNAUTHENTICATE" => Ok(CommandBody::Unauthenticate),
        "UNSELECT" => Ok(CommandBody::Unselect),
        "UNSUBSCRIBE" => mailbox::one(c).map(|mailbox| CommandBody::Unsubscribe { mailbox }),
        _ => return None,
    })
}

// uid             = "UID" SP (copy / move / fetch / replace / search / store / uid-expunge)
fn uid(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    let at = c.place();
    match c.name().as_str() {
        "COPY" => store::copy(c, Numbering::Uid),
        "EXPUNGE" => store::uid_expunge(c),
        "FETCH" => fetch::fetch(c, Numbering::Uid),
        "MOVE" => store::r#move(c, Numbering::Uid),
        "REPLACE" => append::replace(c, Numbering::Uid),
        "SEARCH" => search::search(c, Numbering::Uid),
        "STORE" => store::store(c, Numbering::Uid),
        _ => c.fail_at(at, "expected COPY, EXPUNGE, FETCH, MOVE, REPLACE, SEARCH or STORE"),
    }
}

fn tag(c: &mut Cursor<'_>) -> Parsed<Tag> {
    let tag = c.run(is_tag_char);
    match std::str::from_utf8(tag) {
        Ok(text) if !text.is_empty() && matches!(c.peek(), None | Some(b' ')) => Ok(Tag(text.into())),
        _ => c.fail("expected a tag, a space and a command"),
    }
}

/// The tag at the beginning of what may or may not be a command.
pub fn tag_of(octets: &[u8]) -> Option<Tag> {
    let end = octets.iter().position(|b| matches!(b, b' ' | b'\r' | b'\n')).unwrap_or(octets.len());
    tag(&mut Cursor::new(octets.get(..end)?, ParseMode::default())).ok()
}

fn error(tag: Option<Tag>, name: &str, fail: &Fail) -> ParseError {
    let (text, octet) = (&fail.text, fail.at.saturating_add(1));
    if name.is_empty() {
        let mut text = text.clone().into_owned();
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        return failed(tag, text);
    }
    failed(tag, format!("{name}: {text} at octet {octet}"))
}

fn failed(tag: Option<Tag>, text: String) -> ParseError {
    ParseError { tag, text }
}

#[cfg(test)]
mod tests;
