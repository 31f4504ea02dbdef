//! Decoded text and how SEARCH compares it.

use std::sync::LazyLock;

use memchr::memmem;

use crate::charset;
use crate::decode::{TransferDecoder, TransferEncoding};

/// Decodes a body to Unicode text, octets in and text out, in chunks of any size; never splits a character.
#[derive(Debug)]
pub struct TextDecoder {
    transfer: TransferDecoder,
    /// Octets out of the transfer decoder, kept only for its allocation.
    octets: Vec<u8>,
    charset: charset::Decoder,
}

impl TextDecoder {
    /// For a body of that transfer encoding and charset (empty: none given).
    pub fn new(encoding: TransferEncoding, charset: &str) -> Self {
        Self { transfer: TransferDecoder::new(encoding), octets: Vec::new(), charset: charset::Decoder::new(charset) }
    }

    /// Appends the text of the next octets to `out`.
    pub fn feed(&mut self, chunk: &[u8], out: &mut String) {
        let mut octets = std::mem::take(&mut self.octets);
        octets.clear();
        self.transfer.feed(chunk, &mut octets);
        self.charset.feed(&octets, out);
        self.octets = octets;
    }

    /// Appends what was held back.
    pub fn finish(mut self, out: &mut String) {
        let mut octets = std::mem::take(&mut self.octets);
        octets.clear();
        self.transfer.finish(&mut octets);
        self.charset.feed(&octets, out);
        self.charset.finish(out);
    }
}

/// The form in which SEARCH compares text: every character's simple case folding, and nothing else.
///
/// RFC 9051 §6.4.4 asks for a case-insensitive substring. Folding character by character keeps "σ" and "ς" equal, and
/// lets text be searched in chunks; characters whose folding is several characters ("ß") equal only themselves.
pub fn search_form(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    search_form_into(text, &mut out);
    out
}

/// The same, appended to `out`. The form of a text is the forms of its pieces, one after the other.
pub fn search_form_into(text: &str, out: &mut String) {
    out.reserve(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if !c.is_ascii() {
            out.push(folded(c));
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            continue;
        }
        let ascii = rest.bytes().position(|b| !b.is_ascii()).unwrap_or(rest.len());
        let (plain, after) = rest.split_at(ascii);
        let start = out.len();
        out.push_str(plain);
        if let Some(copied) = out.get_mut(start..) {
            copied.make_ascii_lowercase();
        }
        rest = after;
    }
}

/// Characters below this have their folding in a table: all of Latin, Greek, Cyrillic, Armenian and Georgian.
const TABLE: usize = 0x2000;

fn folded(c: char) -> char {
    static FOLDED: LazyLock<Vec<char>> =
        LazyLock::new(|| (0..TABLE as u32).filter_map(char::from_u32).map(compute_folded).collect());
    match FOLDED.get(c as usize) {
        Some(folded) => *folded,
        // No script from here to the Hangul syllables knows case, but for a few blocks around U+A640 and U+AB30.
        None if matches!(c, '\u{3000}'..='\u{a63f}' | '\u{ac00}'..='\u{d7ff}') => c,
        None => compute_folded(c),
    }
}

/// Simple case folding: the lower case of the upper case, where both are single characters.
fn compute_folded(c: char) -> char {
    let single = |chars: &mut dyn Iterator<Item = char>| {
        let first = chars.next();
        chars.next().map_or(first, |_| None)
    };
    let upper = single(&mut c.to_uppercase()).unwrap_or(c);
    single(&mut upper.to_lowercase()).unwrap_or(c)
}

/// Looks for one text in chunks of another.
#[derive(Debug)]
pub struct Finder {
    needle: memmem::Finder<'static>,
    /// The end of the text so far, shorter than the needle.
    tail: Vec<u8>,
    found: bool,
}

impl Finder {
    /// For a needle already in [`search_form`]. The empty needle is found in everything.
    pub fn new(needle: &str) -> Self {
        let found = needle.is_empty();
        Self { needle: memmem::Finder::new(needle).into_owned(), tail: Vec::new(), found }
    }

    /// The next piece of text, in [`search_form`]; whether the needle has been found so far.
    pub fn feed(&mut self, text: &str) -> bool {
        let text = text.as_bytes();
        let overlap = self.needle.needle().len().saturating_sub(1);
        if !self.found && !self.tail.is_empty() {
            let head = text.get(..overlap.min(text.len())).unwrap_or_default();
            self.tail.extend_from_slice(head);
            self.found = self.needle.find(&self.tail).is_some();
        }
        self.found = self.found || self.needle.find(text).is_some();
        if !self.found {
            if text.len() >= overlap {
                self.tail.clear();
                self.tail.extend_from_slice(text.get(text.len() - overlap..).unwrap_or_default());
            } else {
                // The tail has been grown by all of this short text above, or was empty.
                if self.tail.is_empty() {
                    self.tail.extend_from_slice(text);
                }
                let surplus = self.tail.len().saturating_sub(overlap);
                self.tail.drain(..surplus);
            }
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(encoding: TransferEncoding, charset: &str, octets: &[u8], cut: usize) -> String {
        let mut decoder = TextDecoder::new(encoding, charset);
        let mut out = String::new();
        for chunk in octets.chunks(cut) {
            decoder.feed(chunk, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn text_is_decoded_whatever_the_chunks() {
        for cut in 1..9 {
            assert_eq!(decoded(TransferEncoding::QuotedPrintable, "utf-8", b"=C3=BC=\r\n!", cut), "ü!");
            assert_eq!(decoded(TransferEncoding::Base64, "utf-16", b"YQDkAA==", cut), "aä");
            assert_eq!(decoded(TransferEncoding::SevenBit, "iso-2022-jp", b"\x1b$B$\"\x1b(B.", cut), "あ.");
            assert_eq!(decoded(TransferEncoding::EightBit, "", "aü€".as_bytes(), cut), "aü€");
            assert_eq!(decoded(TransferEncoding::EightBit, "koi8-r", b"\xc1\xc2", cut), "аб");
        }
    }

    #[test]
    fn case_is_folded_by_character() {
        assert_eq!(search_form("ABC ÄÖ ΣΑΣ"), "abc äö σασ");
        assert_eq!(search_form("σας"), search_form("ΣΑΣ"));
        assert_eq!(search_form("ſ K ß"), "s k ß");
        assert_eq!(search_form("İ"), "İ");
    }

    #[test]
    fn the_quick_answers_are_the_computed_ones() {
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            assert_eq!(folded(c), compute_folded(c), "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn the_form_of_pieces_is_the_form_of_the_whole(a: String, b: String) {
            prop_assert_eq!(search_form(&a) + &search_form(&b), search_form(&(a + &b)));
        }

        #[test]
        fn folding_twice_changes_nothing(text: String) {
            let form = search_form(&text);
            prop_assert_eq!(search_form(&form), form);
        }

        #[test]
        fn finds_across_chunks(text in "[ab]{0,30}", needle in "[ab]{0,6}", cuts in proptest::collection::vec(0usize..5, 0..12)) {
            let mut finder = Finder::new(&needle);
            let mut rest = text.as_str();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                finder.feed(chunk);
                rest = after;
            }
            prop_assert_eq!(finder.feed(rest), text.contains(&needle));
        }
    }
}
