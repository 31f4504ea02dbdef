//! Where each section of a message lies: what BODY[…] and BINARY[…] need, small enough to be stored.

use std::fmt;
use std::ops::Range;

use columba_types::limits::MIME_PARTS;

use crate::decode::TransferEncoding;
use crate::walker::{Kind, Part, Structure};

/// What a search has to know of a part's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TextKind {
    /// text/plain
    Plain,
    /// text/html
    Html,
    /// Any other text.
    OtherText,
    /// message/*, looked into or not.
    Message,
    /// No text.
    NotText,
}

/// One part as sections see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartEntry {
    /// Index of the part this one lies in.
    pub parent: Option<u32>,
    /// What it is made of.
    pub kind: Kind,
    /// Octets of its header, blank line included.
    pub header: Range<u64>,
    /// Octets of its body, which begins where the header ends.
    pub body: Range<u64>,
    /// How the body is encoded.
    pub encoding: TransferEncoding,
    /// Whether it is text.
    pub text: TextKind,
    /// Its charset parameter in lower case, 64 octets at most; empty if there is none.
    pub charset: String,
}

/// The parts of one message, in the order of [`Structure::parts`]; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartTable {
    parts: Vec<PartEntry>,
}

/// Stored octets are no part table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stored table of parts is corrupt")
    }
}

impl std::error::Error for Corrupt {}

/// Which range of a part is wanted (RFC 9051 §6.4.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Want {
    /// `BODY[]` or `BODY[1.2]`
    All,
    /// `HEADER`: of the message, or of a message/rfc822 part.
    Header,
    /// `TEXT`: likewise.
    Text,
    /// `1.2.MIME`
    Mime,
}

/// Longest charset name that is kept; none is half as long.
const CHARSET_BYTES: usize = 64;

impl PartTable {
    /// The table of a message.
    pub fn new(structure: &Structure) -> Self {
        Self { parts: structure.parts.iter().map(PartEntry::new).collect() }
    }

    /// All parts.
    pub fn parts(&self) -> &[PartEntry] {
        &self.parts
    }

    /// The octets of a section in the message; `None` if there is no such section.
    pub fn locate(&self, part: &[u32], want: Want) -> Option<Range<u64>> {
        if part.is_empty() {
            let message = self.parts.first()?;
            return match want {
                Want::All => Some(message.header.start..message.body.end),
                Want::Header => Some(message.header.clone()),
                Want::Text => Some(message.body.clone()),
                Want::Mime => None,
            };
        }
        let index = self.find(part)?;
        let entry = self.parts.get(index)?;
        match want {
            Want::All => Some(entry.body.clone()),
            Want::Mime => Some(entry.header.clone()),
            // RFC 9051 §6.4.5.1: HEADER and TEXT of a part are those of the message inside it.
            Want::Header => self.message_inside(index).map(|inner| inner.header.clone()),
            Want::Text => self.message_inside(index).map(|inner| inner.body.clone()),
        }
    }

    /// The part of that number; `None` if there is none. The empty number is no part but the whole message.
    pub fn part(&self, part: &[u32]) -> Option<&PartEntry> {
        if part.is_empty() { None } else { self.parts.get(self.find(part)?) }
    }

    /// The part that `BINARY[part]` means: `None` if there is none, or it is no leaf (RFC 9051 §6.4.5).
    pub fn leaf(&self, part: &[u32]) -> Option<&PartEntry> {
        self.part(part).filter(|entry| entry.kind == Kind::Leaf)
    }

    /// How that leaf is encoded.
    pub fn encoding(&self, part: &[u32]) -> Option<TransferEncoding> {
        self.leaf(part).map(|entry| entry.encoding)
    }

    /// Index of the part of a number that is not empty.
    // RFC 9051 §6.4.5.1: parts of a multipart are counted from 1; a message that is no multipart has one part, its body,
    // with number 1; a message/rfc822 part has the part numbers of the message inside it below its own.
    fn find(&self, part: &[u32]) -> Option<usize> {
        let mut index = 0;
        let mut is_whole_message = true;
        for number in part {
            if !is_whole_message && self.parts.get(index)?.kind == Kind::Message {
                index += 1;
                is_whole_message = true;
            }
            let entry = self.parts.get(index)?;
            index = match entry.kind {
                Kind::Multipart => self.child(index, *number)?,
                _ if is_whole_message && *number == 1 => index,
                _ => return None,
            };
            is_whole_message = false;
        }
        Some(index)
    }

    /// Index of the child of that number, from 1.
    fn child(&self, parent: usize, number: u32) -> Option<usize> {
        let nth = usize::try_from(number).ok()?.checked_sub(1)?;
        let after = self.parts.get(parent + 1..)?.iter().zip(parent + 1..);
        let mut children = after.filter(|(entry, _)| entry.parent.is_some_and(|p| p as usize == parent));
        children.nth(nth).map(|(_, index)| index)
    }

