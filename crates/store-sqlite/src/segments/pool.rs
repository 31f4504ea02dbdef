//! Threads that do what may wait for the disk, so that the threads of callers never do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use columba_store::EngineError;
use futures_channel::oneshot;

use crate::fault::closed;
use crate::queue::Queue;

type Job = Box<dyn FnOnce() + Send>;

/// Where jobs are handed in; they are begun in order.
#[derive(Clone)]
pub(crate) struct Jobs(Arc<Queue<Job>>);

/// The threads. Dropping it finishes what was handed in.
pub(crate) struct Pool {
    jobs: Jobs,
    threads: Vec<JoinHandle<()>>,
}

/// What a job will have given.
pub(crate) type Outcome<T> = oneshot::Receiver<Result<T, EngineError>>;

impl Jobs {
    /// Hands in a job. It is done even if nobody waits for it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Outcome<T> {
        let (answer, outcome) = oneshot::channel();
        // A closed queue drops the job and with it the answer, which says "closed" to whoever waits.
        _ = self.0.push(Box::new(move || _ = answer.send(job())));
        outcome
    }

    /// Hands in a job that is not worth doing when nobody waits for it any more.
    pub(crate) fn run_if_wanted<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Outcome<T> {
        let (answer, outcome) = oneshot::channel();
        _ = self.0.push(Box::new(move || {
            if !answer.is_canceled() {
                _ = answer.send(job());
            }
        }));
        outcome
    }
}

/// Waits for a job.
pub(crate) async fn outcome<T>(outcome: Outcome<T>) -> Result<T, EngineError> {
    outcome.await.unwrap_or_else(|_| Err(closed()))
}

impl Pool {
    pub(crate) fn start(name: &str, threads: usize) -> std::io::Result<Self> {
        let mut pool = Self { jobs: Jobs(Arc::new(Queue::new())), threads: Vec::new() };
        for number in 0..threads {
            let queue = Arc::clone(&pool.jobs.0);
            let thread = std::thread::Builder::new().name(format!("{name}-{number}")).spawn(move || {
                while let Some(job) = queue.pop() {
                    _ = catch_unwind(AssertUnwindSafe(job));
                }
            });
            pool.threads.push(thread?);
        }
        Ok(pool)
    }

    pub(crate) fn jobs(&self) -> &Jobs {
        &self.jobs
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs.0.close();
        let here = std::thread::current().id();
        self.threads.drain(..).filter(|thread| thread.thread().id() != here).for_each(|thread| _ = thread.join());
    }
}
