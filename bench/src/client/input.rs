//! What came from a server and is not used yet: a window in one buffer, inflated where COMPRESS is on. It knows no IMAP.

use std::io;

use memchr::memchr;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The buffer begins with so much, and has so much at most unless one line is longer: a large read saves calls, ten thousand
/// idle devices must fit.
const SMALL: usize = 4 * 1024;
const LARGE: usize = 256 * 1024;
/// A longer line is a fault: SEARCH's answer about a million messages has 8 MB.
const LONGEST: usize = 64 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    inflating: Option<Box<Inflating>>,
}

struct Inflating {
    state: Box<InflateState>,
    /// What was read and is not inflated yet.
    deflated: Vec<u8>,
    used: usize,
}

impl Input {
    pub(super) fn inflate(&mut self) {
        let state = InflateState::new_boxed(DataFormat::Raw);
        self.inflating = Some(Box::new(Inflating { state, deflated: Vec::new(), used: 0 }));
    }

    pub(super) fn is_inflating(&self) -> bool {
        self.inflating.is_some()
    }

    /// What is there.
    pub(super) fn octets(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The first `count` octets are used.
    pub(super) fn advance(&mut self, count: usize) {
        self.start = self.end.min(self.start.saturating_add(count));
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// The next line, if it is whole, without its end. An empty buffer is given back.
    pub(super) fn line(&mut self) -> Option<Vec<u8>> {
        let end = memchr(b'\n', self.octets())?;
        let line = self.octets().get(..end)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        self.advance(end + 1);
        if self.start == self.end {
            self.buffer = Vec::new();
        }
        Some(line)
    }

    /// Waits for more.
    pub(super) async fn fill<S: AsyncRead + Unpin + ?Sized>(&mut self, stream: &mut S) -> io::Result<()> {
        self.make_room()?;
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let Some(inflating) = &mut self.inflating else {
            let read = stream.read(room).await?;
            self.end += read;
            return if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) };
        };
        loop {
            let octets = inflating.deflated.get(inflating.used..).unwrap_or_default();
            let result = inflate(&mut inflating.state, octets, room, MZFlush::None);
            inflating.used += result.bytes_consumed;
            self.end += result.bytes_written;
            match result.status {
                _ if result.bytes_written > 0 => return Ok(()),
                Ok(_) if result.bytes_consumed > 0 => {}
                Ok(_) | Err(MZError::Buf) => {
                    inflating.deflated.resize(SMALL, 0);
                    let read = stream.read(&mut inflating.deflated).await?;
                    inflating.deflated.truncate(read);
                    inflating.used = 0;
                    if read == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(_) => return Err(io::Error::other("what the server compressed cannot be read")),
            }
        }
    }

    fn make_room(&mut self) -> io::Result<()> {
        let used = self.end - self.start;
        if self.start > 0 && self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, used);
        }
        if self.buffer.len() - self.end < SMALL / 2 {
            // The last read filled it: more is coming.
            let size = match self.buffer.len() {
                0 => SMALL,
                length if length < LARGE => LARGE,
                length if length < LONGEST => length * 2,
                _ => return Err(io::Error::other("the server sends a line without end")),
            };
            self.buffer.resize(size, 0);
        }
        Ok(())
    }
}
