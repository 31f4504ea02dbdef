//! The one road of every change of a mailbox.
//!
//! A change is computed from the *tip*, the state after the last change that was submitted, under the tip's lock;
//! it is put in the engine's line, the tip advances, the lock is let go, and only then its outcome is awaited. So many
//! changes of one mailbox share one sync of the disk. What is durable is published in that order by whoever the
//! engine tells, whether or not the one who asked for it is still there.
//!
//! A change that fails makes the tip *stale*: those behind it fail by their guards, and the next one reads the truth
//! from the engine once nothing is in line any more.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use columba_types::KeywordBits;
use columba_types::limits::COMMIT_RETRIES;
use tokio::sync::{MutexGuard, OwnedSemaphorePermit};

use crate::StoreError;
use crate::draft::Draft;
use crate::engine::{Batch, CommitError, Done};
use crate::feed::{MailboxNews, News};
use crate::mailbox::{Room, Shown, load};
use crate::memory::lock;
use crate::snapshot::{Record, Snapshot};

/// A state that is not yet known to be durable.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) version: u64,
    /// `None`: the mailbox is deleted.
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    /// What was expunged.
    pub(crate) ghosts: Vec<Record>,
    /// What those are told who follow the account; `None` where the tree tells it.
    pub(crate) news: Option<MailboxNews>,
    /// Bits that mean another keyword now.
    pub(crate) reused: KeywordBits,
    /// Pages that may want other packs.
    pub(crate) repack: BTreeSet<u32>,
}

impl Pending {
    /// The mailbox goes; what is told of that is told of the tree.
    pub(crate) fn of_deletion(version: u64) -> Self {
        let (ghosts, reused, repack) = (Vec::new(), KeywordBits::NONE, BTreeSet::new());
        Self { version, snapshot: None, ghosts, news: None, reused, repack }
    }
}

/// What waits for its outcome, in the order of submission.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pending: VecDeque<Pending>,
    /// Commits the engine has not yet spoken of.
    in_flight: usize,
    /// One failed: the tip is not to be built upon.
    stale: bool,
    /// How often the tip was read anew.
    reloads: u64,
}

/// A state somebody looked at, durable or not.
#[derive(Clone, Copy, Debug)]
struct Seen {
    version: u64,
    reloads: u64,
}

/// What a publication gives others to do.
#[derive(Debug, Default)]
struct Published {
    /// For those who follow the account.
    news: Vec<MailboxNews>,
    /// Pages that may want other packs.
    repack: BTreeSet<u32>,
}

impl Shown {
    fn publish(&mut self, next: Pending) {
        match next.snapshot {
            Some(snapshot) => self.snapshot = snapshot,
            None => self.deleted = true,
        }
        self.ghosts.forget_keywords(next.reused);
        self.ghosts.add(next.ghosts);
    }

    /// Publishes everything in line up to that version, and adds what is to be done upon it; whether it was there.
    fn publish_up_to(&mut self, version: u64, published: &mut Published) -> bool {
        let Some(at) = self.line.pending.iter().position(|pending| pending.version == version) else { return false };
        for _ in 0..=at {
            if let Some(mut next) = self.line.pending.pop_front() {
                published.news.extend(next.news.take());
                published.repack.append(&mut next.repack);
                self.publish(next);
            }
        }
        true
    }
}

/// The tip of a mailbox, locked and fit to build upon.
pub(crate) type Tip<'a> = MutexGuard<'a, Option<Arc<Snapshot>>>;

