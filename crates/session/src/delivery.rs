//! How a message comes in, by whatever road (APPEND, LMTP, import): its octets go to the store as they arrive, and
//! what clients will ask of it is worked out on the way, so that nothing has to be read again.

use bytes::Bytes;
use columba_mime::{Summary, Walker, summarise};
use columba_store::{AccountStore, Incoming, MessageSummary, NewMessage, StoreError};
use columba_types::{DateTime, Flag};

/// One message on its way in. Dropped before [`Delivery::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Delivery {
    incoming: Incoming,
    walker: Walker,
}

impl Delivery {
    /// Begins a message of that account.
    pub fn begin(mail: &AccountStore) -> Self {
        Self { incoming: mail.incoming(), walker: Walker::new() }
    }

    /// Takes the next octets, exactly as they are to be kept.
    ///
    /// # Errors
    /// Whatever the store says; nothing is kept then.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.walker.feed(&chunk);
        self.incoming.write(chunk).await
    }

    /// Makes the octets durable. The message is seen once it has been appended to a mailbox.
    ///
    /// # Errors
    /// Whatever the store says; nothing is kept then.
    pub async fn finish(self, flags: Vec<Flag>, internal_date: DateTime) -> Result<NewMessage, StoreError> {
        let summary = stored_form(summarise(&self.walker.finish()));
        let bytes = self.incoming.finish().await?;
        Ok(NewMessage { bytes, flags, internal_date, summary })
    }
}

/// What crate `mime` made, as the store keeps it.
fn stored_form(summary: Summary) -> MessageSummary {
    MessageSummary {
        envelope: summary.envelope.into(),
        envelope_utf8: summary.envelope_utf8.map(Bytes::from),
        body_structure: summary.body_structure.into(),
        body_structure_utf8: summary.body_structure_utf8.map(Bytes::from),
        parts: summary.parts.into(),
        sent: summary.sent,
        subject: summary.subject,
        from: summary.from,
        to: summary.to,
        cc: summary.cc,
        bcc: summary.bcc,
        base_subject: summary.base_subject,
        message_id: summary.message_id,
        references: summary.references,
    }
}
