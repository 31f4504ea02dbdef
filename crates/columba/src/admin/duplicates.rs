//! Which messages a mailbox had before an import. Two are the same when their Message-ID and size are, or, without a
//! Message-ID, their date and size.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use columba_mime::{Walker, summarise};
use columba_store::{AccountStore, Mailbox, StoreError};
use columba_types::{DateTime, limits};

/// What a mailbox held, as hashes: 8 octets a message.
#[derive(Clone, Debug)]
pub(super) struct Known {
    hashes: Arc<HashSet<u64>>,
    state: RandomState,
}

impl Known {
    /// What `mailbox` holds now.
    pub(super) async fn of(mail: &AccountStore, mailbox: &Mailbox) -> Result<Self, StoreError> {
        let state = RandomState::new();
        let mut hashes = HashSet::new();
        let snapshot = mailbox.snapshot();
        let records: Vec<_> = snapshot.records().map(|r| (r.message, r.internal_date, r.size)).collect();
        for step in records.chunks(limits::COMMIT_MESSAGES) {
            let ids: Vec<_> = step.iter().map(|(id, ..)| *id).collect();
            let messages = mail.messages(&ids).await?;
            for (message, (_, date, size)) in messages.iter().zip(step) {
                let message_id = message.as_ref().and_then(|m| m.summary.message_id.as_deref());
                hashes.insert(identity(&state, message_id, *date, *size));
            }
        }
        Ok(Self { hashes: Arc::new(hashes), state })
    }

    /// Whether a message with these octets was there.
    pub(super) fn has(&self, octets: &[u8], internal_date: DateTime) -> bool {
        if self.hashes.is_empty() {
            return false;
        }
        let mut walker = Walker::new();
        walker.feed(octets);
        let summary = summarise(&walker.finish());
        self.has_summary(summary.message_id.as_deref(), internal_date, octets.len() as u64)
    }

    /// The same, where the Message-ID is known.
    pub(super) fn has_summary(&self, message_id: Option<&str>, internal_date: DateTime, size: u64) -> bool {
        self.hashes.contains(&identity(&self.state, message_id, internal_date, size))
    }
}

fn identity(state: &RandomState, message_id: Option<&str>, date: DateTime, size: u64) -> u64 {
    match message_id {
        Some(id) => state.hash_one((id, size)),
        None => state.hash_one((date.unix_secs, size)),
    }
}
