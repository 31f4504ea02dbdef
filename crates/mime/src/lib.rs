//! Message octets to structure, envelope, sections and decoded text.
//!
//! Invariants:
//! - Nothing here fails: the worst message is one opaque text part.
//! - Offsets are exact. What is fetched is a range of what arrived; no octet is ever changed, added or dropped.
//! - Any split of a message into chunks gives the same [`Structure`].
//! - Memory is bounded by `columba_types::limits`, whatever the message; time is linear in its octets.
//! - Nothing recurses: depth is data, never stack.
//! - What is printed for a client is always valid IMAP syntax, and free of 8-bit octets unless UTF-8 was asked for.
//! - This crate does no I/O, looks at no clock, and knows no mailbox.

mod address;
mod body_structure;
mod boundary;
mod charset;
mod content;
mod date;
mod decode;
mod envelope;
mod header;
mod html;
mod preview;
mod print;
mod section;
mod selection;
mod subject;
mod summary;
mod text;
mod utf7;
mod walker;
mod words;

pub use address::{Address, parse_addresses};
pub use body_structure::without_extensions;
pub use content::{Content, Disposition, Parameters};
pub use date::parse_date;
pub use decode::{CrlfLines, TransferDecoder, TransferEncoding};
pub use envelope::EnvelopeFields;
pub use header::{Field, Fields, fields, unfold};
pub use section::{Corrupt, PartEntry, PartTable, TextKind, Want};
pub use selection::{FieldNames, header_fields};
pub use subject::{BaseSubject, base_subject};
pub use summary::{Summary, summarise};
pub use text::{Finder, TextDecoder, search_form, search_form_into};
pub use walker::{Kind, Part, Structure, Walker, walk};
pub use words::decode_header;
