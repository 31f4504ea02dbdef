//! An engine whose disk is slow: commits stand in line until somebody lets them through.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use crate::{Batch, BoxFuture, Done, Engine, EngineError, Key, Partition};
use bytes::Bytes;

use crate::memory::lock;

#[derive(Debug, Default)]
struct Waiting {
    line: VecDeque<(Batch, Done)>,
    held: bool,
}

/// Passes everything on to an engine; commits only when it does not hold them.
#[derive(Clone, Debug)]
pub struct Lagging {
    inner: Arc<dyn Engine>,
    waiting: Arc<Mutex<Waiting>>,
    /// Held while a batch is passed on, so that they go in order.
    turn: Arc<Mutex<()>>,
}

impl Lagging {
    /// Holds nothing at first.
    pub fn new(inner: Arc<dyn Engine>) -> Self {
        Self { inner, waiting: Arc::default(), turn: Arc::default() }
    }

    /// From now on commits stand in line.
    pub fn hold(&self) {
        lock(&self.waiting).held = true;
    }

    /// How many stand in line.
    pub fn in_line(&self) -> usize {
        lock(&self.waiting).line.len()
    }

    /// Lets up to `count` through; how many went.
    pub fn let_through(&self, count: usize) -> usize {
        let _turn = lock(&self.turn);
        for went in 0..count {
            let Some((batch, done)) = lock(&self.waiting).line.pop_front() else { return went };
            self.inner.submit(batch, done);
        }
        count
    }

    /// Lets all through, and holds no more.
    pub fn release(&self) {
        lock(&self.waiting).held = false;
        self.let_through(usize::MAX);
    }
}

impl Engine for Lagging {
    fn read(&self, partition: Partition, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, EngineError>> {
        self.inner.read(partition, keys)
    }

    fn scan(
        &self,
        partition: Partition,
        range: Range<Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Key, Bytes)>, EngineError>> {
        self.inner.scan(partition, range, limit)
    }

    fn submit(&self, batch: Batch, done: Done) {
        let mut waiting = lock(&self.waiting);
        waiting.line.push_back((batch, done));
        let held = waiting.held;
        drop(waiting);
        if !held {
            self.let_through(usize::MAX);
        }
    }

    fn partitions(&self, after: Option<Partition>, limit: usize) -> BoxFuture<'_, Result<Vec<Partition>, EngineError>> {
        self.inner.partitions(after, limit)
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, EngineError>> {
        self.inner.check()
    }
}

#[cfg(test)]
mod tests {
    use crate::MemoryEngine;

    use super::*;

    #[tokio::test]
    async fn holds_and_lets_through() {
        let engine = Lagging::new(Arc::new(MemoryEngine::new()));
        engine.hold();
        let mut batch = Batch::new(Partition::Global);
        batch.put(Key(vec![1]), "v");
        let outcome = engine.commit(batch);
        assert_eq!(engine.in_line(), 1);
        assert_eq!(engine.read(Partition::Global, vec![Key(vec![1])]).await.unwrap(), [None]);
        assert_eq!(engine.let_through(9), 1);
        outcome.await.unwrap();
        assert!(engine.read(Partition::Global, vec![Key(vec![1])]).await.unwrap()[0].is_some());
    }

    #[tokio::test]
    async fn passes_the_suite_when_it_holds_nothing() {
        crate::conformance::engine(|| Arc::new(Lagging::new(Arc::new(MemoryEngine::new())))).await;
    }
}
