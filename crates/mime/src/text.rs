//! Decoded text and how SEARCH compares it.

use crate::decode::TransferEncoding;

/// Decodes a body to Unicode text, octets in and text out, in chunks of any size; never splits a character.
#[derive(Debug)]
pub struct TextDecoder {}

impl TextDecoder {
    /// For a body of that transfer encoding and charset (empty: none given).
    pub fn new(_encoding: TransferEncoding, _charset: &str) -> Self {
        Self {}
    }

    /// Appends the text of the next octets to `out`.
    pub fn feed(&mut self, chunk: &[u8], out: &mut String) {
        out.push_str(&String::from_utf8_lossy(chunk));
    }

    /// Appends what was held back.
    pub fn finish(self, _out: &mut String) {}
}

/// The form in which SEARCH compares text: each character's simple case folding.
pub fn search_form(text: &str) -> String {
    let mut out = String::new();
    search_form_into(text, &mut out);
    out
}

/// The same, appended to `out`. The form of a text is the forms of its pieces, one after the other.
pub fn search_form_into(text: &str, out: &mut String) {
    out.push_str(&text.to_lowercase());
}

/// Looks for one text in chunks of another.
#[derive(Debug)]
pub struct Finder {
    found: bool,
}

impl Finder {
    /// For a needle already in [`search_form`]. The empty needle is found in everything.
    pub fn new(needle: &str) -> Self {
        Self { found: needle.is_empty() }
    }

    /// The next piece of text, in [`search_form`]; whether the needle has been found so far.
    pub fn feed(&mut self, _text: &str) -> bool {
        self.found
    }
}
