//! IMAP URLs of a message or of a part of one on this server, as CATENATE takes them (RFC 5092, RFC 4469 §3, RFC 5550
//! §5.7). Whether there is such a message is not known here.

use std::fmt;

use columba_types::{Uid, UidValidity};

use super::ParseMode;
use super::cursor::Cursor;
use super::fetch::section;
use crate::command::{Partial, Section, SectionText};

/// What a URL names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageUrl {
    /// The mailbox's name in UTF-8; `None`: the one that is selected.
    pub mailbox: Option<String>,
    /// What UIDVALIDITY has to be.
    pub uid_validity: Option<UidValidity>,
    /// Which message.
    pub uid: Uid,
    /// What of it, as BODY.PEEK has it.
    pub section: Section,
    /// Which octets of that. Without a length it goes to the end.
    pub partial: Option<Partial>,
}

/// Why a URL names nothing here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadUrl {
    /// It has a scheme or a server's name: it may be another server's.
    Elsewhere,
    /// It is relative to something that is not known (RFC 5092 §7.2 forbids it).
    Relative,
    /// An octet that has to be percent-encoded, or a `%` without two hexadecimal digits.
    Encoding,
    /// It names no single message.
    NoMessage,
    /// A parameter that is not known, or in the wrong place.
    Parameter,
    /// The section is none.
    Section,
    /// The range is none.
    Partial,
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elsewhere => "the URL has to begin with the mailbox, as in /INBOX/;UID=1",
            Self::Relative => "the URL has to begin with a slash, as in /INBOX/;UID=1",
            Self::Encoding => "something in the URL has to be percent-encoded",
            Self::NoMessage => "the URL names no message by its UID",
            Self::Parameter => "the URL has a parameter that is unknown or in the wrong place",
            Self::Section => "the URL names an impossible section",
            Self::Partial => "the URL names an impossible range",
        })
    }
}

impl std::error::Error for BadUrl {}

/// Reads a URL that is relative to this server, `/INBOX;UIDVALIDITY=9/;UID=5/;SECTION=1.2/;PARTIAL=0.100`, or to the
/// selected mailbox, `;UID=5` (RFC 4469 §3).
pub fn parse_message_url(octets: &[u8]) -> Result<MessageUrl, BadUrl> {
    if let Some(octet) = octets.iter().find(|octet| !is_url_char(**octet)) {
        return Err(if *octet == b'?' { BadUrl::NoMessage } else { BadUrl::Encoding });
    }
    // A scheme ends at the first colon, which no path of ours has in front of its first slash.
    let first = octets.iter().find(|octet| matches!(octet, b'/' | b':' | b';'));
    if first == Some(&b':') || octets.starts_with(b"//") {
        return Err(BadUrl::Elsewhere);
    }
    let path_ends = octets.iter().position(|octet| *octet == b';').ok_or(BadUrl::NoMessage)?;
    let (path, parameters) = octets.split_at(path_ends);
    let mut parameters = Parameters(parameters);
    let (mailbox, uid_validity) = match path {
        [] | b"/" => (None, None),
        [b'/', name @ ..] => match name.strip_suffix(b"/") {
            Some(name) => (Some(mailbox(name)?), None),
            None => {
                let value = parameters.take("UIDVALIDITY")?.ok_or(BadUrl::Parameter)?;
                (Some(mailbox(name)?), Some(UidValidity::new(nz_number(value)?).ok_or(BadUrl::Parameter)?))
            }
        },
        _ => return Err(BadUrl::Relative),
    };
    // iuid = "/" iuid-only; the slash in front of it is the path's when nothing stands between.
    let uid = parameters.take("UID")?.ok_or(BadUrl::NoMessage)?;
    let uid = Uid::new(nz_number(uid)?).ok_or(BadUrl::NoMessage)?;
    let section = match parameters.take("SECTION")? {
        Some(encoded) => section_of(encoded)?,
        None => Section { part: Vec::new(), text: SectionText::All },
    };
    let partial = parameters.take("PARTIAL")?.map(partial_of).transpose()?;
    if parameters.0.is_empty() {
        Ok(MessageUrl { mailbox, uid_validity, uid, section, partial })
    } else {
        Err(BadUrl::Parameter)
    }
}

/// `;NAME=value`, each but the first after a slash.
struct Parameters<'a>(&'a [u8]);

