//! The keys of docs/design/disk-format.md: one kind octet, then big-endian parts, so that keys sort as their tuples do.

use std::ops::Range;

use columba_types::{AccountId, MailboxId, MailboxName, MessageId, ModSeq, Uid};

use crate::engine::Key;

/// Kinds of the global partition.
mod global_kind {
    pub(super) const FORMAT: u8 = 0x01;
    pub(super) const ACCOUNTS: u8 = 0x02;
    pub(super) const ACCOUNT: u8 = 0x03;
    pub(super) const ACCOUNT_NAME: u8 = 0x04;
    pub(super) const DELETING: u8 = 0x05;
    pub(super) const GONE: u8 = 0x06;
}

/// Kinds of an account's partition.
mod kind {
    pub(super) const FORMAT: u8 = 0x01;
    pub(super) const TREE: u8 = 0x02;
    pub(super) const RECLAIM: u8 = 0x03;
    pub(super) const NAME: u8 = 0x10;
    pub(super) const HEAD: u8 = 0x11;
    pub(super) const PAGE: u8 = 0x12;
    pub(super) const LOG: u8 = 0x13;
    pub(super) const MESSAGE: u8 = 0x14;
    pub(super) const LINK: u8 = 0x15;
    pub(super) const TRASH: u8 = 0x16;
    pub(super) const DEAD: u8 = 0x17;
    pub(super) const THREAD: u8 = 0x18;
    pub(super) const REMOVING: u8 = 0x19;
    pub(super) const PACK: u8 = 0x20;
    pub(super) const METADATA: u8 = 0x30;
}

/// Builds a key part by part.
struct Parts(Vec<u8>);

impl Parts {
    fn of(kind: u8) -> Self {
        let mut octets = Vec::with_capacity(29);
        octets.push(kind);
        Self(octets)
    }

    fn u64(mut self, n: u64) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    fn u32(mut self, n: u32) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    fn u8(mut self, n: u8) -> Self {
        self.0.push(n);
        self
    }

    fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn key(self) -> Key {
        Key(self.0)
    }

    /// Every key that begins with these parts.
    fn all(self) -> Range<Key> {
        let start = Key(self.0);
        let end = Key(successor(&start.0));
        start..end
    }
}

/// The lowest octets above everything that begins with `prefix`, which begins with a kind and so is never all 0xff.
fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        match last.checked_add(1) {
            Some(next) => {
                *last = next;
                break;
            }
            None => _ = end.pop(),
        }
    }
    end
}

/// The lowest key above `key`.
pub(crate) fn after(key: &Key) -> Key {
    let mut octets = key.0.clone();
    octets.push(0);
    Key(octets)
}

/// Takes the parts of a key apart again.
pub(crate) struct KeyParts<'a>(&'a [u8]);

impl<'a> KeyParts<'a> {
    /// Behind the kind octet.
    pub(crate) fn of(key: &'a Key) -> Self {
        Self(key.0.get(1..).unwrap_or_default())
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (part, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*part))
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        let (part, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*part)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (part, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*part))
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.0).ok()
    }

    pub(crate) fn uid(&mut self) -> Option<Uid> {
        Uid::new(self.u32()?)
    }

    /// Nothing is left.
    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

// --- the global partition ---

pub(crate) fn global_format() -> Key {
    Parts::of(global_kind::FORMAT).key()
}

pub(crate) fn accounts() -> Key {
    Parts::of(global_kind::ACCOUNTS).key()
}

pub(crate) fn account(id: AccountId) -> Key {
    Parts::of(global_kind::ACCOUNT).u64(id.0).key()
}

pub(crate) fn account_name(name: &str) -> Key {
    Parts::of(global_kind::ACCOUNT_NAME).text(name).key()
}

pub(crate) fn all_accounts() -> Range<Key> {
    Parts::of(global_kind::ACCOUNT).all()
}

pub(crate) fn all_account_names() -> Range<Key> {
    Parts::of(global_kind::ACCOUNT_NAME).all()
}

pub(crate) fn deleting(id: AccountId) -> Key {
    Parts::of(global_kind::DELETING).u64(id.0).key()
}

pub(crate) fn all_deleting() -> Range<Key> {
    Parts::of(global_kind::DELETING).all()
}

pub(crate) fn gone(segment: u64, account: AccountId) -> Key {
    Parts::of(global_kind::GONE).u64(segment).u64(account.0).key()
}

pub(crate) fn gone_in(segment: u64) -> Range<Key> {
    Parts::of(global_kind::GONE).u64(segment).all()
}

pub(crate) fn all_gone() -> Range<Key> {
    Parts::of(global_kind::GONE).all()
}

// --- an account's partition ---

/// Every key of a partition.
pub(crate) fn everything() -> Range<Key> {
    Key(vec![0])..Key(vec![0xff])
}

pub(crate) fn format() -> Key {
    Parts::of(kind::FORMAT).key()
}

pub(crate) fn tree() -> Key {
    Parts::of(kind::TREE).key()
}

pub(crate) fn reclaim() -> Key {
    Parts::of(kind::RECLAIM).key()
}

pub(crate) fn name(name: &MailboxName) -> Key {
    Parts::of(kind::NAME).text(name.as_str()).key()
}

pub(crate) fn all_names() -> Range<Key> {
    Parts::of(kind::NAME).all()
}

pub(crate) fn head(mailbox: MailboxId) -> Key {
    Parts::of(kind::HEAD).u64(mailbox.0).key()
}

