//! Which thread a message belongs to (RFC 8474 §5.2): that of a message it refers to, or that refers to it. A reply that
//! refers to nothing, as some programs write them, belongs to the last message of its subject that was no reply and went
//! between the same two people, in either direction: a subject alone ("Re: Hello") says too little, and a thread once told
//! can never be changed.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use columba_types::ThreadId;
use columba_types::limits::{RECENT_THREADS, THREAD_REFERENCES};
use xxhash_rust::xxh3::xxh3_128;

use crate::account_store::AccountStore;
use crate::changes::NewMessage;
use crate::codec::small::decode_thread;
use crate::memory::lock;
use crate::{MessageSummary, StoreError, keys};

/// The thread of one new message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FoundThread {
    pub(crate) thread: ThreadId,
    /// Hashes whose entries this message writes.
    pub(crate) new_entries: Vec<u128>,
}

/// Threads of commits that are still in line: what is durable is looked up in the engine.
#[derive(Debug, Default)]
pub(crate) struct RecentThreads {
    /// Each with its place in `order`.
    threads: HashMap<u128, (ThreadId, u64)>,
    order: VecDeque<(u128, u64)>,
    given: u64,
    /// Lookups that have perhaps read the engine already.
    looking: usize,
    /// What is durable, and may be missing in what they read: it goes with the last of them.
    settled: Vec<(u128, ThreadId)>,
}

/// A lookup at work; nothing it has to find goes meanwhile.
struct Looking<'a>(&'a Mutex<RecentThreads>);

impl<'a> Looking<'a> {
    fn begin(recent: &'a Mutex<RecentThreads>) -> Self {
        lock(recent).looking += 1;
        Self(recent)
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        let mut recent = lock(self.0);
        recent.looking = recent.looking.saturating_sub(1);
        recent.clear_settled();
    }
}

impl RecentThreads {
    /// The engine has these entries now.
    pub(crate) fn settle(&mut self, entries: impl Iterator<Item = (u128, ThreadId)>) {
        self.settled.extend(entries);
        self.clear_settled();
    }

    /// Lets go of what is durable, unless somebody may not have read it.
    fn clear_settled(&mut self) {
        if self.looking > 0 {
            // Lookups that never pause must not keep it all: the oldest is in the engine for long.
            let most = self.settled.len().min(RECENT_THREADS);
            self.settled.drain(..self.settled.len() - most);
            return;
        }
        for (hash, thread) in std::mem::take(&mut self.settled) {
            // One that another commit in line has given another thread stays until that is durable.
            if self.threads.get(&hash).is_some_and(|(given, _)| *given == thread) {
                self.threads.remove(&hash);
            }
        }
        if self.threads.is_empty() {
            // An account at rest holds no room for them.
            (self.threads, self.order) = (HashMap::new(), VecDeque::new());
        }
    }

    fn add(&mut self, hash: u128, thread: ThreadId) {
        self.given += 1;
        self.threads.insert(hash, (thread, self.given));
        self.order.push_back((hash, self.given));
        while self.order.len() > RECENT_THREADS
            && let Some((oldest, place)) = self.order.pop_front()
        {
            // It may have gone, or been given again since.
            if self.threads.get(&oldest).is_some_and(|(_, given)| *given == place) {
                self.threads.remove(&oldest);
            }
        }
    }
}

/// What a message id is looked up by.
pub(crate) fn hash(message_id: &str) -> u128 {
    xxh3_128(message_id.as_bytes())
}

/// What finds a message's thread.
#[derive(Debug)]
struct Clues {
    own: Option<u128>,
    /// Of those it refers to, the nearest first.
    references: Vec<u128>,
    subject: Option<u128>,
    is_reply: bool,
}

impl Clues {
    fn of(summary: &MessageSummary) -> Self {
        Self {
            own: summary.message_id.as_deref().map(hash),
            references: summary.references.iter().rev().take(THREAD_REFERENCES).map(|id| hash(id)).collect(),
            subject: subject_hash(summary),
            is_reply: summary.sort_keys.as_ref().is_some_and(|keys| keys.subject_is_reply),
        }
    }

    /// The subject counts only where nothing better is known.
    fn in_order(&self) -> impl Iterator<Item = &u128> {
        let by_subject = self.is_reply && self.references.is_empty();
        self.own.iter().chain(&self.references).chain(self.subject.iter().filter(move |_| by_subject))
    }
}

/// Hashes whose entries a message may have written.
pub(crate) fn hashes(summary: &MessageSummary) -> impl Iterator<Item = u128> {
    let Clues { own, references, subject, .. } = Clues::of(summary);
    references.into_iter().chain(own).chain(subject)
}

/// A subject between two people; `None` where one of the three is missing. No message id has a NUL.
fn subject_hash(summary: &MessageSummary) -> Option<u128> {
    let subject = summary.base_subject.to_lowercase();
    let mut people = [first_address(&summary.from)?, first_address(&summary.to)?];
    people.sort_unstable();
    let [one, other] = people;
    (!subject.is_empty()).then(|| hash(&format!("\0{subject}\0{one}\0{other}")))
}

