//! A mailbox in memory: what is published of it, and reading that. How it changes is in `line` and `changes`.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use columba_types::limits::{COMMIT_RETRIES, GHOST_RECORDS};
use columba_types::{KeywordBits, MailboxId, ModSeq, Uid, UidSet};
use tokio::sync::Notify;

use crate::account_store::AccountStore;
use crate::codec;
use crate::engine::Partition;
use crate::keys::{self, KeyParts};
use crate::log::Log;
use crate::memory::lock;
use crate::snapshot::{Head, Record, Snapshot};
use crate::store::Core;
use crate::watch::{Bell, Watch};
use crate::{StoreError, line};

/// What happened since a moment: the state now, and what went on the way to it.
#[derive(Clone, Debug)]
pub struct CatchUp {
    /// The state now.
    pub snapshot: Arc<Snapshot>,
    /// What was expunged since; `None`: too far back, compare whole lists.
    pub expunged: Option<UidSet>,
}

/// A mailbox, for reading and changing. Several handles of one mailbox share everything.
#[derive(Clone, Debug)]
pub struct Mailbox {
    pub(crate) room: Arc<Room>,
}

/// What all handles of a mailbox share. There is never more than one of a mailbox in memory.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: MailboxId,
    pub(crate) account: Arc<AccountStore>,
    pub(crate) bell: Arc<Bell>,
    /// What the next commit is built upon: the state after the last one that was submitted. `None`: deleted.
    pub(crate) tip: tokio::sync::Mutex<Option<Arc<Snapshot>>>,
    pub(crate) shown: Mutex<Shown>,
    /// Notified whenever something was heard of a commit.
    pub(crate) heard: Notify,
    /// The first UID nobody claimed as \Recent; 0 never occurs.
    pub(crate) recent_from: AtomicU32,
    /// When it was last noted as used, by the clock of those kept in memory; 0: never.
    pub(crate) touched: AtomicU64,
    /// How many records it held then.
    pub(crate) counted: AtomicU64,
}

/// What is published, and what waits for its outcome.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) ghosts: Ghosts,
    pub(crate) deleted: bool,
    pub(crate) line: line::Line,
}

/// Records that were expunged lately, for clients that were not yet told.
#[derive(Debug, Default)]
pub(crate) struct Ghosts {
    records: HashMap<Uid, Record>,
    order: VecDeque<Uid>,
}

impl Ghosts {
    pub(crate) fn add(&mut self, records: Vec<Record>) {
        for record in records {
            if self.records.insert(record.uid, record).is_none() {
                self.order.push_back(record.uid);
            }
        }
        while self.order.len() > GHOST_RECORDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.records.remove(&oldest);
        }
    }

    /// These bits mean other keywords now.
    pub(crate) fn forget_keywords(&mut self, bits: KeywordBits) {
        if !bits.is_empty() {
            self.records.values_mut().for_each(|r| r.flags.keywords = r.flags.keywords.difference(bits));
        }
    }
}

impl Mailbox {
    /// Its id, for good.
    pub fn id(&self) -> MailboxId {
        self.room.id
    }

