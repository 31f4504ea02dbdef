//! The store as a whole: what it is opened with, and what everything in it shares.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use columba_types::limits::{COMMIT_QUEUE, LOG_EXPUNGED_UIDS, PAGE_RECORDS, SCAN_KEYS};
use columba_types::{AccountId, MailboxId, MailboxName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::account_store::AccountStore;
use crate::accounts::Names;
use crate::codec::small::{decode_format, encode_format};
use crate::engine::{Batch, Blobs, CommitError, Engine, Expect, Key, Partition};
use crate::incoming::Leases;
use crate::mailbox::Room;
use crate::memory::lock;
use crate::packs::{HeaderForm, PackQueue};
use crate::{Clock, SpecialUse, StoreError, keys};

/// What may be chosen about a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long expunged messages stay restorable.
    pub keep_expunged: Duration,
    /// Mailboxes kept in memory although nobody uses them; above, the longest unused goes first.
    pub cache_mailboxes: usize,
    /// Message records (about 100 octets each) of those mailboxes together; above, too, the longest unused goes first.
    pub cache_records: u64,
    /// What a new account has besides INBOX. A name that comes twice has several uses.
    pub first_mailboxes: Vec<(MailboxName, SpecialUse)>,
    /// UIDs in a mailbox's history of what was expunged, at most [`LOG_EXPUNGED_UIDS`].
    pub expunge_history: u64,
    /// Messages of a page with which it gets packs though more may come to it; fewer than a page can have only makes work,
    /// and is for tests.
    pub packed_page: usize,
    /// What packs need to know of headers; `None`: they hold none.
    pub headers: Option<HeaderForm>,
    /// Where random numbers start; `None`: from the operating system. Set by tests and the simulator.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep_expunged: Duration::from_secs(7 * 24 * 3600),
            cache_mailboxes: 1_000,
            cache_records: 2_000_000,
            first_mailboxes: first_mailboxes(),
            expunge_history: LOG_EXPUNGED_UIDS,
            packed_page: PAGE_RECORDS,
            headers: None,
            seed: None,
        }
    }
}

/// The mailboxes that nearly every client looks for.
fn first_mailboxes() -> Vec<(MailboxName, SpecialUse)> {
    use SpecialUse::{Archive, Drafts, Junk, Sent, Trash};
    let usual = [("Archive", Archive), ("Drafts", Drafts), ("Junk", Junk), ("Sent", Sent), ("Trash", Trash)];
    usual.into_iter().filter_map(|(name, special_use)| Some((MailboxName::new(name).ok()?, special_use))).collect()
}

/// What all parts of a store share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) leases: Arc<Leases>,
    pub(crate) packing: PackQueue,
    numbers: Numbers,
    /// One permit for each commit in line, so that the engine's line stays bounded.
    line: Arc<Semaphore>,
}

impl Core {
    /// A number no other commit has.
    pub(crate) fn version(&self) -> u64 {
        self.numbers.next()
    }

    /// Seconds since 1970.
    pub(crate) fn now_secs(&self) -> i64 {
        self.clock.now_millis().div_euclid(1000)
    }

    /// When something expunged now is taken away, in milliseconds since 1970.
    pub(crate) fn expiry_millis(&self) -> u64 {
        let keep = i64::try_from(self.options.keep_expunged.as_millis()).unwrap_or(i64::MAX);
        u64::try_from(self.clock.now_millis().saturating_add(keep)).unwrap_or(0)
    }

    /// A place in the line; waits while it is full.
    pub(crate) async fn place_in_line(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let closed = |_| StoreError::Unavailable("the store is closed".into());
        Arc::clone(&self.line).acquire_owned().await.map_err(closed)
    }

    /// Whether commits are in line: others would have to wait behind more.
    pub(crate) fn is_busy(&self) -> bool {
        self.line.available_permits() < COMMIT_QUEUE
    }

    /// Commits something nobody else in this process builds upon meanwhile.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let place = self.place_in_line().await.map_err(|error| CommitError::Refused(error.to_string().into()))?;
        let outcome = self.engine.commit(batch).await;
        drop(place);
        outcome
    }

    /// One value.
    pub(crate) async fn value(&self, partition: Partition, key: Key) -> Result<Option<Bytes>, StoreError> {
        Ok(self.engine.read(partition, vec![key]).await?.pop().flatten())
    }

    /// Everything in a range, however much.
    pub(crate) async fn scan_all(
        &self,
        partition: Partition,
        mut range: Range<Key>,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let mut all = Vec::new();
        loop {
            let part = self.engine.scan(partition, range.clone(), SCAN_KEYS).await?;
            let whole = part.len() < SCAN_KEYS;
            if let Some((last, _)) = part.last() {
                range.start = keys::after(last);
            }
            all.extend(part);
            if whole {
                return Ok(all);
            }
        }
    }
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::Busy,
            CommitError::Refused(why) => Self::Unavailable(why),
            CommitError::Indeterminate(why) => Self::Indeterminate(why),
        }
    }
}

/// Gives numbers that don't repeat and that nobody guesses twice: a counter from a random start, scrambled.
#[derive(Debug)]
pub(crate) struct Numbers(AtomicU64);

impl Numbers {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(AtomicU64::new(seed.unwrap_or_else(|| RandomState::new().build_hasher().finish())))
    }

    pub(crate) fn next(&self) -> u64 {
        // SplitMix64: a bijection of the counter, so no number comes twice.
        let mut n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }
}

/// Mailboxes kept in memory though perhaps nobody uses them now: the most recently used.
#[derive(Debug)]
pub(crate) struct Rooms {
    mailboxes: usize,
    records: u64,
    used: Mutex<Used>,
    /// The clock of `used`, to be read without waiting for it.
    touches: AtomicU64,
}

