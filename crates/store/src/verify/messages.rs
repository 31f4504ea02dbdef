//! Checks an account's messages: against the records and links that refer to them, their bytes, and what is expunged.

use std::collections::{HashMap, HashSet};

use columba_types::limits::{SCAN_KEYS, SCAN_MESSAGES};
use columba_types::{MailboxId, MessageId, ThreadId, Uid};

use super::FoundBlobs;
use super::account::AccountCheck;
use crate::codec;
use crate::codec::small::{Link, decode_link, decode_octets, decode_thread, decode_trash};
use crate::engine::BlobRecord;
use crate::keys::{self, KeyParts};
use crate::reclaim::TrashKey;
use crate::{Message, StoreError, threads};

/// What later checks need of a message.
#[derive(Debug)]
struct Seen {
    size: u64,
    thread: ThreadId,
    /// Hashes it may have written thread entries for.
    hashes: HashSet<u128>,
    linked: bool,
}

type SeenMessages = HashMap<MessageId, Seen>;

pub(super) async fn check_messages(
    check: &mut AccountCheck<'_>,
    found: &FoundBlobs,
    used: &mut FoundBlobs,
) -> Result<(), StoreError> {
    let mut seen = read_messages(check, found, used).await?;
    let expunged = check_links(check, &mut seen).await?;
    check_trash(check, expunged).await?;
    let unlinked: Vec<MessageId> = seen.iter().filter(|(_, message)| !message.linked).map(|(id, _)| *id).collect();
    for id in unlinked {
        check.warn(format_args!("message {id} is in no mailbox, and was not expunged either"));
    }
    check_dead(check, &seen).await?;
    check_threads(check, &seen).await
}

async fn read_messages(
    check: &mut AccountCheck<'_>,
    found: &FoundBlobs,
    used: &mut FoundBlobs,
) -> Result<SeenMessages, StoreError> {
    let mut seen = SeenMessages::new();
    let mut range = keys::all_messages();
    loop {
        let part = check.core.engine.scan(check.partition(), range.clone(), SCAN_MESSAGES).await?;
        let Some((last, _)) = part.last() else { return Ok(seen) };
        range.start = keys::after(last);
        for (key, value) in part {
            let id = MessageId(KeyParts::of(&key).u64().unwrap_or(0));
            let message = match codec::message::decode(&value, id) {
                Ok(message) => message,
                Err(error) => {
                    check.error(format_args!("message {id}: {error}"));
                    continue;
                }
            };
            check.report.messages += 1;
            check.report.bytes += message.size;
            check_bytes(check, &message, found, used).await?;
            let hashes = threads::hashes(&message.summary).collect();
            seen.insert(id, Seen { size: message.size, thread: message.thread, hashes, linked: false });
        }
    }
}

async fn check_bytes(
    check: &mut AccountCheck<'_>,
    message: &Message,
    found: &FoundBlobs,
    used: &mut FoundBlobs,
) -> Result<(), StoreError> {
    let owner = (check.id, message.id);
    if message.size != message.blob.len {
        check.error(format_args!("message {} has {} octets, its bytes {}", message.id, message.size, message.blob.len));
    }
    if found.get(&message.blob) == Some(&owner) {
        used.insert(message.blob, owner);
        return Ok(());
    }
    // It came after the segments were read, or something is wrong with it.
    let record = BlobRecord { account: check.id, message: message.id, blob: message.blob };
    if let Err(error) = check.core.blobs.check(record).await {
        check.error(format_args!("the bytes of message {}: {error}", message.id));
    }
    Ok(())
}

/// What is expunged according to links: which record, until when.
type Expunged = HashMap<(MessageId, MailboxId, Uid), u64>;

