//! The first words of a message as plain text (RFC 8970): which part they are in, and how markup, quotes and filling are
//! taken away. It never asks for more octets than `limits::PREVIEW_SOURCE_BYTES` of a part.
//!
//! Decisions: the first text that says anything counts, which in a multipart/alternative is the plain one. What is
//! encrypted, or no text, has no preview. Lines quoted from other messages are left out where there are others, and what
//! follows a signature's `-- ` too. Hidden texts of HTML stay: they are written to be shown as previews.

use std::ops::Range;

use columba_types::limits::{PREVIEW_CHARS, PREVIEW_PARTS, PREVIEW_SOURCE_BYTES};

use crate::html::push_html;
use crate::section::{PartEntry, PartTable, TextKind};
use crate::text::TextDecoder;
use crate::walker::Kind;

/// Octets of a part that are looked at first: they nearly always hold enough.
const FIRST_BYTES: usize = 8 * 1024;

/// Filling of these many equal signs, which is a line drawn and no word.
const DRAWN_LINE_CHARS: usize = 4;

impl PartTable {
    /// The parts that may hold the first words, the best first: those of the message itself, then those of messages inside.
    pub fn preview_parts(&self) -> impl Iterator<Item = &PartEntry> {
        let texts = || {
            let is_text = |part: &&PartEntry| matches!(part.text, TextKind::Plain | TextKind::Html);
            self.parts().iter().filter(|part| part.kind == Kind::Leaf).filter(is_text)
        };
        let own = texts().filter(|part| !self.is_in_message(part));
        own.chain(texts().filter(|part| self.is_in_message(part))).take(PREVIEW_PARTS)
    }

    /// Whether a part belongs to a message inside this one.
    fn is_in_message(&self, part: &PartEntry) -> bool {
        let parent = |part: &PartEntry| self.parts().get(part.parent? as usize);
        // A parent comes before its children, so this ends.
        let mut above = parent(part);
        while let Some(outer) = above {
            if outer.kind == Kind::Message {
                return true;
            }
            above = parent(outer);
        }
        false
    }
}

impl PartEntry {
    /// The octets of the message that [`PartEntry::preview`] wants.
    pub fn preview_range(&self) -> Range<u64> {
        let end = self.body.start.saturating_add(PREVIEW_SOURCE_BYTES as u64);
        self.body.start..self.body.end.min(end)
    }

    /// The first words of this part, of which `octets` is the beginning; `None` if it says nothing.
    pub fn preview(&self, octets: &[u8]) -> Option<String> {
        let whole = octets.len() as u64 >= self.body.end - self.body.start;
        let words = match octets.get(..FIRST_BYTES) {
            Some(first) => {
                let words = self.words(first, false);
                if words.is_full() { words } else { self.words(octets, whole) }
            }
            None => self.words(octets, whole),
        };
        let text = words.finish();
        (!text.is_empty()).then_some(text)
    }

    fn words(&self, octets: &[u8], whole: bool) -> Words {
        let mut decoder = TextDecoder::new(self.encoding, &self.charset);
        let mut text = String::new();
        decoder.feed(octets, &mut text);
        if whole {
            decoder.finish(&mut text);
        }
        let mut words = Words::default();
        match self.text {
            TextKind::Html => push_html(&text, &mut words),
            _ => push_plain(&text, &mut words),
        }
        words
    }
}

/// Plain text without what is quoted; with it, if there is nothing else.
fn push_plain(text: &str, words: &mut Words) {
    let text = match text.trim_start().strip_prefix("-----BEGIN PGP ") {
        // RFC 4880 §7: the text follows the first empty line.
        Some(signed) if signed.starts_with("SIGNED MESSAGE-----") => {
            text.split_once("\n\r\n").or_else(|| text.split_once("\n\n")).map_or("", |(_, rest)| rest)
        }
        Some(_) => return,
        None => text,
    };
    let is_quoted = |line: &&str| line.starts_with('>');
    // RFC 3676 §4.3: what follows "-- " is the signature.
    let own = text.lines().take_while(|line| !matches!(*line, "-- " | "-----BEGIN PGP SIGNATURE-----"));
    for line in own.filter(|line| !is_quoted(line)) {
        words.push(line);
        words.space();
        if words.is_full() {
            return;
        }
    }
    if words.is_empty() {
        for line in text.lines().filter(is_quoted) {
            words.push(line.trim_start_matches(['>', ' ']));
            words.space();
        }
    }
}

