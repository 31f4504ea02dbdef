//! Content-Transfer-Encoding undone, octets in and octets out, in chunks of any size.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::{memchr, memchr2};

use crate::words::hex;

/// A Content-Transfer-Encoding (RFC 2045 §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum TransferEncoding {
    /// 7bit, also when no field says anything.
    #[default]
    SevenBit,
    /// 8bit
    EightBit,
    /// binary
    Binary,
    /// quoted-printable
    QuotedPrintable,
    /// base64
    Base64,
    /// Anything else: BINARY answers NO [UNKNOWN-CTE], search takes the octets as they are.
    Unknown,
}

impl TransferEncoding {
    /// The encoding of that name, in any case.
    pub fn from_name(name: &[u8]) -> Self {
        match name.to_ascii_lowercase().as_slice() {
            b"" | b"7bit" => Self::SevenBit,
            b"8bit" => Self::EightBit,
            b"binary" => Self::Binary,
            b"quoted-printable" => Self::QuotedPrintable,
            b"base64" => Self::Base64,
            _ => Self::Unknown,
        }
    }

    /// The name in BODYSTRUCTURE; `None` for an unknown one.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::SevenBit => Some("7BIT"),
            Self::EightBit => Some("8BIT"),
            Self::Binary => Some("BINARY"),
            Self::QuotedPrintable => Some("QUOTED-PRINTABLE"),
            Self::Base64 => Some("BASE64"),
            Self::Unknown => None,
        }
    }
}

/// Undoes one transfer encoding. Tolerant: what is broken is skipped or kept as it is, and told at the end.
#[derive(Debug)]
pub struct TransferDecoder {
    state: State,
}

#[derive(Debug)]
enum State {
    Identity { known: bool },
    QuotedPrintable(QuotedPrintable),
    Base64(Base64),
}

impl TransferDecoder {
    /// Before the first octet.
    pub fn new(encoding: TransferEncoding) -> Self {
        let state = match encoding {
            TransferEncoding::QuotedPrintable => State::QuotedPrintable(QuotedPrintable::default()),
            TransferEncoding::Base64 => State::Base64(Base64::default()),
            other => State::Identity { known: other != TransferEncoding::Unknown },
        };
        Self { state }
    }

    /// Decodes the next octets onto the end of `out`.
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity { .. } => out.extend_from_slice(chunk),
            State::QuotedPrintable(decoder) => decoder.feed(chunk, out),
            State::Base64(decoder) => decoder.feed(chunk, out),
        }
    }

    /// Decodes what was held back onto `out`; `true` if the whole text was well formed, and the encoding known.
    pub fn finish(self, out: &mut Vec<u8>) -> bool {
        match self.state {
            State::Identity { known } => known,
            State::QuotedPrintable(decoder) => decoder.finish(out),
            State::Base64(decoder) => decoder.finish(out),
        }
    }
}

// RFC 2045 §6.8
#[derive(Debug, Default)]
struct Base64 {
    /// Letters of the alphabet not yet decoded; fewer than four between two calls.
    letters: Vec<u8>,
    ended: bool,
    broken: bool,
}

impl Base64 {
    fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while !rest.is_empty() && !self.ended {
            let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            self.letters.extend_from_slice(rest.get(..end).unwrap_or_default());
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        if self.ended {
            self.broken |= rest.iter().any(|b| *b != b'=' && !b.is_ascii_whitespace());
            return;
        }
        let whole = self.letters.len() / 4 * 4;
        let quads = self.letters.get(..whole).unwrap_or_default();
        let before = out.len();
        match STANDARD_NO_PAD.decode_vec(quads, out) {
            Ok(()) => drop(self.letters.drain(..whole)),
            Err(_) => {
                out.truncate(before);
                self.feed_one_by_one(out);
            }
        }
    }

    /// The slow road, for text with padding or with octets that are not of the alphabet, which are passed over.
    fn feed_one_by_one(&mut self, out: &mut Vec<u8>) {
        let mut letters = std::mem::take(&mut self.letters).into_iter();
        let mut clean = Vec::with_capacity(letters.len());
        for byte in letters.by_ref() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => clean.push(byte),
                // RFC 2045 §6.8: padding is evidence that the end of the data has been reached.
                b'=' if clean.len() % 4 >= 2 => {
                    self.ended = true;
                    break;
                }
                b' ' | b'\t' => {}
                _ => self.broken = true,
            }
        }
        self.broken |= letters.any(|b| b != b'=' && !b.is_ascii_whitespace());
        let keep = if self.ended { 0 } else { clean.len() % 4 };
        self.letters = clean.split_off(clean.len() - keep);
        decode_letters(&clean, out);
    }

    fn finish(mut self, out: &mut Vec<u8>) -> bool {
        if !self.ended {
            self.feed_one_by_one(out);
        }
        // Data without its padding still means one thing only; a single letter means nothing.
        self.broken |= self.letters.len() == 1;
        decode_letters(&self.letters, out);
        !self.broken
    }
}

