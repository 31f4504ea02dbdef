//! A header block cut into its fields. Knows the shape of a field, not what any field means.

use std::borrow::Cow;
use std::ops::Range;

use columba_types::limits::HEADER_FIELDS;
use memchr::memchr;

/// One field of a header block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Its name as written, without the colon.
    pub name: &'a [u8],
    /// What follows the colon, with line ends and folding.
    pub value: &'a [u8],
    /// Where the whole field lies in the block, its last line end included.
    pub range: Range<usize>,
}

/// The fields of a block in order; lines that are no field are passed over.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    block: &'a [u8],
    at: usize,
    left: usize,
}

/// Iterates over the fields of a header block, `HEADER_FIELDS` at most. The blank line ends it.
pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { block, at: 0, left: HEADER_FIELDS }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.left == 0 {
            return None;
        }
        loop {
            let start = self.at;
            let rest = self.block.get(start..).unwrap_or_default();
            let first = line_length(rest);
            let line = rest.get(..first).unwrap_or_default();
            if line.is_empty() || is_blank(line) {
                return None;
            }
            self.at = start + first;
            let Some(colon) = name_length(line) else { continue };
            self.skip_continuations();
            self.left -= 1;
            let name = line.get(..colon).unwrap_or_default();
            let after = memchr(b':', line).map_or(self.at, |at| start + at + 1);
            let value = self.block.get(after..self.at).unwrap_or_default();
            return Some(Field { name: trim_end(name), value, range: start..self.at });
        }
    }
}

impl Fields<'_> {
    // RFC 5322 §2.2.3: a line that begins with white space goes on with the field before it.
    fn skip_continuations(&mut self) {
        while let Some(rest) = self.block.get(self.at..)
            && matches!(rest.first(), Some(b' ' | b'\t'))
        {
            self.at += line_length(rest);
        }
    }
}

/// Octets up to and with the next LF, or all there are.
fn line_length(rest: &[u8]) -> usize {
    memchr(b'\n', rest).map_or(rest.len(), |at| at + 1)
}

/// Whether a line is the blank line that ends a header: CRLF, or LF alone.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n")
}

/// The length of the name if the line begins a field, the white space before the colon included.
// RFC 5322 §3.6.8: printable ASCII without the colon; §4.5: obsolete white space before the colon.
pub(crate) fn name_length(line: &[u8]) -> Option<usize> {
    let name = line.iter().position(|b| !(33..=126).contains(b) || *b == b':')?;
    let rest = line.get(name..)?;
    let space = rest.iter().position(|b| !matches!(b, b' ' | b'\t'))?;
    (name > 0 && rest.get(space) == Some(&b':')).then_some(name + space)
}

/// A field's value without line ends and without white space around it (RFC 5322 §2.2.3).
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = trim(value);
    if memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memchr(b'\n', rest) {
        let line = rest.get(..at).unwrap_or_default();
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Without white space and line ends at both ends.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| !is_space(*b)).unwrap_or(text.len());
    trim_end(text.get(start..).unwrap_or_default())
}

/// Without white space and line ends at the end.
pub(crate) fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|b| !is_space(*b)).map_or(0, |at| at + 1);
    text.get(..end).unwrap_or_default()
}

/// Space, tab, CR or LF.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(block: &[u8]) -> Vec<(String, String)> {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        fields(block).map(|f| (text(f.name), text(&unfold(f.value)))).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn fields_are_unfolded_and_end_at_the_blank_line() {
        let block = b"Subject: a\r\n b\r\n\tc \r\nX:y\n\nNot: this";
        assert_eq!(pairs(block), [pair("Subject", "a b\tc"), pair("X", "y")]);
    }

    // RFC 5322 §4.5: white space may stand before the colon in obsolete messages.
    #[test]
    fn odd_lines_are_passed_over_and_odd_names_read() {
        let block = b"From me Thu Jan 1 00:00:00 1970\r\nTo : x\r\nrubbish\r\n: none\r\nEmpty:\r\nLast: no line end";
        assert_eq!(pairs(block), [pair("To", "x"), pair("Empty", ""), pair("Last", "no line end")]);
    }

    #[test]
    fn ranges_cover_the_whole_field() {
        let block = b"A: 1\r\n 2\r\nB: 3\r\n\r\n";
        assert_eq!(fields(block).map(|f| f.range).collect::<Vec<_>>(), [0..10, 10..16]);
    }

    #[test]
    fn fields_are_bounded() {
        assert_eq!(fields("a: b\n".repeat(HEADER_FIELDS + 5).as_bytes()).count(), HEADER_FIELDS);
    }
}
