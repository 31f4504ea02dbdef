//! Annotations of mailboxes and of the server for one account (RFC 5464): values by name, all of one mailbox in one value of
//! the engine, guarded by its version and by that of the tree, so that they go with their mailbox. What an entry means is
//! not known here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use columba_types::limits::{COMMIT_RETRIES, METADATA_BYTES, METADATA_ENTRIES, METADATA_NEWS, METADATA_VALUE_BYTES};
use columba_types::{EntryName, MailboxId};

use crate::account_store::AccountStore;
use crate::codec;
use crate::engine::{Batch, CommitError, Expect};
use crate::line::change;
use crate::mailbox::Room;
use crate::memory::lock;
use crate::{StoreError, keys};

/// All annotations of one thing, by name.
pub type Metadata = BTreeMap<EntryName, Bytes>;

/// What has annotations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Annotated {
    /// The server, as one account sees it.
    Server,
    /// A mailbox.
    Mailbox(MailboxId),
}

impl Annotated {
    /// What stands in keys; no mailbox has the number 0.
    pub(crate) fn id(self) -> MailboxId {
        match self {
            Self::Server => MailboxId(0),
            Self::Mailbox(id) => id,
        }
    }
}

/// Changed annotations: whose, and which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetadataChange {
    /// Rises with every change of the account while it is in memory.
    pub number: u64,
    /// Whose.
    pub of: Annotated,
    /// Which; never none.
    pub entries: Vec<EntryName>,
}

/// The latest changes, for sessions that were not told yet.
#[derive(Debug, Default)]
pub(crate) struct MetadataNews {
    last: u64,
    changes: VecDeque<MetadataChange>,
}

impl MetadataNews {
    fn add(&mut self, of: Annotated, entries: Vec<EntryName>) -> u64 {
        self.last += 1;
        self.changes.push_back(MetadataChange { number: self.last, of, entries });
        if self.changes.len() > METADATA_NEWS {
            self.changes.pop_front();
        }
        self.last
    }
}