/// Decodes letters of the alphabet, any number of them: bits beyond the last whole octet are dropped.
fn decode_letters(letters: &[u8], out: &mut Vec<u8>) {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    for quad in letters.chunks(4) {
        let word = quad.iter().fold(0u32, |word, letter| word << 6 | u32::from(value(*letter)));
        let word = word << (6 * (4 - quad.len())) << 8;
        out.extend(word.to_be_bytes().iter().take(quad.len() * 6 / 8));
    }
}

/// White space held back at the end of a line: a line of mail has 998 octets at most (RFC 5322 §2.1.1).
const HELD_BYTES: usize = 998;

// RFC 2045 §6.7
#[derive(Debug, Default)]
struct QuotedPrintable {
    /// White space and CR that are dropped if the line ends after them.
    held: Vec<u8>,
    /// What has been read of an escape, from its `=` on; empty outside of one.
    escape: Vec<u8>,
    broken: bool,
}

impl QuotedPrintable {
    fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while let Some(first) = rest.first() {
            if self.escape.is_empty() {
                let end = memchr2(b'=', b'\n', rest).unwrap_or(rest.len());
                let (text, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                self.text(text, out);
                rest = after.get(1..).unwrap_or_default();
                match after {
                    // The usual case, all in one chunk; any other goes octet by octet.
                    [b'=', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                        out.append(&mut self.held);
                        out.push(hex(*high) << 4 | hex(*low));
                        rest = tail;
                    }
                    [b'=', ..] => {
                        out.append(&mut self.held);
                        self.escape.push(b'=');
                    }
                    [_, ..] => self.line_end(out),
                    [] => {}
                }
            } else if self.escaped(*first, out) {
                rest = rest.get(1..).unwrap_or_default();
            }
        }
    }

    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let solid = text.iter().rposition(|b| !matches!(b, b' ' | b'\t' | b'\r')).map_or(0, |at| at + 1);
        let (solid, space) = text.split_at_checked(solid).unwrap_or((text, &[]));
        if !solid.is_empty() {
            out.append(&mut self.held);
            out.extend_from_slice(solid);
        }
        self.held.extend_from_slice(space);
        // Only the last octets are held, wherever the chunks were cut.
        let surplus = self.held.len().saturating_sub(HELD_BYTES);
        out.extend(self.held.drain(..surplus));
    }

    // RFC 2045 §6.7 (3): white space at the end of a line was added on the way and is deleted.
    fn line_end(&mut self, out: &mut Vec<u8>) {
        let cr = self.held.last() == Some(&b'\r');
        self.held.pop_if(|b| *b == b'\r');
        let kept = self.held.iter().rposition(|b| *b == b'\r').map_or(0, |at| at + 1);
        out.extend_from_slice(self.held.get(..kept).unwrap_or_default());
        self.held.clear();
        out.extend_from_slice(if cr { b"\r\n" } else { b"\n" });
    }

    /// One octet inside an escape; `false` if it does not belong to it and is still to be read.
    fn escaped(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match (self.escape.as_slice(), byte) {
            ([_, high], _) if high.is_ascii_hexdigit() && byte.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(byte));
                self.escape.clear();
                true
            }
            ([_], _) if byte.is_ascii_hexdigit() => {
                self.escape.push(byte);
                true
            }
            ([_, space @ ..], b' ' | b'\t' | b'\r')
                if space.first().is_none_or(|b| !b.is_ascii_hexdigit()) && space.len() < HELD_BYTES =>
            {
                self.escape.push(byte);
                true
            }
            // RFC 2045 §6.7 (5): a soft line break, with white space tolerated after the `=`.
            ([_, space @ ..], b'\n') if space.first().is_none_or(|b| !b.is_ascii_hexdigit()) => {
                self.escape.clear();
                true
            }
            _ => {
                self.broken = true;
                out.append(&mut self.escape);
                false
            }
        }
    }

    fn finish(mut self, out: &mut Vec<u8>) -> bool {
        if matches!(self.escape.as_slice(), [_, digit] if digit.is_ascii_hexdigit()) {
            self.broken = true;
            out.append(&mut self.escape);
        }
        let solid = self.held.iter().rposition(|b| *b == b'\r').map_or(0, |at| at + 1);
        out.extend_from_slice(self.held.get(..solid).unwrap_or_default());
        !self.broken
    }
}

