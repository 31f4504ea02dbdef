//! The pages of a mailbox in chunks, so that a new state of a large mailbox shares nearly all of the old one: a change
//! of one page copies its page, its chunk, and a list of one pointer for each 8,192 messages.

use std::sync::Arc;

use columba_types::limits::PAGE_RECORDS;

use crate::page::Page;
use crate::snapshot::Record;

/// Pages of a chunk.
const CHUNK_PAGES: usize = 64;
/// A chunk left with fewer pages is joined with the one before it, if both fit in one.
const SMALL_CHUNK: usize = CHUNK_PAGES / 4;

type Chunk = Vec<Arc<Page>>;

/// All pages of a mailbox, rising by UID. Neither a chunk nor a page is ever empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages {
    chunks: Vec<Arc<Chunk>>,
}

/// Where a page is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    chunk: usize,
    page: usize,
}

impl PartialEq for Pages {
    /// How pages are spread over chunks does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Pages {}

impl FromIterator<Page> for Pages {
    fn from_iter<I: IntoIterator<Item = Page>>(pages: I) -> Self {
        let mut all = Self::default();
        pages.into_iter().for_each(|page| all.push(page));
        all
    }
}

fn last_uid(chunk: &Chunk) -> u32 {
    chunk.last().map_or(0, |page| page.last())
}

impl Pages {
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Page>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The first page that holds a UID of `uid` or above.
    fn first_with(&self, uid: u32) -> Place {
        let chunk = self.chunks.partition_point(|chunk| last_uid(chunk) < uid);
        let page = self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(|page| page.last() < uid));
        Place { chunk, page }
    }

    pub(crate) fn at(&self, place: Place) -> Option<&Arc<Page>> {
        self.chunks.get(place.chunk)?.get(place.page)
    }

    /// The page behind that one.
    fn next(&self, place: Place) -> Place {
        match self.chunks.get(place.chunk) {
            Some(chunk) if place.page + 1 < chunk.len() => Place { page: place.page + 1, ..place },
            _ => Place { chunk: place.chunk + 1, page: 0 },
        }
    }

    /// The pages with UIDs in `low..=high`, and where they are.
    pub(crate) fn between(&self, low: u32, high: u32) -> impl Iterator<Item = (Place, &Arc<Page>)> {
        let mut place = self.first_with(low);
        std::iter::from_fn(move || {
            let here = place;
            let page = self.at(here).filter(|page| page.first() <= high)?;
            place = self.next(here);
            Some((here, page))
        })
    }

    /// The record of that UID.
    pub(crate) fn record(&self, uid: u32) -> Option<&Record> {
        let page = self.at(self.first_with(uid))?;
        let at = page.records.binary_search_by_key(&uid, |record| record.uid.value()).ok()?;
        page.records.get(at)
    }

    /// A page to change; its own copy if a snapshot has it, too.
    pub(crate) fn page_mut(&mut self, place: Place) -> Option<&mut Page> {
        let chunk = Arc::make_mut(self.chunks.get_mut(place.chunk)?);
        chunk.get_mut(place.page).map(Arc::make_mut)
    }

    /// The page of that key, to change.
    pub(crate) fn page_of_key(&mut self, key: u32) -> Option<&mut Page> {
        let starts_by = |page: Option<&Arc<Page>>| page.is_some_and(|page| page.key <= key);
        let chunk = self.chunks.partition_point(|chunk| starts_by(chunk.first())).checked_sub(1)?;
        let page = self.chunks.get(chunk)?.binary_search_by_key(&key, |page| page.key).ok()?;
        self.page_mut(Place { chunk, page })
    }

    /// The last page, to change, if there is room in it for another record.
    pub(crate) fn open_page(&mut self) -> Option<&mut Page> {
        let chunk = self.chunks.len().checked_sub(1)?;
        let page = self.chunks.get(chunk)?.len().checked_sub(1)?;
        let place = Place { chunk, page };
        let has_room = self.at(place).is_some_and(|page| page.records.len() < PAGE_RECORDS);
        if has_room { self.page_mut(place) } else { None }
    }

