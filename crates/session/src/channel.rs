//! The two directions of one connection: frames in, printed answers out, with back-pressure and patience.
//! It knows no command. Nothing else in the session reads or writes the link.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use columba_types::limits;
use columba_wire::{Frame, Framer, Input, PrintMode, Printer};

use crate::link::{Link, Stop, write_all};

/// Why there is nothing more to do on a connection.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The client closed its side.
    Eof,
    /// Reading or writing failed, or the client took nothing for too long.
    Io(io::Error),
    /// The client was silent for too long.
    Silent,
    /// The server says so.
    Stopped(Stop),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The octets still to be read and written.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) input: Input,
    pub(crate) output: Vec<u8>,
}

/// One connection while the session runs on it.
pub(crate) struct Channel<'a> {
    link: &'a mut dyn Link,
    pub(crate) framer: &'a mut Framer,
    buffers: &'a mut Buffers,
    /// How long silence is borne; set by login.
    pub(crate) authenticated: bool,
}

impl<'a> Channel<'a> {
    pub(crate) fn new(
        link: &'a mut dyn Link,
        framer: &'a mut Framer,
        buffers: &'a mut Buffers,
        authenticated: bool,
    ) -> Self {
        Self { link, framer, buffers, authenticated }
    }

    /// The next frame; whatever is to be said is sent before waiting for it.
    pub(crate) async fn frame(&mut self) -> Result<Frame, Ended> {
        loop {
            if let Some(frame) = self.framer.next(&mut self.buffers.input) {
                return Ok(frame);
            }
            self.flush().await?;
            self.arm_timer();
            poll_fn(|cx| self.poll_fill(cx)).await?;
        }
    }

    /// A frame if one is there already.
    pub(crate) fn frame_at_hand(&mut self) -> Option<Frame> {
        self.framer.next(&mut self.buffers.input)
    }

    /// Starts the patience with a silent client.
    pub(crate) fn arm_timer(&mut self) {
        let after = match (self.authenticated, self.framer.is_idle()) {
            (false, _) => limits::IDLE_UNAUTHENTICATED.saturating_sub(self.link.elapsed()),
            (true, true) => limits::IDLE_AUTHENTICATED,
            (true, false) => limits::STALLED,
        };
        self.link.set_timer(after);
    }

    /// Sets the timer to something else, for IDLE.
    pub(crate) fn set_timer(&mut self, after: Duration) {
        self.link.set_timer(after);
    }

    /// Time since the connection began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.link.elapsed()
    }

    /// Ready when octets have arrived. The timer must have been set.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        if let Poll::Ready(stop) = self.link.poll_stop(cx) {
            return Poll::Ready(Err(Ended::Stopped(stop)));
        }
        match self.link.poll_read(cx, self.buffers.input.space(0)) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(Ended::Eof)),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => {
                // A link may have made room before it found nothing to read.
                if self.buffers.input.is_empty() {
                    self.buffers.input.clear();
                }
                self.link.poll_timer(cx).map(|()| Err(Ended::Silent))
            }
        }
    }

    /// Where answers are printed. What is printed is sent by `relieve`, `flush`, or before the next wait.
    pub(crate) fn printer(&mut self, mode: PrintMode) -> Printer<'_> {
        Printer::new(&mut self.buffers.output, mode)
    }

    /// Sends what was printed if it has become much: the back-pressure of large answers.
    pub(crate) async fn relieve(&mut self) -> Result<(), Ended> {
        if self.buffers.output.len() >= limits::OUTPUT_BYTES {
            write_all(self.link, &self.buffers.output, limits::STALLED).await?;
            self.buffers.output.clear();
        }
        Ok(())
    }

    /// Sends all that was printed, and gives the memory back.
    pub(crate) async fn flush(&mut self) -> Result<(), Ended> {
        if !self.buffers.output.is_empty() {
            let output = std::mem::take(&mut self.buffers.output);
            write_all(self.link, &output, limits::STALLED).await?;
        }
        Ok(())
    }

    /// Sends octets that need not be copied into the buffer, after what was printed.
    pub(crate) async fn send(&mut self, octets: &[u8]) -> Result<(), Ended> {
        if self.buffers.output.len() + octets.len() < limits::OUTPUT_BYTES {
            self.buffers.output.extend_from_slice(octets);
            return Ok(());
        }
        write_all(self.link, &self.buffers.output, limits::STALLED).await?;
        self.buffers.output.clear();
        Ok(write_all(self.link, octets, limits::STALLED).await?)
    }

    /// Forgets what the client sent and was not looked at yet. Nothing from before STARTTLS may survive it
    /// (RFC 9051 §6.2.1).
    pub(crate) fn discard_input(&mut self) {
        self.buffers.input.clear();
    }
}
