//! The structure of a message, found in one pass over its octets in chunks of any size.
//!
//! Decisions where the RFCs are silent:
//! - A header goes on to the first blank line; lines in it that are no field are passed over. But where the very first
//!   line is no field there is no header at all, and the body begins with that line.
//! - A boundary line inside a header ends the header and the part; any line of `--` that is no field ends the header.
//! - A multipart without a usable boundary is an opaque text. One whose boundary never comes has one part, a text that is
//!   all of its body; one that ends before its first part has one empty text.
//! - A message/rfc822 in base64 or quoted-printable, which RFC 2046 §5.2.1 forbids, is a leaf.

use std::ops::Range;

use columba_types::limits::{HEADER_BLOCK_BYTES, MIME_BOUNDARY_BYTES, MIME_DEPTH, MIME_PARTS, STRUCTURE_BYTES};
use memchr::{memchr, memchr_iter, memmem};

use crate::boundary::{Boundaries, Delimiter};
use crate::content::{Content, Header};
use crate::decode::TransferEncoding;
use crate::envelope::EnvelopeFields;
use crate::header::{is_blank, name_length};

/// What a part is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// Text, an image, anything that is not looked into.
    Leaf,
    /// `multipart/*`: its children are parts of their own, and there is at least one.
    Multipart,
    /// `message/rfc822` or `message/global`: its one child is the message inside, with that message's own header.
    Message,
}

/// One part: the message itself, a part of a multipart, or the message inside a `message/rfc822`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Index of the part this one lies in; `None` for the message itself. Always lower than the part's own index.
    pub parent: Option<u32>,
    /// What it is made of.
    pub kind: Kind,
    /// Octets of the header in the message, with the blank line that ends it.
    pub header: Range<u64>,
    /// Octets of the body in the message; it begins where the header ends. The line end before a boundary is not in it.
    pub body: Range<u64>,
    /// Line ends (LF) in the body.
    pub lines: u64,
    /// The parsed Content-* fields.
    pub content: Content,
    /// Address and other fields for ENVELOPE: of the message itself and of messages inside, else `None`.
    pub envelope: Option<Box<EnvelopeFields>>,
}

/// A whole message taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Structure {
    /// Octets of the message.
    pub size: u64,
    /// Parts, depth first; the first is the message itself, and there always is one.
    pub parts: Vec<Part>,
}

/// Takes a message apart that is held whole.
pub fn walk(octets: &[u8]) -> Structure {
    let mut walker = Walker::new();
    walker.feed(octets);
    walker.finish()
}

/// Octets of a line that are looked at to find out what it is: a boundary, or a field's name, which is shorter.
const LINE_BYTES: usize = MIME_BOUNDARY_BYTES + 64;

/// Takes a message apart as it arrives. Holds one header block and the beginning of one line, never a body.
#[derive(Debug)]
pub struct Walker {
    parts: Vec<Part>,
    /// Parts that have not ended, outermost first; each is the parent of the next.
    open: Vec<Open>,
    boundaries: Boundaries,
    state: State,
    /// Octets taken so far.
    at: u64,
    /// LFs among them.
    lines: u64,
    /// The two octets before `at`, the older one first.
    last: [u8; 2],
    line: Line,
    /// The header block being read.
    block: Vec<u8>,
    /// Octets of header fields kept in `parts`.
    held: usize,
    line_finder: memmem::Finder<'static>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// In the header of the innermost open part.
    Header,
    /// In a body, at the start of a line that may be a boundary.
    LineStart,
    /// In a body, within a line that is no boundary.
    InLine,
    /// In what is left of a boundary line; after it a part begins (`true`) or an epilogue.
    Skip(bool),
}

/// A part that has not ended.
#[derive(Debug)]
struct Open {
    part: u32,
    /// LFs before its body.
    lines_before: u64,
    /// Whether it has a child by now.
    has_child: bool,
}

/// The beginning of the line being read, where it may be a boundary or a header line.
#[derive(Debug, Default)]
struct Line {
    start: u64,
    /// LFs before it.
    lines_before: u64,
    /// Octets of the line end before it.
    end_before: u64,
    /// Its first octets, `LINE_BYTES` at most.
    head: Vec<u8>,
}

impl Default for Walker {
    fn default() -> Self {
        Self::new()
    }
}

impl Walker {
    /// Before the first octet.
    pub fn new() -> Self {
        let mut walker = Self {
            parts: Vec::new(),
            open: Vec::new(),
            boundaries: Boundaries::default(),
            state: State::Header,
            at: 0,
            lines: 0,
            last: [0; 2],
            line: Line::default(),
            block: Vec::new(),
            held: 0,
            line_finder: memmem::Finder::new(b"\n--"),
        };
        walker.begin_part();
        walker
    }

