//! RFC 2047 encoded-words, read and written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::charset;
use crate::decode::{TransferDecoder, TransferEncoding};
use crate::header::unfold;

/// Octets of a charset's name in an encoded-word that are looked at.
const CHARSET_BYTES: usize = 64;

/// Decodes an unstructured value to text: encoded-words, raw UTF-8, else windows-1252; unfolded and trimmed.
pub fn decode_header(raw: &[u8]) -> String {
    decode_words(&unfold(raw))
}

/// The same for a value already unfolded.
pub(crate) fn decode_words(value: &[u8]) -> String {
    let text = charset::header_text(value);
    if !text.contains("=?") {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut run = Run::default();
    let (mut done, mut from) = (0, 0);
    let last_end = text.rfind("?=").unwrap_or(0);
    while let Some(start) = text.get(from..).and_then(|t| t.find("=?")).map(|at| from + at) {
        // Without an end after it there is no word, and looking for one at each start would cost n².
        if start >= last_end {
            break;
        }
        let Some((word, length)) = text.get(start..).and_then(read_word) else {
            from = start + 2;
            continue;
        };
        let gap = text.get(done..start).unwrap_or_default();
        // RFC 2047 §6.2: white space between two encoded-words is not shown.
        if !(run.is_open() && gap.bytes().all(|b| matches!(b, b' ' | b'\t'))) {
            run.close(&mut out);
            out.push_str(gap);
        }
        run.add(word, &mut out);
        (done, from) = (start + length, start + length);
    }
    run.close(&mut out);
    out.push_str(text.get(done..).unwrap_or_default());
    out.retain(|c| c != '\0');
    out
}

/// One encoded-word taken apart.
struct Word<'a> {
    charset: &'a str,
    octets: Vec<u8>,
}

/// Reads the encoded-word at the beginning of `text`: the word and its length.
// RFC 2047 §2: =?charset?encoding?encoded-text?=; RFC 2231 §5 adds a language after the charset.
fn read_word(text: &str) -> Option<(Word<'_>, usize)> {
    let rest = text.strip_prefix("=?")?;
    let head = rest.as_bytes().get(..rest.len().min(CHARSET_BYTES))?;
    let charset = rest.get(..head.iter().position(|b| matches!(b, b'?' | b' ' | b'\t'))?)?;
    let rest = rest.get(charset.len()..)?.strip_prefix('?')?;
    let quoted = match rest.as_bytes().first()? {
        b'q' | b'Q' => true,
        b'b' | b'B' => false,
        _ => return None,
    };
    let rest = rest.get(1..)?.strip_prefix('?')?;
    let encoded = rest.get(..encoded_length(rest)?)?;
    let octets = if quoted { decode_q(encoded) } else { decode_b(encoded) };
    let charset = charset.split('*').next().unwrap_or_default();
    let end = text.len() - rest.len() + encoded.len() + 2;
    let readable = !charset.is_empty() && octets.is_empty() == encoded.is_empty();
    readable.then_some((Word { charset, octets }, end))
}

/// Length of the encoded text, up to the `?=` that ends it.
// RFC 2047 §2 has no `?` in the text. It is tolerated, but not where it begins another word; so no octet is read twice.
fn encoded_length(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let at = bytes.windows(2).position(|pair| matches!(pair, b"?=" | b"=?"))?;
    match bytes.get(at..)? {
        [b'=', b'?', b'=', ..] => Some(at + 1),
        [b'=', ..] => None,
        _ => Some(at),
    }
}

fn decode_b(encoded: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len() / 4 * 3 + 3);
    let mut decoder = TransferDecoder::new(TransferEncoding::Base64);
    decoder.feed(encoded.as_bytes(), &mut out);
    decoder.finish(&mut out);
    out
}

// RFC 2047 §4.2: quoted-printable with `_` for space; nothing is special about line ends.
fn decode_q(encoded: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'_', _) => out.push(b' '),
            (b'=', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            _ => out.push(*first),
        }
    }
    out
}