/// Of `Name <mailbox@host>, …`.
fn first_address(shown: &str) -> Option<String> {
    shown.split([' ', ',', '<', '>', ';', ':']).find(|word| word.contains('@')).map(str::to_lowercase)
}

impl AccountStore {
    /// The threads of messages about to be appended, in their order.
    pub(crate) async fn threads_of(&self, messages: &[NewMessage]) -> Result<Vec<FoundThread>, StoreError> {
        let wanted: Vec<Clues> = messages.iter().map(|new| Clues::of(&new.summary)).collect();
        let mut all: Vec<u128> = wanted.iter().flat_map(Clues::in_order).copied().collect();
        all.sort_unstable();
        all.dedup();
        let mut known: HashMap<u128, ThreadId> = HashMap::with_capacity(all.len());
        let _looking = Looking::begin(&self.recent_threads);
        if !all.is_empty() {
            let keys = all.iter().map(|hash| keys::thread(*hash)).collect();
            let values = self.core.engine.read(self.partition(), keys).await?;
            for (hash, value) in all.iter().zip(values) {
                if let Some(value) = value {
                    let (_, thread) = decode_thread(&value).map_err(|error| error.of("a thread"))?;
                    known.insert(*hash, thread);
                }
            }
        }
        let mut recent = lock(&self.recent_threads);
        let mut all = Vec::with_capacity(messages.len());
        for (new, clues) in messages.iter().zip(wanted) {
            // What was given lately wins: its commit may be in line.
            let thread_of =
                |hash: &u128| recent.threads.get(hash).map(|(thread, _)| thread).or_else(|| known.get(hash)).copied();
            let found = clues.in_order().find_map(thread_of);
            let thread = found.unwrap_or(ThreadId(new.bytes.message_id().0));
            // The message's own entry is always its own, so that it goes with the last message of that id.
            let is_new = |hash: &u128| thread_of(hash).is_none();
            let mut new_entries: Vec<u128> = clues.references.into_iter().filter(is_new).chain(clues.own).collect();
            // Replies come after it: the last one that is none gets those that say nothing better.
            new_entries.extend(clues.subject.filter(|_| !clues.is_reply));
            new_entries.sort_unstable();
            new_entries.dedup();
            new_entries.iter().for_each(|hash| recent.add(*hash, thread));
            all.push(FoundThread { thread, new_entries });
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(recent: &Mutex<RecentThreads>, hash: u128) -> Option<ThreadId> {
        lock(recent).threads.get(&hash).map(|(thread, _)| *thread)
    }

    #[test]
    fn what_is_durable_is_forgotten() {
        let recent = Mutex::<RecentThreads>::default();
        lock(&recent).add(1, ThreadId(10));
        lock(&recent).add(2, ThreadId(10));
        lock(&recent).settle([(1, ThreadId(10))].into_iter());
        assert_eq!((given(&recent, 1), given(&recent, 2)), (None, Some(ThreadId(10))));
        lock(&recent).settle([(2, ThreadId(10))].into_iter());
        let recent = lock(&recent);
        assert_eq!((recent.threads.capacity(), recent.order.capacity()), (0, 0));
    }

    // It may have read the engine before the entry was there.
    #[test]
    fn a_lookup_at_work_still_finds_it() {
        let recent = Mutex::<RecentThreads>::default();
        lock(&recent).add(1, ThreadId(10));
        let (first, second) = (Looking::begin(&recent), Looking::begin(&recent));
        lock(&recent).settle([(1, ThreadId(10))].into_iter());
        drop(first);
        assert_eq!(given(&recent, 1), Some(ThreadId(10)));
        drop(second);
        assert_eq!(given(&recent, 1), None);
    }

    #[test]
    fn what_a_later_commit_gives_stays_until_that_is_durable() {
        let recent = Mutex::<RecentThreads>::default();
        lock(&recent).add(1, ThreadId(10));
        lock(&recent).add(1, ThreadId(20));
        lock(&recent).settle([(1, ThreadId(10))].into_iter());
        assert_eq!(given(&recent, 1), Some(ThreadId(20)));
    }

    // limits::RECENT_THREADS
    #[test]
    fn what_is_remembered_is_bounded() {
        let recent = Mutex::<RecentThreads>::default();
        let _looking = Looking::begin(&recent);
        for n in 0..3 * RECENT_THREADS as u128 {
            lock(&recent).add(n, ThreadId(10));
            lock(&recent).settle([(n, ThreadId(10))].into_iter());
        }
        let recent = lock(&recent);
        assert!(recent.threads.len() <= RECENT_THREADS && recent.order.len() <= RECENT_THREADS);
        assert!(
            recent.settled.len() <= RECENT_THREADS && recent.threads.contains_key(&(3 * RECENT_THREADS as u128 - 1))
        );
    }
}