    /// The last durable state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&lock(&self.room.shown).snapshot)
    }

    /// Wakes after every published commit, and when the mailbox is deleted. It does not keep the mailbox in memory:
    /// an idle client keeps this and the mailbox's id, and asks `AccountStore::mailbox` again when woken.
    pub fn watch(&self) -> Watch {
        self.room.bell.watch()
    }

    /// The state now, and what was expunged on the way to it.
    pub fn catch_up(&self, since: ModSeq) -> CatchUp {
        let snapshot = self.snapshot();
        CatchUp { expunged: snapshot.log.expunged_since(since), snapshot }
    }

    /// Whether it was deleted; its last state can still be read.
    pub fn is_deleted(&self) -> bool {
        lock(&self.room.shown).deleted
    }

    /// A message expunged a while ago, so that a client not yet told can still read it. `None` if it is too long ago.
    pub fn ghost(&self, uid: Uid) -> Option<Record> {
        lock(&self.room.shown).ghosts.records.get(&uid).copied()
    }

    /// Claims what nobody claimed yet: messages with these UIDs are \Recent for the caller alone (RFC 3501 §2.3.2).
    /// Kept in memory, and written with the next commit.
    pub fn claim_recent(&self) -> UidSet {
        let shown = lock(&self.room.shown);
        let next = shown.snapshot.head.uid_next.value();
        let before = self.room.recent_from.swap(next, Ordering::Relaxed);
        UidSet::range(before, next - 1)
    }

    /// What [`Mailbox::claim_recent`] would return, without claiming.
    pub fn recent_from(&self) -> Uid {
        self.room.recent_from()
    }

    /// Partition and shared parts, for changes.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.room.account.core
    }
}

impl Room {
    pub(crate) fn new(account: Arc<AccountStore>, bell: Arc<Bell>, snapshot: Snapshot) -> Self {
        let snapshot = Arc::new(snapshot);
        Self {
            id: snapshot.head.mailbox,
            account,
            bell,
            recent_from: AtomicU32::new(snapshot.head.recent_from.value()),
            tip: tokio::sync::Mutex::new(Some(Arc::clone(&snapshot))),
            shown: Mutex::new(Shown {
                snapshot,
                ghosts: Ghosts::default(),
                deleted: false,
                line: line::Line::default(),
            }),
            heard: Notify::new(),
            touched: AtomicU64::new(0),
            counted: AtomicU64::new(0),
        }
    }

    pub(crate) fn recent_from(&self) -> Uid {
        Uid::new(self.recent_from.load(Ordering::Relaxed)).unwrap_or(Uid::MIN)
    }

    /// How many records are held.
    pub(crate) fn records(&self) -> u64 {
        u64::from(lock(&self.shown).snapshot.head.exists)
    }

    /// The head as published.
    pub(crate) fn head(&self) -> Option<Head> {
        let shown = lock(&self.shown);
        (!shown.deleted).then(|| shown.snapshot.head.clone())
    }
}

/// Reads a mailbox from the engine: its head, about a page per 128 messages, and its history.
pub(crate) async fn load(core: &Core, partition: Partition, id: MailboxId) -> Result<Snapshot, StoreError> {
    for _ in 0..COMMIT_RETRIES {
        let before = core.value(partition, keys::head(id)).await?.ok_or(StoreError::NotFound)?;
        let pages = core.scan_all(partition, keys::pages(id)).await?;
        let logs = core.scan_all(partition, keys::logs(id)).await?;
        // Several reads are one state if the head is the same before and after: every commit changes it.
        if core.value(partition, keys::head(id)).await? != Some(before.clone()) {
            continue;
        }
        let (head, version) = codec::head::decode(&before, id).map_err(|e| e.of(format_args!("head of {id}")))?;
        let mut all = Vec::with_capacity(pages.len());
        for (key, value) in pages {
            let mut parts = KeyParts::of(&key);
            let (_, first) = (parts.u64(), parts.u32().unwrap_or(0));
            let page = codec::page::decode(&value, first);
            all.push(page.map_err(|e| e.of(format_args!("page {first} of {id}")))?);
        }
        let mut log = Vec::with_capacity(logs.len());
        for (key, value) in logs {
            let mut parts = KeyParts::of(&key);
            let (_, modseq) = (parts.u64(), ModSeq(parts.u64().unwrap_or(0)));
            let page = codec::log::decode(&value, modseq);
            log.push(page.map_err(|e| e.of(format_args!("history {modseq} of {id}")))?);
        }
        let log = Arc::new(Log::new(head.log_floor, log));
        return Ok(Snapshot { head, pages: all.into_iter().collect(), log, version });
    }
    Err(StoreError::Busy)
}
