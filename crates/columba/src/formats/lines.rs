//! Lines changed on the way between files and the store: their ends, and the quoting of `From ` in an mbox. All of it
//! takes chunks of any size.

use memchr::memchr;

/// What happens to line ends when messages come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum LineEnds {
    /// A message whose first line ends in a bare LF is a Unix file: every bare LF becomes CRLF, as IMAP wants lines
    /// to end (RFC 9051 §4.3, RFC 5322 §2.3). Any other message is kept as it is.
    #[default]
    Crlf,
    /// Every octet is kept.
    Keep,
}

/// Undoes mboxrd quoting: a line of one or more `>` and `From ` loses one `>`.
#[derive(Debug, Default)]
pub(super) struct Unquote(LineStart);

/// Does mboxrd quoting: a line of any number of `>` and `From ` gets one more.
#[derive(Debug, Default)]
pub(super) struct Quote(LineStart);

const FROM: &[u8] = b"From ";

/// How much of `>*From ` has been seen since the beginning of the line. What was seen is not yet written.
#[derive(Clone, Copy, Debug)]
enum LineStart {
    /// That many `>`, then that many octets of `From `.
    Matching { quotes: usize, matched: usize },
    /// Somewhere in a line.
    Within,
}

impl Default for LineStart {
    fn default() -> Self {
        Self::Matching { quotes: 0, matched: 0 }
    }
}

impl LineStart {
    /// Takes octets; `quotes_of` says how many `>` to write for a line that had so many.
    fn feed(&mut self, mut chunk: &[u8], quotes_of: fn(usize) -> usize, out: &mut Vec<u8>) {
        while let Some(&octet) = chunk.first() {
            match self {
                Self::Within => {
                    let end = memchr(b'\n', chunk).map_or(chunk.len(), |at| at + 1);
                    let (line, rest) = chunk.split_at(end);
                    out.extend_from_slice(line);
                    if line.ends_with(b"\n") {
                        *self = Self::default();
                    }
                    chunk = rest;
                    continue;
                }
                Self::Matching { quotes, matched: 0 } if octet == b'>' => *quotes += 1,
                Self::Matching { quotes, matched } if FROM.get(*matched) == Some(&octet) => {
                    *matched += 1;
                    if *matched == FROM.len() {
                        write_start(quotes_of(*quotes), *matched, out);
                        *self = Self::Within;
                    }
                }
                Self::Matching { quotes, matched } => {
                    write_start(*quotes, *matched, out);
                    *self = Self::Within;
                    continue;
                }
            }
            chunk = chunk.get(1..).unwrap_or_default();
        }
    }

    fn finish(self, out: &mut Vec<u8>) {
        if let Self::Matching { quotes, matched } = self {
            write_start(quotes, matched, out);
        }
    }
}

fn write_start(quotes: usize, matched: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + quotes, b'>');
    out.extend_from_slice(FROM.get(..matched).unwrap_or_default());
}

impl Unquote {
    pub(super) fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.0.feed(chunk, |quotes| quotes.saturating_sub(1), out);
    }

    pub(super) fn finish(self, out: &mut Vec<u8>) {
        self.0.finish(out);
    }
}

impl Quote {
    pub(super) fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.0.feed(chunk, |quotes| quotes + 1, out);
    }

    pub(super) fn finish(self, out: &mut Vec<u8>) {
        self.0.finish(out);
    }
}

/// Makes every CRLF an LF; a CR elsewhere stays.
#[derive(Debug, Default)]
pub(crate) struct LfLines {
    held_cr: bool,
}

impl LfLines {
    pub(crate) fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        for line in chunk.split_inclusive(|octet| *octet == b'\n') {
            if std::mem::take(&mut self.held_cr) && line != b"\n" {
                out.push(b'\r');
            }
            if let Some(text) = line.strip_suffix(b"\r\n") {
                out.extend_from_slice(text);
                out.push(b'\n');
            } else if let Some(text) = line.strip_suffix(b"\r") {
                out.extend_from_slice(text);
                self.held_cr = true;
            } else {
                out.extend_from_slice(line);
            }
        }
    }

    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        if self.held_cr {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_chunks(text: &[u8], cut: usize, mut feed: impl FnMut(&[u8], &mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        text.chunks(cut.max(1)).for_each(|chunk| feed(chunk, &mut out));
        out
    }

    fn quote(text: &[u8], cut: usize) -> Vec<u8> {
        let mut quote = Quote::default();
        let mut out = in_chunks(text, cut, |chunk, out| quote.feed(chunk, out));
        quote.finish(&mut out);
        out
    }

    fn unquote(text: &[u8], cut: usize) -> Vec<u8> {
        let mut unquote = Unquote::default();
        let mut out = in_chunks(text, cut, |chunk, out| unquote.feed(chunk, out));
        unquote.finish(&mut out);
        out
    }

    fn lf(text: &[u8], cut: usize) -> Vec<u8> {
        let mut lines = LfLines::default();
        let mut out = in_chunks(text, cut, |chunk, out| lines.feed(chunk, out));
        lines.finish(&mut out);
        out
    }

    #[test]
    fn from_lines_are_quoted_and_nothing_else() {
        assert_eq!(quote(b"From a\n>From b\nxFrom c\nFrom\n>>x\n", 3), b">From a\n>>From b\nxFrom c\nFrom\n>>x\n");
        assert_eq!(unquote(b"From a\n>From b\n>> From c\n>Fro", 2), b"From a\nFrom b\n>> From c\n>Fro");
    }

    #[test]
    fn crlf_becomes_lf_and_a_lone_cr_stays() {
        assert_eq!(lf(b"a\r\nb\rc\r\r\nd\n\r", 1), b"a\nb\rc\r\nd\n\r");
    }

    proptest! {
        #[test]
        fn quoting_is_undone_however_it_is_cut(text in "[>From \nx]{0,60}", a in 1usize..9, b in 1usize..9) {
            prop_assert_eq!(unquote(&quote(text.as_bytes(), a), b), text.as_bytes());
            prop_assert_eq!(quote(text.as_bytes(), a), quote(text.as_bytes(), 1000));
        }

        #[test]
        fn line_ends_do_not_depend_on_chunks(text in "[\r\nx]{0,40}", cut in 1usize..9) {
            prop_assert_eq!(lf(text.as_bytes(), cut), lf(text.as_bytes(), 1000));
            prop_assert_eq!(lf(text.as_bytes(), cut), text.replace("\r\n", "\n").into_bytes());
        }
    }
}
