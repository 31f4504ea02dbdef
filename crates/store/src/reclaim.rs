//! Giving back space: expunged messages whose time is over, deleted accounts, and segments that are mostly dead.
//!
//! It may stop anywhere and start again: each step is a commit of its own, and what is deleted is never needed to find
//! what has still to be done.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use columba_types::limits::{
    COMMIT_MESSAGES, COMMIT_RETRIES, MESSAGE_CHUNK_BYTES, SCAN_KEYS, SCAN_MESSAGES, SEGMENT_COPIES,
};
use columba_types::{AccountId, MailboxId, MessageId, Uid};
use futures_util::future::join_all;

use crate::codec;
use crate::codec::small::{decode_octets, decode_thread, decode_version, encode_octets, encode_version};
use crate::engine::{Batch, BlobRecord, CommitError, Expect, Partition};
use crate::keys::{self, KeyParts};
use crate::removal::finish_removals;
use crate::store::Core;
use crate::{Message, Store, StoreError, threads};

/// What was given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reclaimed {
    /// Expunged messages that are gone for good now.
    pub messages: u64,
    /// Segments removed.
    pub segments: u64,
    /// Octets of the segments removed, less what had to be copied.
    pub bytes: u64,
}

/// A record that was expunged, as its trash key names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct TrashKey {
    pub(crate) expiry_millis: u64,
    pub(crate) message: MessageId,
    pub(crate) mailbox: MailboxId,
    pub(crate) uid: Uid,
}

impl TrashKey {
    pub(crate) fn parse(key: &crate::Key) -> Result<Self, StoreError> {
        let mut parts = KeyParts::of(key);
        let mut parse = || {
            let (expiry_millis, message) = (parts.u64()?, MessageId(parts.u64()?));
            let (mailbox, uid) = (MailboxId(parts.u64()?), parts.uid()?);
            parts.end().map(|()| Self { expiry_millis, message, mailbox, uid })
        };
        parse().ok_or_else(|| StoreError::corrupt("the key of an expunged message"))
    }

    pub(crate) fn key(self) -> crate::Key {
        keys::trash(self.expiry_millis, self.message, self.mailbox, self.uid)
    }

    pub(crate) fn link(self) -> crate::Key {
        keys::link(self.message, self.mailbox, self.uid)
    }
}

/// Guards and changes the version that everything that ends or undoes an expunge shares.
pub(crate) async fn take_reclaim_turn(core: &Core, batch: &mut Batch) -> Result<(), StoreError> {
    let before = core.value(batch.partition, keys::reclaim()).await?.map(|value| decode_version(&value)).transpose();
    let before = before.map_err(|error| error.of("the mark of reclaiming"))?;
    batch.guard(keys::reclaim(), before.map_or(Expect::Absent, Expect::Version));
    batch.put(keys::reclaim(), encode_version(core.version()));
    Ok(())
}

/// What is dead in a segment.
#[derive(Debug, Default)]
struct DeadPart {
    octets: u64,
    /// Where that is noted.
    noted_in: BTreeSet<Partition>,
}

/// What is dead, by segment.
type Dead = BTreeMap<u64, DeadPart>;

impl Store {
    /// Gives back what can be given back now. Called by the server now and then; it harms nobody who works meanwhile.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`: what was done until then stays done.
    pub async fn reclaim(&self) -> Result<Reclaimed, StoreError> {
        let _turn = self.0.reclaim_turn.lock().await;
        let core = self.core();
        let mut reclaimed = Reclaimed::default();
        let mut dead = Dead::new();
        self.resume_deletions().await?;
        self.note_orphans().await?;
        let mut last = None;
        loop {
            let partitions = core.engine.partitions(last, SCAN_KEYS).await?;
            let Some(next) = partitions.last().copied() else { break };
            last = Some(next);
            for partition in partitions {
                let Partition::Account(id) = partition else { continue };
                if self.account(id).await?.is_none() {
                    self.empty_account(id).await?;
                    continue;
                }
                finish_removals(core, partition).await?;
                reclaimed.messages += end_expunged(core, partition).await?;
                for (key, value) in core.scan_all(partition, keys::all_dead()).await? {
                    add_dead(&mut dead, partition, &key, &value)?;
                }
            }
        }
        for (key, value) in core.scan_all(Partition::Global, keys::all_gone()).await? {
            add_dead(&mut dead, Partition::Global, &key, &value)?;
        }
        self.rewrite_segments(&dead, &mut reclaimed).await?;
        Ok(reclaimed)
    }

