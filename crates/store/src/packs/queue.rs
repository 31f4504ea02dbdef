//! Which pages want other packs than they have, and giving them some: one page at a time, whenever the caller has time.
//! What is forgotten here (the list is bounded, and does not outlive the process) is noticed again by whoever reads.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use columba_types::limits::PACK_QUEUE;
use columba_types::{AccountId, MailboxId};
use tokio::sync::Notify;

use super::PackColumn;
use super::build::build;
use super::pages::PageRange;
use crate::account_store::AccountStore;
use crate::codec::pack::ids;
use crate::engine::{Batch, CommitError, Done, Expect};
use crate::keys::KeyParts;
use crate::mailbox::Room;
use crate::memory::lock;
use crate::snapshot::Record;
use crate::{Store, StoreError, keys};

type Noted = (AccountId, MailboxId, u32);

/// Pages that may want other packs, in the order they were noted.
#[derive(Debug, Default)]
pub(crate) struct PackQueue {
    pages: Mutex<NotedPages>,
    noted: Notify,
}

#[derive(Debug, Default)]
struct NotedPages {
    order: VecDeque<Noted>,
    known: HashSet<Noted>,
}

impl PackQueue {
    pub(crate) fn note(&self, account: AccountId, mailbox: MailboxId, first_uid: u32) {
        let noted = (account, mailbox, first_uid);
        let mut pages = lock(&self.pages);
        if pages.order.len() < PACK_QUEUE && pages.known.insert(noted) {
            pages.order.push_back(noted);
            self.noted.notify_one();
        }
    }

    fn take(&self) -> Option<Noted> {
        let mut pages = lock(&self.pages);
        let next = pages.order.pop_front()?;
        pages.known.remove(&next);
        Some(next)
    }

    fn is_empty(&self) -> bool {
        lock(&self.pages).order.is_empty()
    }
}

impl Store {
    /// Returns when there are pages that may want packs.
    pub async fn packs_wanted(&self) {
        let queue = &self.core().packing;
        while queue.is_empty() {
            queue.noted.notified().await;
        }
    }

    /// Whether others wait for commits, so that what can wait should.
    pub fn is_busy(&self) -> bool {
        self.core().is_busy()
    }

    /// Gives the next page that wants packs some; `false` if there is none.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`: the page goes without, until somebody reads it again.
    pub async fn pack_next(&self) -> Result<bool, StoreError> {
        let Some((account, mailbox, first_uid)) = self.core().packing.take() else { return Ok(false) };
        match self.pack_page(account, mailbox, first_uid).await {
            // What went meanwhile needs none.
            Ok(()) | Err(StoreError::NotFound) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn pack_page(&self, account: AccountId, mailbox: MailboxId, first_uid: u32) -> Result<(), StoreError> {
        let account = self.open_account(account).await?;
        let room = account.room(mailbox).await?;
        let snapshot = std::sync::Arc::clone(&lock(&room.shown).snapshot);
        let Some((page, records)) = snapshot.page_of_key(first_uid) else { return Ok(()) };
        let there = account.core.scan_all(account.partition(), keys::packs_of_page(mailbox, first_uid)).await?;
        let there: Vec<(u8, bytes::Bytes)> = there.into_iter().map(|(key, value)| (column_of(&key), value)).collect();
        let packs = match account.core.deserves_packs(&page) {
            true if are_good(&account, records, &there) => return Ok(()),
            true => build(&account, records).await?,
            // They are hardly about anybody any more.
            false if !there.is_empty() && account.core.should_lose_packs(&page) => Vec::new(),
            false => return Ok(()),
        };
        write(&room, page, packs).await
    }
}

fn column_of(key: &crate::Key) -> u8 {
    let mut parts = KeyParts::of(key);
    let _page = (parts.u64(), parts.u32());
    parts.u8().unwrap_or(0)
}

/// Whether a page's packs are whole, of all columns, and about most of its messages and not mostly about others.
fn are_good(account: &AccountStore, records: &[Record], there: &[(u8, bytes::Bytes)]) -> bool {
    account.core.pack_columns().all(|column| {
        let value = there.iter().find(|(number, _)| *number == column as u8);
        let Some(Ok(listed)) = value.map(|(_, value)| ids(value)) else { return false };
        let total = listed.len();
        let listed: HashSet<_> = listed.into_iter().collect();
        let about = records.iter().filter(|record| listed.contains(&record.message)).count();
        about * 4 >= records.len() * 3 && about * 2 >= total
    })
}

/// Writes packs while their page is there; where it has gone, nothing is written.
async fn write(room: &Room, page: PageRange, packs: Vec<(PackColumn, bytes::Bytes)>) -> Result<(), StoreError> {
    let core = &room.account.core;
    let place = core.place_in_line().await?;
    let tip = room.lock_tip().await?;
    // The tip is the state after all that is in line, and nothing joins it before this does: so the guard holds unless one
    // of those fails.
    let Some(last) = tip.as_ref().filter(|tip| tip.page_of_key(page.first_uid).is_some()) else { return Ok(()) };
    let mut batch = Batch::new(room.account.partition());
    batch.guard(keys::head(room.id), Expect::Version(last.version));
    batch.clears.push(keys::packs_of_page(room.id, page.first_uid));
    for (column, value) in packs {
        batch.put(keys::pack(room.id, page.first_uid, column as u8), value);
    }
    let (done, outcome) = Done::channel();
    core.engine.submit(batch, done);
    drop(tip);
    let outcome = outcome.await;
    drop(place);
    match outcome {
        Err(CommitError::Conflict) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
