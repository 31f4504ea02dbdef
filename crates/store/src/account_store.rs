//! One account's mail in memory: its tree, its mailboxes, its messages. How the tree changes is in `tree_changes`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use bytes::Bytes;
use columba_types::{AccountId, MailboxId, MailboxName, MessageId, Uid};
use tokio::sync::Notify;

use crate::codec;
use crate::codec::small::{Link, TreeState, decode_format, decode_link, decode_name, decode_tree};
use crate::engine::{EngineError, Partition};
use crate::feed::{Feed, TreeNews};
use crate::incoming::Incoming;
use crate::mailbox::{Mailbox, Room, load};
use crate::memory::lock;
use crate::metadata::MetadataNews;
use crate::removal::finish_removals;
use crate::store::{Core, Rooms};
use crate::threads::RecentThreads;
use crate::tree::{Tree, TreeEntry};
use crate::tree_changes::create_first_mailboxes;
use crate::watch::{Bell, Watch};
use crate::{Head, Message, StoreError, keys};

/// Bits of a message id below its milliseconds.
const MESSAGE_ID_BITS: u32 = 20;
/// Times a blob that has moved meanwhile is looked for again.
const MOVED_BLOB_TRIES: usize = 3;

/// One account's mail.
#[derive(Debug)]
pub struct AccountStore {
    id: AccountId,
    pub(crate) core: Arc<Core>,
    /// Weak, because what it keeps keeps this.
    rooms: Weak<Rooms>,
    slots: Mutex<HashMap<MailboxId, Arc<Slot>>>,
    tree: RwLock<Arc<Tree>>,
    pub(crate) tree_bell: Arc<Bell>,
    pub(crate) feed: Feed,
    /// One change of the tree at a time.
    pub(crate) tree_turn: tokio::sync::Mutex<()>,
    pub(crate) tree_line: Mutex<TreeLine>,
    pub(crate) tree_heard: Notify,
    pub(crate) recent_threads: Arc<Mutex<RecentThreads>>,
    pub(crate) metadata_news: Mutex<MetadataNews>,
    last_message: AtomicU64,
}

/// What is known of the tree besides its names.
#[derive(Debug, Default)]
pub(crate) struct TreeLine {
    pub(crate) state: TreeState,
    pub(crate) in_flight: bool,
    /// A change failed: what is in memory is not to be built upon.
    pub(crate) stale: bool,
}

/// The place of one mailbox; while it is loaded, the others who want it wait here.
#[derive(Debug)]
struct Slot {
    bell: Arc<Bell>,
    room: tokio::sync::Mutex<Weak<Room>>,
}

impl AccountStore {
    /// An account whose partition holds nothing has no format; it gets one with its first mailboxes.
    pub(crate) async fn open(core: Arc<Core>, rooms: Weak<Rooms>, id: AccountId) -> Result<Arc<Self>, StoreError> {
        let store = Arc::new(Self {
            id,
            rooms,
            slots: Mutex::default(),
            tree: RwLock::default(),
            tree_bell: Bell::new(),
            feed: Feed::new(),
            tree_turn: tokio::sync::Mutex::default(),
            tree_line: Mutex::default(),
            tree_heard: Notify::new(),
            recent_threads: Arc::default(),
            metadata_news: Mutex::default(),
            last_message: AtomicU64::new(0),
            core,
        });
        match store.core.value(store.partition(), keys::format()).await? {
            Some(format) => decode_format(&format).map_err(|error| error.of(id))?,
            None => create_first_mailboxes(&store.core, id).await?,
        }
        store.reload_tree().await?;
        finish_removals(&store.core, store.partition()).await?;
        let last = last_message_from(&store.core, store.partition()).await?;
        store.last_message.store(last, Ordering::Relaxed);
        Ok(store)
    }

    /// Whose mail it is.
    pub fn id(&self) -> AccountId {
        self.id
    }

    pub(crate) fn partition(&self) -> Partition {
        Partition::Account(self.id)
    }

