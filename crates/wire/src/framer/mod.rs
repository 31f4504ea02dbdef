//! Cuts what a client sends into commands, literals and streamed messages, before any grammar runs. It knows lines,
//! literals and limits, and nothing of what a command means.
//!
//! A line that ends in `{n}`, `{n+}`, `~{n}` or `~{n+}` announces a literal, also where the marker would lie inside an
//! unfinished quoted string: such a line is wrong in any case, since a quoted string cannot span lines (RFC 9051 §4.3),
//! and reading the marker is what keeps us in step with a client that means it. Dovecot and Cyrus decide the same way.

use std::fmt;

use columba_types::limits;
use memchr::{memchr, memchr2};

use crate::command::Tag;
use crate::input::Input;
use crate::parse::tag_of;

/// How much of one command is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameLimits {
    /// Octets of its lines, without its literals.
    pub line_bytes: usize,
    /// Octets of its lines and of the literals that are held in memory.
    pub command_bytes: usize,
    /// Literals that are held in memory.
    pub literals: usize,
    /// Octets of a refused command that are read and dropped.
    pub dropped_bytes: u64,
}

impl FrameLimits {
    /// Before login, where no honest command is long.
    pub const UNAUTHENTICATED: Self = Self {
        line_bytes: limits::COMMAND_LINE_BYTES_UNAUTHENTICATED,
        command_bytes: limits::COMMAND_BYTES_UNAUTHENTICATED,
        literals: limits::COMMAND_LITERALS,
        dropped_bytes: limits::DRAINED_BYTES_UNAUTHENTICATED,
    };
    /// After login.
    pub const AUTHENTICATED: Self = Self {
        line_bytes: limits::COMMAND_LINE_BYTES,
        command_bytes: limits::COMMAND_BYTES,
        literals: limits::COMMAND_LITERALS,
        dropped_bytes: limits::DRAINED_BYTES,
    };
}

/// An announced literal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiteralHead {
    /// Octets, up to 2^63-1.
    pub size: u64,
    /// Whether the client waits for our continuation (no `+`).
    pub synchronizing: bool,
    /// Whether it may hold NUL (`~{n}`, RFC 9051 §4.3).
    pub literal8: bool,
}

/// What the client sent next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// A complete command, literals inline as `{n}\r\n<octets>`, without its final line end. After a streamed literal
    /// just what follows it, empty for a plain APPEND. A blank line is an empty command.
    Command(Vec<u8>),
    /// A literal was announced; [`Framer::head`] has what came before it. One of [`Framer::accept`],
    /// [`Framer::stream`] and [`Framer::refuse`] must be called next.
    Literal(LiteralHead),
    /// Octets of the streamed literal, at most [`limits::MESSAGE_CHUNK_BYTES`].
    Data(Vec<u8>),
    /// The streamed literal is complete.
    DataEnd,
    /// The command is too much; it is dropped up to its end. To be answered with BAD, or BYE.
    Refused(Refusal),
}

/// A command that was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Its tag, if it was seen; never for what follows a streamed literal, where the session knows it.
    pub tag: Option<Tag>,
    /// Why.
    pub reason: RefusalReason,
}

/// Why a command was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalReason {
    /// Its lines have more octets than [`FrameLimits::line_bytes`].
    LineTooLong,
    /// It has more octets than [`FrameLimits::command_bytes`].
    CommandTooBig,
    /// It has more literals than [`FrameLimits::literals`].
    TooManyLiterals,
    /// A literal's size is beyond 2^63-1.
    LiteralSize,
    /// A line holds a NUL (RFC 9051 §9).
    Nul,
    /// A line holds a CR that does not end it.
    BareCr,
    /// More of a refused command keeps coming than [`FrameLimits::dropped_bytes`]. Nothing more is read: the only
    /// answer is BYE.
    Endless,
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineTooLong => "The command line is too long",
            Self::CommandTooBig => "The command is too big",
            Self::TooManyLiterals => "The command has too many literals",
            Self::LiteralSize => "The size of the literal is beyond 9223372036854775807",
            Self::Nul => "A command line cannot contain NUL",
            Self::BareCr => "A command line cannot contain CR except at its end",
            Self::Endless => "Too much of a refused command",
        })
    }
}