/// Makes every line end CRLF, for BINARY of text parts (RFC 9051 §7.5.2).
#[derive(Debug, Default)]
pub struct CrlfLines {
    after_cr: bool,
}

impl CrlfLines {
    /// Before the first octet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the next octets to `out`, with a CR before each LF that has none.
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while let Some(at) = memchr(b'\n', rest) {
            let (line, after) = rest.split_at_checked(at + 1).unwrap_or((rest, &[]));
            let text = line.get(..at).unwrap_or_default();
            let has_cr = text.last().map_or(self.after_cr, |b| *b == b'\r');
            out.extend_from_slice(text);
            out.extend_from_slice(if has_cr { b"\n" } else { b"\r\n" });
            self.after_cr = false;
            rest = after;
        }
        out.extend_from_slice(rest);
        self.after_cr = rest.last().map_or(self.after_cr, |b| *b == b'\r');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(encoding: TransferEncoding, octets: &[u8], cut: usize) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let mut decoder = TransferDecoder::new(encoding);
        for chunk in octets.chunks(cut.max(1)) {
            decoder.feed(chunk, &mut out);
        }
        let well_formed = decoder.finish(&mut out);
        (out, well_formed)
    }

    fn base64(text: &[u8]) -> (Vec<u8>, bool) {
        decode(TransferEncoding::Base64, text, 1000)
    }

    fn quoted_printable(text: &[u8]) -> (Vec<u8>, bool) {
        decode(TransferEncoding::QuotedPrintable, text, 1000)
    }

    #[test]
    fn base64_is_decoded() {
        assert_eq!(base64(b"aGVs\r\nbG8="), (b"hello".to_vec(), true));
        assert_eq!(base64(b""), (b"".to_vec(), true));
        assert_eq!(base64(b"aGVsbG8"), (b"hello".to_vec(), true));
        assert_eq!(base64(b"aGVs bG8=\r\n\r\n"), (b"hello".to_vec(), true));
    }

    #[test]
    fn broken_base64_is_told() {
        assert_eq!(base64(b"aG*Vs"), (b"hel".to_vec(), false));
        assert_eq!(base64(b"aGVsb"), (b"hel".to_vec(), false));
        assert_eq!(base64(b"aGVsbG8=\r\n-- \r\na footer"), (b"hello".to_vec(), false));
        assert_eq!(base64(b"=aGVs"), (b"hel".to_vec(), false));
    }

    // The text of RFC 2045 §6.7, and what is found in mail.
    #[test]
    fn quoted_printable_is_decoded() {
        let text = b"Now's the time =\r\nfor all folk to come=\r\n to the aid.\r\n";
        assert_eq!(quoted_printable(text), (b"Now's the time for all folk to come to the aid.\r\n".to_vec(), true));
        assert_eq!(quoted_printable(b"a \t\r\nb=20\r\nc \n"), (b"a\r\nb \r\nc\n".to_vec(), true));
        assert_eq!(quoted_printable(b"=c3=BC= \t\r\n!="), ("ü!".as_bytes().to_vec(), true));
    }

    #[test]
    fn broken_quoted_printable_stays() {
        assert_eq!(quoted_printable(b"=ZZ a=b=4"), (b"=ZZ a=b=4".to_vec(), false));
        assert_eq!(quoted_printable(b"==41=\r=42"), (b"=A=\rB".to_vec(), false));
    }

    #[test]
    fn line_ends_become_crlf() {
        let mut lines = CrlfLines::new();
        let mut out = Vec::new();
        for chunk in [&b"a\nb\r"[..], b"\nc\r\n", b"\n"] {
            lines.feed(chunk, &mut out);
        }
        assert_eq!(out, b"a\r\nb\r\nc\r\n\r\n");
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(text in "[a-zA-Z0-9+/= \t\r\n*]{0,80}", cut in 1usize..20) {
            for encoding in [TransferEncoding::Base64, TransferEncoding::QuotedPrintable] {
                prop_assert_eq!(decode(encoding, text.as_bytes(), cut), decode(encoding, text.as_bytes(), 1000));
            }
        }

        #[test]
        fn base64_is_undone(octets: Vec<u8>, cut in 1usize..20) {
            let text = base64::engine::general_purpose::STANDARD.encode(&octets);
            prop_assert_eq!(decode(TransferEncoding::Base64, text.as_bytes(), cut), (octets, true));
        }

        #[test]
        fn quoted_printable_is_undone(octets: Vec<u8>, cut in 1usize..20) {
            let text: String = octets.iter().map(|b| format!("={b:02X}=\r\n")).collect();
            prop_assert_eq!(decode(TransferEncoding::QuotedPrintable, text.as_bytes(), cut), (octets, true));
        }
    }
}
