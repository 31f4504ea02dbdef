//! Octets of some charset to Unicode. Never fails: what no charset explains is UTF-8 where it can be, else windows-1252.

use encoding_rs::{CoderResult, Encoding};

use crate::utf7::Utf7;

/// Octets of one charset to text, in chunks of any size; never splits a character.
pub(crate) enum Decoder {
    /// UTF-8, US-ASCII, none, or one that nobody knows.
    Guessed(Guess),
    Utf7(Utf7),
    Known(encoding_rs::Decoder),
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Guessed(guess) => guess.fmt(f),
            Self::Utf7(utf7) => utf7.fmt(f),
            Self::Known(decoder) => decoder.encoding().name().fmt(f),
        }
    }
}

impl Decoder {
    /// For the charset of that name.
    pub(crate) fn new(label: &str) -> Self {
        let label = label.trim().trim_matches(['"', '\'']);
        if UTF7_NAMES.iter().any(|name| name.eq_ignore_ascii_case(label)) {
            return Self::Utf7(Utf7::default());
        }
        match lookup(label) {
            Some(encoding) => Self::Known(encoding.new_decoder_without_bom_handling()),
            None => Self::Guessed(Guess::default()),
        }
    }

    /// Appends what can be decided.
    pub(crate) fn feed(&mut self, octets: &[u8], out: &mut String) {
        match self {
            Self::Guessed(guess) => guess.feed(octets, out),
            Self::Utf7(utf7) => utf7.feed(octets, out),
            Self::Known(decoder) => decode_known(decoder, octets, false, out),
        }
    }

    /// Appends what was held back.
    pub(crate) fn finish(self, out: &mut String) {
        match self {
            Self::Guessed(guess) => guess.finish(out),
            Self::Utf7(utf7) => utf7.finish(out),
            Self::Known(mut decoder) => decode_known(&mut decoder, &[], true, out),
        }
    }
}

fn decode_known(decoder: &mut encoding_rs::Decoder, octets: &[u8], last: bool, out: &mut String) {
    let mut rest = octets;
    loop {
        let room = decoder.max_utf8_buffer_length(rest.len()).unwrap_or(rest.len());
        out.reserve(room.max(16));
        let (result, read, _) = decoder.decode_to_string(rest, out, last);
        rest = rest.get(read..).unwrap_or_default();
        if result == CoderResult::InputEmpty {
            return;
        }
    }
}

/// Text whose charset is unknown, absent, US-ASCII or UTF-8: valid UTF-8 stays, any other octet is windows-1252.
/// Real mail says "us-ascii" about anything, so the label is no reason to lose characters.
#[derive(Debug, Default)]
pub(crate) struct Guess {
    /// The beginning of a character that the next chunk may complete; three octets at most.
    held: Vec<u8>,
}

impl Guess {
    /// Appends what can be decided.
    pub(crate) fn feed(&mut self, chunk: &[u8], out: &mut String) {
        let joined;
        let mut rest = chunk;
        if !self.held.is_empty() {
            joined = [self.held.as_slice(), chunk].concat();
            self.held.clear();
            rest = &joined;
        }
        loop {
            let error = match std::str::from_utf8(rest) {
                Ok(text) => return out.push_str(text),
                Err(error) => error,
            };
            let (valid, after) = rest.split_at_checked(error.valid_up_to()).unwrap_or((rest, &[]));
            out.push_str(std::str::from_utf8(valid).unwrap_or_default());
            let Some(bad) = error.error_len() else {
                return self.held.extend_from_slice(after);
            };
            let (bad, after) = after.split_at_checked(bad).unwrap_or((after, &[]));
            out.extend(bad.iter().map(|b| windows_1252(*b)));
            rest = after;
        }
    }

    /// Appends what was held back.
    pub(crate) fn finish(self, out: &mut String) {
        out.extend(self.held.iter().map(|b| windows_1252(*b)));
    }
}

/// All of a text whose charset is not told.
pub(crate) fn guess(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len());
    let mut guess = Guess::default();
    guess.feed(octets, &mut out);
    guess.finish(&mut out);
    out
}

