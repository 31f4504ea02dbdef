//! Talking with a server that may be anything: lines and tagged answers, within bounds of octets, lines and time.
//! Takes what comes as it comes: no grammar beyond tags, status words, response codes and literals.

use std::io;
use std::time::{Duration, Instant};

use columba_types::limits::{CHECK_ANSWER_BYTES, CHECK_ANSWER_LINES, CHECK_LINE_BYTES, CHECK_STEPS};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::shown::Shown;

/// How long each step may take, and when all of them together have to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    step: Duration,
    end: Instant,
}

impl Patience {
    pub(crate) fn new(step: Duration) -> Self {
        Self { step, end: Instant::now() + step * CHECK_STEPS }
    }

    /// What the next step may take.
    pub(crate) fn next(&self) -> Duration {
        self.step.min(self.end.saturating_duration_since(Instant::now()))
    }

    /// The same, and never more than that for a step.
    pub(crate) fn at_most(self, step: Duration) -> Self {
        Self { step: self.step.min(step), ..self }
    }
}

/// Why a conversation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// The other side closed.
    Closed,
    /// Nothing whole came in time.
    Silent,
    /// It sent more than anyone needs to.
    TooMuch,
    /// The system or TLS reported an error.
    Failed(Shown),
}

impl Broken {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Closed => "it closed the connection".into(),
            Self::Silent => "it did not answer in time".into(),
            Self::TooMuch => "it sent far more than an answer".into(),
            Self::Failed(why) => why.to_string(),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(Shown::text(&error.to_string())),
        }
    }
}

/// The status of a tagged answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Ok,
    No,
    Bad,
    /// It said BYE, or something that is no status.
    Other,
}

/// All that answered one command.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The lines before the tagged one, literals included.
    pub(crate) untagged: Vec<Vec<u8>>,
    pub(crate) status: Status,
    /// The text behind the tag.
    pub(crate) text: Vec<u8>,
}

impl Answer {
    /// The first word of the response code (RFC 9051 §7.1), in capitals.
    pub(crate) fn code(&self) -> Option<String> {
        let after = self.text.iter().position(|b| *b == b'[').and_then(|at| self.text.get(at + 1..))?;
        let end = after.iter().position(|b| matches!(b, b' ' | b']'))?;
        let word = std::str::from_utf8(after.get(..end)?).ok()?;
        let plain = word.len() <= 40 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        plain.then(|| word.to_ascii_uppercase())
    }
}

/// One connection, plain or not.
#[derive(Debug)]
pub(crate) struct Conversation<S> {
    stream: S,
    /// Read and not looked at.
    pending: Vec<u8>,
    /// Octets that may still come.
    budget: usize,
    pub(crate) patience: Patience,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(crate) fn new(stream: S, patience: Patience) -> Self {
        Self { stream, pending: Vec::new(), budget: CHECK_ANSWER_BYTES, patience }
    }

    /// The stream, and what came behind the last line.
    pub(crate) fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.pending)
    }

    /// The next line without its end, a literal in it included with its octets.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, Broken> {
        let patience = self.patience.next();
        tokio::time::timeout(patience, self.read_line()).await.unwrap_or(Err(Broken::Silent))
    }

    async fn read_line(&mut self) -> Result<Vec<u8>, Broken> {
        let mut line = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = self.pending.iter().position(|b| *b == b'\n') {
                    break at;
                }
                self.more(line.len()).await?;
            };
            line.extend(self.pending.drain(..=end));
            while line.ends_with(b"\n") || line.ends_with(b"\r") {
                line.pop();
            }
            let Some(octets) = literal(&line) else { return Ok(line) };
            if octets > CHECK_LINE_BYTES {
                return Err(Broken::TooMuch);
            }
            while self.pending.len() < octets {
                self.more(line.len()).await?;
            }
            line.extend(self.pending.drain(..octets));
        }
    }

    async fn more(&mut self, line: usize) -> Result<(), Broken> {
        if self.budget == 0 || line + self.pending.len() > CHECK_LINE_BYTES {
            return Err(Broken::TooMuch);
        }
        let mut octets = [0; 4096];
        let room = octets.len().min(self.budget);
        let got = self.stream.read(octets.get_mut(..room).unwrap_or_default()).await?;
        if got == 0 {
            return Err(Broken::Closed);
        }
        self.budget -= got;
        self.pending.extend_from_slice(octets.get(..got).unwrap_or_default());
        Ok(())
    }

    /// Whatever comes next, whole line or not; what came so far when time is over.
    pub(crate) async fn scrap(&mut self) -> Vec<u8> {
        if self.pending.is_empty() {
            let patience = self.patience.next();
            let _ = tokio::time::timeout(patience, self.more(0)).await;
        }
        self.pending.clone()
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) -> Result<(), Broken> {
        let sending = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        let sent = tokio::time::timeout(self.patience.next(), sending).await;
        Ok(sent.unwrap_or(Err(io::ErrorKind::BrokenPipe.into()))?)
    }

    /// Sends a command and reads its answer.
    pub(crate) async fn command(&mut self, tag: &str, command: &str) -> Result<Answer, Broken> {
        self.send(format!("{tag} {command}\r\n").as_bytes()).await?;
        self.answer(tag).await
    }

    /// Reads until the line that `tag` begins; or until the server goes, which answers everything. The time of one step
    /// is for the whole answer.
    pub(crate) async fn answer(&mut self, tag: &str) -> Result<Answer, Broken> {
        let patience = self.patience.next();
        tokio::time::timeout(patience, self.read_answer(tag)).await.unwrap_or(Err(Broken::Silent))
    }

    async fn read_answer(&mut self, tag: &str) -> Result<Answer, Broken> {
        let mut untagged = Vec::new();
        loop {
            let line = self.read_line().await?;
            if let Some(rest) = line.strip_prefix(tag.as_bytes()).and_then(|rest| rest.strip_prefix(b" ")) {
                let (status, text) = status(rest);
                return Ok(Answer { untagged, status, text: text.to_vec() });
            }
            // RFC 9051 §2.2.1: it wants more, which no command of ours has.
            if line.starts_with(b"+") {
                return Ok(Answer { untagged, status: Status::Other, text: line });
            }
            if untagged.len() >= CHECK_ANSWER_LINES {
                return Err(Broken::TooMuch);
            }
            untagged.push(line);
        }
    }
}

