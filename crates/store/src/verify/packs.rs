//! Checks packs: that each belongs to a page, and says of each message what the message itself says.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use columba_types::{MailboxId, MessageId};

use super::account::AccountCheck;
use crate::codec;
use crate::codec::pack::Unpacked;
use crate::keys::{self, KeyParts};
use crate::packs::{PackColumn, entry, header_range};
use crate::{Message, StoreError};

/// Values read at once: the packs of a few pages.
const SCAN_PACKS: usize = 4 * PackColumn::ALL.len();

/// A message as packs should have it.
struct Expected {
    message: Message,
    /// `None` where packs don't hold it, or it cannot be read, which is found elsewhere.
    header: Option<Bytes>,
}

/// What was looked up for the packs of one page.
#[derive(Default)]
struct OfPage {
    page: Option<(MailboxId, u32)>,
    expected: HashMap<MessageId, Expected>,
}

pub(super) async fn check_packs(
    check: &mut AccountCheck<'_>,
    pages: &HashSet<(MailboxId, u32)>,
) -> Result<(), StoreError> {
    let mut range = keys::all_packs();
    let mut of_page = OfPage::default();
    let mut unpacked = Unpacked::default();
    loop {
        let part = check.core.engine.scan(check.partition(), range.clone(), SCAN_PACKS).await?;
        let Some((last, _)) = part.last() else { return Ok(()) };
        range.start = keys::after(last);
        for (key, value) in part {
            let mut parts = KeyParts::of(&key);
            let (Some(mailbox), Some(first_uid), Some(column), Some(())) =
                (parts.u64().map(MailboxId), parts.u32(), parts.u8(), parts.end())
            else {
                check.warn("the key of a pack is damaged");
                continue;
            };
            let page = (mailbox, first_uid);
            if !pages.contains(&page) {
                check.warn(format_args!("there is a pack of page {first_uid} of {mailbox}, which is not there"));
            }
            let Some(column) = PackColumn::of_number(column) else {
                check.warn(format_args!("page {first_uid} of {mailbox} has a pack of the unknown kind {column}"));
                continue;
            };
            if let Err(error) = unpacked.fill(&value) {
                // It is made again when it is needed.
                check.warn(format_args!("the pack {column:?} of page {first_uid} of {mailbox}: {error}"));
                continue;
            }
            if of_page.page != Some(page) {
                of_page = OfPage { page: Some(page), ..OfPage::default() };
            }
            of_page.look_up(check, &unpacked.ids).await?;
            for (at, id) in unpacked.ids.iter().enumerate() {
                let Some(found) = unpacked.entry(at) else { continue };
                if !of_page.agrees(check, *id, column, found) {
                    let text = format_args!("the pack {column:?} of page {first_uid} of {mailbox} is wrong about {id}");
                    check.error(text);
                }
            }
        }
    }
}

impl OfPage {
    /// Reads those messages that were not read yet; those that are gone for good are left out.
    async fn look_up(&mut self, check: &AccountCheck<'_>, ids: &[MessageId]) -> Result<(), StoreError> {
        let new: Vec<MessageId> = ids.iter().filter(|id| !self.expected.contains_key(id)).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        let keys = new.iter().map(|id| keys::message(*id)).collect();
        let values = check.core.engine.read(check.partition(), keys).await?;
        for (id, value) in new.into_iter().zip(values) {
            // A value that is damaged is found with the messages.
            let Some(Ok(message)) = value.map(|value| codec::message::decode(&value, id)) else { continue };
            let header = match header_range(check.core, &message) {
                Some(range) => check.core.blobs.read(message.blob, range).await.ok(),
                None => None,
            };
            self.expected.insert(id, Expected { message, header });
        }
        Ok(())
    }

    fn agrees(&self, check: &AccountCheck<'_>, id: MessageId, column: PackColumn, found: &[u8]) -> bool {
        let Some(Expected { message, header }) = self.expected.get(&id) else { return true };
        if column.is_of_header() && header.is_none() {
            return true;
        }
        entry(check.core, message, header.as_ref(), column).is_some_and(|expected| expected == found)
    }
}