impl<'a> Parameters<'a> {
    /// The value of that parameter if it comes next.
    fn take(&mut self, name: &str) -> Result<Option<&'a [u8]>, BadUrl> {
        let Some(rest) = self.0.strip_prefix(b";") else { return Ok(None) };
        let equals = rest.iter().position(|octet| *octet == b'=').ok_or(BadUrl::Parameter)?;
        let (found, value) = rest.split_at(equals);
        if !found.eq_ignore_ascii_case(name.as_bytes()) {
            return Ok(None);
        }
        let value = value.get(1..).unwrap_or_default();
        let end = value.windows(2).position(|pair| pair == b"/;").unwrap_or(value.len());
        let (value, rest) = value.split_at(end);
        // What begins with a semicolon without a slash is no parameter of ours, EXPIRE and URLAUTH for example.
        if value.contains(&b';') || rest.is_empty() && value.is_empty() {
            return Err(BadUrl::Parameter);
        }
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(Some(value))
    }
}

// RFC 3986 §2: unreserved / sub-delims / pct-encoded, and what paths have besides.
const fn is_url_char(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(octet, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'\'' | b'(' | b')' | b'*' | b'+' | b',')
        || matches!(octet, b'&' | b'=' | b':' | b'@' | b'/' | b';' | b'%')
}

/// The name in UTF-8, never in modified UTF-7 (RFC 5092 §8).
fn mailbox(encoded: &[u8]) -> Result<String, BadUrl> {
    let mut levels = encoded.split(|octet| *octet == b'/');
    // RFC 5092 §7: dots alone would climb up and down the path, so a name that has them is percent-encoded.
    if encoded.is_empty() || levels.any(|level| matches!(level, b"." | b"..")) {
        return Err(BadUrl::NoMessage);
    }
    String::from_utf8(decoded(encoded)?).map_err(|_| BadUrl::Encoding)
}

fn decoded(encoded: &[u8]) -> Result<Vec<u8>, BadUrl> {
    let mut octets = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            octets.push(*first);
            rest = after;
            continue;
        }
        let digit = |at: usize| after.get(at).and_then(|octet| char::from(*octet).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err(BadUrl::Encoding) };
        match (high * 16 + low) as u8 {
            0 => return Err(BadUrl::Encoding),
            octet => octets.push(octet),
        }
        rest = after.get(2..).unwrap_or_default();
    }
    Ok(octets)
}

// enc-section = 1*bchar ; %-encoded version of section-spec
fn section_of(encoded: &[u8]) -> Result<Section, BadUrl> {
    let bracketed = [b"[", &decoded(encoded)?[..], b"]"].concat();
    let mut c = Cursor::new(&bracketed, ParseMode::default());
    match section(&mut c) {
        Ok(section) if c.rest().is_empty() && !encoded.is_empty() => Ok(section),
        _ => Err(BadUrl::Section),
    }
}

// partial-range = number ["." nz-number]
fn partial_of(text: &[u8]) -> Result<Partial, BadUrl> {
    let mut c = Cursor::new(text, ParseMode::default());
    let offset = c.number64().map_err(|_| BadUrl::Partial)?;
    let mut length = i64::MAX as u64;
    if c.take(b'.') {
        length = c.number64().ok().filter(|length| *length > 0).ok_or(BadUrl::Partial)?;
    }
    if c.rest().is_empty() { Ok(Partial { offset, length }) } else { Err(BadUrl::Partial) }
}