    /// Adds a page at the end.
    pub(crate) fn push(&mut self, page: Page) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_PAGES => Arc::make_mut(last).push(Arc::new(page)),
            _ => self.chunks.push(Arc::new(vec![Arc::new(page)])),
        }
    }

    /// Makes those chunks anew that have UIDs in `low..=high`: `make` is given the pages of each.
    pub(crate) fn rebuild(&mut self, low: u32, high: u32, mut make: impl FnMut(&Chunk) -> Option<Chunk>) {
        let from = self.first_with(low).chunk;
        let behind = self.chunks.split_off(from);
        for chunk in behind {
            let reaches = chunk.first().is_some_and(|page| page.first() <= high);
            let new = if reaches { make(&chunk).map(Arc::new) } else { None };
            self.push_chunk(new.unwrap_or(chunk));
        }
    }

    fn push_chunk(&mut self, chunk: Arc<Chunk>) {
        match self.chunks.last_mut() {
            _ if chunk.is_empty() => {}
            Some(last)
                if last.len() + chunk.len() <= CHUNK_PAGES
                    && (last.len() < SMALL_CHUNK || chunk.len() < SMALL_CHUNK) =>
            {
                Arc::make_mut(last).extend(chunk.iter().cloned());
            }
            _ => self.chunks.push(chunk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use columba_types::{DateTime, Flags, MessageId, ModSeq, Uid};
    use proptest::prelude::*;

    fn record(uid: u32) -> Record {
        Record {
            uid: Uid::new(uid).unwrap(),
            modseq: ModSeq(1),
            flags: Flags::NONE,
            message: MessageId(u64::from(uid)),
            internal_date: DateTime::utc(0),
            saved_secs: 0,
            size: 1,
        }
    }

    fn page(first: u32, records: u32) -> Page {
        Page::new(first, (first..first + records).map(record).collect())
    }

    fn check(pages: &Pages, expected: &[u32], probes: &[u32]) {
        let uids: Vec<u32> = pages.iter().flat_map(|page| &page.records).map(|r| r.uid.value()).collect();
        assert_eq!(uids, expected);
        assert!(pages.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK_PAGES));
        assert!(pages.iter().all(|page| !page.records.is_empty()));
        for &probe in probes {
            assert_eq!(pages.record(probe).map(|r| r.uid.value()), expected.binary_search(&probe).ok().map(|_| probe));
            let high = probe.saturating_add(700);
            let between = pages.between(probe, high).flat_map(|(_, page)| page.between(probe, high));
            let inside = expected.iter().filter(|uid| (probe..=high).contains(*uid));
            assert!(between.map(|r| r.uid.value()).eq(inside.copied()));
        }
    }

    proptest! {
        #[test]
        fn chunks_are_not_seen_from_outside(
            sizes in proptest::collection::vec(1u32..4, 0..400),
            holes in proptest::collection::vec((1u32..1200, 0u32..300), 0..8),
            probes in proptest::collection::vec(1u32..1300, 1..8),
        ) {
            let mut next = 1;
            let mut pages = Pages::default();
            let mut expected = Vec::new();
            for size in sizes {
                pages.push(page(next, size));
                expected.extend(next..next + size);
                next += size + size % 2;
            }
            check(&pages, &expected, &probes);
            for (low, more) in holes {
                let before = pages.clone();
                let gone = low..=low + more;
                pages.rebuild(low, low + more, |chunk| {
                    let kept = |page: &Arc<Page>| {
                        let rest = page.records.iter().filter(|r| !gone.contains(&r.uid.value())).copied().collect();
                        Page::new(page.key, rest)
                    };
                    let rest: Chunk = chunk.iter().map(kept).filter(|p| !p.records.is_empty()).map(Arc::new).collect();
                    Some(rest)
                });
                let all = expected.clone();
                expected.retain(|uid| !gone.contains(uid));
                check(&pages, &expected, &probes);
                check(&before, &all, &probes);
            }
            let keys: Vec<u32> = pages.iter().map(|page| page.key).collect();
            for key in keys {
                prop_assert_eq!(pages.page_of_key(key).map(|page| page.key), Some(key));
            }
            prop_assert!(pages.page_of_key(0).is_none());
            let same: Pages = pages.iter().map(|page| Page::clone(page)).collect();
            prop_assert_eq!(&same, &pages);
        }
    }
}