#[derive(Debug)]
struct UsedRoom {
    /// Kept alive by this.
    _room: Arc<Room>,
    time: u64,
    records: u64,
}

#[derive(Debug, Default)]
struct Used {
    clock: u64,
    records: u64,
    rooms: HashMap<(AccountId, MailboxId), UsedRoom>,
    by_time: BTreeMap<u64, (AccountId, MailboxId)>,
}

impl Used {
    fn remove(&mut self, key: &(AccountId, MailboxId)) -> Option<UsedRoom> {
        let removed = self.rooms.remove(key)?;
        self.by_time.remove(&removed.time);
        self.records = self.records.saturating_sub(removed.records);
        Some(removed)
    }
}

impl Rooms {
    /// Notes that a mailbox is used now. One in use elsewhere stays alive there when it goes from here.
    pub(crate) fn touch(&self, room: &Arc<Room>) {
        let records = room.records();
        // Among the last used, and no larger, it need not be moved: a thousand sessions that look at once would only wait
        // for each other.
        let last = room.touched.load(Ordering::Relaxed);
        let is_fresh = self.touches.load(Ordering::Relaxed).saturating_sub(last) < self.mailboxes as u64 / 8;
        if last > 0 && is_fresh && records == room.counted.load(Ordering::Relaxed) {
            return;
        }
        let key = (room.account.id(), room.id);
        // Dropped only when the lock is given back: with them may go what takes long to take apart.
        let mut gone = Vec::new();
        let mut used = lock(&self.used);
        gone.extend(used.remove(&key));
        used.clock += 1;
        used.records += records;
        let time = used.clock;
        room.touched.store(time, Ordering::Relaxed);
        room.counted.store(records, Ordering::Relaxed);
        self.touches.store(time, Ordering::Relaxed);
        used.rooms.insert(key, UsedRoom { _room: Arc::clone(room), time, records });
        used.by_time.insert(time, key);
        while used.rooms.len() > self.mailboxes || used.records > self.records {
            let Some(oldest) = used.by_time.first_key_value().map(|(_, key)| *key) else { break };
            gone.extend(used.remove(&oldest));
        }
        drop(used);
        drop(gone);
    }

    /// Lets go of one account's mailboxes.
    pub(crate) fn forget(&self, account: AccountId) {
        let mut used = lock(&self.used);
        let ids: Vec<_> = used.rooms.keys().filter(|(id, _)| *id == account).copied().collect();
        let gone: Vec<Option<UsedRoom>> = ids.iter().map(|id| used.remove(id)).collect();
        drop(used);
        drop(gone);
    }
}

/// A place for one account in memory; while it is opened, the others who want it wait here.
pub(crate) type AccountSlot = Arc<tokio::sync::Mutex<Weak<AccountStore>>>;

#[derive(Debug)]
pub(crate) struct StoreInner {
    pub(crate) core: Arc<Core>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) open: Mutex<HashMap<AccountId, AccountSlot>>,
    pub(crate) names: Mutex<Names>,
    /// One change of the accounts at a time.
    pub(crate) accounts_turn: tokio::sync::Mutex<()>,
    /// One reclaiming at a time.
    pub(crate) reclaim_turn: tokio::sync::Mutex<()>,
}

/// All accounts and their mail. A cheap handle.
#[derive(Clone, Debug)]
pub struct Store(pub(crate) Arc<StoreInner>);

impl Store {
    /// Opens what the engine holds, an empty one too, and finishes what a crash left half done.
    ///
    /// # Errors
    /// `Corrupt` if a newer Columba wrote it; `Unavailable` if the engine cannot be read or written.
    pub async fn open(
        engine: Arc<dyn Engine>,
        blobs: Arc<dyn Blobs>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Store, StoreError> {
        let core = Core {
            engine,
            blobs,
            clock,
            leases: Arc::default(),
            packing: PackQueue::default(),
            numbers: Numbers::new(options.seed),
            line: Arc::new(Semaphore::new(COMMIT_QUEUE)),
            options,
        };
        core.check_format(Partition::Global, keys::global_format()).await?;
        let Options { cache_mailboxes, cache_records, .. } = core.options;
        let rooms = Rooms {
            mailboxes: cache_mailboxes,
            records: cache_records,
            used: Mutex::default(),
            touches: AtomicU64::new(0),
        };
        let store = Store(Arc::new(StoreInner {
            core: Arc::new(core),
            rooms: Arc::new(rooms),
            open: Mutex::default(),
            names: Mutex::default(),
            accounts_turn: tokio::sync::Mutex::default(),
            reclaim_turn: tokio::sync::Mutex::default(),
        }));
        store.resume_deletions().await?;
        Ok(store)
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    /// Milliseconds since 1970 by the store's clock, for those who have no other.
    pub fn now_millis(&self) -> i64 {
        self.0.core.clock.now_millis()
    }
}

impl Core {
    /// Refuses a format that is not this one's; writes it where there is none.
    async fn check_format(&self, partition: Partition, key: Key) -> Result<(), StoreError> {
        for _ in 0..2 {
            if let Some(value) = self.value(partition, key.clone()).await? {
                return decode_format(&value).map_err(|error| error.of("the store"));
            }
            let mut batch = Batch::new(partition);
            batch.guard(key.clone(), Expect::Absent);
            batch.put(key.clone(), encode_format());
            match self.commit(batch).await {
                Err(CommitError::Conflict) => {}
                other => return Ok(other?),
            }
        }
        Err(StoreError::Busy)
    }
}