fn nz_number(text: &[u8]) -> Result<u32, BadUrl> {
    let mut c = Cursor::new(text, ParseMode::default());
    match c.nz_number() {
        Ok(number) if c.rest().is_empty() => Ok(number),
        _ => Err(BadUrl::Parameter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> MessageUrl {
        parse_message_url(text.as_bytes()).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    fn whole(mailbox: Option<&str>, uid: u32) -> MessageUrl {
        MessageUrl {
            mailbox: mailbox.map(str::to_owned),
            uid_validity: None,
            uid: Uid::new(uid).unwrap(),
            section: Section { part: vec![], text: SectionText::All },
            partial: None,
        }
    }

    // RFC 4469 App. A, RFC 8508 §4.2, RFC 5092 §9
    #[test]
    fn messages_and_parts() {
        assert_eq!(url("/Drafts/;UID=3002"), whole(Some("Drafts"), 3002));
        let validity = UidValidity::new(385_759_045);
        let part = |part: &[u32], text| Section { part: part.to_vec(), text };
        let mime =
            MessageUrl { uid_validity: validity, section: part(&[1], SectionText::Mime), ..whole(Some("Drafts"), 20) };
        assert_eq!(url("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME"), mime);
        let partial = Some(Partial { offset: 0, length: 1024 });
        let first = MessageUrl { uid_validity: validity, partial, ..whole(Some("gray-council"), 20) };
        assert_eq!(url("/gray-council;uidvalidity=385759045/;UID=20/;PARTIAL=0.1024"), first);
        let both = MessageUrl { section: part(&[1, 2], SectionText::All), partial, ..whole(Some("a/b c"), 7) };
        assert_eq!(url("/a/b%20c/;Uid=7/;Section=1.2/;Partial=0.1024"), both);
        let rest = Some(Partial { offset: 5, length: i64::MAX as u64 });
        assert_eq!(url("/x/;UID=7/;PARTIAL=5").partial, rest);
        let fields = SectionText::HeaderFields(vec![b"From".to_vec(), b"To".to_vec()]);
        assert_eq!(url("/x/;UID=7/;SECTION=HEADER.FIELDS%20(From%20To)").section, part(&[], fields));
    }

    // RFC 5092 §8: names are UTF-8; RFC 5092 §7: dots and semicolons in a name are encoded.
    #[test]
    fn names_are_percent_encoded() {
        assert_eq!(url("/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/;UID=1").mailbox.as_deref(), Some("~peter/日本語"));
        assert_eq!(url("/%2e%2E/;UID=1").mailbox.as_deref(), Some(".."));
        assert_eq!(url("/a%3Bb&c=d/;UID=1").mailbox.as_deref(), Some("a;b&c=d"));
        assert_eq!(url("/a:b/;UID=1").mailbox.as_deref(), Some("a:b"));
    }

    // RFC 4469 §3: with a mailbox selected the URL may be relative to it.
    #[test]
    fn relative_to_the_selected_mailbox() {
        assert_eq!(url(";UID=4"), whole(None, 4));
        assert_eq!(url("/;UID=4"), whole(None, 4));
        assert_eq!(url(";UID=4/;SECTION=TEXT").section.text, SectionText::Text);
    }

    #[test]
    fn what_names_no_message_here() {
        use BadUrl::*;
        for (wrong, why) in [
            ("", NoMessage),
            ("/", NoMessage),
            ("/INBOX", NoMessage),
            ("/INBOX/", NoMessage),
            ("/INBOX;UIDVALIDITY=1", NoMessage),
            ("/INBOX?SUBJECT%20x", NoMessage),
            ("/../INBOX/;UID=1", NoMessage),
            ("/a/./b/;UID=1", NoMessage),
            ("imap://example.org/INBOX/;UID=1", Elsewhere),
            ("IMAP://bob@example.org/INBOX/;UID=1", Elsewhere),
            ("http://example.org/", Elsewhere),
            ("//example.org/INBOX/;UID=1", Elsewhere),
            ("INBOX/;UID=1", Relative),
            ("../INBOX/;UID=1", Relative),
            ("/a b/;UID=1", Encoding),
            ("/\u{e4}/;UID=1", Encoding),
            ("/%e4/;UID=1", Encoding),
            ("/%4/;UID=1", Encoding),
            ("/%zz/;UID=1", Encoding),
            ("/a%00/;UID=1", Encoding),
            ("/INBOX/;UID=0", Parameter),
            ("/INBOX/;UID=", Parameter),
            ("/INBOX/;UID=1:2", Parameter),
            ("/INBOX/;UID=4294967296", Parameter),
            ("/INBOX;UID=1", Parameter),
            ("/INBOX;UIDVALIDITY=0/;UID=1", Parameter),
            ("/INBOX;UIDVALIDITY=1;UID=1", Parameter),
            ("/INBOX/;SECTION=1", NoMessage),
            ("/INBOX/;UIDVALIDITY=1/;UID=1", NoMessage),
            ("/INBOX/;UID=1/;PARTIAL=1.2/;SECTION=1", Parameter),
            ("/INBOX/;UID=1/;UID=2", Parameter),
            ("/INBOX/;UID=1/;FROG=2", Parameter),
            ("/INBOX/;UID=1/", Parameter),
            ("/INBOX/;UID=1;URLAUTH=anonymous:internal:0123", Parameter),
            ("/INBOX/;UID=1/;SECTION=0", Section),
            ("/INBOX/;UID=1/;SECTION=1.FROG", Section),
            ("/INBOX/;UID=1/;SECTION=1%5D", Section),
            ("/INBOX/;UID=1/;SECTION=HEADER.FIELDS", Section),
            ("/INBOX/;UID=1/;PARTIAL=1.0", Partial),
            ("/INBOX/;UID=1/;PARTIAL=.1", Partial),
            ("/INBOX/;UID=1/;PARTIAL=1.2.3", Partial),
            ("/INBOX/;UID=1/;PARTIAL=9223372036854775808", Partial),
        ] {
            assert_eq!(parse_message_url(wrong.as_bytes()), Err(why), "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn nothing_panics(text in "(/|imap:)?[a-c%0-9/;.:]{0,9}(;UIDVALIDITY=[0-9]{0,11})?(/?;UID=[0-9]{0,11})?(/;SECTION=[A-Z0-9.%]{0,9})?(/;PARTIAL=[0-9.]{0,9})?") {
            let _ = parse_message_url(text.as_bytes());
        }
    }
}
