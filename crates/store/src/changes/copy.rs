//! COPY and MOVE within an account: links to the same message, not copies of it (RFC 9051 §6.4.7, RFC 6851).

use std::sync::Arc;

use columba_types::limits::COMMIT_MESSAGES;
use columba_types::{KeywordBits, ModSeq, UidSet};

use super::Copied;
use crate::codec::small::{Link, encode_link};
use crate::draft::{Draft, NewRecord};
use crate::engine::{Batch, CommitError};
use crate::line::change;
use crate::mailbox::Mailbox;
use crate::snapshot::{Record, Snapshot};
use crate::{StoreError, keys};

impl Mailbox {
    /// Copies messages, all or none in one commit. Flags, keywords and INTERNALDATE go with them; the save date is now.
    ///
    /// # Errors
    /// `NotFound`: one of the mailboxes is deleted. `Limit`: too many keywords there. `UidsExhausted`. `Cannot`: `to` is of another
    /// account.
    pub async fn copy(&self, uids: &UidSet, to: &Mailbox) -> Result<Copied, StoreError> {
        self.transfer(uids, to, false, usize::MAX).await
    }

    /// Moves messages: each is gone here by the commit that makes it appear there. Many go in several commits.
    ///
    /// # Errors
    /// As [`Mailbox::copy`]. After an error of a later commit, what earlier ones moved stays moved.
    pub async fn move_to(&self, uids: &UidSet, to: &Mailbox) -> Result<Copied, StoreError> {
        // Moving within one mailbox makes new UIDs, which are not to be moved again.
        let last = self.snapshot().uids().last().unwrap_or(0);
        let mut rest = uids.intersection(&UidSet::range(1, last.max(1)));
        let mut all: Option<Copied> = None;
        loop {
            let step = self.transfer(&rest, to, true, COMMIT_MESSAGES).await?;
            let whole = step.from.len() < COMMIT_MESSAGES as u64;
            rest = rest.difference(&UidSet::range(1, step.from.last().unwrap_or(0)));
            let sum = match all.take() {
                None => step,
                Some(before) => Copied {
                    uid_validity: step.uid_validity,
                    from: before.from.union(&step.from),
                    to: before.to.union(&step.to),
                    modseq: if step.from.is_empty() { before.modseq } else { step.modseq },
                },
            };
            if whole {
                return Ok(sum);
            }
            all = Some(sum);
        }
    }

    async fn transfer(&self, uids: &UidSet, to: &Mailbox, moves: bool, limit: usize) -> Result<Copied, StoreError> {
        if !Arc::ptr_eq(&self.room.account, &to.room.account) {
            return Err(StoreError::Cannot("the mailboxes belong to different accounts"));
        }
        let hook = Arc::new(|_: &Result<(), CommitError>| {});
        let transfer = |drafts: &mut [Draft], batch: &mut Batch| {
            let Some(base) = drafts.first().map(|source| Arc::clone(source.base())) else {
                return Err(StoreError::NotFound);
            };
            let records: Vec<Record> = base.records_in(uids).take(limit).copied().collect();
            let from: UidSet = records.iter().map(|record| record.uid).collect();
            if moves {
                if let Some(source) = drafts.first_mut() {
                    source.remove(&from);
                }
                records.iter().for_each(|r| batch.delete(keys::link(r.message, self.id(), r.uid)));
            }
            let Some(target) = drafts.last_mut() else { return Err(StoreError::NotFound) };
            let to_uids = self.add_records(target, batch, &base, &records, to)?;
            let modseq: ModSeq = target.modseq();
            Ok(Copied { uid_validity: target.base().head.uid_validity, from, to: to_uids, modseq })
        };
        if self.id() == to.id() {
            change(&[&self.room], &hook, transfer).await
        } else {
            change(&[&self.room, &to.room], &hook, transfer).await
        }
    }

    fn add_records(
        &self,
        target: &mut Draft,
        batch: &mut Batch,
        source: &Snapshot,
        records: &[Record],
        to: &Mailbox,
    ) -> Result<UidSet, StoreError> {
        let saved_secs = self.core().now_secs();
        let mut keywords = KeywordMap::default();
        let mut uids = UidSet::new();
        for record in records {
            let mut flags = record.flags;
            if source.head.mailbox != to.id() {
                flags.keywords = keywords.translate(flags.keywords, source, target)?;
            }
            let uid = target.append(NewRecord {
                flags,
                message: record.message,
                internal_date: record.internal_date,
                saved_secs,
                size: record.size,
            })?;
            uids.push(uid.value());
            batch.put(keys::link(record.message, to.id(), uid), encode_link(Link::Live));
        }
        Ok(uids)
    }
}

/// Which set of keywords of one mailbox is which of another; messages mostly have the same few sets.
#[derive(Debug, Default)]
struct KeywordMap(Vec<(KeywordBits, KeywordBits)>);

impl KeywordMap {
    fn translate(
        &mut self,
        bits: KeywordBits,
        source: &Snapshot,
        target: &mut Draft,
    ) -> Result<KeywordBits, StoreError> {
        if bits.is_empty() {
            return Ok(bits);
        }
        if let Some((_, known)) = self.0.iter().find(|(from, _)| *from == bits) {
            return Ok(*known);
        }
        let mut there = KeywordBits::NONE;
        for keyword in bits.indices().filter_map(|n| source.keyword(n)) {
            there = there.union(target.keyword(keyword)?);
        }
        self.0.push((bits, there));
        Ok(there)
    }
}
