//! Two engines that get the same commits and have to give the same answers: any test becomes a comparison of the two.
//!
//! For tests that wait for each commit before they read: two engines need not be equally fast.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use crate::{Batch, BoxFuture, CommitError, Done, Engine, EngineError, Key, Partition};
use bytes::Bytes;

use crate::memory::lock;

/// Asks both, panics when they differ, and answers what they say.
#[derive(Debug)]
pub struct Mirror<A, B> {
    left: A,
    right: B,
    turn: Mutex<()>,
}

impl<A: Engine, B: Engine> Mirror<A, B> {
    /// Two engines with the same content.
    pub fn new(left: A, right: B) -> Self {
        Self { left, right, turn: Mutex::new(()) }
    }
}

fn same<T: PartialEq + Debug>(what: impl Debug, left: T, right: T) -> T {
    assert!(left == right, "two engines differ on {what:?}: {left:?} and {right:?}");
    left
}

/// Why nothing happened may be said in other words.
fn kind(outcome: &Result<(), CommitError>) -> u8 {
    match outcome {
        Ok(()) => 0,
        Err(CommitError::Conflict) => 1,
        Err(CommitError::Refused(_)) => 2,
        Err(CommitError::Indeterminate(_)) => 3,
    }
}

impl<A: Engine, B: Engine> Engine for Mirror<A, B> {
    fn read(&self, partition: Partition, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, EngineError>> {
        Box::pin(async move {
            let left = self.left.read(partition, keys.clone()).await;
            let right = self.right.read(partition, keys.clone()).await;
            same((partition, keys), left, right)
        })
    }

    fn scan(
        &self,
        partition: Partition,
        range: Range<Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Key, Bytes)>, EngineError>> {
        Box::pin(async move {
            let left = self.left.scan(partition, range.clone(), limit).await;
            let right = self.right.scan(partition, range.clone(), limit).await;
            same((partition, range, limit), left, right)
        })
    }

    fn submit(&self, batch: Batch, done: Done) {
        let first: Arc<Mutex<Option<Result<(), CommitError>>>> = Arc::default();
        let done = Arc::new(Mutex::new(Some(done)));
        let hear = |first: Arc<Mutex<Option<_>>>, done: Arc<Mutex<Option<Done>>>, batch: Batch| {
            Done::new(move |outcome| {
                let Some(other) = lock(&first).replace(outcome.clone()) else { return };
                same(batch, kind(&outcome), kind(&other));
                if let Some(done) = lock(&done).take() {
                    done.say(outcome);
                }
            })
        };
        let _turn = lock(&self.turn);
        self.left.submit(batch.clone(), hear(Arc::clone(&first), Arc::clone(&done), batch.clone()));
        self.right.submit(batch.clone(), hear(first, done, batch));
    }

    fn partitions(&self, after: Option<Partition>, limit: usize) -> BoxFuture<'_, Result<Vec<Partition>, EngineError>> {
        Box::pin(async move {
            let left = self.left.partitions(after, limit).await;
            let right = self.right.partitions(after, limit).await;
            same((after, limit), left, right)
        })
    }

    /// Each knows its own ways of keeping keys only.
    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, EngineError>> {
        Box::pin(async move {
            let mut findings = self.left.check().await?;
            findings.extend(self.right.check().await?);
            Ok(findings)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::MemoryEngine;

    use super::*;

    #[tokio::test]
    async fn two_of_a_kind_pass_the_suite() {
        crate::conformance::engine(|| Arc::new(Mirror::new(MemoryEngine::new(), MemoryEngine::new()))).await;
    }

    #[tokio::test]
    #[should_panic(expected = "two engines differ")]
    async fn a_difference_is_told() {
        let left = MemoryEngine::new();
        let mut batch = Batch::new(Partition::Global);
        batch.put(Key(vec![1]), "v");
        left.commit(batch).await.unwrap();
        _ = Mirror::new(left, MemoryEngine::new()).read(Partition::Global, vec![Key(vec![1])]).await;
    }
}