impl AccountStore {
    /// All annotations of a mailbox, or of the server.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn metadata(&self, of: Annotated) -> Result<Metadata, StoreError> {
        Ok(self.versioned_metadata(of).await?.1)
    }

    async fn versioned_metadata(&self, of: Annotated) -> Result<(Expect, Metadata), StoreError> {
        decode(of, self.core.value(self.partition(), keys::metadata(of.id())).await?)
    }

    /// Sets annotations, or takes them away where the value is `None`: all of them or none. Gives the number of the change.
    ///
    /// # Errors
    /// `NotFound`: there is no such mailbox (any more). `TooBig`: a value is. `Limit`: too many, or too much together.
    pub async fn set_metadata(
        self: &Arc<Self>,
        of: Annotated,
        entries: &[(EntryName, Option<Bytes>)],
    ) -> Result<u64, StoreError> {
        if entries.iter().filter_map(|(_, value)| value.as_ref()).any(|value| value.len() > METADATA_VALUE_BYTES) {
            return Err(StoreError::TooBig);
        }
        let turn = self.tree_turn.lock().await;
        self.settle_tree().await?;
        let room = match of {
            Annotated::Server => {
                self.set_server_metadata(entries).await?;
                None
            }
            Annotated::Mailbox(id) => Some(self.set_mailbox_metadata(id, entries).await?),
        };
        drop(turn);
        let number = self.note_metadata(of, entries.iter().map(|(name, _)| name.clone()).collect());
        // Those who heard of the commit before its news was noted look again.
        if let Some(room) = room {
            room.bell.ring();
        }
        Ok(number)
    }

    async fn set_server_metadata(&self, entries: &[(EntryName, Option<Bytes>)]) -> Result<(), StoreError> {
        for _ in 0..COMMIT_RETRIES {
            let mut batch = Batch::new(self.partition());
            let (expect, all) = self.versioned_metadata(Annotated::Server).await?;
            self.put_metadata(&mut batch, Annotated::Server, expect, changed(all, entries)?);
            match self.core.commit(batch).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Busy)
    }

    /// It is a change of the mailbox, too, with a mod-sequence of its own (RFC 7162 §3.2).
    async fn set_mailbox_metadata(
        self: &Arc<Self>,
        id: MailboxId,
        entries: &[(EntryName, Option<Bytes>)],
    ) -> Result<Arc<Room>, StoreError> {
        // No mailbox goes without a change of the tree, whose turn is ours.
        self.tree().name_of(id).ok_or(StoreError::NotFound)?;
        let of = Annotated::Mailbox(id);
        let (expect, all) = self.versioned_metadata(of).await?;
        let all = changed(all, entries)?;
        let room = self.room(id).await?;
        let hook = Arc::new(|_: &Result<(), CommitError>| {});
        change(&[&room], &hook, |drafts, batch| {
            drafts.first_mut().ok_or(StoreError::NotFound)?.touch();
            self.put_metadata(batch, of, expect, all.clone());
            Ok(())
        })
        .await?;
        Ok(room)
    }

    fn put_metadata(&self, batch: &mut Batch, of: Annotated, expect: Expect, all: Metadata) {
        if let Annotated::Mailbox(_) = of {
            batch.guard(keys::tree(), Expect::Version(self.tree().version()));
        }
        batch.guard(keys::metadata(of.id()), expect);
        match all.is_empty() {
            true => batch.delete(keys::metadata(of.id())),
            false => batch.put(keys::metadata(of.id()), codec::metadata::encode(&all, self.core.version())),
        }
    }

    /// Gives a mailbox just made the annotations of another one.
    pub(crate) async fn copy_metadata(self: &Arc<Self>, from: MailboxId, to: MailboxId) -> Result<(), StoreError> {
        let all = self.metadata(Annotated::Mailbox(from)).await?;
        if all.is_empty() {
            return Ok(());
        }
        let entries: Vec<_> = all.into_iter().map(|(name, value)| (name, Some(value))).collect();
        self.set_metadata(Annotated::Mailbox(to), &entries).await.map(|_| ())
    }

    /// Notes that annotations have changed which are not kept here, but worked out.
    pub fn note_metadata(&self, of: Annotated, mut entries: Vec<EntryName>) -> u64 {
        entries.sort_unstable();
        entries.dedup();
        let number = lock(&self.metadata_news).add(of, entries);
        self.feed.ring();
        number
    }

    /// Whether something after the change of number `since` is not remembered any more.
    pub fn has_forgotten_metadata(&self, since: u64) -> bool {
        let news = lock(&self.metadata_news);
        news.changes.front().is_some_and(|oldest| oldest.number > since.saturating_add(1))
    }

    /// The number of the last change.
    pub fn last_metadata_change(&self) -> u64 {
        lock(&self.metadata_news).last
    }

    /// What changed after the change of number `since`, as far as it is remembered.
    pub fn metadata_changes(self: &Arc<Self>, since: u64) -> Vec<MetadataChange> {
        let news = lock(&self.metadata_news);
        if news.last == since {
            return Vec::new();
        }
        news.changes.iter().filter(|change| change.number > since).cloned().collect()
    }
}

fn decode(of: Annotated, value: Option<Bytes>) -> Result<(Expect, Metadata), StoreError> {
    let Some(value) = value else { return Ok((Expect::Absent, Metadata::new())) };
    let decoded = codec::metadata::decode(&value);
    let (version, all) = decoded.map_err(|error| error.of(format_args!("the annotations of {}", of.id())))?;
    Ok((Expect::Version(version), all))
}

fn changed(mut all: Metadata, entries: &[(EntryName, Option<Bytes>)]) -> Result<Metadata, StoreError> {
    for (name, value) in entries {
        match value {
            // The spelling of the first one stays, as the key of the map does.
            Some(value) => _ = all.insert(name.clone(), value.clone()),
            None => _ = all.remove(name),
        }
    }
    check_limits(&all)?;
    Ok(all)
}

fn check_limits(all: &Metadata) -> Result<(), StoreError> {
    let octets: usize = all.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    match all.len() > METADATA_ENTRIES || octets > METADATA_BYTES {
        true => Err(StoreError::Limit("annotations")),
        false => Ok(()),
    }
}