    /// The next octets of the message.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let taken = match self.state {
                State::Header => self.feed_header(rest),
                State::LineStart => self.feed_line_start(rest),
                State::InLine => self.feed_in_line(rest),
                State::Skip(begins) => self.feed_skip(rest, begins),
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// The end of the message.
    pub fn finish(mut self) -> Structure {
        match self.state {
            State::Header if self.line.head.is_empty() => {}
            State::Header => self.header_line(),
            State::LineStart => self.body_line(),
            State::InLine | State::Skip(_) => {}
        }
        // A header may be open still, or the one of a message inside, once the header around it has ended.
        while self.state == State::Header || self.state == State::Skip(true) {
            if self.state == State::Skip(true) {
                self.begin_part();
            }
            self.end_header(self.at);
        }
        self.close_from(0, self.at, self.lines);
        Structure { size: self.at, parts: self.parts }
    }

    /// Counts octets as taken.
    fn take(&mut self, octets: &[u8]) {
        self.at += octets.len() as u64;
        self.lines += memchr_iter(b'\n', octets).count() as u64;
        match octets {
            [.., a, b] => self.last = [*a, *b],
            [b] => self.last = [self.last[1], *b],
            [] => {}
        }
    }

    /// Notes that a line begins here.
    fn begin_line(&mut self) {
        let end_before = match self.last {
            [b'\r', b'\n'] => 2,
            [_, b'\n'] => 1,
            _ => 0,
        };
        self.line.head.clear();
        self.line.start = self.at;
        self.line.lines_before = self.lines;
        self.line.end_before = end_before;
    }

    /// Adds octets to the head of the line being read, as far as it is looked at.
    fn extend_head(&mut self, octets: &[u8]) {
        let room = LINE_BYTES - self.line.head.len().min(LINE_BYTES);
        self.line.head.extend_from_slice(octets.get(..octets.len().min(room)).unwrap_or_default());
    }

    fn feed_header(&mut self, rest: &[u8]) -> usize {
        let plain = if self.line.start == self.at { self.plain_lines(rest) } else { 0 };
        let end = if plain > 0 { plain } else { memchr(b'\n', rest).map_or(rest.len(), |at| at + 1) };
        let piece = rest.get(..end).unwrap_or_default();
        let room = HEADER_BLOCK_BYTES.saturating_sub(self.block.len());
        self.block.extend_from_slice(piece.get(..piece.len().min(room)).unwrap_or_default());
        if plain > 0 {
            self.take(piece);
            self.begin_line();
            return end;
        }
        self.extend_head(piece);
        self.take(piece);
        if piece.ends_with(b"\n") {
            self.header_line();
        }
        end
    }

    /// Octets of the whole lines at the start of `rest` that go on with a header whatever they say: the quick road.
    fn plain_lines(&self, rest: &[u8]) -> usize {
        if self.innermost().is_none_or(|part| part.header.start == self.line.start) {
            return 0;
        }
        let mut end = 0;
        for line_end in memchr_iter(b'\n', rest) {
            match rest.get(end..=line_end) {
                None | Some([b'-', b'-', ..] | [b'\n'] | [b'\r', b'\n']) => break,
                Some(_) => end = line_end + 1,
            }
        }
        end
    }

    /// A header line is complete, or the message has ended in it.
    fn header_line(&mut self) {
        let line = std::mem::take(&mut self.line.head);
        let complete = line.ends_with(b"\n");
        let hyphens = line.starts_with(b"--");
        let is_delimiter = hyphens && self.boundaries.find(without_line_end(&line)).is_some();
        let first = self.innermost().is_some_and(|part| part.header.start == self.line.start);
        if is_blank(&line) {
            self.end_header(self.at);
        } else if is_delimiter || ((hyphens || first) && !begins_header(&line)) {
            let length = (self.at - self.line.start) as usize;
            self.block.truncate(self.block.len().saturating_sub(length));
            self.end_headers_at_line_start();
            self.line_in_body(&line, complete);
        } else {
            self.begin_line();
        }
        self.reuse_head(line);
    }

    /// Ends the header where the line begins that has just been read, and any header that begins there.
    fn end_headers_at_line_start(&mut self) {
        self.state = State::Header;
        while self.state == State::Header {
            self.end_header(self.line.start);
        }
    }

