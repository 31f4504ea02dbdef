//! What is computed once, when a message is delivered, and stored ready to send.

use columba_types::DateTime;

use crate::walker::Structure;

/// Everything of a message that FETCH, SEARCH, SORT and THREAD want without reading the message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// ENVELOPE for a client without UTF-8, `(…)`: never an 8-bit octet.
    pub envelope: Vec<u8>,
    /// ENVELOPE for a client with UTF8=ACCEPT or IMAP4rev2; `None` if it is the same.
    pub envelope_utf8: Option<Vec<u8>>,
    /// BODYSTRUCTURE for a client without UTF-8.
    pub body_structure: Vec<u8>,
    /// BODYSTRUCTURE for a client with UTF-8; `None` if it is the same.
    pub body_structure_utf8: Option<Vec<u8>>,
    /// An encoded [`crate::PartTable`].
    pub parts: Vec<u8>,
    /// The moment in the Date field.
    pub sent: Option<DateTime>,
    /// Subject, decoded.
    pub subject: String,
    /// From, decoded: `Name <mailbox@host>, …`.
    pub from: String,
    /// To, likewise.
    pub to: String,
    /// Cc, likewise.
    pub cc: String,
    /// Bcc, likewise.
    pub bcc: String,
    /// Local part of the first From address: the FROM key of SORT (RFC 5256 §3).
    pub from_mailbox: String,
    /// The TO key of SORT.
    pub to_mailbox: String,
    /// The CC key of SORT.
    pub cc_mailbox: String,
    /// The DISPLAYFROM key of SORT (RFC 5957 §3.1): the first address' name, decoded, else `mailbox@host`.
    pub display_from: String,
    /// The DISPLAYTO key of SORT.
    pub display_to: String,
    /// Message-ID without angle brackets and quoting.
    pub message_id: Option<String>,
    /// Ids of References, else the first of In-Reply-To; oldest first, `REFERENCES` at most.
    pub references: Vec<String>,
    /// The base subject (RFC 5256 §2.1), its case kept.
    pub base_subject: String,
    /// Whether the subject is that of a reply or forwarded message.
    pub subject_is_reply: bool,
}

/// Computes all of it.
pub fn summarise(_structure: &Structure) -> Summary {
    Summary::default()
}
