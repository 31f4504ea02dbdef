//! The next state of a mailbox while it is being made: records added, changed and taken out, counts kept in step,
//! and in the end the writes that make it so.

use std::collections::BTreeSet;
use std::sync::Arc;

use columba_types::limits::{KEYWORDS_PER_MAILBOX, PAGE_RECORDS};
use columba_types::{Flag, Flags, Keyword, KeywordBits, ModSeq, Uid, UidSet};

use crate::codec;
use crate::engine::{Batch, Expect};
use crate::feed::MailboxNews;
use crate::keys;
use crate::line::Pending;
use crate::page::Page;
use crate::pages::{Pages, Place};
use crate::snapshot::{Head, Record, Snapshot};
use crate::{Options, StoreError, log::Log};

/// A page that a change leaves with fewer records than this is joined with a neighbour, if both fit well in one.
const SMALL_PAGE: usize = PAGE_RECORDS / 4;
/// So that a joined page does not overflow at once.
const JOINED_PAGE: usize = PAGE_RECORDS / 4 * 3;
/// A page that a change leaves with so few records may have packs that are mostly of others, or of the half of it only.
const THIN_PAGE: usize = JOINED_PAGE;

/// One change in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    base: Arc<Snapshot>,
    head: Head,
    pages: Pages,
    log: Arc<Log>,
    /// Keys of pages to write.
    dirty: BTreeSet<u32>,
    /// Keys of pages to delete.
    gone: BTreeSet<u32>,
    expunged: Vec<Record>,
    /// Keys of pages that have got records.
    grown: BTreeSet<u32>,
    /// Keys of pages that have lost records, and may want other packs.
    thin: BTreeSet<u32>,
    /// Whether flags of records that were there were changed.
    reflagged: bool,
    /// Whether something was changed that is not kept in records.
    touched: bool,
    /// Keyword bits this change uses, whether or not a record has them yet.
    claimed: KeywordBits,
    reused: KeywordBits,
}

/// A record without what the mailbox gives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewRecord {
    pub(crate) flags: Flags,
    pub(crate) message: columba_types::MessageId,
    pub(crate) internal_date: columba_types::DateTime,
    pub(crate) saved_secs: i64,
    pub(crate) size: u64,
}

impl Draft {
    pub(crate) fn new(base: &Arc<Snapshot>) -> Self {
        Self {
            base: Arc::clone(base),
            head: base.head.clone(),
            pages: base.pages.clone(),
            log: Arc::clone(&base.log),
            dirty: BTreeSet::new(),
            gone: BTreeSet::new(),
            expunged: Vec::new(),
            grown: BTreeSet::new(),
            thin: BTreeSet::new(),
            reflagged: false,
            touched: false,
            claimed: KeywordBits::NONE,
            reused: KeywordBits::NONE,
        }
    }

    /// What it is made from.
    pub(crate) fn base(&self) -> &Arc<Snapshot> {
        &self.base
    }

    /// Whether there is anything to commit.
    pub(crate) fn is_changed(&self) -> bool {
        !self.dirty.is_empty() || !self.gone.is_empty() || self.touched
    }

    /// Makes the commit one of the mailbox's, with a mod-sequence of its own, though no record changes.
    pub(crate) fn touch(&mut self) {
        self.touched = true;
    }

    /// What the commit's records carry; the highest there is if nothing changed.
    pub(crate) fn modseq(&self) -> ModSeq {
        let highest = self.base.head.highest_modseq;
        if self.is_changed() { highest.next() } else { highest }
    }

    fn next_modseq(&self) -> ModSeq {
        self.base.head.highest_modseq.next()
    }

