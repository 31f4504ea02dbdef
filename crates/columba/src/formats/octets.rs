//! The octets of one message on disk: a file or a range of one, read in chunks, with its lines changed on the way.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use columba_mime::CrlfLines;
use columba_types::limits::{MESSAGE_CHUNK_BYTES, MESSAGE_IN_MEMORY_BYTES};

use super::lines::{LineEnds, Unquote};

/// A message's octets as they will be stored.
#[derive(Debug)]
pub(crate) enum Octets {
    /// Small enough to be held.
    Whole(Vec<u8>),
    /// Read bit by bit.
    Chunks(Chunks),
}

/// A message that is read bit by bit.
#[derive(Debug)]
pub(crate) struct Chunks {
    file: File,
    left: u64,
    unquote: Option<Unquote>,
    line_ends: LineEnds,
    crlf: Crlf,
}

/// Whether line ends are changed is decided by the first one.
#[derive(Debug)]
enum Crlf {
    Undecided { last: u8 },
    No,
    Yes(CrlfLines),
}

impl Octets {
    /// The octets of `range`, quoted as in an mbox or not. Small ones are read at once.
    pub(super) fn read(mut file: File, range: Range<u64>, quoted: bool, line_ends: LineEnds) -> io::Result<Self> {
        file.seek(SeekFrom::Start(range.start))?;
        let left = range.end.saturating_sub(range.start);
        let unquote = quoted.then(Unquote::default);
        let mut chunks = Chunks { file, left, unquote, line_ends, crlf: Crlf::Undecided { last: 0 } };
        if left > MESSAGE_IN_MEMORY_BYTES as u64 {
            return Ok(Self::Chunks(chunks));
        }
        let mut whole = Vec::with_capacity(usize::try_from(left).unwrap_or(0) + 64);
        while let Some(chunk) = chunks.next_chunk()? {
            if whole.is_empty() {
                whole = chunk;
            } else {
                whole.extend_from_slice(&chunk);
            }
        }
        Ok(Self::Whole(whole))
    }
}

impl Chunks {
    /// The next octets, never none; `None` at the end.
    pub(crate) fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let mut raw = vec![0; usize::try_from(self.left).unwrap_or(usize::MAX).min(MESSAGE_CHUNK_BYTES)];
            let read = self.file.read(&mut raw)?;
            raw.truncate(read);
            if read == 0 && self.left > 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read"));
            }
            self.left -= read as u64;
            let at_end = read == 0;
            let unquoted = self.unquoted(raw, at_end);
            let chunk = self.with_line_ends(unquoted);
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
            if at_end {
                return Ok(None);
            }
        }
    }

    fn unquoted(&mut self, raw: Vec<u8>, at_end: bool) -> Vec<u8> {
        let Some(unquote) = &mut self.unquote else { return raw };
        let mut out = Vec::with_capacity(raw.len() + 16);
        unquote.feed(&raw, &mut out);
        if at_end && let Some(unquote) = self.unquote.take() {
            unquote.finish(&mut out);
        }
        out
    }

    fn with_line_ends(&mut self, chunk: Vec<u8>) -> Vec<u8> {
        if let Crlf::Undecided { last } = &mut self.crlf {
            if self.line_ends == LineEnds::Keep {
                self.crlf = Crlf::No;
            } else if let Some(at) = memchr::memchr(b'\n', &chunk) {
                let before = at.checked_sub(1).and_then(|i| chunk.get(i)).unwrap_or(last);
                self.crlf = if *before == b'\r' { Crlf::No } else { Crlf::Yes(CrlfLines::new()) };
            } else if let Some(end) = chunk.last() {
                *last = *end;
            }
        }
        let Crlf::Yes(lines) = &mut self.crlf else { return chunk };
        let mut out = Vec::with_capacity(chunk.len() + chunk.len() / 32);
        lines.feed(&chunk, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(content: &[u8], quoted: bool, line_ends: LineEnds) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"skipped").unwrap();
        file.write_all(content).unwrap();
        let range = 7..7 + content.len() as u64;
        match Octets::read(file, range, quoted, line_ends).unwrap() {
            Octets::Whole(whole) => whole,
            Octets::Chunks(mut chunks) => {
                let mut all = Vec::new();
                while let Some(chunk) = chunks.next_chunk().unwrap() {
                    assert!(chunk.len() <= 2 * MESSAGE_CHUNK_BYTES);
                    all.extend(chunk);
                }
                all
            }
        }
    }

    #[test]
    fn unix_files_get_crlf_and_others_stay() {
        assert_eq!(read(b"a\nb\r\nc\n", false, LineEnds::Crlf), b"a\r\nb\r\nc\r\n");
        assert_eq!(read(b"a\r\nb\nc\n", false, LineEnds::Crlf), b"a\r\nb\nc\n");
        assert_eq!(read(b"a\nb\n", false, LineEnds::Keep), b"a\nb\n");
        assert_eq!(read(b"\n", false, LineEnds::Crlf), b"\r\n");
        assert_eq!(read(b"", true, LineEnds::Crlf), b"");
        assert_eq!(read(b"a\n>From b\n>F", true, LineEnds::Crlf), b"a\r\nFrom b\r\n>F");
    }

    #[test]
    fn large_messages_come_in_chunks() {
        let line = b"0123456789\n";
        let content = line.repeat(2 * MESSAGE_IN_MEMORY_BYTES / line.len());
        let expected = b"0123456789\r\n".repeat(2 * MESSAGE_IN_MEMORY_BYTES / line.len());
        assert!(read(&content, true, LineEnds::Crlf) == expected);
        assert!(read(&content, false, LineEnds::Keep) == content);
        assert!(read(&expected, false, LineEnds::Crlf) == expected);
    }

    #[test]
    fn a_file_that_became_shorter_is_told() {
        let error = Octets::read(tempfile::tempfile().unwrap(), 0..5, false, LineEnds::Crlf).unwrap_err();
        assert!(error.to_string().contains("shorter"));
    }
}