#[derive(Debug, Default)]
enum State {
    /// Collecting a line.
    #[default]
    Line,
    /// Waiting for accept, stream or refuse.
    Announced(LiteralHead),
    /// `accept` found the literal beyond the limits.
    TooMuch(LiteralHead, RefusalReason),
    /// So many octets of a literal that is held in memory are to come.
    Literal(u64),
    /// So many octets of a streamed literal are to come.
    Streaming(u64),
    /// Dropping a refused command: first so many octets of a literal, then its line. `command` holds the end of that line.
    Draining(u64),
    /// Dropped too much: nothing is read any more. Whether it was reported already.
    Dead(bool),
}

/// Octets of a dropped line that are remembered, to see whether it announces a literal: the longest marker without
/// leading zeros has 23, and CR.
const TAIL_BYTES: usize = 32;

/// The state of one connection's input. While nothing of a command has arrived it holds no memory.
#[derive(Debug)]
pub struct Framer {
    limits: FrameLimits,
    state: State,
    /// The command so far; after a streamed literal, what follows it.
    command: Vec<u8>,
    /// Where the current line begins in `command`.
    line_start: usize,
    /// Octets of lines in `command`.
    line_bytes: usize,
    /// Literals in `command`.
    literals: usize,
    /// Whether `command` begins after a streamed literal and so has no tag.
    tail: bool,
    /// Octets dropped since the last refusal.
    dropped: u64,
}

impl Framer {
    /// A framer that waits for a command.
    pub const fn new(limits: FrameLimits) -> Self {
        Self {
            limits,
            state: State::Line,
            command: Vec::new(),
            line_start: 0,
            line_bytes: 0,
            literals: 0,
            tail: false,
            dropped: 0,
        }
    }

    /// From now on these limits hold, also for the command that is arriving.
    pub fn set_limits(&mut self, limits: FrameLimits) {
        self.limits = limits;
    }

    /// The octets of the command so far, literals inline: `a1 LOGIN {3}\r\nbob {4}\r\n`. After a streamed literal only
    /// what came since.
    pub fn head(&self) -> &[u8] {
        &self.command
    }