    /// The message inside a message/rfc822 part: by the order of the table it is the next entry.
    fn message_inside(&self, index: usize) -> Option<&PartEntry> {
        let is_message = self.parts.get(index)?.kind == Kind::Message;
        is_message.then(|| self.parts.get(index + 1)).flatten()
    }
}

impl PartEntry {
    fn new(part: &Part) -> Self {
        let content = &part.content;
        let text = match (content.media_type.as_str(), content.subtype.as_str()) {
            ("text", "plain") => TextKind::Plain,
            ("text", "html") => TextKind::Html,
            ("text", _) => TextKind::OtherText,
            ("message", _) => TextKind::Message,
            ("multipart", _) if part.kind == Kind::Leaf => TextKind::Plain,
            _ => TextKind::NotText,
        };
        let charset = content.parameter("charset").filter(|charset| charset.len() <= CHARSET_BYTES);
        Self {
            parent: part.parent,
            kind: part.kind,
            header: part.header.clone(),
            body: part.body.clone(),
            encoding: content.encoding,
            text,
            charset: charset.unwrap_or_default().to_ascii_lowercase(),
        }
    }
}

/// First octet of the stored form; another one means another form.
const VERSION: u8 = 1;

const KINDS: [Kind; 3] = [Kind::Leaf, Kind::Multipart, Kind::Message];
const TEXTS: [TextKind; 5] =
    [TextKind::Plain, TextKind::Html, TextKind::OtherText, TextKind::Message, TextKind::NotText];
const ENCODINGS: [TransferEncoding; 6] = [
    TransferEncoding::SevenBit,
    TransferEncoding::EightBit,
    TransferEncoding::Binary,
    TransferEncoding::QuotedPrintable,
    TransferEncoding::Base64,
    TransferEncoding::Unknown,
];

