//! An engine that fails when told to: for sure or perhaps, before or after the commit happened.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use crate::{Batch, BoxFuture, CommitError, Done, Engine, EngineError, Expect, Key, Partition};
use bytes::Bytes;

use crate::memory::lock;

/// How a commit fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing happened, and that is said.
    Refused,
    /// Nothing happened, as if a guard had failed.
    Conflict,
    /// Nothing happened, and nobody knows.
    LostBefore,
    /// It happened, and nobody knows.
    LostAfter,
}

#[derive(Debug, Default)]
struct Plan {
    commits: u64,
    faults: HashMap<u64, Fault>,
    reads_fail: bool,
}

/// Passes everything on to an engine, but for what it is told to fail.
#[derive(Clone, Debug)]
pub struct Faulty {
    inner: Arc<dyn Engine>,
    plan: Arc<Mutex<Plan>>,
}

impl Faulty {
    /// Nothing fails at first.
    pub fn new(inner: Arc<dyn Engine>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// Makes a commit to come fail: 0 is the next one.
    pub fn fail(&self, nth: u64, fault: Fault) {
        let mut plan = lock(&self.plan);
        let at = plan.commits + nth;
        plan.faults.insert(at, fault);
    }

    /// Lets everything to come succeed.
    pub fn recover(&self) {
        let mut plan = lock(&self.plan);
        plan.faults.clear();
        plan.reads_fail = false;
    }

    /// Makes all reads and scans fail, or work again.
    pub fn fail_reads(&self, fail: bool) {
        lock(&self.plan).reads_fail = fail;
    }

    /// How many commits were submitted.
    pub fn commits(&self) -> u64 {
        lock(&self.plan).commits
    }

    fn may_read(&self) -> Result<(), EngineError> {
        if lock(&self.plan).reads_fail { Err(EngineError::Unavailable("told to fail".into())) } else { Ok(()) }
    }
}

impl Engine for Faulty {
    fn read(&self, partition: Partition, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, EngineError>> {
        match self.may_read() {
            Ok(()) => self.inner.read(partition, keys),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn scan(
        &self,
        partition: Partition,
        range: Range<Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Key, Bytes)>, EngineError>> {
        match self.may_read() {
            Ok(()) => self.inner.scan(partition, range, limit),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn submit(&self, mut batch: Batch, done: Done) {
        // Held until the batch is in line, so that the order in line is the order in the plan.
        let mut plan = lock(&self.plan);
        let at = plan.commits;
        plan.commits += 1;
        let fault = plan.faults.remove(&at);
        let Some(fault) = fault else { return pass_on(&*self.inner, batch, done, plan) };
        if fault != Fault::LostAfter {
            // It stands in line all the same, so that outcomes keep their order; no guard can hold both ways.
            batch.guard(Key(vec![0]), Expect::Absent);
            batch.guard(Key(vec![0]), Expect::Version(0));
        }
        let lost = CommitError::Indeterminate("told to be lost".into());
        let done = Done::new(move |outcome| {
            done.say(match (fault, outcome) {
                (Fault::Refused, _) => Err(CommitError::Refused("told to fail".into())),
                (Fault::Conflict, _) => Err(CommitError::Conflict),
                (Fault::LostBefore | Fault::LostAfter, _) => Err(lost),
            });
        });
        pass_on(&*self.inner, batch, done, plan);
    }

    fn partitions(&self, after: Option<Partition>, limit: usize) -> BoxFuture<'_, Result<Vec<Partition>, EngineError>> {
        self.inner.partitions(after, limit)
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, EngineError>> {
        self.inner.check()
    }
}

/// An engine may speak within `submit`, to somebody who looks at the plan: so it is given free there, and only there.
fn pass_on(engine: &dyn Engine, batch: Batch, done: Done, plan: std::sync::MutexGuard<'_, Plan>) {
    engine.submit(batch, done);
    drop(plan);
}

#[cfg(test)]
mod tests {
    use crate::MemoryEngine;

    use super::*;

    fn put(key: &str) -> Batch {
        let mut batch = Batch::new(Partition::Global);
        batch.put(Key(key.into()), "v");
        batch
    }

    #[tokio::test]
    async fn fails_as_told_and_only_then() {
        let inner = Arc::new(MemoryEngine::new());
        let engine = Faulty::new(inner.clone());
        for (nth, fault) in
            [Fault::Refused, Fault::Conflict, Fault::LostBefore, Fault::LostAfter].into_iter().enumerate()
        {
            engine.fail(nth as u64 + 1, fault);
        }
        let mut outcomes = Vec::new();
        for key in ["a", "b", "c", "d", "e", "f"] {
            outcomes.push(engine.commit(put(key)).await);
        }
        assert_eq!(outcomes[0], Ok(()));
        assert!(matches!(outcomes[1], Err(CommitError::Refused(_))));
        assert!(matches!(outcomes[2], Err(CommitError::Conflict)));
        assert!(matches!(outcomes[3], Err(CommitError::Indeterminate(_))));
        assert!(matches!(outcomes[4], Err(CommitError::Indeterminate(_))));
        assert_eq!(outcomes[5], Ok(()));
        let all = Key(vec![0])..Key(vec![255]);
        let keys = inner.scan(Partition::Global, all.clone(), 99).await.unwrap();
        assert_eq!(keys.iter().map(|(key, _)| key.0.as_slice()).collect::<Vec<_>>(), [b"a", b"e", b"f"]);
        engine.fail_reads(true);
        assert!(engine.scan(Partition::Global, all, 99).await.is_err());
    }

    #[tokio::test]
    async fn passes_the_suite_when_nothing_fails() {
        crate::conformance::engine(|| Arc::new(Faulty::new(Arc::new(MemoryEngine::new())))).await;
    }
}
