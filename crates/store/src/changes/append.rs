//! APPEND: new messages, all or none in one commit (RFC 9051 §6.3.12, RFC 3502 §6.3.11).

use std::sync::Arc;

use columba_types::UidSet;

use super::{Appended, NewMessage};
use crate::codec;
use crate::codec::small::{Link, encode_link, encode_thread};
use crate::draft::NewRecord;
use crate::engine::{CommitError, Expect};
use crate::incoming::StoredBytes;
use crate::line::change;
use crate::mailbox::Mailbox;
use crate::message::Message;
use crate::{StoreError, keys};

impl Mailbox {
    /// Appends messages whose bytes came by `AccountStore::incoming` of the same account. Each gets its thread here.
    ///
    /// # Errors
    /// `NotFound`: the mailbox is deleted. `Limit`: too many keywords. `UidsExhausted`. `Cannot`: bytes of another account.
    pub async fn append(&self, messages: Vec<NewMessage>) -> Result<Appended, StoreError> {
        let account = &self.room.account;
        if messages.iter().any(|new| new.bytes.account() != account.id()) {
            return Err(StoreError::Cannot("a message's bytes belong to another account"));
        }
        let threads = account.threads_of(&messages).await?;
        // The leases go with the commit, so that they are held as long as it is in line, whoever waits.
        let mut bytes: Vec<StoredBytes> = Vec::with_capacity(messages.len());
        let mut values = Vec::with_capacity(messages.len());
        for (new, found) in messages.into_iter().zip(&threads) {
            let (id, blob) = (new.bytes.message_id(), new.bytes.blob);
            let message =
                Message { id, blob, size: blob.len, thread: found.thread, summary: new.summary, generation: 0 };
            values.push((id, codec::message::encode(&message), new.flags, new.internal_date, blob.len));
            bytes.push(new.bytes);
        }
        let hook = Arc::new(move |outcome: &Result<(), CommitError>| match outcome {
            Ok(()) => bytes.iter().for_each(StoredBytes::committed),
            Err(CommitError::Indeterminate(_)) => bytes.iter().for_each(StoredBytes::unknown),
            Err(_) => {}
        });
        change(&[&self.room], &hook, |drafts, batch| {
            let Some(draft) = drafts.first_mut() else { return Err(StoreError::NotFound) };
            let saved_secs = self.core().now_secs();
            let mut uids = UidSet::new();
            for ((message, value, flags, internal_date, size), found) in values.iter().zip(&threads) {
                let flags = draft.flags(flags)?;
                let (message, internal_date, size) = (*message, *internal_date, *size);
                let uid = draft.append(NewRecord { flags, message, internal_date, saved_secs, size })?;
                uids.push(uid.value());
                batch.guard(keys::message(message), Expect::Absent);
                batch.put(keys::message(message), value.clone());
                batch.put(keys::link(message, self.id(), uid), encode_link(Link::Live));
                for hash in &found.new_entries {
                    batch.put(keys::thread(*hash), encode_thread(message.0, found.thread));
                }
            }
            Ok(Appended { uid_validity: draft.base().head.uid_validity, uids, modseq: draft.modseq() })
        })
        .await
    }
}
