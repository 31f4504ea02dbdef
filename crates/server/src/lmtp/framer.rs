//! Octets into command lines, the unstuffed octets of DATA, and the chunks of BDAT. Pure: the same pieces come out
//! however the network cut the octets. It knows no command.

use columba_types::limits::LMTP_LINE_BYTES;
use memchr::memchr;

/// One piece of what the client sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// A command line without its end.
    Line(Vec<u8>),
    /// A line longer than [`LMTP_LINE_BYTES`]; all of it was dropped.
    LineTooLong,
    /// Octets of the message; never empty.
    Body(Vec<u8>),
    /// The message (DATA) or the chunk (BDAT) is complete; the next is a command line.
    BodyEnd,
}

/// What the next octets are.
#[derive(Debug, Default)]
enum Expecting {
    #[default]
    Line,
    /// The rest of a line that is too long.
    RestOfLine,
    Data(DataState),
    Chunk {
        left: u64,
    },
}

/// Where in DATA we are (RFC 5321 §4.5.2). Only CR LF ends a line: a bare LF or CR before a dot ends nothing, or one
/// message could smuggle in another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DataState {
    LineStart,
    Dot,
    DotCr,
    Within,
    Cr,
}

#[derive(Debug, Default)]
pub(crate) struct Framer {
    expecting: Expecting,
    line: Vec<u8>,
}

impl Framer {
    /// What follows is a message that ends with a line of one dot.
    pub(crate) fn begin_data(&mut self) {
        self.expecting = Expecting::Data(DataState::LineStart);
    }

    /// What follows is a chunk of just so many octets (RFC 3030 §2).
    pub(crate) fn begin_chunk(&mut self, octets: u64) {
        self.expecting = Expecting::Chunk { left: octets };
    }

