//! FETCH PREVIEW of messages whose preview was not worked out when they arrived (RFC 8970).

use std::sync::Arc;

use columba_mime::PartTable;
use columba_store::{AccountStore, Message, StoreError};

/// Makes sure that the message has a preview, which may be empty. Only this answer has it: it is not stored.
pub(super) async fn work_out(mail: &AccountStore, message: &mut Arc<Message>) -> Result<(), StoreError> {
    if message.summary.preview.is_some() {
        return Ok(());
    }
    let parts = PartTable::decode(&message.summary.parts)
        .map_err(|_| StoreError::Corrupt(format!("the part table of message {}", message.id).into()))?;
    let mut preview = None;
    for part in parts.preview_parts() {
        let octets = mail.read(message, part.preview_range()).await?;
        preview = part.preview(&octets);
        if preview.is_some() {
            break;
        }
    }
    Arc::make_mut(message).summary.preview = Some(preview.unwrap_or_default());
    Ok(())
}