    /// The header of the innermost part ends at `end`; its kind shows, and what follows begins.
    fn end_header(&mut self, end: u64) {
        self.state = self.in_body();
        let level = self.open.len().saturating_sub(1);
        let lines = if end == self.at { self.lines } else { self.line.lines_before };
        let in_digest = self.parent_is_digest(level);
        let room = self.parts.len() < MIME_PARTS && self.open.len() < MIME_DEPTH;
        let Some(part) = self.open.last().and_then(|open| self.parts.get_mut(open.part as usize)) else { return };
        let mut header = Header::parse(&self.block, part.envelope.is_some());
        self.block.clear();
        // RFC 2046 §5.1.5: in a digest a part without a type is a message.
        if in_digest && !header.has_type {
            header.content.media_type = "message".to_owned();
            header.content.subtype = "rfc822".to_owned();
            header.content.parameters.clear();
        }
        part.header.end = end;
        part.body = end..end;
        let encoded = matches!(header.content.encoding, TransferEncoding::Base64 | TransferEncoding::QuotedPrintable);
        part.kind = match header.content.media_type.as_str() {
            "multipart" if room && !header.boundary.is_empty() => Kind::Multipart,
            "message" if room && !encoded && header.content.is_message() => Kind::Message,
            _ => Kind::Leaf,
        };
        self.held += header.content.bytes() + header.envelope.bytes();
        let full = self.held > STRUCTURE_BYTES;
        if full {
            header.content.drop_details();
        }
        if let Some(envelope) = part.envelope.as_mut().filter(|_| !full || level == 0) {
            **envelope = header.envelope;
        }
        part.content = header.content;
        let kind = part.kind;
        if let Some(open) = self.open.last_mut() {
            open.lines_before = lines;
        }
        match kind {
            Kind::Multipart => {
                self.boundaries.open(header.boundary, level);
                self.state = State::LineStart;
            }
            Kind::Message => self.begin_part_at(end),
            Kind::Leaf => {}
        }
        if end == self.at {
            self.begin_line();
        }
    }

    fn parent_is_digest(&self, level: usize) -> bool {
        let parent = level.checked_sub(1).and_then(|at| self.open.get(at));
        let parent = parent.and_then(|open| self.parts.get(open.part as usize));
        parent.is_some_and(|part| part.kind == Kind::Multipart && part.content.subtype == "digest")
    }

    fn innermost(&self) -> Option<&Part> {
        self.open.last().and_then(|open| self.parts.get(open.part as usize))
    }

    fn begin_part(&mut self) {
        self.begin_part_at(self.at);
        self.begin_line();
    }

    /// A part begins, inside the innermost open one.
    fn begin_part_at(&mut self, start: u64) {
        let part = self.new_part(start);
        self.open.push(Open { part, lines_before: 0, has_child: false });
        self.block.clear();
        self.state = State::Header;
    }

    fn new_part(&mut self, start: u64) -> u32 {
        let parent = self.open.last().map(|open| open.part);
        let parent_kind = parent.and_then(|at| self.parts.get(at as usize)).map(|part| part.kind);
        if let Some(open) = self.open.last_mut() {
            open.has_child = true;
        }
        let whole_message = parent_kind.is_none_or(|kind| kind == Kind::Message);
        self.parts.push(Part {
            parent,
            kind: Kind::Leaf,
            header: start..start,
            body: start..start,
            lines: 0,
            content: Content::unread(),
            envelope: whole_message.then(Box::default),
        });
        // `MIME_PARTS` keeps this far below 2^32.
        (self.parts.len() - 1) as u32
    }

    /// Gives the innermost part, a multipart without any part, the one that it must have (RFC 9051 §9 body-type-mpart).
    fn only_text_part(&mut self, body: Range<u64>, lines: u64) {
        let part = self.new_part(body.start);
        if let Some(part) = self.parts.get_mut(part as usize) {
            part.content = Content::default();
            part.body = body;
            part.lines = lines;
        }
    }

    fn feed_line_start(&mut self, rest: &[u8]) -> usize {
        let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let room = LINE_BYTES - self.line.head.len().min(LINE_BYTES);
        let piece = rest.get(..end.min(room)).unwrap_or_default();
        // Most lines show with their first octets that they are no boundary.
        if self.line.head.is_empty() && !self.boundaries.may_begin_line(piece) {
            self.state = State::InLine;
            return 0;
        }
        self.extend_head(piece);
        self.take(piece);
        if piece.ends_with(b"\n") || self.line.head.len() >= LINE_BYTES {
            self.body_line();
        }
        piece.len()
    }

