//! A page: up to 128 records of one mailbox, the unit of storage, caching, copying and change.

use columba_types::{Flags, KeywordBits, ModSeq, SystemFlags};

use crate::snapshot::Record;

/// Records for which a growing page takes room at once.
const SPARE_RECORDS: usize = 8;

/// Some neighbouring records of a mailbox, rising by UID. Never changed once it is in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// What it is stored under: the UID its first record had when the page was begun; none in it is lower.
    pub(crate) key: u32,
    /// Never empty in a snapshot.
    pub(crate) records: Vec<Record>,
    /// The highest of its records.
    pub(crate) highest_modseq: ModSeq,
    /// Every keyword any of its records has.
    pub(crate) keywords: KeywordBits,
    /// Every system flag any of its records has.
    pub(crate) system: SystemFlags,
}

impl Page {
    pub(crate) fn new(key: u32, records: Vec<Record>) -> Self {
        let (keywords, system) = (KeywordBits::NONE, SystemFlags::NONE);
        let mut page = Self { key, records, highest_modseq: ModSeq::ZERO, keywords, system };
        page.sum_up();
        page
    }

    /// Brings the derived fields up to date after records changed.
    pub(crate) fn sum_up(&mut self) {
        self.highest_modseq = self.records.iter().map(|r| r.modseq).max().unwrap_or_default();
        let all = self.records.iter().fold(Flags::NONE, |flags, record| flags.union(record.flags));
        (self.keywords, self.system) = (all.keywords, all.system);
    }

    /// Makes room for a record, with little to spare: the page is copied by the next change anyhow, and stays in memory.
    pub(crate) fn make_room(&mut self) {
        if self.records.len() == self.records.capacity() {
            self.records.reserve_exact(SPARE_RECORDS);
        }
    }

    /// UID of the first record; 0 if there is none.
    pub(crate) fn first(&self) -> u32 {
        self.records.first().map_or(0, |r| r.uid.value())
    }

    /// UID of the last record; 0 if there is none.
    pub(crate) fn last(&self) -> u32 {
        self.records.last().map_or(0, |r| r.uid.value())
    }

    /// The records with UIDs in `low..=high`.
    pub(crate) fn between(&self, low: u32, high: u32) -> &[Record] {
        let from = self.records.partition_point(|r| r.uid.value() < low);
        let to = self.records.partition_point(|r| r.uid.value() <= high);
        self.records.get(from..to).unwrap_or_default()
    }
}
