//! Makes the packs of a page from its messages and their bytes.

use std::ops::Range;
use std::task::Poll;

use bytes::Bytes;
use columba_types::limits::{PACK_ENTRY_BYTES, SEARCH_BREATH};

use super::PackColumn;
use super::read::PackedTexts;
use crate::account_store::AccountStore;
use crate::codec::pack::PackWriter;
use crate::snapshot::Record;
use crate::store::Core;
use crate::{Message, StoreError};

/// The packs of these records, one value for each column.
pub(super) async fn build(account: &AccountStore, records: &[Record]) -> Result<Vec<(PackColumn, Bytes)>, StoreError> {
    let ids: Vec<_> = records.iter().map(|record| record.message).collect();
    let messages = account.messages(&ids).await?;
    let mut writers: Vec<(PackColumn, PackWriter)> =
        account.core.pack_columns().map(|column| (column, PackWriter::default())).collect();
    for (at, (id, message)) in ids.into_iter().zip(messages).enumerate() {
        if (at as u64 + 1).is_multiple_of(SEARCH_BREATH) {
            breathe().await;
        }
        let header = match &message {
            Some(message) => header_of(account, message).await?,
            None => None,
        };
        for (column, writer) in &mut writers {
            let entry = message.as_ref().and_then(|message| entry(&account.core, message, header.as_ref(), *column));
            let entry = entry.filter(|entry| entry.len() <= PACK_ENTRY_BYTES);
            writer.add(id, entry.as_deref());
        }
    }
    let mut packs = Vec::with_capacity(writers.len());
    for (column, writer) in writers {
        breathe().await;
        packs.push((column, writer.finish()));
    }
    Ok(packs)
}

impl Core {
    /// The columns that this store writes.
    pub(super) fn pack_columns(&self) -> impl Iterator<Item = PackColumn> {
        let headers = self.options.headers.is_some();
        PackColumn::ALL.into_iter().filter(move |column| headers || !column.is_of_header())
    }
}

/// Lets others run: bytes that are at hand are read without a pause, and compressing is work.
async fn breathe() {
    let mut breathed = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut breathed, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What one column holds of a message with that header block; `None` if it is left out.
pub(crate) fn entry(core: &Core, message: &Message, header: Option<&Bytes>, column: PackColumn) -> Option<Bytes> {
    let summary = &message.summary;
    match column {
        PackColumn::Envelope => Some(summary.envelope.clone()),
        PackColumn::EnvelopeUtf8 => Some(summary.envelope_utf8.clone().unwrap_or_default()),
        PackColumn::Structure => Some(summary.body_structure.clone()),
        PackColumn::StructureUtf8 => Some(summary.body_structure_utf8.clone().unwrap_or_default()),
        PackColumn::Texts => Some(PackedTexts::of(message).encode()),
        PackColumn::Preview => summary.preview.as_ref().map(|text| Bytes::copy_from_slice(text.as_bytes())),
        PackColumn::Fields => core.options.headers.zip(header).map(|(form, block)| (form.fields)(block).into()),
        PackColumn::Header => header.cloned(),
    }
}

/// Where a message's header block lies; `None` if packs don't hold it.
pub(crate) fn header_range(core: &Core, message: &Message) -> Option<Range<u64>> {
    let range = core.options.headers.and_then(|form| (form.range)(&message.summary));
    range.filter(|range| range.start <= range.end && range.end - range.start <= PACK_ENTRY_BYTES as u64)
}

/// The octets of a message's header block, unless packs don't hold it, or it cannot be read.
async fn header_of(account: &AccountStore, message: &Message) -> Result<Option<Bytes>, StoreError> {
    let Some(range) = header_range(&account.core, message) else { return Ok(None) };
    let length = range.end - range.start;
    match account.read(message, range).await {
        Ok(octets) if octets.len() as u64 == length => Ok(Some(octets)),
        // Whoever asks for it is told.
        Ok(_) | Err(StoreError::Corrupt(_) | StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
