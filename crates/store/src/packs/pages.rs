//! The pages of a mailbox as readers see them who read page by page: which there are in a set of messages, which of them
//! may have packs.

use columba_types::UidSet;
use columba_types::limits::{PACK_LEAST, PACK_READ_LEAST};

use crate::account_store::AccountStore;
use crate::page::Page;
use crate::snapshot::{Record, Snapshot};
use crate::store::Core;

/// One page of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRange {
    /// What it and its packs are stored under; no UID in it is lower.
    pub first_uid: u32,
    /// How many messages it has.
    pub records: usize,
    /// Whether it is the last one, to which messages come until it is full.
    is_last: bool,
}

impl Core {
    /// Whether packs of a page are worth their room.
    pub(super) fn deserves_packs(&self, page: &PageRange) -> bool {
        let full = self.options.packed_page;
        page.records >= full || (!page.is_last && page.records >= PACK_LEAST)
    }

    /// Whether a page has become so small that packs it still has should go.
    pub(super) fn should_lose_packs(&self, page: &PageRange) -> bool {
        page.records < PACK_LEAST.min(self.options.packed_page)
    }
}

impl AccountStore {
    /// Whether so many messages of a page are read faster from its packs than one by one.
    pub fn are_packs_worth_it(&self, page: &PageRange, wanted: usize) -> bool {
        wanted >= PACK_READ_LEAST.min(self.core.options.packed_page) && self.core.deserves_packs(page)
    }
}

impl Snapshot {
    fn range_of(&self, page: &Page) -> PageRange {
        let is_last = self.pages.iter().next_back().is_some_and(|last| last.key == page.key);
        PageRange { first_uid: page.key, records: page.records.len(), is_last }
    }

    /// The pages that have messages of the set, rising, each with those messages.
    pub fn pages_of<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = (PageRange, Vec<Record>)> {
        let (first, last) = uids.first().zip(uids.last()).unwrap_or((1, 0));
        let mut ranges = uids.ranges();
        self.pages.between(first, last).filter_map(move |(_, page)| {
            while ranges.first().is_some_and(|(_, high)| *high < page.first()) {
                ranges = ranges.get(1..).unwrap_or_default();
            }
            let within = ranges.iter().take_while(|(low, _)| *low <= page.last());
            let records: Vec<Record> = within.flat_map(|(low, high)| page.between(*low, *high)).copied().collect();
            (!records.is_empty()).then(|| (self.range_of(page), records))
        })
    }

    /// The page of that key, and all its records.
    pub(super) fn page_of_key(&self, key: u32) -> Option<(PageRange, &[Record])> {
        let (_, page) = self.pages.between(key, u32::MAX).next()?;
        (page.key == key).then(|| (self.range_of(page), &*page.records))
    }
}