    /// All names, as the last durable change left them.
    pub fn tree(&self) -> Arc<Tree> {
        Arc::clone(&self.tree.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes on every change of the tree.
    pub fn tree_watch(&self) -> Watch {
        self.tree_bell.watch()
    }

    /// Changes the tree in memory; the one in use elsewhere stays as it is.
    pub(crate) fn edit_tree(&self, edit: impl FnOnce(&mut Tree)) {
        edit(Arc::make_mut(&mut self.tree.write().unwrap_or_else(PoisonError::into_inner)));
        self.tree_bell.ring();
    }

    /// Reads the tree from the engine.
    pub(crate) async fn reload_tree(&self) -> Result<(), StoreError> {
        let (state, entries) = read_tree(&self.core, self.partition()).await?;
        let before = self.tree();
        lock(&self.tree_line).state = state;
        lock(&self.tree_line).stale = false;
        if before.version != state.version {
            let mut names = entries.iter().map(|(name, entry)| (name.clone(), Some(entry.clone()))).collect();
            gone_names(&before, &mut names);
            let news = TreeNews::of(&before, &names);
            self.edit_tree(|tree| *tree = Tree::new(entries, state.version));
            self.feed.tell_of_tree(news);
        }
        Ok(())
    }

    fn slot(&self, id: MailboxId) -> Arc<Slot> {
        let new = || Arc::new(Slot { bell: Bell::new(), room: tokio::sync::Mutex::default() });
        Arc::clone(lock(&self.slots).entry(id).or_insert_with(new))
    }

    pub(crate) async fn room(self: &Arc<Self>, id: MailboxId) -> Result<Arc<Room>, StoreError> {
        let slot = self.slot(id);
        let mut place = slot.room.lock().await;
        let room = match place.upgrade() {
            Some(room) => room,
            None => {
                // In a box, so that those who find it in memory hold no room for it while they wait.
                let snapshot = match Box::pin(load(&self.core, self.partition(), id)).await {
                    Ok(snapshot) => snapshot,
                    Err(error) => {
                        drop(place);
                        self.forget_unwatched(id, &slot);
                        return Err(error);
                    }
                };
                let room = Arc::new(Room::new(Arc::clone(self), Arc::clone(&slot.bell), snapshot));
                *place = Arc::downgrade(&room);
                room
            }
        };
        drop(place);
        if let Some(rooms) = self.rooms.upgrade() {
            rooms.touch(&room);
        }
        Ok(room)
    }

    /// The account is deleted: so are all its mailboxes.
    pub(crate) fn close(&self) {
        let slots: Vec<Arc<Slot>> = lock(&self.slots).values().cloned().collect();
        for slot in slots {
            if let Some(room) = slot.room.try_lock().ok().and_then(|room| room.upgrade()) {
                room.close();
            }
        }
        self.tree_bell.ring();
        self.feed.ring();
    }

    /// Ids that are no mailbox's leave nothing behind here.
    fn forget_unwatched(&self, id: MailboxId, slot: &Arc<Slot>) {
        let mut slots = lock(&self.slots);
        // Two: the map's and the caller's.
        if Arc::strong_count(slot) <= 2 && !slot.bell.is_watched() {
            slots.remove(&id);
        }
    }

    /// A mailbox, loaded if it is not in memory.
    ///
    /// # Errors
    /// `NotFound`: there is none of that id (any more).
    pub async fn mailbox(self: &Arc<Self>, id: MailboxId) -> Result<Arc<Mailbox>, StoreError> {
        let room = self.room(id).await?;
        let mailbox = Mailbox { room };
        if mailbox.is_deleted() { Err(StoreError::NotFound) } else { Ok(Arc::new(mailbox)) }
    }

    /// What STATUS asks for, without loading the mailbox.
    ///
    /// # Errors
    /// `NotFound`: there is none of that id (any more).
    pub async fn head(&self, id: MailboxId) -> Result<Head, StoreError> {
        let slot = lock(&self.slots).get(&id).cloned();
        let loaded = slot.and_then(|slot| slot.room.try_lock().ok()?.upgrade());
        if let Some(room) = loaded {
            return room.head().ok_or(StoreError::NotFound);
        }
        let value = self.core.value(self.partition(), keys::head(id)).await?.ok_or(StoreError::NotFound)?;
        codec::head::decode(&value, id).map(|(head, _)| head).map_err(|e| e.of(format_args!("head of {id}")))
    }

    /// Many heads with one question to the engine, in the order of `ids`; `None` where there is no such mailbox (any more).
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn heads(&self, ids: &[MailboxId]) -> Result<Vec<Option<Head>>, StoreError> {
        let keys = ids.iter().map(|id| keys::head(*id)).collect();
        let values = self.core.engine.read(self.partition(), keys).await?;
        let decode = |(id, value): (&MailboxId, Option<Bytes>)| {
            let Some(value) = value else { return Ok(None) };
            let head = codec::head::decode(&value, *id);
            head.map(|(head, _)| Some(head)).map_err(|error| error.of(format_args!("head of {id}")))
        };
        ids.iter().zip(values).map(decode).collect()
    }

    /// Where a message is, in the order of the mailboxes' ids; expunged copies don't count.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn places_of(&self, message: MessageId) -> Result<Vec<(MailboxId, Uid)>, StoreError> {
        let mut places = Vec::new();
        for (key, value) in self.core.scan_all(self.partition(), keys::links(message)).await? {
            let link = decode_link(&value).map_err(|error| error.of(format_args!("a link of {message}")))?;
            let mut parts = keys::KeyParts::of(&key);
            if let (Some(_), Some(mailbox), Some(uid)) = (parts.u64(), parts.u64(), parts.u32().and_then(Uid::new))
                && link == Link::Live
            {
                places.push((MailboxId(mailbox), uid));
            }
        }
        Ok(places)
    }

    /// One message.
    ///
    /// # Errors
    /// `NotFound`: there is none of that id (any more).
    pub async fn message(&self, id: MessageId) -> Result<Arc<Message>, StoreError> {
        self.messages(&[id]).await?.pop().flatten().ok_or(StoreError::NotFound)
    }

    /// Many messages with one question to the engine, in the order of `ids`; `None` where there is none.
    pub async fn messages(&self, ids: &[MessageId]) -> Result<Vec<Option<Arc<Message>>>, StoreError> {
        let keys = ids.iter().map(|id| keys::message(*id)).collect();
        let values = self.core.engine.read(self.partition(), keys).await?;
        let decode = |(id, value): (&MessageId, Option<Bytes>)| {
            let Some(value) = value else { return Ok(None) };
            codec::message::decode(&value, *id).map(|message| Some(Arc::new(message))).map_err(|error| error.of(id))
        };
        ids.iter().zip(values).map(decode).collect()
    }

    /// The octets `range` of a message, cut off at its end.
    ///
    /// # Errors
    /// `NotFound`: the message is gone for good. `Corrupt`: the bytes are damaged or missing.
    pub async fn read(&self, message: &Message, range: Range<u64>) -> Result<Bytes, StoreError> {
        let mut blob = message.blob;
        for _ in 0..MOVED_BLOB_TRIES {
            match self.core.blobs.read(blob, range.clone()).await {
                // The segment may have been rewritten since the message was read.
                Err(EngineError::Missing(what)) => {
                    let now = self.message(message.id).await?.blob;
                    if now == blob {
                        return Err(StoreError::corrupt(format_args!("the bytes of {}: {what}", message.id)));
                    }
                    blob = now;
                }
                other => return Ok(other?),
            }
        }
        Err(StoreError::Busy)
    }

    /// Starts a message: its id is given, its bytes are to come.
    pub fn incoming(&self) -> Incoming {
        let message = self.next_message();
        let lease = self.core.leases.take(self.id, message);
        Incoming::new(self.core.blobs.begin(self.id, message), lease)
    }

    /// Above all ids given before; by the clock, so that ids of neighbours in time are neighbours as keys.
    fn next_message(&self) -> MessageId {
        let millis = u64::try_from(self.core.clock.now_millis()).unwrap_or(0);
        let by_clock = (millis << MESSAGE_ID_BITS) | (self.core.version() >> (64 - MESSAGE_ID_BITS));
        let next = |last: u64| match by_clock >> MESSAGE_ID_BITS > last >> MESSAGE_ID_BITS {
            true => by_clock,
            false => last.saturating_add(1),
        };
        let given = self.last_message.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        MessageId(next(given.unwrap_or_else(|last| last)))
    }
}

/// The account's last message, if it is not of the past: then the clock was set back, and new messages have to come
/// after it all the same. 0 otherwise. One look as a rule; 64 more find the last one of the future.
async fn last_message_from(core: &Core, partition: Partition) -> Result<u64, StoreError> {
    let now = u64::try_from(core.clock.now_millis()).unwrap_or(0) << MESSAGE_ID_BITS;
    let end = keys::all_messages().end;
    let first_from = async |id: u64| -> Result<Option<u64>, StoreError> {
        let found = core.engine.scan(partition, keys::message(MessageId(id))..end.clone(), 1).await?;
        let Some((key, _)) = found.first() else { return Ok(None) };
        let id = keys::KeyParts::of(key).u64();
        id.map(Some).ok_or_else(|| StoreError::corrupt("a message's key is damaged"))
    };
    let Some(mut low) = first_from(now).await? else { return Ok(0) };
    let mut high = u64::MAX;
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match first_from(middle).await? {
            Some(id) => low = id,
            None => high = middle - 1,
        }
    }
    Ok(low)
}

