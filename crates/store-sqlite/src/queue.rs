//! A line of work before threads that sleep while it is empty. It knows nothing of what the work is.
//!
//! It has no bound of its own: everything in it is in memory already when it arrives, and the senders bound it. The
//! store gives a place to each commit (`limits::COMMIT_QUEUE`), and whoever reads or delivers waits for the answer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug)]
struct Line<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// Many senders, any number of threads that take.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    line: Mutex<Line<T>>,
    arrived: Condvar,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { line: Mutex::new(Line { items: VecDeque::new(), closed: false }), arrived: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Line<T>> {
        // A line is whole between any two statements, so a panic elsewhere leaves it usable.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `item` at the end; gives it back when nobody will take it any more.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut line = self.lock();
        if line.closed {
            return Err(item);
        }
        line.items.push_back(item);
        drop(line);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for the first item; `None` once the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut line = self.wait();
        line.items.pop_front()
    }

    /// Waits for something and takes all that is there, in order: at most `count` items, and none beyond the one with
    /// which their weights reach `weight`. `None` once the queue is closed and empty.
    pub(crate) fn take(&self, count: usize, weight: usize, weigh: impl Fn(&T) -> usize) -> Option<Vec<T>> {
        let mut line = self.wait();
        if line.items.is_empty() {
            return None;
        }
        let mut taken = 0;
        let mut sum = 0usize;
        for item in line.items.iter().take(count.max(1)) {
            taken += 1;
            sum = sum.saturating_add(weigh(item));
            if sum >= weight {
                break;
            }
        }
        Some(line.items.drain(..taken).collect())
    }

    /// Whether there is something to do, or the end, before so long a silence. Others may take it first.
    pub(crate) fn is_busy_within(&self, silence: Duration) -> bool {
        let idle = |line: &mut Line<T>| line.items.is_empty() && !line.closed;
        let waited = self.arrived.wait_timeout_while(self.lock(), silence, idle);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn wait(&self) -> MutexGuard<'_, Line<T>> {
        self.arrived
            .wait_while(self.lock(), |line| line.items.is_empty() && !line.closed)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets nothing more in. What is in line is still taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_in_order_up_to_count_and_weight() {
        let queue = Queue::new();
        (1..=6usize).for_each(|n| queue.push(n).unwrap());
        assert_eq!(queue.take(2, 100, |n| *n), Some(vec![1, 2]));
        assert_eq!(queue.take(9, 7, |n| *n), Some(vec![3, 4]));
        assert_eq!(queue.pop(), Some(5));
        queue.close();
        assert_eq!(queue.push(7), Err(7));
        assert_eq!(queue.take(0, 0, |n| *n), Some(vec![6]));
        assert_eq!(queue.take(9, 9, |n| *n), None);
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn silence_is_told_from_work_and_from_the_end() {
        let queue = Queue::new();
        assert!(!queue.is_busy_within(Duration::ZERO));
        queue.push(1).unwrap();
        assert!(queue.is_busy_within(Duration::ZERO));
        assert_eq!(queue.pop(), Some(1));
        queue.close();
        assert!(queue.is_busy_within(Duration::from_secs(3600)));
    }

    #[test]
    fn a_sleeping_taker_wakes_for_an_item_and_for_the_end() {
        let queue = std::sync::Arc::new(Queue::new());
        let taker = std::thread::spawn({
            let queue = std::sync::Arc::clone(&queue);
            move || std::iter::from_fn(|| queue.pop()).collect::<Vec<u32>>()
        });
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        queue.close();
        assert_eq!(taker.join().unwrap(), [1, 2]);
    }
}