/// The status word and what follows it.
pub(crate) fn status(text: &[u8]) -> (Status, &[u8]) {
    let end = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let status = match word.to_ascii_uppercase().as_slice() {
        b"OK" => Status::Ok,
        b"NO" => Status::No,
        b"BAD" => Status::Bad,
        _ => return (Status::Other, text),
    };
    (status, rest.strip_prefix(b" ").unwrap_or(rest))
}

/// The octets of the literal that a line ends by announcing (RFC 9051 §4.3).
fn literal(line: &[u8]) -> Option<usize> {
    let inside = line.strip_suffix(b"}")?;
    let start = inside.iter().rposition(|b| *b == b'{')?;
    let digits = std::str::from_utf8(inside.get(start + 1..)?).ok()?;
    let digits = digits.strip_suffix('+').unwrap_or(digits);
    let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    number.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patience() -> Patience {
        Patience::new(Duration::from_secs(20))
    }

    async fn with(sent: &[u8]) -> Conversation<tokio::io::DuplexStream> {
        let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
        theirs.write_all(sent).await.unwrap();
        theirs.shutdown().await.unwrap();
        // Kept open for what we send.
        tokio::spawn(async move { tokio::io::copy(&mut theirs, &mut tokio::io::sink()).await });
        Conversation::new(ours, patience())
    }

    #[tokio::test]
    async fn lines_literals_and_answers_are_read() {
        let mut talk =
            with(b"* OK hello\r\n* ID (\"name\" {3}\r\na\r\n)\n* X\r\na1 NO [limit reached] go\r\nrest").await;
        assert_eq!(talk.line().await.unwrap(), b"* OK hello");
        let answer = talk.command("a1", "NOOP").await.unwrap();
        assert_eq!(answer.untagged, [&b"* ID (\"name\" {3}a\r\n)"[..], b"* X"]);
        assert_eq!((answer.status, answer.code().as_deref()), (Status::No, Some("LIMIT")));
        assert_eq!(talk.into_parts().1, b"rest");
    }

    #[tokio::test]
    async fn floods_end() {
        let mut long = with(&vec![b'x'; CHECK_LINE_BYTES * 2]).await;
        assert_eq!(long.line().await, Err(Broken::TooMuch));
        let mut literal = with(b"* OK {99999999999999999999}\r\n").await;
        assert_eq!(literal.line().await, Err(Broken::TooMuch));
        let mut lines = with(&b"* x\r\n".repeat(CHECK_ANSWER_LINES + 5)).await;
        assert_eq!(lines.command("a", "NOOP").await.unwrap_err(), Broken::TooMuch);
        let mut octets = with(&b"x\n".repeat(CHECK_ANSWER_BYTES)).await;
        let mut read = 0;
        while octets.line().await.is_ok() {
            read += 1;
        }
        assert!(read * 2 <= CHECK_ANSWER_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_drips_is_silent() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if theirs.write_all(b"x").await.is_err() {
                    return;
                }
            }
        });
        let mut talk = Conversation::new(ours, patience());
        assert_eq!(talk.line().await, Err(Broken::Silent));
    }

    #[tokio::test]
    async fn closing_is_told() {
        assert_eq!(with(b"* OK half").await.line().await, Err(Broken::Closed));
        assert_eq!(with(b"").await.command("a", "NOOP").await.unwrap_err(), Broken::Closed);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_to_an_end(octets: Vec<u8>) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let mut talk = with(&octets).await;
                let answer = talk.command("a", "NOOP").await;
                if let Ok(answer) = answer {
                    let _ = answer.code();
                }
            });
        }
    }
}