impl Room {
    /// Locks the tip, and reads it anew if it is stale.
    pub(crate) async fn lock_tip(&self) -> Result<Tip<'_>, StoreError> {
        let mut tip = self.tip.lock().await;
        if lock(&self.shown).line.stale {
            self.wait_until_nothing_is_in_line().await;
            *tip = self.reload().await?;
        }
        if tip.is_some() { Ok(tip) } else { Err(StoreError::NotFound) }
    }

    /// The tip's lock is held, so nothing joins the line meanwhile.
    async fn wait_until_nothing_is_in_line(&self) {
        loop {
            let heard = self.heard.notified();
            if lock(&self.shown).line.in_flight == 0 {
                return;
            }
            heard.await;
        }
    }

    async fn reload(&self) -> Result<Option<Arc<Snapshot>>, StoreError> {
        let core = &self.account.core;
        let loaded = match load(core, self.account.partition(), self.id).await {
            Ok(snapshot) => Some(Arc::new(snapshot)),
            Err(StoreError::NotFound) => None,
            Err(error) => return Err(error),
        };
        let mut published = Published::default();
        let mut shown = lock(&self.shown);
        let before = (shown.snapshot.version, shown.deleted);
        match &loaded {
            None => shown.deleted = true,
            Some(snapshot) if snapshot.version == shown.snapshot.version => {}
            // A commit whose outcome was not known did happen.
            Some(snapshot) if shown.publish_up_to(snapshot.version, &mut published) => {}
            // Somebody else's.
            Some(snapshot) => {
                published.news.push(MailboxNews::between(&shown.snapshot.head, &snapshot.head));
                shown.snapshot = Arc::clone(snapshot);
            }
        }
        shown.line.pending.clear();
        shown.line.stale = false;
        shown.line.reloads += 1;
        let changed = before != (shown.snapshot.version, shown.deleted);
        let tip = loaded.map(|_| Arc::clone(&shown.snapshot));
        drop(shown);
        if changed {
            self.ring(published);
        }
        Ok(tip)
    }

    /// Wakes those who watch this mailbox, and those who follow the account.
    fn ring(&self, Published { news, repack }: Published) {
        self.bell.ring();
        let note = |page: &u32| self.account.core.packing.note(self.account.id(), self.id, *page);
        repack.iter().for_each(note);
        if news.is_empty() {
            // The mailbox was deleted.
            self.account.feed.ring();
        }
        news.into_iter().for_each(|news| self.account.feed.tell(News::Mailbox(news)));
    }

    /// Notes a state that is about to be submitted.
    pub(crate) fn join_line(&self, pending: Pending) {
        let mut shown = lock(&self.shown);
        shown.line.pending.push_back(pending);
        shown.line.in_flight += 1;
    }

    /// Takes note of what became of a commit that joined the line. Called by the engine.
    pub(crate) fn hear(&self, version: u64, outcome: &Result<(), CommitError>) {
        let mut published = Published::default();
        let mut shown = lock(&self.shown);
        shown.line.in_flight = shown.line.in_flight.saturating_sub(1);
        let is_news = match outcome {
            // It was guarded by what came before it, so all of that happened, too.
            Ok(()) => shown.publish_up_to(version, &mut published),
            // It stays in line: a later one, or the next reading, tells.
            Err(CommitError::Indeterminate(_)) => false,
            Err(_) => {
                shown.line.pending.retain(|pending| pending.version != version);
                false
            }
        };
        shown.line.stale |= outcome.is_err();
        drop(shown);
        if is_news {
            self.ring(published);
        }
        self.heard.notify_waiters();
    }

    /// Makes the next change read the truth first.
    pub(crate) fn distrust_tip(&self) {
        lock(&self.shown).line.stale = true;
    }

    /// The mailbox went with its whole account.
    pub(crate) fn close(&self) {
        {
            let mut shown = lock(&self.shown);
            shown.deleted = true;
            shown.line.stale = true;
        }
        self.bell.ring();
        self.heard.notify_waiters();
    }

    /// The state a draft is made from. The tip's lock is held.
    fn seen(&self, draft: &Draft) -> Seen {
        Seen { version: draft.base().version, reloads: lock(&self.shown).line.reloads }
    }

    /// Waits until a state that was seen is durable; `false` if it, or anything near it, failed.
    async fn wait_until_durable(&self, seen: Seen) -> bool {
        loop {
            let heard = self.heard.notified();
            {
                let line = &lock(&self.shown).line;
                if line.stale || line.reloads != seen.reloads {
                    return false;
                }
                if line.pending.iter().all(|pending| pending.version != seen.version) {
                    return true;
                }
            }
            heard.await;
        }
    }
}