/// Adds the names of a tree that are not among `names`, as gone.
fn gone_names(before: &Tree, names: &mut BTreeMap<MailboxName, Option<TreeEntry>>) {
    let gone: Vec<MailboxName> =
        before.iter().map(|(name, _)| name).filter(|name| !names.contains_key(*name)).cloned().collect();
    names.extend(gone.into_iter().map(|name| (name, None)));
}

/// Reads an account's tree: one state, because every change of a name changes the tree's version.
pub(crate) async fn read_tree(
    core: &Core,
    partition: Partition,
) -> Result<(TreeState, BTreeMap<MailboxName, TreeEntry>), StoreError> {
    for _ in 0..columba_types::limits::COMMIT_RETRIES {
        let before = core.value(partition, keys::tree()).await?.ok_or(StoreError::NotFound)?;
        let names = core.scan_all(partition, keys::all_names()).await?;
        if core.value(partition, keys::tree()).await? != Some(before.clone()) {
            continue;
        }
        let state = decode_tree(&before).map_err(|error| error.of("the tree"))?;
        let mut entries = BTreeMap::new();
        for (key, value) in names {
            let name = keys::KeyParts::of(&key).text().and_then(|text| MailboxName::new(text).ok());
            let name = name.ok_or_else(|| StoreError::corrupt("a mailbox name that cannot be one"))?;
            let entry = decode_name(&value).map_err(|error| error.of(format_args!("the name {name:?}")))?;
            entries.insert(name, entry);
        }
        return Ok((state, entries));
    }
    Err(StoreError::Busy)
}