/// The value of a hexadecimal digit.
pub(crate) fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

/// Neighbouring words of one charset: their octets are joined first, for mailers that cut characters in two.
#[derive(Default)]
struct Run {
    charset: String,
    octets: Vec<u8>,
}

impl Run {
    fn is_open(&self) -> bool {
        !self.charset.is_empty()
    }

    fn add(&mut self, word: Word<'_>, out: &mut String) {
        // ISO-2022-JP begins anew in each word, so its words must not be joined.
        let stateful = word.charset.to_ascii_lowercase().starts_with("iso-2022");
        if self.is_open() && (stateful || !self.charset.eq_ignore_ascii_case(word.charset)) {
            self.close(out);
        }
        word.charset.clone_into(&mut self.charset);
        self.octets.extend_from_slice(&word.octets);
    }

    fn close(&mut self, out: &mut String) {
        if self.is_open() {
            out.push_str(&charset::decode(&self.charset, &self.octets));
            self.charset.clear();
            self.octets.clear();
        }
    }
}

/// Writes text as ASCII: words with other characters become encoded-words, all else stays as it is.
pub(crate) fn encode_header(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut run = String::new();
    let mut before = Neighbour::Start;
    for (space, word) in spaced_words(text) {
        if !word.is_ascii() {
            // A reader drops the space between two encoded-words, so it must be inside one of them.
            match before {
                Neighbour::Run | Neighbour::EncodedWord => run.push_str(space),
                Neighbour::Start | Neighbour::Plain => out.push_str(space),
            }
            if before == Neighbour::EncodedWord {
                out.push(' ');
            }
            run.push_str(word);
            before = Neighbour::Run;
            continue;
        }
        let is_encoded = word.starts_with("=?") && word.ends_with("?=") && word.len() > 5;
        if before == Neighbour::Run && is_encoded {
            run.push_str(space);
        }
        write_run(&mut run, &mut out);
        out.push_str(if before == Neighbour::Run && is_encoded { " " } else { space });
        out.push_str(word);
        before = if is_encoded { Neighbour::EncodedWord } else { Neighbour::Plain };
    }
    write_run(&mut run, &mut out);
    out
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Neighbour {
    Start,
    Plain,
    EncodedWord,
    Run,
}

/// Cuts text into words, each with the white space before it; the last word may be empty.
fn spaced_words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let word_at = rest.find(|c| !matches!(c, ' ' | '\t')).unwrap_or(rest.len());
        let (space, after) = rest.split_at(word_at);
        let end = after.find([' ', '\t']).unwrap_or(after.len());
        let (word, tail) = after.split_at(end);
        let more = !rest.is_empty();
        rest = tail;
        more.then_some((space, word))
    })
}

/// Octets of text in one word: RFC 2047 §2 allows 75 for all of it, and 45 octets of base64 make 72.
const WORD_BYTES: usize = 45;

