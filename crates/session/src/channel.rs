//! The two directions of one connection: frames in, printed answers out, with back-pressure and patience, and with
//! compression in between once it is agreed on. It knows no command. Nothing else in the session reads or writes the link.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use columba_types::limits;
use columba_wire::{Frame, Framer, Input, PrintMode, Printer};

use crate::compression::{Compressors, Deflate, Inflate, Inflated};
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

/// COMPRESS=DEFLATE on a connection (RFC 4978).
#[derive(Debug)]
pub(crate) struct Compression {
    incoming: Inflate,
    /// None once UNAUTHENTICATE has ended it; the client's octets may still be compressed then.
    outgoing: Option<Deflate>,
}

/// One connection while the session runs on it.
pub(crate) struct Channel<'a> {
    link: &'a mut dyn Link,
    pub(crate) framer: &'a mut Framer,
    buffers: &'a mut Buffers,
    compression: &'a mut Option<Box<Compression>>,
    /// What is left of the timer's time after a compressor at work was dropped.
    after_rest: Option<Duration>,
    /// How long silence is borne; set by login.
    pub(crate) authenticated: bool,
    /// When the time to log in began.
    pub(crate) stranger_since: Duration,
}

impl<'a> Channel<'a> {
    pub(crate) fn new(
        link: &'a mut dyn Link,
        framer: &'a mut Framer,
        buffers: &'a mut Buffers,
        compression: &'a mut Option<Box<Compression>>,
        authenticated: bool,
        stranger_since: Duration,
    ) -> Self {
        Self { link, framer, buffers, compression, after_rest: None, authenticated, stranger_since }
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
            (false, _) => {
                limits::IDLE_UNAUTHENTICATED.saturating_sub(self.link.elapsed().saturating_sub(self.stranger_since))
            }
            (true, true) => limits::IDLE_AUTHENTICATED,
            (true, false) => limits::STALLED,
        };
        self.set_timer(after);
    }

    /// Sets the timer for a wait. If a compressor is at work, it stops once on the way and gives its memory back.
    pub(crate) fn set_timer(&mut self, after: Duration) {
        let at_work = self.deflate().is_some_and(|deflate| deflate.is_at_work());
        self.after_rest = after.checked_sub(limits::COMPRESSOR_REST).filter(|_| at_work);
        self.link.set_timer(if self.after_rest.is_some() { limits::COMPRESSOR_REST } else { after });
    }

    /// Ready when the timer has run out; it must have been set.
    pub(crate) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        std::task::ready!(self.link.poll_timer(cx));
        let Some(left) = self.after_rest.take() else { return Poll::Ready(()) };
        if let Some(deflate) = self.deflate() {
            deflate.rest();
        }
        self.link.set_timer(left);
        self.link.poll_timer(cx)
    }

    fn deflate(&mut self) -> Option<&mut Deflate> {
        self.compression.as_mut().and_then(|compression| compression.outgoing.as_mut())
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
        match self.poll_read(cx) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(Ended::Eof)),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => {
                // A link may have made room before it found nothing to read.
                if self.buffers.input.is_empty() {
                    self.buffers.input.clear();
                }
                self.poll_timer(cx).map(|()| Err(Ended::Silent))
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(compression) = self.compression {
            match compression.incoming.read(self.buffers.input.space(0))? {
                Inflated::Octets(octets) => return Poll::Ready(Ok(octets)),
                Inflated::Hungry => match self.link.poll_read(cx, compression.incoming.raw()) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Ok(0)),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        compression.incoming.rest();
                        return Poll::Pending;
                    }
                },
                Inflated::Over(octets) => {
                    *self.compression = None;
                    if octets > 0 {
                        return Poll::Ready(Ok(octets));
                    }
                }
            }
        }
        self.link.poll_read(cx, self.buffers.input.space(0))
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.compression.is_some()
    }

    /// Sends what was printed; from then on both directions are compressed, beginning with what has been received and was
    /// not looked at (RFC 4978 §3).
    pub(crate) async fn begin_compression(&mut self, compressors: &Compressors) -> Result<(), Ended> {
        self.flush().await?;
        let incoming = Inflate::new(std::mem::take(&mut self.buffers.input));
        let outgoing = Some(Deflate::new(compressors.clone()));
        *self.compression = Some(Box::new(Compression { incoming, outgoing }));
        Ok(())
    }

    /// Sends what was printed as the last that is compressed; the client's octets are no longer compressed behind the
    /// command that was read last (RFC 8437 §4.1).
    pub(crate) async fn end_compression(&mut self) -> Result<(), Ended> {
        let Some(compression) = self.compression else { return Ok(()) };
        compression.incoming.end();
        let Some(deflate) = compression.outgoing.take() else { return Ok(()) };
        let mut last = Vec::new();
        deflate.finish(&std::mem::take(&mut self.buffers.output), &mut last)?;
        Ok(write_all(self.link, &last, limits::STALLED).await?)
    }

    /// Where answers are printed. What is printed is sent by `relieve`, `flush`, or before the next wait.
    pub(crate) fn printer(&mut self, mode: PrintMode) -> Printer<'_> {
        Printer::new(&mut self.buffers.output, mode)
    }

    /// Sends what was printed if it has become much: the back-pressure of large answers.
    pub(crate) async fn relieve(&mut self) -> Result<(), Ended> {
        if self.buffers.output.len() >= limits::OUTPUT_BYTES {
            // In a box, so that what only may have much to say holds no room for it.
            Box::pin(self.write_output()).await?;
        }
        Ok(())
    }

    /// Sends all that was printed, and gives the memory back.
    pub(crate) async fn flush(&mut self) -> Result<(), Ended> {
        let output = std::mem::take(&mut self.buffers.output);
        self.write(&output, true).await
    }

    async fn write_output(&mut self) -> Result<(), Ended> {
        let mut output = std::mem::take(&mut self.buffers.output);
        self.write(&output, false).await?;
        output.clear();
        self.buffers.output = output;
        Ok(())
    }

    /// Writes, compressed if that is agreed on. Then, without `flush`, some of it may be held back until the next time.
    async fn write(&mut self, octets: &[u8], flush: bool) -> Result<(), Ended> {
        let mut rest = octets;
        while let Some(deflate) = self.deflate() {
            let (piece, next) = rest.split_at(rest.len().min(limits::OUTPUT_BYTES));
            rest = next;
            let mut compressed = Vec::new();
            deflate.write(piece, &mut compressed)?;
            if flush && rest.is_empty() {
                deflate.flush(&mut compressed)?;
            }
            write_all(self.link, &compressed, limits::STALLED).await?;
            if rest.is_empty() {
                return Ok(());
            }
        }
        Ok(write_all(self.link, rest, limits::STALLED).await?)
    }

    /// Sends octets that need not be copied into the buffer, after what was printed.
    pub(crate) async fn send(&mut self, octets: &[u8]) -> Result<(), Ended> {
        if self.buffers.output.len() + octets.len() < limits::OUTPUT_BYTES {
            self.buffers.output.extend_from_slice(octets);
            return Ok(());
        }
        self.write_output().await?;
        self.write(octets, false).await
    }

    /// Forgets what the client sent and was not looked at yet. Nothing from before STARTTLS may survive it
    /// (RFC 9051 §6.2.1).
    pub(crate) fn discard_input(&mut self) {
        self.buffers.input.clear();
    }
}
