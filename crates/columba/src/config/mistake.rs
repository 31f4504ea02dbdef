//! What is wrong in a configuration file, where, and what to write instead. Knows how mistakes look, not what they are.

use std::fmt::Write as _;
use std::ops::Range;

use serde::Serialize;

/// One mistake in a configuration file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Mistake {
    /// Line, counted from 1.
    pub(crate) line: usize,
    /// Column in characters, counted from 1.
    pub(crate) column: usize,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) fix: String,
    /// Octets of the file that are meant; only for drawing.
    #[serde(skip)]
    span: Range<usize>,
}

impl Mistake {
    /// A mistake at `span` (octets) of `text`.
    pub(crate) fn new(text: &str, span: Range<usize>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        let start = floor_boundary(text, span.start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            what: what.into(),
            fix: fix.into(),
            span: start..floor_boundary(text, span.end).max(start),
        }
    }

    /// Three lines for people: where and what, the line itself, and the fix under the place meant.
    pub(crate) fn render(&self, file: &str, text: &str) -> String {
        let mut out = format!("{file}:{}:{}: {}\n", self.line, self.column, self.what);
        let line = text.lines().nth(self.line - 1).unwrap_or_default();
        let before: String = line.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let meant = text.get(self.span.clone()).unwrap_or_default().lines().next().unwrap_or_default();
        let marks = "^".repeat(meant.chars().count().max(1));
        if !line.trim().is_empty() {
            let _ = writeln!(out, "    {line}\n    {before}{marks} {}", self.fix);
        } else {
            let _ = writeln!(out, "    {}", self.fix);
        }
        out
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// The one of `known` that `word` was probably meant to be: at most a third of its letters are wrong.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |k: &str| edit_distance(&word.to_lowercase(), &k.to_lowercase());
    let best = known.iter().map(|k| (distance(k), *k)).min()?;
    (best.0 <= (word.chars().count() / 3).max(1)).then_some(best.1)
}

/// Insertions, deletions, changes and swaps of neighbours that turn `a` into `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_in_lines_and_characters() {
        let text = "a = 1\n\tä = \"x\"\n";
        let mistake = Mistake::new(text, 12..15, "wrong", "write y");
        assert_eq!((mistake.line, mistake.column), (2, 6));
        assert_eq!(mistake.render("f.toml", text), "f.toml:2:6: wrong\n    \tä = \"x\"\n    \t    ^^^ write y\n");
    }

    #[test]
    fn a_place_beyond_the_text_or_within_a_character_is_no_trouble() {
        assert_eq!(Mistake::new("ä", 1..9, "", "").column, 1);
        assert_eq!(Mistake::new("", 5..9, "", "").line, 1);
    }

    #[test]
    fn finds_what_was_meant() {
        let known = ["address", "protocol", "tls"];
        assert_eq!(nearest("adress", &known), Some("address"));
        assert_eq!(nearest("protcool", &known), Some("protocol"));
        assert_eq!(nearest("TLS", &known), Some("tls"));
        assert_eq!(nearest("certificate", &known), None);
    }
}
