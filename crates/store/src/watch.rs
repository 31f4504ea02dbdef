//! Waking those who wait for changes. A bell outlives the mailbox in memory, so that an idle client needs no mailbox.

use std::sync::Arc;

use tokio::sync::watch::{Receiver, Sender};

/// What is rung after each published change of one thing.
#[derive(Debug)]
pub(crate) struct Bell(Sender<()>);

impl Bell {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Sender::new(())))
    }

    /// Wakes everybody who watches.
    pub(crate) fn ring(&self) {
        self.0.send_replace(());
    }

    pub(crate) fn watch(self: &Arc<Self>) -> Watch {
        Watch { changes: self.0.subscribe(), bell: Arc::clone(self) }
    }

    /// Whether anybody watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }
}

/// Waits for changes of a mailbox or a tree. Keeps nothing of it in memory: an idle client holds just this.
#[derive(Debug)]
pub struct Watch {
    changes: Receiver<()>,
    bell: Arc<Bell>,
}

impl Watch {
    /// Returns when something was published since the last call (or since the watch was made), at once if so.
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        // The bell is held here, so its sender cannot have gone.
        _ = self.changes.changed().await;
    }

    /// Whether something was published since the last call of [`Watch::changed`], without waiting or forgetting.
    pub fn has_changed(&self) -> bool {
        self.changes.has_changed().unwrap_or(false)
    }
}

impl Clone for Watch {
    /// The clone has seen what this one has seen.
    fn clone(&self) -> Self {
        Self { changes: self.changes.clone(), bell: Arc::clone(&self.bell) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ring_before_waiting_is_not_lost() {
        let bell = Bell::new();
        let mut watch = bell.watch();
        assert!(!watch.has_changed());
        bell.ring();
        bell.ring();
        watch.changed().await;
        assert!(!watch.has_changed());
    }
}