    /// Whether nothing of a command has arrived: no deadline runs for its rest.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Line) && self.command.is_empty() && !self.tail
    }

    /// Whether a literal is being streamed.
    pub fn is_streaming(&self) -> bool {
        matches!(self.state, State::Streaming(_))
    }

    /// Takes what it consumes from the front of `input`. `None`: more octets are needed, or a literal waits for a decision.
    pub fn next(&mut self, input: &mut Input) -> Option<Frame> {
        loop {
            match &mut self.state {
                State::Announced(_) => return None,
                State::Dead(reported) => {
                    input.clear();
                    let refusal = Refusal { tag: None, reason: RefusalReason::Endless };
                    return (!std::mem::replace(reported, true)).then_some(Frame::Refused(refusal));
                }
                State::TooMuch(literal, reason) => {
                    let (literal, reason) = (*literal, *reason);
                    return Some(self.refused(reason, Some(literal)));
                }
                State::Streaming(0) => {
                    self.state = State::Line;
                    return Some(Frame::DataEnd);
                }
                State::Literal(0) => {
                    self.state = State::Line;
                    self.line_start = self.command.len();
                }
                _ if input.is_empty() => return None,
                State::Streaming(left) => {
                    let count = clamp(*left).min(input.len()).min(limits::MESSAGE_CHUNK_BYTES);
                    *left -= count as u64;
                    return Some(Frame::Data(input.take(count)));
                }
                State::Literal(left) => {
                    let count = clamp(*left).min(input.len());
                    *left -= count as u64;
                    self.command.extend_from_slice(input.as_slice().get(..count).unwrap_or_default());
                    input.consume(count);
                }
                State::Draining(_) => self.drain(input),
                State::Line => {
                    if let Some(frame) = self.line(input) {
                        return Some(frame);
                    }
                }
            }
        }
    }

    /// Lets the announced literal become part of the command. `false` if it would cross a limit: then the command is
    /// dropped, no continuation may be sent, and `next` gives the refusal.
    #[must_use = "a continuation must not be sent for a literal that crosses a limit"]
    pub fn accept(&mut self) -> bool {
        let State::Announced(literal) = self.state else { return false };
        let room = self.limits.command_bytes.saturating_sub(self.command.len());
        let reason = if self.literals >= self.limits.literals {
            RefusalReason::TooManyLiterals
        } else if literal.size > room as u64 {
            RefusalReason::CommandTooBig
        } else {
            self.literals += 1;
            self.state = State::Literal(literal.size);
            return true;
        };
        self.state = State::TooMuch(literal, reason);
        false
    }

    /// Lets the announced literal come as [`Frame::Data`] and [`Frame::DataEnd`]; what came before it is forgotten.
    pub fn stream(&mut self) {
        if let State::Announced(literal) = self.state {
            self.forget();
            self.tail = true;
            self.state = State::Streaming(literal.size);
        }
    }

    /// Gives the command up. Of a synchronizing literal nothing follows, since the client waits for our answer and sees
    /// NO or BAD (RFC 9051 §4.3); of any other, and of one that is being streamed, the octets and the rest of the
    /// command are dropped.
    pub fn refuse(&mut self) {
        match self.state {
            State::Announced(literal) => self.give_up(Some(literal)),
            State::Streaming(left) => {
                self.forget();
                // These octets were agreed upon, so they don't count as dropped.
                self.state = State::Draining(left);
            }
            _ => {}
        }
    }

    /// Takes a line or a piece of one.
    fn line(&mut self, input: &mut Input) -> Option<Frame> {
        let octets = input.as_slice();
        // Only what is new is searched: what came before has moved to `command`.
        let end = memchr(b'\n', octets);
        let count = end.map_or(octets.len(), |at| at + 1);
        let piece = octets.get(..count).unwrap_or_default();
        // The limit that is nearer is the one that is crossed first, however the line was cut.
        let line_room = self.limits.line_bytes.saturating_sub(self.line_bytes);
        let command_room = self.limits.command_bytes.saturating_sub(self.command.len());
        if count > line_room.min(command_room) {
            let too_long = line_room <= command_room;
            let reason = if too_long { RefusalReason::LineTooLong } else { RefusalReason::CommandTooBig };
            return Some(self.refuse_line(reason, count.min(self.limits.line_bytes), input));
        }
        self.line_bytes += count;
        self.command.extend_from_slice(piece);
        input.consume(count);
        end?;
        self.line_is_complete()
    }

    /// The line crosses a limit; what of it is still in `input` is left to be dropped from there.
    fn refuse_line(&mut self, reason: RefusalReason, look: usize, input: &Input) -> Frame {
        let line_start = self.line_start;
        let arrived = self.command.len();
        self.command.extend_from_slice(input.as_slice().get(..look).unwrap_or_default());
        self.command.truncate(self.limits.line_bytes.max(arrived));
        // Without its space a tag may be cut.
        let tag = memchr(b' ', &self.command).and_then(|_| self.tag());
        self.command.truncate(arrived);
        let line = self.command.split_off(line_start.min(arrived));
        self.give_up(None);
        self.dropped = line.len() as u64;
        self.command = line.get(line.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default().to_vec();
        self.state = State::Draining(0);
        Frame::Refused(Refusal { tag, reason })
    }

    fn line_is_complete(&mut self) -> Option<Frame> {
        let line = without_line_end(self.command.get(self.line_start..).unwrap_or_default());
        let literal = announced(line);
        if let Some(at) = memchr2(0, b'\r', line) {
            let reason = if line.get(at) == Some(&0) { RefusalReason::Nul } else { RefusalReason::BareCr };
            return Some(self.refused(reason, literal));
        }
        match literal {
            Some(literal) if literal.size > i64::MAX as u64 => {
                Some(self.refused(RefusalReason::LiteralSize, Some(literal)))
            }
            Some(literal) => {
                self.state = State::Announced(literal);
                Some(Frame::Literal(literal))
            }
            None => {
                let end = self.line_start + line.len();
                let mut command = std::mem::take(&mut self.command);
                command.truncate(end);
                self.forget();
                Some(Frame::Command(command))
            }
        }
    }

    fn refused(&mut self, reason: RefusalReason, literal: Option<LiteralHead>) -> Frame {
        let tag = self.tag();
        self.give_up(literal);
        Frame::Refused(Refusal { tag, reason })
    }

    /// The line of the command is consumed; what `literal` announces, and all after it, is to be dropped.
    fn give_up(&mut self, literal: Option<LiteralHead>) {
        self.forget();
        self.dropped = 0;
        if let Some(literal) = literal {
            self.drop_literal(literal);
        }
    }

    fn drop_literal(&mut self, literal: LiteralHead) {
        if literal.synchronizing {
            self.forget();
            return;
        }
        self.dropped = self.dropped.saturating_add(literal.size);
        let endless = self.dropped > self.limits.dropped_bytes;
        self.state = if endless { State::Dead(false) } else { State::Draining(literal.size) };
    }

    /// Drops octets of a refused command, in constant memory.
    fn drain(&mut self, input: &mut Input) {
        let State::Draining(left) = &mut self.state else { return };
        let count = clamp(*left).min(input.len());
        *left -= count as u64;
        input.consume(count);
        if *left > 0 || input.is_empty() {
            return;
        }
        let octets = input.as_slice();
        let end = memchr(b'\n', octets);
        let count = end.map_or(octets.len(), |at| at + 1);
        let piece = octets.get(..count).unwrap_or_default();
        self.command.extend_from_slice(piece.get(count.saturating_sub(TAIL_BYTES)..).unwrap_or_default());
        self.command.drain(..self.command.len().saturating_sub(TAIL_BYTES));
        input.consume(count);
        self.dropped = self.dropped.saturating_add(count as u64);
        if self.dropped > self.limits.dropped_bytes {
            self.forget();
            self.state = State::Dead(false);
        } else if end.is_some() {
            let cut = self.command.len() == TAIL_BYTES;
            let line = without_line_end(&self.command);
            let literal = announced(line);
            let endless = cut && line.strip_suffix(b"+}").is_some_and(|l| l.iter().all(u8::is_ascii_digit));
            self.forget();
            if endless {
                self.state = State::Dead(false);
            }
            // Of a synchronizing literal nothing follows: the client sees that the command is answered already.
            if let Some(literal) = literal {
                self.drop_literal(literal);
            }
        }
    }

    /// Waits for a new command, holding nothing.
    fn forget(&mut self) {
        self.command = Vec::new();
        (self.line_start, self.line_bytes, self.literals) = (0, 0, 0);
        self.tail = false;
        self.state = State::Line;
    }

    fn tag(&self) -> Option<Tag> {
        if self.tail { None } else { tag_of(&self.command) }
    }
}

fn clamp(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The literal that a line without its line end announces (RFC 9051 §4.3, RFC 7888 §3). A size that does not fit is
/// given as 2^64-1.
fn announced(line: &[u8]) -> Option<LiteralHead> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, synchronizing) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let digits = inner.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, digits) = inner.split_at_checked(inner.len() - digits)?;
    let before = before.strip_suffix(b"{")?;
    if digits.is_empty() {
        return None;
    }
    let size = digits.iter().try_fold(0u64, |n, b| n.checked_mul(10)?.checked_add(u64::from(b - b'0')));
    Some(LiteralHead { size: size.unwrap_or(u64::MAX), synchronizing, literal8: before.ends_with(b"~") })
}

#[cfg(test)]
mod tests;
