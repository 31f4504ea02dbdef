//! What was expunged from a mailbox and when: the history QRESYNC asks for (RFC 7162 §3.2), bounded, with its floor.

use std::sync::Arc;

use columba_types::limits::{LOG_EXPUNGED_UIDS, LOG_PAGE_RANGES};
use columba_types::{ModSeq, UidSet};

/// UIDs `low..=high` went with commit `modseq`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LogRange {
    pub(crate) modseq: ModSeq,
    pub(crate) low: u32,
    pub(crate) high: u32,
}

impl LogRange {
    pub(crate) fn uids(self) -> u64 {
        u64::from(self.high - self.low) + 1
    }
}

/// Some neighbouring entries of the history, stored under the modseq of the first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogPage {
    /// What it is stored under.
    pub(crate) key: ModSeq,
    /// By rising modseq, then rising UID. Never empty.
    pub(crate) ranges: Vec<LogRange>,
}

impl LogPage {
    fn uids(&self) -> u64 {
        self.ranges.iter().map(|r| r.uids()).sum()
    }

    pub(crate) fn last_modseq(&self) -> ModSeq {
        self.ranges.last().map_or(self.key, |r| r.modseq)
    }
}

/// The history after its floor.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Log {
    /// What happened up to here is forgotten.
    pub(crate) floor: ModSeq,
    /// By rising modseq.
    pub(crate) pages: Vec<Arc<LogPage>>,
    /// UIDs of all pages.
    pub(crate) uids: u64,
}

/// What an entry added to the log changed in storage.
#[derive(Debug, Default)]
pub(crate) struct LogChange {
    /// The page that took the entry.
    pub(crate) written: Option<Arc<LogPage>>,
    /// Pages that were forgotten.
    pub(crate) dropped: Vec<ModSeq>,
}

impl Log {
    pub(crate) fn new(floor: ModSeq, pages: Vec<LogPage>) -> Self {
        let uids = pages.iter().map(LogPage::uids).sum();
        Self { floor, pages: pages.into_iter().map(Arc::new).collect(), uids }
    }

    /// What went after `since`; `None` if that is no longer known.
    pub(crate) fn expunged_since(&self, since: ModSeq) -> Option<UidSet> {
        if since < self.floor {
            return None;
        }
        let from = self.pages.partition_point(|page| page.last_modseq() <= since);
        let later = self.pages.get(from..).unwrap_or_default().iter().flat_map(|page| &page.ranges);
        Some(UidSet::from_ranges(later.filter(|r| r.modseq > since).map(|r| (r.low, r.high)).collect()))
    }

    /// Adds what commit `modseq` expunged, and forgets the oldest pages when there is more than `most`.
    pub(crate) fn add(&mut self, modseq: ModSeq, uids: &UidSet, most: u64) -> LogChange {
        let mut change = LogChange::default();
        if uids.is_empty() {
            return change;
        }
        // Pages go as a whole, so a short history has short ones.
        let most = most.min(LOG_EXPUNGED_UIDS);
        let ranges = LOG_PAGE_RANGES.min(usize::try_from(most / 4).unwrap_or(LOG_PAGE_RANGES)).max(1);
        let entries = uids.ranges().iter().map(|&(low, high)| LogRange { modseq, low, high });
        match self.pages.last_mut() {
            Some(last) if last.ranges.len() < ranges => Arc::make_mut(last).ranges.extend(entries),
            _ => self.pages.push(Arc::new(LogPage { key: modseq, ranges: entries.collect() })),
        }
        self.uids = self.uids.saturating_add(uids.len());
        change.written = self.pages.last().cloned();
        let mut dropped = 0;
        while self.uids > most
            && self.pages.len() > dropped + 1
            && let Some(oldest) = self.pages.get(dropped)
        {
            self.floor = oldest.last_modseq();
            self.uids = self.uids.saturating_sub(oldest.uids());
            change.dropped.push(oldest.key);
            dropped += 1;
        }
        self.pages.drain(..dropped);
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_what_went_after_a_moment() {
        let mut log = Log::default();
        log.add(ModSeq(5), &UidSet::range(1, 3), LOG_EXPUNGED_UIDS);
        log.add(ModSeq(9), &UidSet::range(10, 10), LOG_EXPUNGED_UIDS);
        assert_eq!(log.expunged_since(ModSeq::ZERO).unwrap().to_string(), "1:3,10");
        assert_eq!(log.expunged_since(ModSeq(5)).unwrap().to_string(), "10");
        assert!(log.expunged_since(ModSeq(9)).unwrap().is_empty());
    }

    #[test]
    fn forgets_the_oldest_and_says_so() {
        let mut log = Log::default();
        let mut keys = Vec::new();
        for i in 1..=2 * LOG_EXPUNGED_UIDS as u32 {
            let change = log.add(ModSeq(u64::from(i)), &UidSet::range(i * 2, i * 2), LOG_EXPUNGED_UIDS);
            keys.extend(change.dropped);
        }
        assert!(log.uids <= LOG_EXPUNGED_UIDS && log.uids > LOG_EXPUNGED_UIDS - LOG_PAGE_RANGES as u64 - 1);
        assert_eq!(log.expunged_since(ModSeq(log.floor.0 - 1)), None);
        assert_eq!(log.expunged_since(log.floor).unwrap().len(), log.uids);
        assert!(keys.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(log.uids, 2 * LOG_EXPUNGED_UIDS - log.floor.0);
    }
}
