//! Packs: for each page of a mailbox a few values that hold, column by column, what bulk reading needs of all its messages.
//! They are derived from messages and their bytes, and may be missing, dropped and made again at any time.
//!
//! Invariants:
//! - A pack names the messages it is about. Ids are never given twice and what a pack holds of a message never changes, so
//!   an entry that is found by its id is right, however old the pack is.
//! - A pack is written only while its page is there, and goes with it in the same commit.
//! - What a pack says is what the message's value and bytes say; `verify` compares them.

mod build;
mod pages;
mod queue;
mod read;

pub(crate) use build::{entry, header_range};
pub use pages::PageRange;
pub(crate) use queue::PackQueue;
pub use read::{OpenPack, PackedTexts, PagePacks};

use std::ops::Range;

use crate::MessageSummary;

/// What a pack holds of each message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum PackColumn {
    /// ENVELOPE for clients that take ASCII only.
    Envelope = 1,
    /// ENVELOPE after UTF8=ACCEPT; empty where it is the same.
    EnvelopeUtf8 = 2,
    /// BODYSTRUCTURE for clients that take ASCII only.
    Structure = 3,
    /// BODYSTRUCTURE after UTF8=ACCEPT; empty where it is the same.
    StructureUtf8 = 4,
    /// What SEARCH asks for first: see [`PackedTexts`].
    Texts = 5,
    /// The preview.
    Preview = 6,
    /// The header fields that clients ask for most, as [`HeaderForm::fields`] picks them.
    Fields = 7,
    /// The message's own header block.
    Header = 8,
}

impl PackColumn {
    /// All there are, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Envelope,
        Self::EnvelopeUtf8,
        Self::Structure,
        Self::StructureUtf8,
        Self::Texts,
        Self::Preview,
        Self::Fields,
        Self::Header,
    ];

    pub(crate) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|column| *column as u8 == number)
    }

    /// Whether it is made of the octets of the message.
    pub(crate) fn is_of_header(self) -> bool {
        matches!(self, Self::Fields | Self::Header)
    }
}

/// What packs need to know of headers, which this crate does not.
#[derive(Clone, Copy, Debug)]
pub struct HeaderForm {
    /// Where in the message its own header block lies, by its summary; `None` if that is damaged.
    pub range: fn(&MessageSummary) -> Option<Range<u64>>,
    /// The part of a header block that most clients are content with. It must never choose otherwise than it once did.
    pub fields: fn(&[u8]) -> Vec<u8>,
}
