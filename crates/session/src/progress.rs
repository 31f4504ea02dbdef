//! Saying that a long command is still at work (INPROGRESS, RFC 9585). Where a command waits for work that prints nothing, it
//! waits here; where it goes through many messages by itself, it comes by here now and then.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use columba_store::Mailbox;
use columba_types::{UidSet, limits};
use columba_wire::{Code, Status, Tag};

use crate::channel::{Channel, Ended};
use crate::context::Context;

/// What is needed to speak of the running command.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// `None` where no command runs, and nothing is said.
    tag: Option<Tag>,
    /// When to speak next; a time since the connection began.
    due: Duration,
}

/// How far the work is: things done, and things in all. `None` where it cannot be known.
pub(crate) type Measure = Option<(u64, u64)>;

impl Progress {
    /// For a command that begins now.
    pub(crate) fn begin(tag: Option<&Tag>, channel: &Channel<'_>) -> Self {
        Self { tag: tag.cloned(), due: channel.elapsed() + limits::PROGRESS_FIRST }
    }

    fn code(&self, measure: Measure) -> Code {
        // RFC 9585 §4: a tag with `]` could be taken for the end of the code.
        let tag = self.tag.as_ref().filter(|tag| !tag.0.contains(']')).cloned();
        let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let counts = measure.and_then(|(done, goal)| {
            // RFC 9585 §4: the goal is above what is done, and never 0; what has reached it is answered instead.
            let below = count(goal).checked_sub(1)?;
            Some((count(done).min(below), count(goal)))
        });
        Code::InProgress { tag, counts }
    }
}

impl Context<'_, '_> {
    /// Waits for work that prints nothing; `measure` is asked when there is something to say.
    pub(crate) async fn working<T>(
        &mut self,
        measure: impl Fn() -> Measure,
        work: impl Future<Output = T>,
    ) -> Result<T, Ended> {
        let mut work = pin!(work);
        loop {
            let channel = &mut *self.channel;
            channel.set_timer(self.progress.due.saturating_sub(channel.elapsed()));
            let worked = poll_fn(|cx| match work.as_mut().poll(cx) {
                Poll::Ready(value) => Poll::Ready(Some(value)),
                Poll::Pending => channel.poll_timer(cx).map(|()| None),
            });
            match worked.await {
                Some(value) => return Ok(value),
                None => self.say_in_progress(measure()).await?,
            }
        }
    }

    /// Between two pieces of work; never in the middle of a response.
    pub(crate) async fn tick(&mut self, done: u64, goal: u64) -> Result<(), Ended> {
        match self.channel.elapsed() < self.progress.due {
            true => Ok(()),
            false => self.say_in_progress(Some((done, goal))).await,
        }
    }

    async fn say_in_progress(&mut self, measure: Measure) -> Result<(), Ended> {
        self.progress.due = self.channel.elapsed() + limits::PROGRESS_INTERVAL;
        if self.progress.tag.is_none() {
            return Ok(());
        }
        let code = self.progress.code(measure);
        self.printer().untagged(Status::Ok, Some(&code), "Still at work");
        // It is there to be seen now.
        self.channel.flush().await
    }
}

/// How many of these messages are gone, as far as it is published.
pub(crate) fn gone(mailbox: &Mailbox, uids: &UidSet) -> Measure {
    let left = mailbox.snapshot().uids().intersection(uids).len();
    Some((uids.len().saturating_sub(left), uids.len()))
}

/// Lets others run, and whoever waits for this look at the clock.
pub(crate) async fn breathe() {
    let mut breathed = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut breathed, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9585 §4
    #[test]
    fn what_is_said_is_never_wrong() {
        let said = |tag: &str, measure| {
            let progress = Progress { tag: Some(Tag(tag.into())), due: Duration::ZERO };
            let mut out = Vec::new();
            let code = progress.code(measure);
            columba_wire::Printer::new(&mut out, columba_wire::PrintMode::default()).untagged(
                Status::Ok,
                Some(&code),
                "x",
            );
            String::from_utf8(out).unwrap()
        };
        assert_eq!(said("a1", Some((5, 12))), "* OK [INPROGRESS (\"a1\" 5 12)] x\r\n");
        assert_eq!(said("a1", None), "* OK [INPROGRESS (\"a1\" NIL NIL)] x\r\n");
        assert_eq!(said("a]1", Some((0, 12))), "* OK [INPROGRESS (NIL 0 12)] x\r\n");
        assert_eq!(said("a]1", None), "* OK [INPROGRESS] x\r\n");
        // Never there already, never nothing to do, never too large.
        assert_eq!(said("a", Some((12, 12))), "* OK [INPROGRESS (\"a\" 11 12)] x\r\n");
        assert_eq!(said("a", Some((13, 12))), "* OK [INPROGRESS (\"a\" 11 12)] x\r\n");
        assert_eq!(said("a", Some((0, 0))), "* OK [INPROGRESS (\"a\" NIL NIL)] x\r\n");
        let large = "* OK [INPROGRESS (\"a\" 4294967294 4294967295)] x\r\n";
        assert_eq!(said("a", Some((u64::MAX, u64::MAX))), large);
    }
}
