//! The answer to one command, counted as it comes: responses by their kind, octets, literals. What it says is not understood,
//! only whether it is complete.

use std::io;

use memchr::{memchr, memchr_iter};
use tokio::io::AsyncRead;

use super::input::Input;
use crate::Failure;

/// What came up to a tagged response.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Untagged FETCH, EXPUNGE and VANISHED responses.
    pub(crate) fetches: u64,
    pub(crate) expunges: u64,
    pub(crate) vanished: u64,
    /// Numbers in untagged SEARCH and SORT responses.
    pub(crate) found: u64,
    /// The last EXISTS.
    pub(crate) exists: Option<u64>,
    /// Octets in all, and of literals.
    pub(crate) octets: u64,
    pub(crate) literal_octets: u64,
    pub(crate) literals: u64,
    /// The tagged response without tag and line end.
    pub(crate) status: String,
}

impl Answer {
    pub(crate) fn or_failure(self, command: &str) -> Result<Self, Failure> {
        if self.status.starts_with("OK") {
            return Ok(self);
        }
        let short: String = command.chars().take(100).collect();
        Err(format!("{short}: {}", self.status).into())
    }

    /// Fails unless it has just so many FETCH responses.
    pub(crate) fn has_fetches(self, count: u64) -> Result<Self, Failure> {
        self.has("FETCH responses", |answer| answer.fetches, count)
    }

    /// Fails unless a count is what it has to be: a server that answers less is not fast.
    pub(crate) fn has(self, what: &str, of: impl Fn(&Self) -> u64, count: u64) -> Result<Self, Failure> {
        match of(&self) {
            seen if seen == count => Ok(self),
            seen => Err(format!("the answer has {seen} {what}, not {count}").into()),
        }
    }

    fn count(&mut self, line: &[u8]) {
        let Some(rest) = line.strip_prefix(b"* ") else { return };
        let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        let (number, word) = rest.split_at(digits);
        match word {
            word if digits > 0 && word.starts_with(b" FETCH") => self.fetches += 1,
            word if digits > 0 && word.starts_with(b" EXPUNGE") => self.expunges += 1,
            word if digits > 0 && word.starts_with(b" EXISTS") => {
                self.exists = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
            }
            word if word.starts_with(b"SEARCH") || word.starts_with(b"SORT") => {
                // The mod-sequence that CONDSTORE puts at the end is no number that was found.
                let numbers = word.split(|octet| *octet == b'(').next().unwrap_or_default();
                self.found += memchr_iter(b' ', numbers.trim_ascii_end()).count() as u64;
            }
            word if word.starts_with(b"VANISHED") => self.vanished += 1,
            _ => {}
        }
    }
}

/// Reads to the end of the next tagged response.
pub(super) async fn read<S: AsyncRead + Unpin + ?Sized>(
    input: &mut Input,
    stream: &mut S,
    mut each: impl FnMut(&[u8]),
) -> io::Result<Answer> {
    let mut answer = Answer::default();
    // Whether the line that comes continues a response after a literal, and how much of it was looked at in vain.
    let (mut continues, mut seen) = (false, 0);
    loop {
        let octets = input.octets();
        let Some(end) = memchr(b'\n', octets.get(seen..).unwrap_or_default()).map(|at| seen + at + 1) else {
            seen = octets.len();
            input.fill(stream).await?;
            continue;
        };
        seen = 0;
        let line = octets.get(..end).unwrap_or_default();
        let literal = literal(line);
        if !continues {
            if !line.starts_with(b"* ") && !line.starts_with(b"+") {
                let status = line.splitn(2, |octet| *octet == b' ').nth(1).unwrap_or_default();
                answer.status = String::from_utf8_lossy(status).trim_end().to_owned();
                answer.octets += end as u64;
                input.advance(end);
                return Ok(answer);
            }
            let fetches = answer.fetches;
            answer.count(line);
            if answer.fetches == fetches {
                each(line);
            }
        }
        answer.octets += end as u64;
        input.advance(end);
        continues = literal.is_some();
        if let Some(length) = literal {
            answer.literals += 1;
            answer.literal_octets += length;
            answer.octets += length;
            pass(input, stream, length).await?;
        }
    }
}

/// The length of the literal that a line ends with.
fn literal(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|octet| !octet.is_ascii_digit())?;
    let (before, digits) = line.split_at(open + 1);
    if before.last() != Some(&b'{') {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads and forgets that many octets.
async fn pass<S: AsyncRead + Unpin + ?Sized>(input: &mut Input, stream: &mut S, mut length: u64) -> io::Result<()> {
    loop {
        let there = input.octets().len().min(usize::try_from(length).unwrap_or(usize::MAX));
        input.advance(there);
        length -= there as u64;
        if length == 0 {
            return Ok(());
        }
        input.fill(stream).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its octets in pieces of that size.
    async fn answer_of(octets: &'static [u8], piece: usize) -> io::Result<(Answer, Vec<String>)> {
        let (near, mut far) = tokio::io::duplex(piece);
        let mut near = Box::pin(near);
        let (mut input, mut lines) = (Input::default(), Vec::new());
        let write = async move {
            let written = tokio::io::AsyncWriteExt::write_all(&mut far, octets).await;
            drop(far);
            written
        };
        let read = read(&mut input, &mut near, |line| lines.push(String::from_utf8_lossy(line).trim_end().to_owned()));
        let writer = tokio::spawn(write);
        let answer = read.await;
        // What comes after the answer nobody reads.
        writer.abort();
        Ok((answer?, lines))
    }

    #[tokio::test]
    async fn answers_are_counted_however_they_are_cut() {
        let octets: &[u8] = b"* 3 EXISTS\r\n* 1 FETCH (UID 1 BODY[] {13}\r\n* 2 FETCH (\r\n FLAGS ())\r\n* SEARCH 1 2 30\r\n\
            * 2 FETCH (BODY[1] {3}\r\na1 BODY[2] {2}\r\nxx)\r\n* SEARCH\r\n* VANISHED 1:5\r\na1 OK [X] done\r\na2 OK not read\r\n";
        for piece in [1, 2, 7, 64, 4096] {
            let (answer, lines) = answer_of(octets, piece).await.expect("an answer");
            assert_eq!((answer.fetches, answer.found, answer.exists, answer.vanished), (2, 3, Some(3), 1));
            assert_eq!((answer.literals, answer.literal_octets, answer.status.as_str()), (3, 18, "OK [X] done"));
            assert_eq!(answer.octets, octets.len() as u64 - 16);
            assert_eq!(lines, ["* 3 EXISTS", "* SEARCH 1 2 30", "* SEARCH", "* VANISHED 1:5"]);
        }
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_a_failure() {
        for octets in [&b""[..], b"* 1 FETCH (BODY[] {9}\r\nabc", b"* 1 EXISTS\r\n", b"a1 OK done\r"] {
            assert!(answer_of(octets, 16).await.is_err(), "{octets:?}");
        }
    }

    #[test]
    fn what_is_no_literal_is_none() {
        assert_eq!(literal(b"x {10}\r\n"), Some(10));
        assert_eq!(literal(b"x ~{0}\r\n"), Some(0));
        for line in
            [&b"x {}\r\n"[..], b"10}\r\n", b"x {99999999999999999999}\r\n", b"x (10}\r\n", b"}\r\n", b"x {10}\n"]
        {
            assert_eq!(literal(line), None, "{line:?}");
        }
    }
}
