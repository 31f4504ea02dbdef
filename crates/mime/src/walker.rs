//! The structure of a message, found in one pass over its octets in chunks of any size.

use std::ops::Range;

use crate::content::Content;
use crate::envelope::EnvelopeFields;

/// What a part is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// Text, an image, anything that is not looked into.
    Leaf,
    /// `multipart/*`: its children are parts of their own, and there is at least one.
    Multipart,
    /// `message/rfc822` or `message/global`: its one child is the message inside, with that message's own header.
    Message,
}

/// One part: the message itself, a part of a multipart, or the message inside a `message/rfc822`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Index of the part this one lies in; `None` for the message itself. Always lower than the part's own index.
    pub parent: Option<u32>,
    /// What it is made of.
    pub kind: Kind,
    /// Octets of the header in the message, with the blank line that ends it.
    pub header: Range<u64>,
    /// Octets of the body in the message; it begins where the header ends. The line end before a boundary is not in it.
    pub body: Range<u64>,
    /// Line ends (LF) in the body.
    pub lines: u64,
    /// The parsed Content-* fields.
    pub content: Content,
    /// Address and other fields for ENVELOPE: of the message itself and of messages inside, else `None`.
    pub envelope: Option<Box<EnvelopeFields>>,
}

/// A whole message taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Structure {
    /// Octets of the message.
    pub size: u64,
    /// Parts, depth first; the first is the message itself, and there always is one.
    pub parts: Vec<Part>,
}

/// Takes a message apart as it arrives. Holds one header block at most, never a body.
#[derive(Debug, Default)]
pub struct Walker {
    size: u64,
}

impl Walker {
    /// Before the first octet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next octets of the message.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.size += chunk.len() as u64;
    }

    /// The end of the message.
    pub fn finish(self) -> Structure {
        let part = Part {
            parent: None,
            kind: Kind::Leaf,
            header: 0..0,
            body: 0..self.size,
            lines: 0,
            content: Content::default(),
            envelope: None,
        };
        Structure { size: self.size, parts: vec![part] }
    }
}

/// Takes a message apart that is held whole.
pub fn walk(octets: &[u8]) -> Structure {
    let mut walker = Walker::new();
    walker.feed(octets);
    walker.finish()
}
