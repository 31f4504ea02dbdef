//! Where each section of a message lies: what BODY[…] and BINARY[…] need, small enough to be stored.

use std::fmt;
use std::ops::Range;

use crate::decode::TransferEncoding;
use crate::walker::{Kind, Structure};

/// What a search has to know of a part's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TextKind {
    /// text/plain
    Plain,
    /// text/html
    Html,
    /// Any other text.
    OtherText,
    /// message/* that is not looked into.
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
    /// Octets of its body.
    pub body: Range<u64>,
    /// How the body is encoded.
    pub encoding: TransferEncoding,
    /// Whether it is text.
    pub text: TextKind,
    /// Its charset parameter in lower case; empty if there is none.
    pub charset: String,
}

/// The parts of one message, in the order of [`Structure::parts`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
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

impl PartTable {
    /// The table of a message.
    pub fn new(_structure: &Structure) -> Self {
        Self { parts: Vec::new() }
    }

    /// Reads what [`PartTable::encode`] wrote.
    pub fn decode(_octets: &[u8]) -> Result<Self, Corrupt> {
        Err(Corrupt)
    }

    /// The form that is stored.
    pub fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    /// All parts.
    pub fn parts(&self) -> &[PartEntry] {
        &self.parts
    }

    /// The octets of a section in the message; `None` if there is no such section.
    pub fn locate(&self, _part: &[u32], _want: Want) -> Option<Range<u64>> {
        None
    }

    /// The part that BINARY[part] means: `None` if there is none, or it is no leaf (RFC 9051 §6.4.5).
    pub fn leaf(&self, _part: &[u32]) -> Option<&PartEntry> {
        None
    }

    /// How that leaf is encoded.
    pub fn encoding(&self, part: &[u32]) -> Option<TransferEncoding> {
        self.leaf(part).map(|entry| entry.encoding)
    }
}

/// The fields of those names (or, with `not`, all others) exactly as they stand in the block, and the blank line.
pub fn header_fields(_block: &[u8], _names: &[impl AsRef<[u8]>], _not: bool) -> Vec<u8> {
    b"\r\n".to_vec()
}