    /// Adds a record at the end.
    pub(crate) fn append(&mut self, new: NewRecord) -> Result<Uid, StoreError> {
        let uid = self.head.uid_next;
        // The last UID is never given out: UIDNEXT has to be above every UID.
        self.head.uid_next = uid.next().ok_or(StoreError::UidsExhausted)?;
        let record = Record {
            uid,
            modseq: self.next_modseq(),
            flags: new.flags,
            message: new.message,
            internal_date: new.internal_date,
            saved_secs: new.saved_secs,
            size: new.size,
        };
        self.head.count(&record);
        match self.pages.open_page() {
            Some(page) => {
                self.dirty.insert(page.key);
                page.make_room();
                page.records.push(record);
                self.grown.insert(page.key);
            }
            None => {
                self.dirty.insert(uid.value());
                self.grown.insert(uid.value());
                self.pages.push(Page::new(uid.value(), vec![record]));
            }
        }
        Ok(uid)
    }

    /// Gives records other flags: `change` says which, for each record of the set, and the set of those that are
    /// different now is returned.
    pub(crate) fn change_flags(&mut self, uids: &UidSet, mut change: impl FnMut(&Record) -> Flags) -> UidSet {
        let modseq = self.next_modseq();
        let mut changed = UidSet::new();
        for &(low, high) in uids.ranges() {
            let places: Vec<Place> = self.pages.between(low, high).map(|(place, _)| place).collect();
            for place in places {
                let Some(page) = self.pages.at(place).map(Arc::clone) else { continue };
                for (at, record) in page.records.iter().enumerate() {
                    let inside = (low..=high).contains(&record.uid.value());
                    let flags = if inside { change(record) } else { record.flags };
                    if flags == record.flags {
                        continue;
                    }
                    changed.push(record.uid.value());
                    self.reflagged = true;
                    self.dirty.insert(page.key);
                    self.head.discount(record);
                    let new = Record { flags, modseq, ..*record };
                    self.head.count(&new);
                    if let Some(place) = self.pages.page_mut(place).and_then(|page| page.records.get_mut(at)) {
                        *place = new;
                    }
                }
            }
        }
        changed
    }