async fn check_links(check: &mut AccountCheck<'_>, seen: &mut SeenMessages) -> Result<Expunged, StoreError> {
    let mut expunged = Expunged::new();
    let mut records = std::mem::take(&mut check.records);
    for (&(message, mailbox, uid), size) in &records {
        match seen.get(&message) {
            None => check.error(format_args!("UID {uid} of {mailbox} is message {message}, which is not there")),
            Some(found) if found.size != *size => {
                check.error(format_args!("UID {uid} of {mailbox} and message {message} differ in their size"));
            }
            Some(_) => {}
        }
    }
    let mut range = keys::all_links();
    loop {
        let part = check.core.engine.scan(check.partition(), range.clone(), SCAN_KEYS).await?;
        let Some((last, _)) = part.last() else { break };
        range.start = keys::after(last);
        for (key, value) in part {
            let mut parts = KeyParts::of(&key);
            let (message, mailbox) = (MessageId(parts.u64().unwrap_or(0)), MailboxId(parts.u64().unwrap_or(0)));
            let Some(uid) = parts.uid() else {
                check.error(format_args!("the key of a link of {message} is damaged"));
                continue;
            };
            let link = (message, mailbox, uid);
            match decode_link(&value) {
                Err(error) => check.error(format_args!("the link {link:?}: {error}")),
                Ok(Link::Live) if records.remove(&link).is_none() => {
                    check.warn(format_args!("{message} is said to be UID {uid} of {mailbox}, which is not there"));
                }
                Ok(Link::Live) => {}
                Ok(Link::Expunged { expiry_millis }) => _ = expunged.insert(link, expiry_millis),
            }
            match seen.get_mut(&message) {
                Some(found) => found.linked = true,
                None if records.contains_key(&link) => {}
                None => check.warn(format_args!("UID {uid} of {mailbox} links to {message}, which is not there")),
            }
        }
    }
    for (message, mailbox, uid) in records.into_keys() {
        // The message could be taken away under the record.
        check.error(format_args!("UID {uid} of {mailbox} has no link to its message {message}"));
    }
    Ok(expunged)
}

async fn check_trash(check: &mut AccountCheck<'_>, mut expunged: Expunged) -> Result<(), StoreError> {
    for (key, value) in check.core.scan_all(check.partition(), keys::all_trash()).await? {
        let entry = match TrashKey::parse(&key) {
            Ok(entry) => entry,
            Err(error) => {
                check.error(error);
                continue;
            }
        };
        if let Err(error) = decode_trash(&value) {
            check.error(format_args!("expunged {}: {error}", entry.message));
        }
        if expunged.remove(&(entry.message, entry.mailbox, entry.uid)) != Some(entry.expiry_millis) {
            check.warn(format_args!("{entry:?} is kept as expunged, and its link does not say so"));
        }
    }
    for ((message, mailbox, uid), _) in expunged {
        check.warn(format_args!("UID {uid} of {mailbox}, {message}, is expunged and will never be reclaimed"));
    }
    Ok(())
}

async fn check_dead(check: &mut AccountCheck<'_>, seen: &SeenMessages) -> Result<(), StoreError> {
    for (key, value) in check.core.scan_all(check.partition(), keys::all_dead()).await? {
        let mut parts = KeyParts::of(&key);
        let (_, message) = (parts.u64(), MessageId(parts.u64().unwrap_or(0)));
        if let Err(error) = decode_octets(&value) {
            check.warn(format_args!("dead octets of {message}: {error}"));
        }
        if seen.contains_key(&message) {
            check.error(format_args!("message {message} is there, and its octets are said to be dead"));
        }
    }
    Ok(())
}

async fn check_threads(check: &mut AccountCheck<'_>, seen: &SeenMessages) -> Result<(), StoreError> {
    for (key, value) in check.core.scan_all(check.partition(), keys::all_threads()).await? {
        let mut parts = KeyParts::of(&key);
        let (high, low) = (parts.u64().unwrap_or(0), parts.u64().unwrap_or(0));
        let hash = u128::from(high) << 64 | u128::from(low);
        let (writer, thread) = match decode_thread(&value) {
            Ok((writer, thread)) => (MessageId(writer), thread),
            Err(error) => {
                check.error(format_args!("the thread entry {hash:x}: {error}"));
                continue;
            }
        };
        match seen.get(&writer) {
            None => check.warn(format_args!("the thread entry {hash:x} is of {writer}, which is not there")),
            Some(message) if message.thread != thread || !message.hashes.contains(&hash) => {
                check.warn(format_args!("the thread entry {hash:x} does not fit its message {writer}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