fn write_run(run: &mut String, out: &mut String) {
    let mut rest = run.as_str();
    let mut first = true;
    while !rest.is_empty() {
        // RFC 2047 §5: each word holds whole characters.
        let end = (0..=WORD_BYTES.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        let (piece, tail) = rest.split_at(end);
        if !std::mem::take(&mut first) {
            out.push(' ');
        }
        write_word(piece, out);
        rest = tail;
    }
    run.clear();
}

fn write_word(text: &str, out: &mut String) {
    let plain = text.bytes().filter(|b| q_plain(*b)).count();
    let q_length = plain + 3 * (text.len() - plain);
    // RFC 2047 §4: Q where most of the text is ASCII, so that it can be read as it is.
    if plain * 2 < text.len() || q_length > 63 {
        out.push_str("=?UTF-8?B?");
        STANDARD.encode_string(text, out);
    } else {
        out.push_str("=?UTF-8?Q?");
        for byte in text.bytes() {
            match byte {
                b' ' => out.push('_'),
                _ if q_plain(byte) => out.push(char::from(byte)),
                _ => out.extend(['=', hex_digit(byte >> 4), hex_digit(byte & 15)]),
            }
        }
    }
    out.push_str("?=");
}

// RFC 2047 §5 (3): what is allowed in a phrase is allowed everywhere.
fn q_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!*+-/ ".contains(&byte)
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(raw: &str) -> String {
        decode_header(raw.as_bytes())
    }

    // The examples of RFC 2047 §8.
    #[test]
    fn examples_of_the_rfc() {
        assert_eq!(decoded("=?ISO-8859-1?Q?a?="), "a");
        assert_eq!(decoded("=?ISO-8859-1?Q?a?= b"), "a b");
        assert_eq!(decoded("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?="), "ab");
        assert_eq!(decoded("=?ISO-8859-1?Q?a?=  \r\n   =?ISO-8859-1?Q?b?="), "ab");
        assert_eq!(decoded("=?ISO-8859-1?Q?a_b?="), "a b");
        assert_eq!(decoded("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?="), "a b");
        assert_eq!(decoded("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>"), "Keith Moore <moore@cs.utk.edu>");
    }

    #[test]
    fn characters_cut_in_two_are_joined() {
        assert_eq!(decoded("=?utf-8?B?w6TD?= =?UTF-8?B?tg==?="), "äö");
        assert_eq!(decoded("=?utf-8*de?Q?=C3?=\t=?utf-8?Q?=BC?="), "ü");
        assert_eq!(decoded("=?ISO-2022-JP?B?GyRCJCIbKEI=?= =?ISO-2022-JP?B?GyRCJCIbKEI=?="), "ああ");
    }

    #[test]
    fn broken_words_stay_as_they_are() {
        for text in ["=?", "=?utf-8?Q?abc", "=?utf-8?X?abc?=", "=??Q?abc?=", "=?a b?Q?c?=", "a=?b?=", "=?utf-8?b?!!?="]
        {
            assert_eq!(decoded(text), text);
        }
        assert_eq!(decoded("x=?utf-8?q?=?=y"), "x=y");
        assert_eq!(decoded("=?utf-8?q?a b?="), "a b");
        assert_eq!(decoded("=?utf-8?q?open =?utf-8?q?closed?="), "=?utf-8?q?open closed");
        assert_eq!(decoded("a\0b =?utf-8?q?c=00d?="), "ab cd");
        assert_eq!(decoded("=?nonsense?q?=C3=BC?="), "ü");
    }

    #[test]
    fn many_beginnings_are_cheap() {
        for piece in ["=?a?q?b", "=?", "=?a?x?=", "=?aaaaaaaa"] {
            let text = piece.repeat(100_000) + "=?a?=";
            assert_eq!(decode_header(text.as_bytes()).len(), text.len());
        }
    }

    #[test]
    fn only_the_words_that_need_it_are_encoded() {
        assert_eq!(encode_header("plain  text "), "plain  text ");
        assert_eq!(encode_header("a ü b"), "a =?UTF-8?B?w7w=?= b");
        assert_eq!(encode_header("Grüße an alle"), "=?UTF-8?B?R3LDvMOfZQ==?= an alle");
        assert_eq!(encode_header("Jörg"), "=?UTF-8?Q?J=C3=B6rg?=");
        assert_eq!(encode_header("Übermorgen kommt"), "=?UTF-8?Q?=C3=9Cbermorgen?= kommt");
    }

    proptest! {
        // Whatever can be written is read again, also beside words that were encoded before.
        #[test]
        fn encoding_is_undone_by_decoding(words in proptest::collection::vec("[a-z]{1,3}|ä{1,40}|aö|=\\?utf-8\\?q\\?x\\?=", 1..6)) {
            let text = words.join(" ");
            let encoded = encode_header(&text);
            prop_assert!(encoded.is_ascii());
            prop_assert!(encoded.split(' ').all(|w| !w.starts_with("=?") || w.len() <= 75));
            prop_assert_eq!(decoded(&encoded), decoded(&text));
        }
    }
}
