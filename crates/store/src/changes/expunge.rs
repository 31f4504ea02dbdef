//! EXPUNGE: messages with \Deleted go (RFC 9051 §6.4.3, §6.4.9). They stay restorable for a while.

use std::sync::Arc;

use columba_types::limits::COMMIT_MESSAGES;
use columba_types::{Keyword, MailboxId, ModSeq, UidSet};

use super::Expunged;
use crate::codec::small::{Link, Trash, encode_link, encode_trash};
use crate::engine::{Batch, CommitError};
use crate::line::change;
use crate::mailbox::Mailbox;
use crate::snapshot::Record;
use crate::{StoreError, keys};

/// Writes that a record is expunged: its link says so, and a trash entry keeps what is needed to make it again.
pub(crate) fn put_trash(batch: &mut Batch, mailbox: MailboxId, record: &Record, keywords: &[Keyword], expiry: u64) {
    let trash = Trash {
        internal_date: record.internal_date,
        saved_secs: record.saved_secs,
        system: record.flags.system,
        size: record.size,
        keywords: record.flags.keywords.indices().filter_map(|n| keywords.get(n).cloned()).collect(),
    };
    let link = Link::Expunged { expiry_millis: expiry };
    batch.put(keys::link(record.message, mailbox, record.uid), encode_link(link));
    batch.put(keys::trash(expiry, record.message, mailbox, record.uid), encode_trash(&trash));
}

impl Mailbox {
    /// Expunges the messages that have \Deleted, of `uids` if given. Many go in several commits.
    ///
    /// # Errors
    /// `NotFound`: the mailbox is deleted. After an error of a later commit, what earlier ones expunged stays expunged.
    pub async fn expunge(&self, uids: Option<&UidSet>) -> Result<Expunged, StoreError> {
        self.expunge_in_steps(uids, true).await
    }

    /// Expunges these messages, whether or not they have \Deleted: for what takes a message out of one mailbox of several.
    ///
    /// # Errors
    /// As [`Mailbox::expunge`].
    pub async fn remove(&self, uids: &UidSet) -> Result<Expunged, StoreError> {
        self.expunge_in_steps(Some(uids), false).await
    }

    async fn expunge_in_steps(&self, uids: Option<&UidSet>, only_deleted: bool) -> Result<Expunged, StoreError> {
        let mut all = Expunged { uids: UidSet::new(), modseq: ModSeq::ZERO };
        loop {
            let step = self.expunge_step(uids, only_deleted).await?;
            let whole = step.uids.len() < COMMIT_MESSAGES as u64;
            all = Expunged { uids: all.uids.union(&step.uids), modseq: step.modseq };
            if whole {
                return Ok(all);
            }
        }
    }

    async fn expunge_step(&self, uids: Option<&UidSet>, only_deleted: bool) -> Result<Expunged, StoreError> {
        let hook = Arc::new(|_: &Result<(), CommitError>| {});
        change(&[&self.room], &hook, |drafts, batch| {
            let Some(draft) = drafts.first_mut() else { return Err(StoreError::NotFound) };
            let base = Arc::clone(draft.base());
            let mut gone = UidSet::new();
            let wanted = |record: &&Record| uids.is_none_or(|uids| uids.contains(record.uid.value()));
            let records: Vec<Record> = match uids {
                Some(uids) if !only_deleted => base.records_in(uids).take(COMMIT_MESSAGES).copied().collect(),
                _ if base.head.deleted > 0 => base.deleted().filter(wanted).take(COMMIT_MESSAGES).copied().collect(),
                _ => Vec::new(),
            };
            if !records.is_empty() {
                let expiry = self.core().expiry_millis();
                for record in &records {
                    put_trash(batch, self.id(), record, &base.head.keywords, expiry);
                    gone.push(record.uid.value());
                }
                draft.remove(&gone);
            }
            Ok(Expunged { uids: gone, modseq: draft.modseq() })
        })
        .await
    }
}