    /// A line in a body is complete, as far as it is looked at, or the message has ended in it.
    fn body_line(&mut self) {
        let line = std::mem::take(&mut self.line.head);
        self.line_in_body(&line, line.ends_with(b"\n"));
        self.reuse_head(line);
    }

    fn line_in_body(&mut self, line: &[u8], complete: bool) {
        match self.boundaries.find(without_line_end(line)) {
            Some(delimiter) => {
                self.delimiter(delimiter);
                self.after_delimiter(complete);
            }
            None if complete => {
                self.state = self.in_body();
                self.begin_line();
            }
            None => self.state = State::InLine,
        }
    }

    /// Keeps the allocation of a line that has been dealt with.
    fn reuse_head(&mut self, mut line: Vec<u8>) {
        line.clear();
        self.line.head = line;
    }

    /// The state at the start of a line of a body.
    fn in_body(&self) -> State {
        if self.boundaries.is_empty() { State::InLine } else { State::LineStart }
    }

    fn feed_in_line(&mut self, rest: &[u8]) -> usize {
        if self.boundaries.is_empty() {
            self.take(rest);
            return rest.len();
        }
        let end = self.possible_delimiter(rest);
        self.take(rest.get(..end).unwrap_or_default());
        if self.last[1] == b'\n' {
            self.begin_line();
            self.state = State::LineStart;
        }
        end
    }

    /// Where in `rest`, which begins within a line, a line begins that may be a delimiter; its length if there is none.
    fn possible_delimiter(&self, rest: &[u8]) -> usize {
        let mut from = 0;
        while let Some(at) = self.line_finder.find(rest.get(from..).unwrap_or_default()) {
            from += at + 1;
            if self.boundaries.may_begin_line(rest.get(from..).unwrap_or_default()) {
                return from;
            }
        }
        // The last octets may be the beginning of one that the next chunk goes on with.
        if rest.ends_with(b"\n-") { rest.len() - 1 } else { rest.len() }
    }

    fn feed_skip(&mut self, rest: &[u8], begins: bool) -> usize {
        let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let piece = rest.get(..end).unwrap_or_default();
        self.take(piece);
        if piece.ends_with(b"\n") {
            self.state = State::Skip(begins);
            self.after_delimiter(true);
        }
        end
    }

    /// The line being read is a boundary: ends what it ends. The state tells what comes after the line.
    fn delimiter(&mut self, delimiter: Delimiter) {
        if !delimiter.closes && self.parts.len() >= MIME_PARTS {
            // Too many parts: all that follows belongs to the last one.
            self.boundaries.clear();
            self.state = State::InLine;
            return;
        }
        // RFC 2046 §5.1.1: the line end before the boundary belongs to the boundary.
        let end = self.line.start - self.line.end_before;
        let lines = self.line.lines_before - u64::from(self.line.end_before > 0);
        self.close_from(delimiter.level + 1, end, lines);
        if delimiter.closes {
            self.boundaries.close_from(delimiter.level);
            if self.open.last().is_some_and(|open| !open.has_child) {
                let end = self.innermost().map_or(end, |part| end.max(part.body.start));
                self.only_text_part(end..end, 0);
            }
        }
        self.state = State::Skip(!delimiter.closes);
    }

    /// Goes on behind a boundary line, if it is complete.
    fn after_delimiter(&mut self, complete: bool) {
        match self.state {
            State::Skip(true) if complete => self.begin_part(),
            State::Skip(false) if complete => {
                self.state = self.in_body();
                self.begin_line();
            }
            _ => {}
        }
    }

    /// Ends all open parts from that level of the stack on, the innermost first.
    fn close_from(&mut self, level: usize, end: u64, lines: u64) {
        let (mut end, mut lines) = (end, lines);
        self.boundaries.close_from(level);
        while self.open.len() > level {
            let childless = self.open.last().is_some_and(|open| !open.has_child);
            let Some(part) = self.innermost() else { return };
            // The line end before a boundary may be the blank line, which is the header's.
            end = end.max(part.body.start);
            if childless && part.kind == Kind::Multipart {
                let lines_before = self.open.last().map_or(lines, |open| open.lines_before);
                self.only_text_part(part.body.start..end, lines.saturating_sub(lines_before));
            }
            let Some(open) = self.open.pop() else { return };
            lines = lines.max(open.lines_before);
            if let Some(part) = self.parts.get_mut(open.part as usize) {
                part.body.end = end;
                part.lines = lines - open.lines_before;
            }
        }
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether the first line of a block is the beginning of a header, the separator line of mbox included.
fn begins_header(line: &[u8]) -> bool {
    name_length(line).is_some() || line.starts_with(b"From ") || line.starts_with(b">From ")
}
