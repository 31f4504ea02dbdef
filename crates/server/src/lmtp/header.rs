//! What final delivery does to the header of a message that passes through: older Return-Path fields go, Received fields
//! are counted. All other octets, and the whole body, stay as they came.

/// The longest beginning of a line that has to be seen to know the field.
const NAME_BYTES: usize = "return-path:".len();

/// Where in the message we are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    LineStart,
    /// Within a line whose field is known.
    Line,
    Body,
}

/// A filter for the octets of one message.
#[derive(Debug)]
pub(crate) struct HeaderFilter {
    at: At,
    /// Beginning of a line while the field is not known; at most [`NAME_BYTES`].
    beginning: Vec<u8>,
    /// Whether the current field is dropped.
    dropping: bool,
    received: usize,
}

impl HeaderFilter {
    pub(crate) fn new() -> Self {
        Self { at: At::LineStart, beginning: Vec::new(), dropping: false, received: 0 }
    }

    /// Received fields so far.
    pub(crate) fn received(&self) -> usize {
        self.received
    }

    /// Whether the header is over: whatever comes is passed on as it is.
    pub(crate) fn is_past(&self) -> bool {
        self.at == At::Body
    }

    /// Passes on the next octets.
    pub(crate) fn feed(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        while let Some((&octet, rest)) = octets.split_first() {
            match self.at {
                At::Body => {
                    out.extend_from_slice(octets);
                    return;
                }
                At::Line => {
                    let end = memchr::memchr(b'\n', octets).map_or(octets.len(), |at| at + 1);
                    let (line, rest) = octets.split_at(end);
                    if !self.dropping {
                        out.extend_from_slice(line);
                    }
                    if line.ends_with(b"\n") {
                        self.at = At::LineStart;
                    }
                    octets = rest;
                }
                At::LineStart => {
                    self.beginning.push(octet);
                    octets = rest;
                    self.look_at_beginning(out);
                }
            }
        }
    }

    /// The message is complete: a beginning that became no field is passed on.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.beginning);
    }

    fn look_at_beginning(&mut self, out: &mut Vec<u8>) {
        let beginning = self.beginning.as_slice();
        match beginning {
            // RFC 5322 §2.2.3: the continuation of the field before.
            [b' ' | b'\t', ..] => {}
            [b'\r'] => return,
            [b'\n'] | [b'\r', b'\n'] => {
                self.at = At::Body;
                return out.append(&mut self.beginning);
            }
            [.., b':' | b'\n'] => {
                let is = |name: &[u8]| beginning.eq_ignore_ascii_case(name);
                self.dropping = is(b"return-path:");
                self.received += usize::from(is(b"received:"));
            }
            _ if beginning.len() < NAME_BYTES => return,
            _ => self.dropping = false,
        }
        self.at = if beginning.ends_with(b"\n") { At::LineStart } else { At::Line };
        match self.dropping {
            true => self.beginning.clear(),
            false => out.append(&mut self.beginning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filtered<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, usize) {
        let (mut filter, mut out) = (HeaderFilter::new(), Vec::new());
        for piece in pieces {
            filter.feed(piece, &mut out);
        }
        filter.finish(&mut out);
        (out, filter.received())
    }

    // RFC 5321 §4.4: final delivery may remove Return-Path fields before adding its own.
    #[test]
    fn only_return_paths_of_the_header_go() {
        let text =
            b"return-PATH: <a@b>\r\n\tfolded\r\nReceived: x\r\n y\r\nReturn-Path-Not: z\r\nX: 1\r\nReturn-Path:\r\n\
            received: y\r\n\r\nReturn-Path: body\r\nReceived: body\r\n";
        let (out, received) = filtered([&text[..]]);
        let expected = b"Received: x\r\n y\r\nReturn-Path-Not: z\r\nX: 1\r\nreceived: y\r\n\r\nReturn-Path: body\r\nReceived: body\r\n";
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(expected));
        assert_eq!(received, 2);
    }

    #[test]
    fn odd_messages_pass_as_they_are() {
        for text in [
            &b""[..],
            b"\r\n",
            b"\n",
            b"no colon",
            b"a\nb\n\nc",
            b"\r\r\n",
            b"x",
            b" folded first\r\n",
            b"Retur",
            b"X:",
        ] {
            assert_eq!(filtered([text]).0, text, "{:?}", String::from_utf8_lossy(text));
        }
        assert_eq!(filtered([&b"Return-Path: <x>"[..]]).0, b"");
    }

    proptest! {
        #[test]
        fn the_cuts_change_nothing(
            parts in proptest::collection::vec(proptest::sample::select(vec![
                "Return-Path:", "Received:", "X: ", "\r\n", "\n", " ", "a", ":", "\r",
            ]), 0..12),
            size in 1usize..9,
        ) {
            let text = parts.concat();
            prop_assert_eq!(filtered(text.as_bytes().chunks(size)), filtered([text.as_bytes()]));
        }

        #[test]
        fn without_return_path_nothing_changes(text in "[aA:R \\r\\n]{0,60}") {
            prop_assert_eq!(filtered([text.as_bytes()]).0, text.as_bytes());
        }
    }
}
