//! Text that came from elsewhere, made fit for a terminal: no control characters, nothing that turns the direction of
//! writing, never too long. A report holds no foreign text in any other form.

use std::fmt;

use columba_types::limits::CHECK_TEXT_CHARS;
use serde::{Serialize, Serializer};

/// Foreign text that can be printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Shown(String);

impl Shown {
    /// Makes octets fit: what is not UTF-8, not visible or not sure to stay where it is becomes an escape.
    pub(crate) fn octets(octets: &[u8]) -> Self {
        // Four octets are at most one character, so nothing that would be shown is left out here.
        let enough = octets.get(..CHECK_TEXT_CHARS * 4 + 4).unwrap_or(octets);
        let mut text = String::new();
        for chunk in enough.utf8_chunks() {
            for character in chunk.valid().chars() {
                push(&mut text, character);
            }
            for octet in chunk.invalid() {
                text.push_str(&format!("\\x{octet:02x}"));
            }
        }
        Self(cut(text))
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::octets(text.as_bytes())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn push(text: &mut String, character: char) {
    match character {
        ' '..='~' => text.push(character),
        // Letters and digits of any script; what joins, hides or turns them is none.
        other if other.is_alphanumeric() => text.push(other),
        '\t' => text.push_str("\\t"),
        '\r' => text.push_str("\\r"),
        '\n' => text.push_str("\\n"),
        other => text.push_str(&format!("\\u{{{:x}}}", u32::from(other))),
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(CHECK_TEXT_CHARS) {
        None => text,
        Some((end, _)) => format!("{} [cut]", text.get(..end).unwrap_or_default()),
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_would_move_the_cursor_is_escaped() {
        assert_eq!(Shown::octets(b"\x1b[2J\x07ok\r\n\xff").as_str(), "\\u{1b}[2J\\u{7}ok\\r\\n\\xff");
        assert_eq!(Shown::text("\u{9b}31m \u{202e}gro \u{200d}").as_str(), "\\u{9b}31m \\u{202e}gro \\u{200d}");
        assert_eq!(Shown::text("Grüße 東京").as_str(), "Grüße 東京");
    }

    #[test]
    fn long_text_is_cut() {
        let shown = Shown::octets(&vec![b'x'; 10_000_000]);
        assert_eq!(shown.as_str().chars().count(), CHECK_TEXT_CHARS + " [cut]".len());
    }

    proptest! {
        #[test]
        fn nothing_but_visible_characters_is_left(octets: Vec<u8>) {
            let shown = Shown::octets(&octets);
            prop_assert!(shown.as_str().chars().all(|c| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric()));
            prop_assert!(shown.as_str().chars().count() <= CHECK_TEXT_CHARS + 6);
        }
    }
}
