//! Which thread a message belongs to (RFC 8474 §5.2): that of a message it refers to, or that refers to it. A reply that
//! refers to nothing, as some programs write them, belongs to the last message of its subject that was no reply and went
//! between the same two people, in either direction: a subject alone ("Re: Hello") says too little, and a thread once told
//! can never be changed.

use std::collections::{HashMap, VecDeque};

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

/// Threads given lately, among them those of commits that are still in line.
#[derive(Debug, Default)]
pub(crate) struct RecentThreads {
    threads: HashMap<u128, ThreadId>,
    order: VecDeque<u128>,
}

impl RecentThreads {
    fn add(&mut self, hash: u128, thread: ThreadId) {
        if self.threads.insert(hash, thread).is_none() {
            self.order.push_back(hash);
        }
        while self.order.len() > RECENT_THREADS
            && let Some(oldest) = self.order.pop_front()
        {
            self.threads.remove(&oldest);
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
            let thread_of = |hash: &u128| recent.threads.get(hash).or_else(|| known.get(hash)).copied();
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
