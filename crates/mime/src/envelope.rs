//! The fields of ENVELOPE as they stand in a header, and ENVELOPE printed.

/// Raw values of the fields that ENVELOPE and the sort keys need, unfolded and trimmed. `None`: no such field.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EnvelopeFields {
    /// Date
    pub date: Option<Vec<u8>>,
    /// Subject
    pub subject: Option<Vec<u8>>,
    /// From; several fields are joined by commas, here and below.
    pub from: Option<Vec<u8>>,
    /// Sender
    pub sender: Option<Vec<u8>>,
    /// Reply-To
    pub reply_to: Option<Vec<u8>>,
    /// To
    pub to: Option<Vec<u8>>,
    /// Cc
    pub cc: Option<Vec<u8>>,
    /// Bcc
    pub bcc: Option<Vec<u8>>,
    /// In-Reply-To
    pub in_reply_to: Option<Vec<u8>>,
    /// Message-ID
    pub message_id: Option<Vec<u8>>,
    /// References
    pub references: Option<Vec<u8>>,
}