    /// Whether a command is to come and nothing of it has.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.expecting, Expecting::Line) && self.line.is_empty()
    }

    /// The next piece; `None` when all of `input` was taken and more is needed.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Option<Event> {
        match self.expecting {
            Expecting::Line | Expecting::RestOfLine => self.line(input),
            Expecting::Data(state) => self.data(state, input),
            Expecting::Chunk { left } => self.chunk(left, input),
        }
    }

    fn line(&mut self, input: &mut &[u8]) -> Option<Event> {
        let (piece, complete) = match memchr(b'\n', input) {
            Some(at) => (&input[..at], true),
            None => (*input, false),
        };
        *input = &input[piece.len() + usize::from(complete)..];
        if matches!(self.expecting, Expecting::Line) {
            if self.line.len() + piece.len() > LMTP_LINE_BYTES {
                self.line = Vec::new();
                self.expecting = Expecting::RestOfLine;
            } else {
                self.line.extend_from_slice(piece);
            }
        }
        if !complete {
            return None;
        }
        if matches!(std::mem::take(&mut self.expecting), Expecting::RestOfLine) {
            return Some(Event::LineTooLong);
        }
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(Event::Line(line))
    }

    fn chunk(&mut self, left: u64, input: &mut &[u8]) -> Option<Event> {
        if left == 0 {
            self.expecting = Expecting::Line;
            return Some(Event::BodyEnd);
        }
        if input.is_empty() {
            return None;
        }
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let (piece, rest) = input.split_at(now);
        *input = rest;
        self.expecting = Expecting::Chunk { left: left - now as u64 };
        Some(Event::Body(piece.to_vec()))
    }

    fn data(&mut self, mut state: DataState, input: &mut &[u8]) -> Option<Event> {
        use DataState::{Cr, Dot, DotCr, LineStart, Within};
        let mut body = Vec::with_capacity(input.len());
        while let Some((&octet, rest)) = input.split_first() {
            if state == Within {
                // Most octets: nothing happens before the next CR.
                let upto = memchr(b'\r', input).unwrap_or(input.len());
                body.extend_from_slice(&input[..upto]);
                *input = &input[upto..];
                if let Some((_, rest)) = input.split_first() {
                    body.push(b'\r');
                    *input = rest;
                    state = Cr;
                }
                continue;
            }
            if state == DotCr && octet == b'\n' {
                if body.is_empty() {
                    *input = rest;
                    self.expecting = Expecting::Line;
                    return Some(Event::BodyEnd);
                }
                // First what came before; the LF is looked at again.
                break;
            }
            if state == DotCr {
                // The dot was stuffing, the CR is text; this octet is looked at again.
                body.push(b'\r');
                state = Cr;
                continue;
            }
            *input = rest;
            state = match (state, octet) {
                (LineStart, b'.') => Dot,
                (Dot, b'\r') => DotCr,
                (LineStart | Cr, b'\r') => Cr,
                (Cr, b'\n') => LineStart,
                _ => Within,
            };
            if !matches!(state, Dot | DotCr) {
                body.push(octet);
            }
        }
        self.expecting = Expecting::Data(state);
        (!body.is_empty()).then_some(Event::Body(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All events of `pieces`, adjoining bodies joined; DATA and `BDAT n` lines switch as the server would.
    fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
        let (mut framer, mut events) = (Framer::default(), Vec::new());
        for mut piece in pieces {
            while let Some(event) = framer.next(&mut piece) {
                if let Event::Line(line) = &event {
                    if line == b"DATA" {
                        framer.begin_data();
                    } else if let Some(n) = line.strip_prefix(b"BDAT ") {
                        framer.begin_chunk(std::str::from_utf8(n).unwrap().parse().unwrap());
                    }
                }
                match (events.last_mut(), event) {
                    (Some(Event::Body(sofar)), Event::Body(more)) => sofar.extend_from_slice(&more),
                    (_, event) => events.push(event),
                }
            }
            assert!(piece.is_empty());
        }
        events
    }

    fn body(text: &[u8]) -> Option<Vec<u8>> {
        match events([b"DATA\r\n", text]).as_slice() {
            [_, Event::Body(body), Event::BodyEnd] => Some(body.clone()),
            [_, Event::BodyEnd] => Some(Vec::new()),
            _ => None,
        }
    }

    // RFC 5321 §4.5.2: transparency.
    #[test]
    fn dots_are_unstuffed_and_one_alone_ends() {
        assert_eq!(body(b".\r\n").unwrap(), b"");
        assert_eq!(body(b"a\r\n.\r\n").unwrap(), b"a\r\n");
        assert_eq!(body(b"..a\r\n...\r\n.\r\n").unwrap(), b".a\r\n..\r\n");
        assert_eq!(body(b".a\r\n.\r\n").unwrap(), b"a\r\n");
        assert_eq!(body(b"a.\r\n\r\n.\r\n").unwrap(), b"a.\r\n\r\n");
    }

    // Smuggling: only CRLF . CRLF ends a message.
    #[test]
    fn bare_line_ends_end_nothing() {
        for text in [&b"a\n.\n"[..], b"a\n.\r\n", b"a\r\n.\n", b"a\r.\r", b"a\r\n.\r\r\n", b"a\r.\r\n"] {
            assert_eq!(body(text), None, "{:?}", String::from_utf8_lossy(text));
        }
        assert_eq!(body(b"a\n.\nb\r\n.\r\n").unwrap(), b"a\n.\nb\r\n");
        assert_eq!(body(b"a\r\n.\rb\r\n.\r\n").unwrap(), b"a\r\n\rb\r\n");
        assert_eq!(body(b".\r\r\n.\r\n").unwrap(), b"\r\r\n");
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_whole() {
        let long = [&vec![b'x'; LMTP_LINE_BYTES + 1][..], b"\r\nNOOP\n"].concat();
        assert_eq!(events([&long[..]]), [Event::LineTooLong, Event::Line(b"NOOP".to_vec())]);
        let fits = [&vec![b'x'; LMTP_LINE_BYTES - 1][..], b"\r\n"].concat();
        assert!(matches!(events([&fits[..]])[..], [Event::Line(_)]));
    }

    #[test]
    fn chunks_are_exact() {
        let seen = events([&b"BDAT 5\r\nab\r\n.NOOP\r\nBDAT 0\r\n"[..]]);
        assert_eq!(
            seen,
            [
                Event::Line(b"BDAT 5".to_vec()),
                Event::Body(b"ab\r\n.".to_vec()),
                Event::BodyEnd,
                Event::Line(b"NOOP".to_vec()),
                Event::Line(b"BDAT 0".to_vec()),
                Event::BodyEnd
            ]
        );
    }

    fn conversation() -> impl Strategy<Value = Vec<u8>> {
        let text = proptest::collection::vec(proptest::sample::select(b"a.\r\n".to_vec()), 0..20);
        let chunk = text.clone().prop_map(|text| [format!("BDAT {}\r\n", text.len()).as_bytes(), &text].concat());
        let data = text.prop_map(|text| [b"DATA\r\n", &text[..], b"\r\n.\r\n"].concat());
        let line = Just(b"NOOP\r\n".to_vec());
        proptest::collection::vec(prop_oneof![chunk, data, line], 0..5).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn the_cuts_of_the_network_change_nothing(octets in conversation(), cuts in proptest::collection::vec(0usize..150, 0..8)) {
            let mut at: Vec<_> = cuts.into_iter().map(|cut| cut.min(octets.len())).collect();
            at.extend([0, octets.len()]);
            at.sort_unstable();
            let pieces = at.windows(2).map(|w| &octets[w[0]..w[1]]);
            prop_assert_eq!(events(pieces), events([&octets[..]]));
            prop_assert_eq!(events(octets.chunks(1)), events([&octets[..]]));
        }

        #[test]
        fn what_was_stuffed_comes_out_as_it_was(lines in proptest::collection::vec("[a.]{0,4}", 0..6)) {
            let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let stuffed: String = lines.iter().map(|line| {
                let dot = if line.starts_with('.') { "." } else { "" };
                format!("{dot}{line}\r\n")
            }).collect();
            prop_assert_eq!(body(format!("{stuffed}.\r\n").as_bytes()).unwrap(), text.as_bytes());
        }
    }
}
