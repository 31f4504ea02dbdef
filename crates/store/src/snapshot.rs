//! A mailbox at one moment: its head and its records. Immutable; every reader of a mailbox works on one of these.

use std::sync::Arc;

use columba_types::{
    DateTime, Flags, Keyword, KeywordBits, MailboxId, MessageId, ModSeq, SystemFlags, Uid, UidSet, UidValidity,
};

use crate::log::Log;
use crate::pages::Pages;

/// What is known of a mailbox without its records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Which mailbox.
    pub mailbox: MailboxId,
    /// Never changes while the mailbox lives.
    pub uid_validity: UidValidity,
    /// What the next message gets. At 2^32-1 no further one is given out, so that UIDNEXT is always above every UID.
    pub uid_next: Uid,
    /// Of the last commit; 1 for a mailbox just made (RFC 7162 §3.1: it is never 0).
    pub highest_modseq: ModSeq,
    /// Messages.
    pub exists: u32,
    /// Messages without \Seen.
    pub unseen: u32,
    /// Messages with \Deleted.
    pub deleted: u32,
    /// Octets of all messages (RFC 8438).
    pub bytes: u64,
    /// Octets of the messages with \Deleted (RFC 9208 §3.1.4, DELETED-STORAGE).
    pub deleted_bytes: u64,
    /// The keyword table: bit `n` of a record's keywords means the `n`th. Never more than 128.
    pub keywords: Arc<[Keyword]>,
    /// What was expunged up to here is forgotten; after it, all is known.
    pub log_floor: ModSeq,
    /// Messages from here on were not yet claimed as \Recent by anybody.
    pub recent_from: Uid,
}

impl Head {
    /// The head of a mailbox just made.
    pub(crate) fn of_new(mailbox: MailboxId, uid_validity: UidValidity) -> Self {
        Self {
            mailbox,
            uid_validity,
            uid_next: Uid::MIN,
            highest_modseq: ModSeq(1),
            exists: 0,
            unseen: 0,
            deleted: 0,
            bytes: 0,
            deleted_bytes: 0,
            keywords: Arc::from([]),
            log_floor: ModSeq::ZERO,
            recent_from: Uid::MIN,
        }
    }

    /// Counts a record in.
    pub(crate) fn count(&mut self, record: &Record) {
        self.exists = self.exists.saturating_add(1);
        self.bytes = self.bytes.saturating_add(record.size);
        if !record.flags.system.contains(SystemFlags::SEEN) {
            self.unseen = self.unseen.saturating_add(1);
        }
        if record.flags.system.contains(SystemFlags::DELETED) {
            self.deleted = self.deleted.saturating_add(1);
            self.deleted_bytes = self.deleted_bytes.saturating_add(record.size);
        }
    }

    /// Counts a record out.
    pub(crate) fn discount(&mut self, record: &Record) {
        self.exists = self.exists.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(record.size);
        if !record.flags.system.contains(SystemFlags::SEEN) {
            self.unseen = self.unseen.saturating_sub(1);
        }
        if record.flags.system.contains(SystemFlags::DELETED) {
            self.deleted = self.deleted.saturating_sub(1);
            self.deleted_bytes = self.deleted_bytes.saturating_sub(record.size);
        }
    }
}

/// One message in one mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its UID.
    pub uid: Uid,
    /// Of the commit that last changed it.
    pub modseq: ModSeq,
    /// Its flags; keywords by the table of the head.
    pub flags: Flags,
    /// Its content.
    pub message: MessageId,
    /// INTERNALDATE.
    pub internal_date: DateTime,
    /// When it came into this mailbox, in seconds since 1970 (RFC 8514, SAVEDATE).
    pub saved_secs: i64,
    /// Octets, RFC822.SIZE.
    pub size: u64,
}

/// A mailbox as one commit left it. Cheap to hold, never changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Counts and numbers.
    pub head: Head,
    /// Rising by UID.
    pub(crate) pages: Pages,
    /// What was expunged.
    pub(crate) log: Arc<Log>,
    /// What a guard on the head expects: a number no other commit has.
    pub(crate) version: u64,
}

impl Snapshot {
    /// The record of that UID, in O(log pages).
    pub fn record(&self, uid: Uid) -> Option<&Record> {
        self.pages.record(uid.value())
    }

    /// All records, rising by UID.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.pages.iter().flat_map(|page| &page.records)
    }

    /// The records whose UID is in the set, rising; pages outside it are not looked at.
    pub fn records_in<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = &'a Record> {
        let pages = |low, high| self.pages.between(low, high);
        let records = move |&(low, high): &(u32, u32)| pages(low, high).flat_map(move |(_, p)| p.between(low, high));
        uids.ranges().iter().flat_map(records)
    }

    /// The records changed after `since`, rising by UID; pages that have none are not looked at.
    pub fn changed_since(&self, since: ModSeq) -> impl Iterator<Item = &Record> {
        let pages = self.pages.iter().filter(move |page| page.highest_modseq > since);
        pages.flat_map(|page| &page.records).filter(move |r| r.modseq > since)
    }

    /// What was expunged after `since`; `None`: it is too long ago to know.
    pub fn expunged_since(&self, since: ModSeq) -> Option<UidSet> {
        self.log.expunged_since(since)
    }

    /// The records with \Deleted, rising by UID; pages that have none are not looked at.
    pub(crate) fn deleted(&self) -> impl Iterator<Item = &Record> {
        let pages = self.pages.iter().filter(|page| page.system.contains(SystemFlags::DELETED));
        pages.flat_map(|page| &page.records).filter(|r| r.flags.system.contains(SystemFlags::DELETED))
    }

    /// Every UID.
    pub fn uids(&self) -> UidSet {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut add = |low: u32, high: u32| match ranges.last_mut() {
            Some(last) if last.1.saturating_add(1) == low => last.1 = high,
            _ => ranges.push((low, high)),
        };
        for page in self.pages.iter() {
            if (page.last() - page.first()) as usize + 1 == page.records.len() {
                add(page.first(), page.last());
            } else {
                page.records.iter().for_each(|r| add(r.uid.value(), r.uid.value()));
            }
        }
        UidSet::from_ranges(ranges)
    }

    /// The keyword that bit `n` means.
    pub fn keyword(&self, n: usize) -> Option<&Keyword> {
        self.head.keywords.get(n)
    }

    /// The bit of a keyword, in any case; `None` if no message ever had it.
    pub fn keyword_bit(&self, keyword: &Keyword) -> Option<KeywordBits> {
        self.head.keywords.iter().position(|k| k == keyword).map(KeywordBits::bit)
    }

    /// The names of flags, system flags first, as FETCH FLAGS prints them.
    pub fn flag_names(&self, flags: Flags) -> impl Iterator<Item = &str> {
        let keywords = flags.keywords.indices().filter_map(|n| self.keyword(n)).map(Keyword::as_str);
        flags.system.names().map(|name| -> &str { name }).chain(keywords)
    }

    /// Every keyword any record has.
    pub(crate) fn keywords_in_use(&self) -> KeywordBits {
        self.pages.iter().fold(KeywordBits::NONE, |bits, page| bits.union(page.keywords))
    }
}