/// Text in the making: white space is collapsed, what is not seen is dropped, and it ends when it is long enough.
#[derive(Debug, Default)]
pub(crate) struct Words {
    text: String,
    chars: usize,
    /// White space came after the text so far.
    gap: bool,
    /// A character that joins its neighbours came after the text so far.
    joiner: Option<char>,
    /// The word being read, where it may yet turn out to be a drawn line.
    line: Option<(char, usize)>,
}

impl Words {
    /// One character more than is shown, so that a text that just fits is told from one that is cut.
    pub(crate) fn is_full(&self) -> bool {
        self.chars > PREVIEW_CHARS
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn push(&mut self, text: &str) {
        for c in text.chars() {
            if self.is_full() {
                return;
            }
            self.push_char(c);
        }
    }

    /// Ends a word.
    pub(crate) fn space(&mut self) {
        self.end_of_line_drawn();
        self.joiner = None;
        self.gap = true;
    }

    pub(crate) fn push_char(&mut self, c: char) {
        match c {
            _ if c.is_whitespace() || c.is_control() => self.space(),
            // Zero-width joiners matter within words, and as filling between them they don't.
            '\u{34f}' | '\u{200c}' | '\u{200d}' => self.joiner = Some(c),
            // Soft hyphens, zero-width spaces, marks and overrides of direction, which a cut would leave open.
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' => {}
            '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffc}' | '\u{fffd}' => {}
            '-' | '_' | '=' | '*' | '#' | '~' | '.' | '+' | '\u{2014}' | '\u{2500}' | '\u{2501}' => self.push_drawn(c),
            _ => {
                self.end_of_line_drawn();
                self.append(c);
            }
        }
    }

    /// A sign that lines are drawn with: it counts once it is known to be no line.
    fn push_drawn(&mut self, c: char) {
        match &mut self.line {
            Some((drawn, count)) if *drawn == c => *count += 1,
            _ => {
                self.end_of_line_drawn();
                self.line = Some((c, 1));
            }
        }
    }

    fn end_of_line_drawn(&mut self) {
        let Some((c, count)) = self.line.take() else { return };
        if count >= DRAWN_LINE_CHARS {
            self.gap = true;
            return;
        }
        for _ in 0..count {
            self.append(c);
        }
    }

    fn append(&mut self, c: char) {
        let gap = std::mem::take(&mut self.gap) && !self.text.is_empty();
        let joiner = self.joiner.take().filter(|_| !gap && !self.text.is_empty());
        for c in gap.then_some(' ').into_iter().chain(joiner).chain([c]) {
            self.text.push(c);
            self.chars += 1;
        }
    }

    /// At most [`PREVIEW_CHARS`] characters; a text that is cut ends with a whole word, where words are not too long.
    pub(crate) fn finish(mut self) -> String {
        self.end_of_line_drawn();
        let Some((end, _)) = self.text.char_indices().nth(PREVIEW_CHARS) else { return self.text };
        let shown = self.text.get(..end).unwrap_or_default();
        let at_word = self.text.get(end..).is_some_and(|rest| rest.starts_with(' '));
        let cut = match shown.rfind(' ') {
            Some(space) if !at_word && space > end / 2 => space,
            _ => shown.trim_end_matches(['\u{34f}', '\u{200c}', '\u{200d}', ' ']).len(),
        };
        self.text.truncate(cut);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walker::walk;
    use proptest::prelude::*;

    /// As the session does it.
    fn preview(message: &str) -> String {
        let table = PartTable::new(&walk(message.as_bytes()));
        let mut parts = table.preview_parts();
        let octets = |range: Range<u64>| &message.as_bytes()[range.start as usize..range.end as usize];
        parts.find_map(|part| part.preview(octets(part.preview_range()))).unwrap_or_default()
    }

    fn plain(text: &str) -> String {
        preview(&format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"))
    }

    // RFC 8970 §3.3
    #[test]
    fn plain_text_is_collapsed_and_cut() {
        assert_eq!(plain("Dear  Anna,\r\n\r\n\tlong time\u{a0}no see.\r\n"), "Dear Anna, long time no see.");
        assert_eq!(plain(&"ä".repeat(300)), "ä".repeat(200));
        assert_eq!(plain(&"ä".repeat(200)), "ä".repeat(200));
        let words = "word ".repeat(60);
        assert_eq!(plain(&words), "word ".repeat(40).trim_end());
        assert_eq!(plain(&format!("x {words}")), format!("x {}", "word ".repeat(39).trim_end()));
        assert_eq!(plain(""), "");
        assert_eq!(plain(" \r\n \r\n"), "");
    }

    #[test]
    fn filling_is_left_out() {
        assert_eq!(plain("News\r\n=======\r\n\r\n* one\r\n* two ... and - so on\r\n--------\r\n"), {
            "News * one * two ... and - so on"
        });
        assert_eq!(plain("a\u{200c} \u{34f} \u{200c}\u{200b}b"), "a b");
        assert_eq!(plain("می\u{200c}خواهم 👩\u{200d}👩"), "می\u{200c}خواهم 👩\u{200d}👩");
        assert_eq!(plain("\u{202e}evil\u{ad}ly"), "evilly");
    }

    #[test]
    fn quotes_and_signatures_are_left_out_where_there_is_more() {
        assert_eq!(plain("Bob wrote:\r\n> old\r\n> words\r\n\r\nnew\r\n-- \r\nAnna\r\n"), "Bob wrote: new");
        assert_eq!(plain("> only\r\n>> a quote\r\n"), "only a quote");
        assert_eq!(plain("-- \r\nAnna\r\n"), "");
    }

    // RFC 8970 §3.2: of encrypted mail nothing can be shown.
    #[test]
    fn encrypted_and_signed() {
        assert_eq!(plain("-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA1\r\n-----END PGP MESSAGE-----\r\n"), "");
        let signed = "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nHello\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\niQ\r\n";
        assert_eq!(plain(signed), "Hello");
        let encrypted = "Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\nhQEMA1\r\n--b--\r\n";
        assert_eq!(preview(encrypted), "");
        assert_eq!(preview("Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n"), "");
    }

    #[test]
    fn the_first_text_that_says_something() {
        let alternative = |plain: &str, html: &str| {
            preview(&format!(
                "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n{plain}\r\n--b\r\nContent-Type: text/html\r\n\r\n{html}\r\n--b--\r\n"
            ))
        };
        assert_eq!(alternative("plain", "<p>html"), "plain");
        assert_eq!(alternative(" ", "<p>html</p>"), "html");
        let forwarded = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ninner\r\n--b\r\n\r\nouter\r\n--b--\r\n";
        assert_eq!(preview(forwarded), "outer");
        assert_eq!(preview(&forwarded.replace("outer", "")), "inner");
    }

    #[test]
    fn encodings_and_charsets() {
        let message = "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=\r\n=DFe\r\n";
        assert_eq!(preview(message), "Grüße");
        // Cut in the middle of a character, of which nothing may be left over.
        let long = format!("{}{}", "<br>\n".repeat(PREVIEW_SOURCE_BYTES / 5 - 1), "€".repeat(9));
        assert_eq!(preview(&format!("Content-Type: text/html; charset=utf-8\r\n\r\n x{long}")), "x €");
    }

    proptest! {
        #[test]
        fn previews_are_short_and_clean(text in "[ -~\u{a0}-\u{120}\u{200b}-\u{200f}\r\n<>&;]{0,600}", html: bool) {
            let kind = if html { "html" } else { "plain" };
            let text = preview(&format!("Content-Type: text/{kind}; charset=utf-8\r\n\r\n{text}"));
            prop_assert!(text.chars().count() <= PREVIEW_CHARS);
            prop_assert!(!text.contains("  ") && text.trim() == text && !text.chars().any(char::is_control), "{:?}", text);
        }

        #[test]
        fn octets_of_any_kind_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300), html: bool) {
            let kind = if html { "html" } else { "plain" };
            let mut message = format!("Content-Type: text/{kind}\r\n\r\n").into_bytes();
            message.extend(octets);
            let table = PartTable::new(&walk(&message));
            for part in table.preview_parts() {
                let range = part.preview_range();
                _ = part.preview(&message[range.start as usize..range.end as usize]);
            }
        }
    }
}