/// Hears what became of the commit before the one who asked does, also when nobody asks any more.
pub(crate) trait Hook: Fn(&Result<(), CommitError>) + Send + Sync + 'static {}
impl<F: Fn(&Result<(), CommitError>) + Send + Sync + 'static> Hook for F {}

/// Locks the tips of some mailboxes, and gives them in the order of `rooms`.
async fn lock_tips<'a>(rooms: &[&'a Arc<Room>]) -> Result<Vec<Tip<'a>>, StoreError> {
    // Always locked in the order of their ids, so that two changes never wait for each other.
    let mut order: Vec<(usize, &'a Arc<Room>)> = rooms.iter().copied().enumerate().collect();
    order.sort_by_key(|(_, room)| room.id);
    let mut tips = Vec::with_capacity(rooms.len());
    for (at, room) in order {
        tips.push((at, room.lock_tip().await?));
    }
    tips.sort_by_key(|(at, _)| *at);
    Ok(tips.into_iter().map(|(_, tip)| tip).collect())
}

/// What became of a commit, once it is heard.
type Outcome = futures_channel::oneshot::Receiver<Result<(), CommitError>>;

/// Puts a commit in the engine's line and lets the tips advance.
fn submit(
    rooms: &[&Arc<Room>],
    mut tips: Vec<Tip<'_>>,
    drafts: Vec<Draft>,
    mut batch: Batch,
    hook: &Arc<impl Hook>,
    place: OwnedSemaphorePermit,
) -> Option<Outcome> {
    let core = &rooms.first()?.account.core;
    let version = core.version();
    let mut touched = Vec::with_capacity(rooms.len());
    for ((room, draft), tip) in rooms.iter().zip(drafts).zip(&mut tips) {
        draft.guard(&mut batch);
        let changes = draft.is_changed();
        if changes {
            let pending = draft.finish(&mut batch, version, room.recent_from(), &core.options);
            tip.clone_from(&pending.snapshot);
            room.join_line(pending);
        }
        touched.push((Arc::clone(room), changes));
    }
    let (sender, outcome) = futures_channel::oneshot::channel();
    let hook = Arc::clone(hook);
    let done = Done::new(move |outcome| {
        for (room, changes) in &touched {
            if *changes {
                room.hear(version, &outcome);
            } else if outcome.is_err() {
                room.distrust_tip();
            }
        }
        hook(&outcome);
        drop(place);
        _ = sender.send(outcome);
    });
    core.engine.submit(batch, done);
    Some(outcome)
}

/// Changes one mailbox, or two of one account in one commit. `compute` gets a draft of each, in the order of `rooms`, and
/// may be called several times; what it returns is returned when all it did is durable.
pub(crate) async fn change<T>(
    rooms: &[&Arc<Room>],
    hook: &Arc<impl Hook>,
    mut compute: impl FnMut(&mut [Draft], &mut Batch) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let Some(account) = rooms.first().map(|room| &room.account) else { return Err(StoreError::NotFound) };
    for _ in 0..COMMIT_RETRIES {
        let place = account.core.place_in_line().await?;
        let tips = lock_tips(rooms).await?;
        let mut drafts: Vec<Draft> = tips.iter().filter_map(|tip| tip.as_ref().map(Draft::new)).collect();
        let mut batch = Batch::new(account.partition());
        let value = compute(&mut drafts, &mut batch)?;
        if !drafts.iter().any(Draft::is_changed) {
            let seen: Vec<Seen> = rooms.iter().zip(&drafts).map(|(room, draft)| room.seen(draft)).collect();
            drop((tips, place));
            let mut durable = true;
            for (room, seen) in rooms.iter().zip(seen) {
                durable &= room.wait_until_durable(seen).await;
            }
            if durable {
                return Ok(value);
            }
            continue;
        }
        let Some(outcome) = submit(rooms, tips, drafts, batch, hook, place) else { return Err(StoreError::NotFound) };
        match outcome.await {
            Ok(Ok(())) => return Ok(value),
            Ok(Err(CommitError::Conflict)) => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(StoreError::Indeterminate("the engine has gone".into())),
        }
    }
    Err(StoreError::Busy)
}