    /// Takes records out, and joins pages that have become small.
    pub(crate) fn remove(&mut self, uids: &UidSet) {
        let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return };
        let Self { pages, head, expunged, dirty, gone, thin, .. } = self;
        pages.rebuild(first, last, |chunk| {
            let touched = |page: &Page| page.records.iter().any(|r| uids.contains(r.uid.value()));
            if !chunk.iter().any(|page| touched(page)) {
                return None;
            }
            let mut rest = Vec::with_capacity(chunk.len());
            for page in chunk {
                if !touched(page) {
                    push_or_join(&mut rest, Arc::clone(page), dirty, gone);
                    continue;
                }
                let (out, kept): (Vec<_>, Vec<_>) = page.records.iter().partition(|r| uids.contains(r.uid.value()));
                out.iter().for_each(|record| head.discount(record));
                expunged.extend(out);
                if kept.is_empty() {
                    dirty.remove(&page.key);
                    gone.insert(page.key);
                } else {
                    dirty.insert(page.key);
                    push_or_join(&mut rest, Arc::new(Page::new(page.key, kept)), dirty, gone);
                }
            }
            let thinned = |page: &&Arc<Page>| dirty.contains(&page.key) && page.records.len() <= THIN_PAGE;
            thin.extend(rest.iter().filter(thinned).map(|page| page.key));
            Some(rest)
        });
    }

    /// The packed form of flags; keywords that are new to the mailbox get a bit.
    pub(crate) fn flags(&mut self, flags: &[Flag]) -> Result<Flags, StoreError> {
        let mut packed = Flags::NONE;
        for flag in flags {
            match flag {
                Flag::System(system) => packed.system = packed.system.union(*system),
                Flag::Keyword(keyword) => packed.keywords = packed.keywords.union(self.keyword(keyword)?),
            }
        }
        Ok(packed)
    }

    /// The packed form of those flags that the mailbox knows.
    pub(crate) fn known_flags(&self, flags: &[Flag]) -> Flags {
        let mut packed = Flags::NONE;
        for flag in flags {
            match flag {
                Flag::System(system) => packed.system = packed.system.union(*system),
                Flag::Keyword(keyword) => {
                    let bit = self.head.keywords.iter().position(|k| k == keyword).map(KeywordBits::bit);
                    packed.keywords = packed.keywords.union(bit.unwrap_or_default());
                }
            }
        }
        packed
    }

    /// The bit of a keyword: the one it has, a new one, or one that no message has any more.
    pub(crate) fn keyword(&mut self, keyword: &Keyword) -> Result<KeywordBits, StoreError> {
        let table = &self.head.keywords;
        let at = match table.iter().position(|k| k == keyword) {
            Some(at) => at,
            None if table.len() < KEYWORDS_PER_MAILBOX => {
                self.head.keywords = table.iter().chain([keyword]).cloned().collect();
                self.head.keywords.len() - 1
            }
            None => {
                let taken = self.base.keywords_in_use().union(self.claimed);
                let free = |at: &usize| !taken.contains(KeywordBits::bit(*at));
                let full = StoreError::Limit("keywords of one mailbox");
                let at = (0..KEYWORDS_PER_MAILBOX).find(free).ok_or(full)?;
                let exchanged = table.iter().enumerate().map(|(n, old)| if n == at { keyword } else { old });
                self.head.keywords = exchanged.cloned().collect();
                self.reused = self.reused.union(KeywordBits::bit(at));
                at
            }
        };
        let bit = KeywordBits::bit(at);
        self.claimed = self.claimed.union(bit);
        Ok(bit)
    }

    /// The commit holds only upon what the draft is made from.
    pub(crate) fn guard(&self, batch: &mut Batch) {
        batch.guard(keys::head(self.head.mailbox), Expect::Version(self.base.version));
    }

    /// Adds the writes that make it so, and gives the state it will be then.
    pub(crate) fn finish(mut self, batch: &mut Batch, version: u64, recent_from: Uid, options: &Options) -> Pending {
        let id = self.head.mailbox;
        self.head.highest_modseq = self.next_modseq();
        self.head.recent_from = recent_from;
        for key in &self.dirty {
            if let Some(page) = self.pages.page_of_key(*key) {
                page.sum_up();
                batch.put(keys::page(id, *key), codec::page::encode(page));
                if page.records.len() < options.packed_page {
                    self.grown.remove(key);
                }
            }
        }
        for key in &self.gone {
            batch.delete(keys::page(id, *key));
            // What is derived from a page goes with it.
            batch.clears.push(keys::packs_of_page(id, *key));
        }
        if !self.expunged.is_empty() {
            let uids: UidSet = self.expunged.iter().map(|record| record.uid).collect();
            let log = Arc::make_mut(&mut self.log);
            let change = log.add(self.head.highest_modseq, &uids, options.expunge_history);
            self.head.log_floor = log.floor;
            if let Some(page) = change.written {
                batch.put(keys::log(id, page.key), codec::log::encode(&page));
            }
            change.dropped.iter().for_each(|key| batch.delete(keys::log(id, *key)));
        }
        batch.put(keys::head(id), codec::head::encode(&self.head, version));
        let news = Some(MailboxNews::of(&self.base.head, &self.head, &self.expunged, self.reflagged));
        let snapshot = Snapshot { head: self.head, pages: self.pages, log: self.log, version };
        let (ghosts, reused) = (self.expunged, self.reused);
        let repack = &self.grown | &self.thin;
        Pending { version, snapshot: Some(Arc::new(snapshot)), ghosts, news, reused, repack }
    }
}

/// Puts a page behind the others, or its records into the last one where one of them is small and changed anyway.
fn push_or_join(pages: &mut Vec<Arc<Page>>, page: Arc<Page>, dirty: &mut BTreeSet<u32>, gone: &mut BTreeSet<u32>) {
    if let Some(last) = pages.last_mut() {
        let small_and_dirty = |page: &Page| page.records.len() < SMALL_PAGE && dirty.contains(&page.key);
        let fits = last.records.len() + page.records.len() <= JOINED_PAGE;
        if fits && (small_and_dirty(last) || small_and_dirty(&page)) {
            dirty.insert(last.key);
            dirty.remove(&page.key);
            gone.insert(page.key);
            Arc::make_mut(last).records.extend_from_slice(&page.records);
            return;
        }
    }
    pages.push(page);
}
