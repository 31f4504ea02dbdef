//! What is kept of a message once for all mailboxes it is in.

use bytes::Bytes;
use columba_types::{DateTime, MessageId, ThreadId};

use crate::engine::BlobRef;

/// What crate `mime` makes of a message when it arrives, ready to be sent; opaque here but for the two ids.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MessageSummary {
    /// ENVELOPE as sent to clients that take ASCII only.
    pub envelope: Bytes,
    /// ENVELOPE as sent after UTF8=ACCEPT, where it differs.
    pub envelope_utf8: Option<Bytes>,
    /// BODYSTRUCTURE for ASCII clients.
    pub body_structure: Bytes,
    /// BODYSTRUCTURE after UTF8=ACCEPT, where it differs.
    pub body_structure_utf8: Option<Bytes>,
    /// Where the MIME parts lie, in the form of crate `mime`.
    pub parts: Bytes,
    /// The Date field.
    pub sent: Option<DateTime>,
    /// Decoded Subject.
    pub subject: String,
    /// From as SEARCH sees it: display names and addresses, decoded.
    pub from: String,
    /// To, likewise.
    pub to: String,
    /// Cc, likewise.
    pub cc: String,
    /// Bcc, likewise.
    pub bcc: String,
    /// Base subject (RFC 5256 §2.1).
    pub base_subject: String,
    /// Message-ID without its angle brackets.
    pub message_id: Option<String>,
    /// The ids of References, or else of In-Reply-To, oldest first.
    pub references: Vec<String>,
    /// What SORT needs besides; `None` for a message stored before this was kept.
    pub sort_keys: Option<SortKeys>,
    /// The first words of its text (RFC 8970), `""` where there are none; `None` if that was not worked out on arrival.
    pub preview: Option<String>,
}

/// Keys of SORT (RFC 5256 §3, RFC 5957 §3) that are no SEARCH keys too.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SortKeys {
    /// Local part of the first From address.
    pub from_mailbox: String,
    /// Local part of the first To address.
    pub to_mailbox: String,
    /// Local part of the first Cc address.
    pub cc_mailbox: String,
    /// Display name of the first From address, else `mailbox@host`.
    pub display_from: String,
    /// Display name of the first To address, else `mailbox@host`.
    pub display_to: String,
    /// Whether the subject is that of a reply or forwarded message.
    pub subject_is_reply: bool,
}

impl MessageSummary {
    /// Octets of all of it: what a message costs while it waits for its commit.
    pub fn bytes(&self) -> usize {
        let optional = |octets: &Option<Bytes>| octets.as_ref().map_or(0, Bytes::len);
        let texts = [&self.subject, &self.from, &self.to, &self.cc, &self.bcc, &self.base_subject];
        let ids = self.references.iter().chain(&self.message_id);
        self.envelope.len()
            + optional(&self.envelope_utf8)
            + self.body_structure.len()
            + optional(&self.body_structure_utf8)
            + self.parts.len()
            + texts.into_iter().chain(ids).map(String::len).sum::<usize>()
    }
}

/// A message's content within its account. Mailboxes refer to it by its id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its EMAILID.
    pub id: MessageId,
    /// Where its bytes lie; a moment later they may lie elsewhere, which `AccountStore::read` deals with.
    pub blob: BlobRef,
    /// Octets, RFC822.SIZE.
    pub size: u64,
    /// Its THREADID.
    pub thread: ThreadId,
    /// What was made of it on arrival.
    pub summary: MessageSummary,
    /// All its octets, where they were read with those of its neighbours (`AccountStore::read_ahead`).
    pub octets: Option<Bytes>,
    /// Rises whenever the value is rewritten.
    pub(crate) generation: u64,
}