pub(crate) fn all_heads() -> Range<Key> {
    Parts::of(kind::HEAD).all()
}

pub(crate) fn page(mailbox: MailboxId, first_uid: u32) -> Key {
    Parts::of(kind::PAGE).u64(mailbox.0).u32(first_uid).key()
}

pub(crate) fn pages(mailbox: MailboxId) -> Range<Key> {
    Parts::of(kind::PAGE).u64(mailbox.0).all()
}

pub(crate) fn all_pages() -> Range<Key> {
    Parts::of(kind::PAGE).all()
}

pub(crate) fn log(mailbox: MailboxId, modseq: ModSeq) -> Key {
    Parts::of(kind::LOG).u64(mailbox.0).u64(modseq.0).key()
}

pub(crate) fn logs(mailbox: MailboxId) -> Range<Key> {
    Parts::of(kind::LOG).u64(mailbox.0).all()
}

pub(crate) fn all_logs() -> Range<Key> {
    Parts::of(kind::LOG).all()
}

pub(crate) fn message(id: MessageId) -> Key {
    Parts::of(kind::MESSAGE).u64(id.0).key()
}

pub(crate) fn all_messages() -> Range<Key> {
    Parts::of(kind::MESSAGE).all()
}

pub(crate) fn link(message: MessageId, mailbox: MailboxId, uid: Uid) -> Key {
    Parts::of(kind::LINK).u64(message.0).u64(mailbox.0).u32(uid.value()).key()
}

pub(crate) fn links(message: MessageId) -> Range<Key> {
    Parts::of(kind::LINK).u64(message.0).all()
}

pub(crate) fn all_links() -> Range<Key> {
    Parts::of(kind::LINK).all()
}

pub(crate) fn trash(expiry_millis: u64, message: MessageId, mailbox: MailboxId, uid: Uid) -> Key {
    Parts::of(kind::TRASH).u64(expiry_millis).u64(message.0).u64(mailbox.0).u32(uid.value()).key()
}

pub(crate) fn all_trash() -> Range<Key> {
    Parts::of(kind::TRASH).all()
}

/// Trash entries whose expiry is before `millis`.
pub(crate) fn trash_before(millis: u64) -> Range<Key> {
    Parts::of(kind::TRASH).key()..Parts::of(kind::TRASH).u64(millis).key()
}

pub(crate) fn dead(segment: u64, message: MessageId) -> Key {
    Parts::of(kind::DEAD).u64(segment).u64(message.0).key()
}

pub(crate) fn dead_in(segment: u64) -> Range<Key> {
    Parts::of(kind::DEAD).u64(segment).all()
}

pub(crate) fn all_dead() -> Range<Key> {
    Parts::of(kind::DEAD).all()
}

pub(crate) fn thread(hash: u128) -> Key {
    let mut parts = Parts::of(kind::THREAD);
    parts.0.extend_from_slice(&hash.to_be_bytes());
    parts.key()
}

pub(crate) fn all_threads() -> Range<Key> {
    Parts::of(kind::THREAD).all()
}

pub(crate) fn removing(mailbox: MailboxId) -> Key {
    Parts::of(kind::REMOVING).u64(mailbox.0).key()
}

pub(crate) fn pack(mailbox: MailboxId, first_uid: u32, column: u8) -> Key {
    Parts::of(kind::PACK).u64(mailbox.0).u32(first_uid).u8(column).key()
}

/// The packs of one page.
pub(crate) fn packs_of_page(mailbox: MailboxId, first_uid: u32) -> Range<Key> {
    Parts::of(kind::PACK).u64(mailbox.0).u32(first_uid).all()
}

pub(crate) fn all_packs() -> Range<Key> {
    Parts::of(kind::PACK).all()
}

/// 0 is the server.
pub(crate) fn metadata(mailbox: MailboxId) -> Key {
    Parts::of(kind::METADATA).u64(mailbox.0).key()
}

pub(crate) fn all_metadata() -> Range<Key> {
    Parts::of(kind::METADATA).all()
}

pub(crate) fn all_removing() -> Range<Key> {
    Parts::of(kind::REMOVING).all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_a_prefix_ends_right_behind_it() {
        let range = pages(MailboxId(u64::MAX));
        assert!(range.contains(&page(MailboxId(u64::MAX), 1)));
        assert!(range.contains(&page(MailboxId(u64::MAX), u32::MAX)));
        assert!(!range.contains(&log(MailboxId(0), ModSeq(0))));
        assert!(!pages(MailboxId(1)).contains(&page(MailboxId(2), 1)));
        assert!(everything().contains(&removing(MailboxId(u64::MAX))));
    }

    #[test]
    fn keys_sort_as_their_tuples() {
        let key = |t: u64, m: u64| trash(t, MessageId(m), MailboxId(1), Uid::MIN);
        assert!(key(1, 256) < key(2, 1));
        assert!(trash_before(2).contains(&key(1, u64::MAX)));
        assert!(!trash_before(2).contains(&key(2, 0)));
    }

    #[test]
    fn parts_come_back() {
        let key = link(MessageId(7), MailboxId(8), Uid::MAX);
        let mut parts = KeyParts::of(&key);
        assert_eq!((parts.u64(), parts.u64(), parts.uid(), parts.end()), (Some(7), Some(8), Some(Uid::MAX), Some(())));
        assert_eq!(parts.u32(), None);
    }
}