/// The stored form: the version, then for each part
/// kind + 3 × text (one octet), encoding (one octet), distance to the parent (0: none), distance of the header's start
/// from that of the part before, length of header, length of body, length of charset (all LEB128), charset.
impl PartTable {
    /// The form that is stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + self.parts.len() * 20);
        out.push(VERSION);
        let mut before = 0;
        for (index, part) in self.parts.iter().enumerate() {
            let kind = KINDS.iter().position(|kind| *kind == part.kind).unwrap_or(0);
            let text = TEXTS.iter().position(|text| *text == part.text).unwrap_or(0);
            let encoding = ENCODINGS.iter().position(|encoding| *encoding == part.encoding).unwrap_or(0);
            out.extend([(kind + 3 * text) as u8, encoding as u8]);
            put_number(part.parent.map_or(0, |parent| index as u64 - u64::from(parent)), &mut out);
            put_number(part.header.start - before, &mut out);
            put_number(part.header.end - part.header.start, &mut out);
            put_number(part.body.end - part.body.start, &mut out);
            put_number(part.charset.len() as u64, &mut out);
            out.extend_from_slice(part.charset.as_bytes());
            before = part.header.start;
        }
        out
    }

    /// Reads what [`PartTable::encode`] wrote.
    pub fn decode(octets: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader { rest: octets };
        if reader.octet()? != VERSION {
            return Err(Corrupt);
        }
        let mut parts: Vec<PartEntry> = Vec::new();
        while !reader.rest.is_empty() && parts.len() < MIME_PARTS {
            let entry = reader.entry(&parts)?;
            parts.push(entry);
        }
        if parts.is_empty() || !reader.rest.is_empty() { Err(Corrupt) } else { Ok(Self { parts }) }
    }
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn octet(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.rest.split_first().ok_or(Corrupt)?;
        self.rest = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, Corrupt> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let octet = self.octet()?;
            number |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Ok(number);
            }
        }
        Err(Corrupt)
    }

    fn entry(&mut self, before: &[PartEntry]) -> Result<PartEntry, Corrupt> {
        let kind_and_text = usize::from(self.octet()?);
        let kind = *KINDS.get(kind_and_text % 3).ok_or(Corrupt)?;
        let text = *TEXTS.get(kind_and_text / 3).ok_or(Corrupt)?;
        let encoding = *ENCODINGS.get(usize::from(self.octet()?)).ok_or(Corrupt)?;
        let parent = match self.number()? {
            0 => None,
            distance => Some((before.len() as u64).checked_sub(distance).ok_or(Corrupt)?),
        };
        let start = before.last().map_or(0, |part| part.header.start).checked_add(self.number()?).ok_or(Corrupt)?;
        let body = start.checked_add(self.number()?).ok_or(Corrupt)?;
        let end = body.checked_add(self.number()?).ok_or(Corrupt)?;
        let length = usize::try_from(self.number()?).map_err(|_| Corrupt)?;
        let (charset, rest) = self.rest.split_at_checked(length).ok_or(Corrupt)?;
        self.rest = rest;
        let charset = std::str::from_utf8(charset).map_err(|_| Corrupt)?.to_owned();
        let outer =
            parent.map(|at| usize::try_from(at).ok().and_then(|at| before.get(at)).ok_or(Corrupt)).transpose()?;
        // Only the first part has no parent, and every other lies in its parent's body.
        let fits = outer.map_or(before.is_empty(), |outer| outer.body.start <= start && end <= outer.body.end);
        let parent = parent.map(|at| at as u32);
        let entry = PartEntry { parent, kind, header: start..body, body: body..end, encoding, text, charset };
        if fits { Ok(entry) } else { Err(Corrupt) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walker::walk;
    use proptest::prelude::*;

    const MIXED: &str = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\nX: one\r\n\r\nfirst\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n\
        --c\r\n\r\nplain\r\n--c\r\nContent-Type: text/html\r\n\r\nhtml\r\n--c--\r\n\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: single\r\n\r\ntext\r\n--b--\r\n";

    fn section<'a>(message: &'a str, part: &[u32], want: Want) -> Option<&'a str> {
        let table = PartTable::decode(&PartTable::new(&walk(message.as_bytes())).encode()).unwrap();
        let range = table.locate(part, want)?;
        message.get(range.start as usize..range.end as usize)
    }

    // RFC 9051 §6.4.5.1, its list of part specifiers.
    #[test]
    fn sections_of_a_nested_message() {
        assert_eq!(section(MIXED, &[], Want::All), Some(MIXED));
        assert!(section(MIXED, &[], Want::Header).unwrap().ends_with("boundary=b\r\n\r\n"));
        assert!(section(MIXED, &[], Want::Text).unwrap().starts_with("preamble"));
        assert_eq!(section(MIXED, &[], Want::Mime), None);
        assert_eq!(section(MIXED, &[1], Want::All), Some("first"));
        assert_eq!(section(MIXED, &[1], Want::Mime), Some("X: one\r\n\r\n"));
        assert_eq!(section(MIXED, &[1], Want::Header), None);
        assert_eq!(section(MIXED, &[1], Want::Text), None);
        assert_eq!(section(MIXED, &[1, 1], Want::All), None);
        assert!(section(MIXED, &[2], Want::All).unwrap().starts_with("Subject: inner"));
        assert_eq!(section(MIXED, &[2], Want::Mime), Some("Content-Type: message/rfc822\r\n\r\n"));
        assert!(section(MIXED, &[2], Want::Header).unwrap().starts_with("Subject: inner"));
        assert!(section(MIXED, &[2], Want::Text).unwrap().starts_with("--c\r\n"));
        assert_eq!(section(MIXED, &[2, 1], Want::All), Some("plain"));
        assert_eq!(section(MIXED, &[2, 2], Want::All), Some("html"));
        assert_eq!(section(MIXED, &[2, 2], Want::Mime), Some("Content-Type: text/html\r\n\r\n"));
        assert_eq!(section(MIXED, &[2, 3], Want::All), None);
        assert_eq!(section(MIXED, &[3, 1], Want::All), Some("text"));
        assert_eq!(section(MIXED, &[3, 1], Want::Mime), Some("Subject: single\r\n\r\n"));
        assert_eq!(section(MIXED, &[3, 2], Want::All), None);
        assert_eq!(section(MIXED, &[3, 1, 1], Want::All), None);
        assert_eq!(section(MIXED, &[0], Want::All), None);
        assert_eq!(section(MIXED, &[u32::MAX], Want::All), None);
    }

    // RFC 9051 §6.4.5.1: every message has at least one part number.
    #[test]
    fn a_single_part_is_part_one() {
        let message = "Subject: x\r\n\r\nbody\r\n";
        assert_eq!(section(message, &[1], Want::All), Some("body\r\n"));
        assert_eq!(section(message, &[1], Want::Mime), Some("Subject: x\r\n\r\n"));
        assert_eq!(section(message, &[2], Want::All), None);
        let message = "Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nbody\r\n";
        assert_eq!(section(message, &[1], Want::All), Some("Subject: y\r\n\r\nbody\r\n"));
        assert_eq!(section(message, &[1], Want::Header), Some("Subject: y\r\n\r\n"));
        assert_eq!(section(message, &[1, 1], Want::All), Some("body\r\n"));
    }

    #[test]
    fn leaves_have_an_encoding() {
        let message = "Content-Transfer-Encoding: base64\r\nContent-Type: text/html; charset=UTF-8\r\n\r\nAAAA";
        let table = PartTable::new(&walk(message.as_bytes()));
        assert_eq!(table.encoding(&[1]), Some(TransferEncoding::Base64));
        assert_eq!(table.leaf(&[1]).map(|leaf| (leaf.text, leaf.charset.as_str())), Some((TextKind::Html, "utf-8")));
        assert_eq!(PartTable::new(&walk(MIXED.as_bytes())).encoding(&[2]), None);
        assert_eq!(table.encoding(&[]), None);
    }

    proptest! {
        #[test]
        fn decoding_never_panics(mut octets: Vec<u8>) {
            let _ = PartTable::decode(&octets);
            octets.insert(0, VERSION);
            let _ = PartTable::decode(&octets);
        }
    }
}