/// The same of a header's octets, without NULs: they mean nothing, cannot be sent (RFC 9051 §4.3), and some stores
/// cannot hold them. Away with them first, so that nothing is taken for one name and then sent as another.
pub(crate) fn header_text(octets: &[u8]) -> String {
    let mut text = guess(octets);
    text.retain(|c| c != '\0');
    text
}

/// All of a text in the charset of that name.
pub(crate) fn decode(label: &str, octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len());
    let mut decoder = Decoder::new(label);
    decoder.feed(octets, &mut out);
    decoder.finish(&mut out);
    out
}

/// RFC 2152 §"UTF-7", which the Web has banned and old mail has not.
const UTF7_NAMES: [&str; 3] = ["utf-7", "utf7", "unicode-1-1-utf-7"];

/// The encoding of that name. `None` for those that are guessed: UTF-8, US-ASCII and unknown names.
fn lookup(label: &str) -> Option<&'static Encoding> {
    let alias = ALIASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(label));
    let label = alias.map_or(label, |(_, known)| known);
    if label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii") {
        return None;
    }
    let encoding = Encoding::for_label(label.as_bytes())?;
    // "replacement" is the Web's refusal of some charsets; guessing shows at least their ASCII.
    let guessed = encoding == encoding_rs::UTF_8 || encoding == encoding_rs::REPLACEMENT;
    (!guessed).then_some(encoding)
}

/// Names found in mail that the WHATWG list, which encoding_rs follows, does not have.
const ALIASES: [(&str, &str); 12] = [
    ("cp932", "shift_jis"),
    ("ms932", "shift_jis"),
    ("cp936", "gbk"),
    ("ms936", "gbk"),
    ("cp949", "euc-kr"),
    ("ks_c_5601", "euc-kr"),
    ("cp950", "big5"),
    ("win-1251", "windows-1251"),
    ("iso8859_1", "windows-1252"),
    ("iso-8859-1-windows-1252", "windows-1252"),
    ("utf-16be-bom", "utf-16be"),
    ("x-gb2312", "gbk"),
];

/// One octet of windows-1252, read as the Web does: unassigned ones are C1 controls.
fn windows_1252(octet: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    let high = octet.checked_sub(0x80).and_then(|at| HIGH.get(usize::from(at)));
    high.copied().unwrap_or(char::from(octet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn utf8_stays_and_the_rest_is_windows_1252() {
        assert_eq!(guess("Grüße €".as_bytes()), "Grüße €");
        assert_eq!(guess(b"Gr\xfc\xdfe \x80\x93"), "Grüße €“");
        assert_eq!(guess(b"\xe2\x82"), "â‚");
    }

    #[test]
    fn names_of_charsets_are_found() {
        assert_eq!(decode("ISO-8859-2", b"\xb1"), "ą");
        assert_eq!(decode("cp932", b"\x82\xa0"), "あ");
        assert_eq!(decode("no-such-charset", "ü".as_bytes()), "ü");
        assert_eq!(decode("us-ascii", b"\xfc"), "ü");
        assert_eq!(decode("iso-2022-kr", b"abc"), "abc");
        assert_eq!(decode(" 'UTF-7' ", b"A+ImIDkQ."), "A≢Α.");
    }

    #[test]
    fn the_table_is_encoding_rs_table() {
        for octet in 0x80..=0xff {
            let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(std::slice::from_ref(&octet));
            assert_eq!(text, windows_1252(octet).to_string());
        }
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(octets: Vec<u8>, cuts in proptest::collection::vec(0usize..64, 0..8)) {
            let mut out = String::new();
            let mut guess_by_chunk = Guess::default();
            let mut rest = octets.as_slice();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                guess_by_chunk.feed(chunk, &mut out);
                rest = after;
            }
            guess_by_chunk.feed(rest, &mut out);
            guess_by_chunk.finish(&mut out);
            prop_assert_eq!(out, guess(&octets));
        }

        #[test]
        fn utf8_is_kept(text: String) {
            prop_assert_eq!(guess(text.as_bytes()), text);
        }
    }
}
