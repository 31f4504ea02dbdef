//! APPEND: new messages, all or none in one commit (RFC 9051 §6.3.12, RFC 3502 §6.3.11).

use std::sync::Arc;

use bytes::Bytes;
use columba_types::{DateTime, Flag, MessageId, UidSet};

use super::{Appended, NewMessage};
use crate::account_store::AccountStore;
use crate::codec;
use crate::codec::small::{Link, encode_link, encode_thread};
use crate::draft::{Draft, NewRecord};
use crate::engine::{Batch, CommitError, Expect};
use crate::incoming::StoredBytes;
use crate::line::{Hook, change};
use crate::mailbox::Mailbox;
use crate::memory::lock;
use crate::message::Message;
use crate::threads::FoundThread;
use crate::{StoreError, keys};

impl Mailbox {
    /// Appends messages whose bytes came by `AccountStore::incoming` of the same account. Each gets its thread here.
    ///
    /// # Errors
    /// `NotFound`: the mailbox is deleted. `Limit`: too many keywords. `UidsExhausted`. `Cannot`: bytes of another account.
    pub async fn append(&self, messages: Vec<NewMessage>) -> Result<Appended, StoreError> {
        let (arriving, hook) = Arriving::new(&self.room.account, messages).await?;
        change(&[&self.room], &Arc::new(hook), |drafts, batch| {
            let Some(draft) = drafts.first_mut() else { return Err(StoreError::NotFound) };
            arriving.enter(self, draft, batch)
        })
        .await
    }
}

/// Messages that a commit makes part of a mailbox.
pub(super) struct Arriving {
    messages: Vec<Entering>,
}

struct Entering {
    id: MessageId,
    value: Bytes,
    flags: Vec<Flag>,
    internal_date: DateTime,
    size: u64,
    found: FoundThread,
}

impl Arriving {
    /// Finds their threads. What it returns besides goes with the commit: the leases of the bytes are held as long as it
    /// is in line, whoever waits.
    pub(super) async fn new(
        account: &AccountStore,
        messages: Vec<NewMessage>,
    ) -> Result<(Self, impl Hook), StoreError> {
        if messages.iter().any(|new| new.bytes.account() != account.id()) {
            return Err(StoreError::Cannot("a message's bytes belong to another account"));
        }
        let threads = account.threads_of(&messages).await?;
        let mut bytes: Vec<StoredBytes> = Vec::with_capacity(messages.len());
        let mut entries = Vec::new();
        let mut entering = Vec::with_capacity(messages.len());
        for (new, found) in messages.into_iter().zip(threads) {
            let NewMessage { bytes: stored, flags, internal_date, summary } = new;
            let (id, blob, size) = (stored.message_id(), stored.blob, stored.blob.len);
            let message = Message { id, blob, size, thread: found.thread, summary, generation: 0 };
            let value = codec::message::encode(&message);
            entries.extend(found.new_entries.iter().map(|hash| (*hash, found.thread)));
            entering.push(Entering { id, value, flags, internal_date, size, found });
            bytes.push(stored);
        }
        let recent = Arc::clone(&account.recent_threads);
        let hook = move |outcome: &Result<(), CommitError>| match outcome {
            Ok(()) => {
                bytes.iter().for_each(StoredBytes::committed);
                lock(&recent).settle(entries.iter().copied());
            }
            Err(CommitError::Indeterminate(_)) => bytes.iter().for_each(StoredBytes::unknown),
            Err(_) => {}
        };
        Ok((Self { messages: entering }, hook))
    }

    /// Adds them at the end of a mailbox.
    pub(super) fn enter(&self, to: &Mailbox, draft: &mut Draft, batch: &mut Batch) -> Result<Appended, StoreError> {
        let saved_secs = to.core().now_secs();
        let mut uids = UidSet::new();
        for Entering { id, value, flags, internal_date, size, found } in &self.messages {
            let flags = draft.flags(flags)?;
            let (message, internal_date, size) = (*id, *internal_date, *size);
            let uid = draft.append(NewRecord { flags, message, internal_date, saved_secs, size })?;
            uids.push(uid.value());
            batch.guard(keys::message(message), Expect::Absent);
            batch.put(keys::message(message), value.clone());
            batch.put(keys::link(message, to.id(), uid), encode_link(Link::Live));
            for hash in &found.new_entries {
                batch.put(keys::thread(*hash), encode_thread(message.0, found.thread));
            }
        }
        Ok(Appended { uid_validity: draft.base().head.uid_validity, uids, modseq: draft.modseq() })
    }
}
