//! Searching the packs of a mailbox: dates, threads, the usual texts and header fields of a page of messages from one or
//! two values. It decides what these can decide, and leaves the rest to who reads messages.

use std::sync::atomic::{AtomicU64, Ordering};

use columba_mime::FieldNames;
use columba_store::{
    AccountStore, OpenPack, PackColumn, PackedTexts, PagePacks, PageRange, Record, Snapshot, StoreError,
};
use columba_types::{UidSet, limits};

use super::criteria::Criteria;
use super::text::{Known, Where, in_field};
use crate::commands::fetch::pages_at_once;
use crate::progress::breathe;

/// A search of packs under way.
pub(super) struct PackSearch<'a> {
    criteria: &'a Criteria,
    /// The texts, and the header where fields of it are searched.
    columns: Vec<PackColumn>,
    texts: OpenPack,
    header: OpenPack,
    scratch: String,
    found: UidSet,
    undecided: UidSet,
}

impl<'a> PackSearch<'a> {
    pub(super) fn new(criteria: &'a Criteria) -> Self {
        let names = criteria.needles.iter().filter_map(|needle| match &needle.place {
            Where::Header(name) => Some(name),
            _ => None,
        });
        let names: Vec<_> = names.collect();
        let mut columns = vec![PackColumn::Texts];
        match FieldNames::new(&names).are_common() {
            _ if names.is_empty() => {}
            true => columns.push(PackColumn::Fields),
            false => columns.push(PackColumn::Header),
        }
        Self {
            criteria,
            columns,
            texts: OpenPack::default(),
            header: OpenPack::default(),
            scratch: String::new(),
            found: UidSet::new(),
            undecided: UidSet::new(),
        }
    }

    /// Those of `uids` that match, and those of which that cannot be said yet; `examined` rises with what is decided.
    pub(super) async fn search(
        mut self,
        mail: &AccountStore,
        snapshot: &Snapshot,
        uids: &UidSet,
        examined: &AtomicU64,
    ) -> Result<(UidSet, UidSet), StoreError> {
        let columns = self.columns.clone();
        let mut pages = snapshot.pages_of(uids);
        let mut take = || {
            let some: Vec<(PageRange, Vec<Record>)> = pages.by_ref().take(pages_at_once(&columns)).collect();
            let worth_it = |(page, records): &&(PageRange, Vec<Record>)| mail.are_packs_worth_it(page, records.len());
            let asked: Vec<PageRange> = some.iter().filter(worth_it).map(|(page, _)| *page).collect();
            (!some.is_empty()).then(|| (some, mail.packs(snapshot.head.mailbox, &asked, &columns)))
        };
        let mut ahead = take();
        while let Some((some, packs)) = ahead {
            let mut packs = packs.await?.into_iter();
            // On its way while this is searched.
            ahead = take();
            for (page, records) in some {
                match mail.are_packs_worth_it(&page, records.len()) {
                    true => self.search_page(&packs.next().unwrap_or_default(), &records, examined).await,
                    false => records.iter().for_each(|record| self.undecided.push(record.uid.value())),
                }
            }
        }
        Ok((self.found, self.undecided))
    }

    async fn search_page(&mut self, packs: &PagePacks, records: &[Record], examined: &AtomicU64) {
        packs.open(PackColumn::Texts, &mut self.texts);
        let of_header = self.columns.get(1).copied();
        if let Some(column) = of_header {
            packs.open(column, &mut self.header);
        }
        let breath = (limits::SEARCH_BREATH_TEXTS / self.criteria.count().max(1)).max(1);
        breathe().await;
        for (at, record) in records.iter().enumerate() {
            if at > 0 && at.is_multiple_of(breath) {
                breathe().await;
            }
            let uid = record.uid.value();
            let decided = self.decide(record, of_header.is_some());
            match decided {
                Some(true) => self.found.push(uid),
                Some(false) => {}
                None => self.undecided.push(uid),
            }
            if decided.is_some() {
                examined.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn decide(&mut self, record: &Record, with_header: bool) -> Option<bool> {
        let texts = self.texts.entry(record.message).and_then(PackedTexts::decode)?;
        let mut known = Known::new(&texts, self.criteria, &mut self.scratch);
        let decided = self.criteria.decide(record, Some(&known));
        if decided.is_some() || !with_header {
            return decided;
        }
        let block = self.header.entry(record.message)?;
        for (needle, found) in self.criteria.needles.iter().zip(&mut known.found) {
            if let Where::Header(name) = &needle.place {
                *found = Some(in_field(block, name, needle, &mut self.scratch));
            }
        }
        self.criteria.decide(record, Some(&known))
    }
}
