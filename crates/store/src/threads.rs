//! Which thread a message belongs to (RFC 8474 §5.2): that of a message it refers to, or that refers to it.

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

/// Hashes of a message's own id, and of those it refers to, the nearest first.
pub(crate) fn hashes(summary: &MessageSummary) -> (Option<u128>, Vec<u128>) {
    let own = summary.message_id.as_deref().map(hash);
    (own, summary.references.iter().rev().take(THREAD_REFERENCES).map(|id| hash(id)).collect())
}

impl AccountStore {
    /// The threads of messages about to be appended, in their order.
    pub(crate) async fn threads_of(&self, messages: &[NewMessage]) -> Result<Vec<FoundThread>, StoreError> {
        let wanted: Vec<(Option<u128>, Vec<u128>)> = messages.iter().map(|new| hashes(&new.summary)).collect();
        let mut all: Vec<u128> = wanted.iter().flat_map(|(own, refs)| own.iter().chain(refs)).copied().collect();
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
        for (new, (own, references)) in messages.iter().zip(wanted) {
            // What was given lately wins: its commit may be in line.
            let thread_of = |hash: &u128| recent.threads.get(hash).or_else(|| known.get(hash)).copied();
            let found = own.iter().chain(&references).find_map(thread_of);
            let thread = found.unwrap_or(ThreadId(new.bytes.message_id().0));
            // The message's own entry is always its own, so that it goes with the last message of that id.
            let is_new = |hash: &u128| thread_of(hash).is_none();
            let mut new_entries: Vec<u128> = references.into_iter().filter(is_new).chain(own).collect();
            new_entries.sort_unstable();
            new_entries.dedup();
            new_entries.iter().for_each(|hash| recent.add(*hash, thread));
            all.push(FoundThread { thread, new_entries });
        }
        Ok(all)
    }
}