    /// Notes bytes that were made durable and never became a message as dead.
    async fn note_orphans(&self) -> Result<(), StoreError> {
        let core = self.core();
        for orphan in core.leases.take_orphans() {
            if self.account(orphan.account).await?.is_none() {
                continue;
            }
            let mut batch = Batch::new(Partition::Account(orphan.account));
            batch.guard(keys::message(orphan.message), Expect::Absent);
            batch.put(keys::dead(orphan.blob.segment, orphan.message), encode_octets(orphan.blob.len));
            match core.commit(batch).await {
                Ok(()) | Err(CommitError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Empties the partition of a deleted account. Its octets are noted as gone before their messages are.
    pub(crate) async fn empty_account(&self, id: AccountId) -> Result<(), StoreError> {
        let core = self.core();
        let partition = Partition::Account(id);
        self.close_account(id);
        let mut gone = self.octets_of(partition).await?;
        let mut batch = Batch::new(Partition::Global);
        for (segment, part) in &mut gone {
            let before = core.value(Partition::Global, keys::gone(*segment, id)).await?;
            let before = before.map(|value| decode_octets(&value)).transpose();
            // After an interruption only a part is left to be counted.
            part.octets = part.octets.max(before.map_err(|error| error.of("gone octets"))?.unwrap_or(0));
            batch.put(keys::gone(*segment, id), encode_octets(part.octets));
        }
        core.commit(batch).await?;
        loop {
            let part = core.engine.scan(partition, keys::everything(), SCAN_MESSAGES).await?;
            let (Some((first, _)), Some((last, _))) = (part.first(), part.last()) else { break };
            let mut batch = Batch::new(partition);
            batch.clears.push(first.clone()..keys::after(last));
            core.commit(batch).await?;
        }
        let mut batch = Batch::new(Partition::Global);
        batch.delete(keys::deleting(id));
        Ok(core.commit(batch).await?)
    }

    /// The octets an account has in each segment, dead ones included.
    async fn octets_of(&self, partition: Partition) -> Result<Dead, StoreError> {
        let core = self.core();
        let mut octets = Dead::new();
        for (key, value) in core.scan_all(partition, keys::all_dead()).await? {
            add_dead(&mut octets, partition, &key, &value)?;
        }
        let mut range = keys::all_messages();
        loop {
            let part = core.engine.scan(partition, range.clone(), SCAN_MESSAGES).await?;
            let Some((last, _)) = part.last() else { return Ok(octets) };
            range.start = keys::after(last);
            for (key, value) in &part {
                let message = decode_message(key, value)?;
                octets.entry(message.blob.segment).or_default().octets += message.blob.len;
            }
        }
    }

    /// Rewrites each sealed segment that is more than half dead.
    async fn rewrite_segments(&self, dead: &Dead, reclaimed: &mut Reclaimed) -> Result<(), StoreError> {
        let segments = self.core().blobs.segments().await?;
        let there: BTreeSet<u64> = segments.iter().map(|segment| segment.segment).collect();
        for segment in segments {
            let Some(part) = dead.get(&segment.segment) else { continue };
            if segment.sealed && part.octets.saturating_mul(2) > segment.bytes {
                let records = self.core().blobs.records(segment.segment).await?;
                if let Some(copied) = self.copy_live(records).await? {
                    self.core().blobs.remove(segment.segment).await?;
                    self.forget_dead(segment.segment, part).await?;
                    reclaimed.segments += 1;
                    reclaimed.bytes += segment.bytes.saturating_sub(copied);
                }
            }
        }
        // What a crash left: the segment went, and what was known of it did not.
        for (segment, part) in dead.iter().filter(|(segment, _)| !there.contains(segment)) {
            self.forget_dead(*segment, part).await?;
        }
        Ok(())
    }

    /// Copies what is alive of a segment elsewhere; how many octets, or `None` if the segment has to stay for now.
    async fn copy_live(&self, records: Vec<Result<BlobRecord, crate::EngineError>>) -> Result<Option<u64>, StoreError> {
        // A damaged record may be somebody's: what is left of it is left alone.
        let Ok(records) = records.into_iter().collect::<Result<Vec<_>, _>>() else { return Ok(None) };
        // Looked at after the records were listed and before the messages are read, so that bytes are either on their
        // way, or their message can be seen, or they will never have one.
        let in_flight = self.core().leases.in_flight();
        if records.iter().any(|record| in_flight.contains(&(record.account, record.message))) {
            return Ok(None);
        }
        let mut copied = 0;
        for some in records.chunks(SEGMENT_COPIES) {
            for outcome in join_all(some.iter().map(|record| copy_if_live(self.core(), *record))).await {
                copied += outcome?;
            }
        }
        Ok(Some(copied))
    }

    /// Forgets what was dead in a segment that is no more.
    async fn forget_dead(&self, segment: u64, part: &DeadPart) -> Result<(), StoreError> {
        for partition in &part.noted_in {
            let mut batch = Batch::new(*partition);
            batch.clears.push(match partition {
                Partition::Global => keys::gone_in(segment),
                Partition::Account(_) => keys::dead_in(segment),
            });
            self.core().commit(batch).await?;
        }
        Ok(())
    }
}

fn add_dead(dead: &mut Dead, partition: Partition, key: &crate::Key, value: &[u8]) -> Result<(), StoreError> {
    let segment = KeyParts::of(key).u64().ok_or_else(|| StoreError::corrupt("the key of dead octets"))?;
    let octets = decode_octets(value).map_err(|error| error.of("dead octets"))?;
    let part = dead.entry(segment).or_default();
    part.octets = part.octets.saturating_add(octets);
    part.noted_in.insert(partition);
    Ok(())
}

fn decode_message(key: &crate::Key, value: &bytes::Bytes) -> Result<Message, StoreError> {
    let id = KeyParts::of(key).u64().map(MessageId);
    let id = id.ok_or_else(|| StoreError::corrupt("the key of a message"))?;
    codec::message::decode(value, id).map_err(|error| error.of(id))
}

/// Copies a record's bytes to the open segment if a message refers to them; how many octets.
async fn copy_if_live(core: &Arc<Core>, record: BlobRecord) -> Result<u64, StoreError> {
    let partition = Partition::Account(record.account);
    let key = keys::message(record.message);
    let Some(value) = core.value(partition, key.clone()).await? else { return Ok(0) };
    let mut message = decode_message(&key, &value)?;
    if message.blob != record.blob {
        return Ok(0);
    }
    let mut writer = core.blobs.begin(record.account, record.message);
    let mut at = 0;
    while at < record.blob.len {
        let chunk = core.blobs.read(record.blob, at..at.saturating_add(MESSAGE_CHUNK_BYTES as u64)).await?;
        if chunk.is_empty() {
            return Err(StoreError::corrupt(format_args!("the bytes of {} end too early", record.message)));
        }
        at += chunk.len() as u64;
        writer.write(chunk).await?;
    }
    message.blob = writer.finish().await?;
    let mut batch = Batch::new(partition);
    batch.guard(key.clone(), Expect::Version(message.generation));
    message.generation += 1;
    batch.put(key, codec::message::encode(&message));
    match core.commit(batch).await {
        Ok(()) => Ok(record.blob.len),
        // It went, or was moved, meanwhile: the copy is nobody's.
        Err(CommitError::Conflict) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Ends what was expunged long enough ago in one account; how many messages are gone for good by that.
async fn end_expunged(core: &Core, partition: Partition) -> Result<u64, StoreError> {
    let now = u64::try_from(core.clock.now_millis()).unwrap_or(0);
    let mut ended = 0;
    let mut conflicts = 0;
    loop {
        let due = core.engine.scan(partition, keys::trash_before(now.saturating_add(1)), COMMIT_MESSAGES).await?;
        let due: Vec<TrashKey> = due.iter().map(|(key, _)| TrashKey::parse(key)).collect::<Result<_, _>>()?;
        if due.is_empty() {
            return Ok(ended);
        }
        let mut batch = Batch::new(partition);
        take_reclaim_turn(core, &mut batch).await?;
        let messages = put_end(core, &mut batch, &due).await?;
        match core.commit(batch).await {
            Ok(()) => {
                ended += messages;
                conflicts = 0;
            }
            Err(CommitError::Conflict) if conflicts < COMMIT_RETRIES => conflicts += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Adds the writes that end these trash entries, and the messages that nothing else refers to.
async fn put_end(core: &Core, batch: &mut Batch, due: &[TrashKey]) -> Result<u64, StoreError> {
    let mut by_message: HashMap<MessageId, BTreeSet<TrashKey>> = HashMap::new();
    for entry in due {
        batch.delete(entry.key());
        batch.delete(entry.link());
        by_message.entry(entry.message).or_default().insert(*entry);
    }
    let mut ended = 0;
    for (id, entries) in by_message {
        let links = core.scan_all(batch.partition, keys::links(id)).await?;
        let ending = |key: &crate::Key| entries.iter().any(|entry| entry.link() == *key);
        // A message without another link now never gets one again: see docs/design/disk-format.md, the life of a message.
        if links.iter().any(|(key, _)| !ending(key)) {
            continue;
        }
        let Some(value) = core.value(batch.partition, keys::message(id)).await? else { continue };
        let message = decode_message(&keys::message(id), &value)?;
        batch.guard(keys::message(id), Expect::Version(message.generation));
        batch.delete(keys::message(id));
        batch.put(keys::dead(message.blob.segment, id), encode_octets(message.blob.len));
        put_end_of_threads(core, batch, &message).await?;
        ended += 1;
    }
    Ok(ended)
}

/// Adds the deletion of the thread entries that a message wrote.
async fn put_end_of_threads(core: &Core, batch: &mut Batch, message: &Message) -> Result<(), StoreError> {
    let hashes: BTreeSet<u128> = threads::hashes(&message.summary).collect();
    let keys: Vec<crate::Key> = hashes.into_iter().map(keys::thread).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let values = core.engine.read(batch.partition, keys.clone()).await?;
    for (key, value) in keys.into_iter().zip(values) {
        let Some(value) = value else { continue };
        let (writer, _) = decode_thread(&value).map_err(|error| error.of("a thread"))?;
        if writer == message.id.0 {
            batch.guard(key.clone(), Expect::Version(writer));
            batch.delete(key);
        }
    }
    Ok(())
}
