//! How a message comes in, by whatever road (APPEND, LMTP, import): its octets go to the store as they arrive, and
//! what clients will ask of it is worked out on the way, so that nothing has to be read again.

use std::ops::Range;
use std::sync::LazyLock;

use bytes::Bytes;
use columba_mime::{FieldNames, PartTable, Structure, Summary, Walker, Want, summarise};
use columba_store::{AccountStore, HeaderForm, Incoming, MessageSummary, NewMessage, SortKeys, StoreError};
use columba_types::limits::{PREVIEW_CHARS, PREVIEW_SOURCE_BYTES};
use columba_types::{DateTime, Flag};

/// One message on its way in. Dropped before [`Delivery::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Delivery {
    incoming: Incoming,
    walker: Walker,
    beginning: Beginning,
}

impl Delivery {
    /// Begins a message of that account.
    pub fn begin(mail: &AccountStore) -> Self {
        Self { incoming: mail.incoming(), walker: Walker::new(), beginning: Beginning::default() }
    }

    /// Takes the next octets, exactly as they are to be kept.
    ///
    /// # Errors
    /// Whatever the store says; nothing is kept then.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.walker.feed(&chunk);
        self.beginning.keep(&chunk);
        self.incoming.write(chunk).await
    }

    /// Ends the octets. The message is seen, and durable, once it has been appended to a mailbox.
    ///
    /// # Errors
    /// Whatever the store says; nothing is kept then.
    pub async fn finish(self, flags: Vec<Flag>, internal_date: DateTime) -> Result<NewMessage, StoreError> {
        let structure = self.walker.finish();
        let mut summary = stored_form(summarise(&structure));
        summary.preview = self.beginning.preview(&structure);
        let bytes = self.incoming.finish().await?;
        Ok(NewMessage { bytes, flags, internal_date, summary })
    }
}

/// The first octets of a message, which nearly always hold the words of its preview.
#[derive(Debug, Default)]
struct Beginning(Vec<u8>);

impl Beginning {
    fn keep(&mut self, chunk: &[u8]) {
        let room = PREVIEW_SOURCE_BYTES - self.0.len();
        self.0.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
    }

    /// `None` if the words lie further on: then they are looked for when somebody asks.
    fn preview(&self, structure: &Structure) -> Option<String> {
        let table = PartTable::new(structure);
        for part in table.preview_parts() {
            let Range { start, end } = part.preview_range();
            let held = self.0.get(start as usize..).unwrap_or_default();
            let wanted = held.get(..(end - start) as usize);
            let text = part.preview(wanted.unwrap_or(held));
            if wanted.is_none() {
                // A beginning that is long enough says the same as all of it.
                return text.filter(|text| text.chars().count() > PREVIEW_CHARS / 2);
            }
            if text.is_some() {
                return text;
            }
        }
        Some(String::new())
    }
}

/// What the store's packs have to know of headers.
pub const HEADERS: HeaderForm = HeaderForm { range: header_range, fields: common_fields };

fn header_range(summary: &MessageSummary) -> Option<Range<u64>> {
    PartTable::decode(&summary.parts).ok()?.locate(&[], Want::Header)
}

fn common_fields(block: &[u8]) -> Vec<u8> {
    static COMMON: LazyLock<FieldNames> = LazyLock::new(FieldNames::common);
    let mut fields = Vec::with_capacity(block.len() / 4);
    COMMON.pick(block, false, &mut fields);
    fields
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
        sort_keys: Some(SortKeys {
            from_mailbox: summary.from_mailbox,
            to_mailbox: summary.to_mailbox,
            cc_mailbox: summary.cc_mailbox,
            display_from: summary.display_from,
            display_to: summary.display_to,
            subject_is_reply: summary.subject_is_reply,
        }),
        preview: None,
    }
}
