//! Hot paths, to have their instructions counted: `figures NAME` makes what the path needs, walks it once inside
//! [`counted`], and prints how many operations that were. `bench/figures.py` runs it under callgrind, which counts only
//! there. Everything is in memory and on one thread, so that the same program gives the same count wherever it runs;
//! disks and sockets are the load generator's matter.

use std::fmt::Write as _;
use std::hint::black_box;

use columba_sim::LinkOptions;
use columba_sim::script::{ACCOUNT, Ground as _, MemoryGround, PASSWORD, Peer, Received, Wire};
use columba_wire::{Frame, FrameLimits, Framer, Input, ParseMode, parse_command};

/// Messages in the mailbox that is read.
const MESSAGES: usize = 10_000;
/// Rounds of the pipelined commands.
const ROUNDS: usize = 200;
/// Messages that are appended.
const APPENDED: usize = 200;
/// Octets of each, about.
const APPENDED_BYTES: usize = 4096;

/// What clients send most.
const COMMANDS: [&str; 10] = [
    "a1 NOOP\r\n",
    "a2 SELECT INBOX (QRESYNC (67890007 90060115194045000 1:1000))\r\n",
    "a3 UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 90060115194045000)\r\n",
    "a4 UID FETCH 2000:2050,2060,2071:2099 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID \
     Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])\r\n",
    "a5 UID STORE 4711 +FLAGS.SILENT (\\Seen $Forwarded)\r\n",
    "a6 UID SEARCH RETURN (ALL COUNT) UNSEEN SINCE 1-Feb-2024 OR FROM \"alice@example.org\" SUBJECT \"invoice\"\r\n",
    "a7 LIST (SUBSCRIBED) \"\" \"*\" RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN UIDNEXT))\r\n",
    "a8 UID MOVE 17,19,23:42 \"Archive/2024\"\r\n",
    "a9 STATUS {10+}\r\nSent Items (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)\r\n",
    "a10 UID FETCH 4711 (BODYSTRUCTURE BODY.PEEK[1.MIME] BODY.PEEK[1]<0.65536>)\r\n",
];

/// The one place where instructions count. Not generic and not inlined, so that callgrind finds it by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut() -> usize) -> usize {
    black_box(work())
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let operations = match name.as_str() {
        "parse" => parse(),
        "append" => append(),
        "select" => on_mailbox("SELECT INBOX", false),
        "fetch-flags" => on_mailbox("FETCH 1:* (UID FLAGS)", true),
        "fetch-envelope" => on_mailbox("FETCH 1:* (UID ENVELOPE)", true),
        "store-flags" => on_mailbox("STORE 1:* +FLAGS.SILENT (\\Flagged)", true),
        "search-flags" => on_mailbox("SEARCH UNSEEN NOT DELETED", true),
        _ => {
            eprintln!("usage: figures parse|append|select|fetch-flags|fetch-envelope|store-flags|search-flags");
            std::process::exit(2);
        }
    };
    println!("{operations}");
}

/// Commands as a pipelining client sends them: cut out of one buffer, and read.
fn parse() -> usize {
    let pipelined = COMMANDS.concat().repeat(ROUNDS);
    counted(&mut || {
        let (mut input, mut framer) = (Input::default(), Framer::new(FrameLimits::AUTHENTICATED));
        let mut read = 0;
        for chunk in pipelined.as_bytes().chunks(4096) {
            input.push(chunk);
            while let Some(frame) = framer.next(&mut input) {
                match frame {
                    Frame::Command(octets) => {
                        black_box(parse_command(&octets, ParseMode::default()).expect("a command that is read"));
                        read += 1;
                    }
                    Frame::Literal(_) => assert!(framer.accept()),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(read, COMMANDS.len() * ROUNDS);
        read
    })
}

/// APPEND of messages of 4 KB, one after the other.
fn append() -> usize {
    let mut client = Client::new();
    let message = message(1, APPENDED_BYTES);
    let command = format!("APPEND INBOX (\\Seen) {{{}+}}\r\n{message}", message.len());
    client.ask("SELECT INBOX");
    counted(&mut || {
        for _ in 0..APPENDED {
            client.ask(&command);
        }
        APPENDED
    })
}

/// One command on a mailbox of many messages; its operations are the messages.
fn on_mailbox(command: &str, selected: bool) -> usize {
    let mut client = Client::new();
    // One by one for a while, then by copying: a mailbox of many messages is no matter here, getting one is.
    let distinct = 100;
    let mut batch = String::from("APPEND INBOX");
    for number in 0..distinct {
        let message = message(number, 512);
        let flags = if number % 3 == 0 { "()" } else { "(\\Seen)" };
        let _ = write!(batch, " {flags} {{{}+}}\r\n{message}", message.len());
    }
    client.ask(&batch);
    client.ask("SELECT INBOX");
    let mut messages = distinct;
    while messages < MESSAGES {
        let copied = messages.min(MESSAGES - messages);
        client.ask(&format!("COPY 1:{copied} INBOX"));
        messages += copied;
    }
    client.ask("NOOP");
    client.ask("UNSELECT");
    if selected {
        client.ask("SELECT INBOX");
    }
    let mut answer = String::new();
    let operations = counted(&mut || {
        answer = client.ask(command);
        MESSAGES
    });
    if command.starts_with("FETCH") {
        assert_eq!(answer.matches(" FETCH (").count(), MESSAGES, "the answer is not complete");
    }
    operations
}

fn message(number: usize, octets: usize) -> String {
    let mut text = format!(
        "From: Alice Example <alice@example.org>\r\nTo: Bob <bob@example.net>, carol@example.net\r\nSubject: Message {number}\r\n\
         Date: Mon, 5 Feb 2024 10:11:12 +0100\r\nMessage-ID: <{number}@example.org>\r\nReferences: <0@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
    );
    while text.len() + 64 < octets {
        text.push_str("A line of a letter that says nothing much, in plain words.\r\n");
    }
    text.push_str("--b\r\nContent-Type: text/html\r\n\r\n<p>The same</p>\r\n--b--\r\n");
    text
}

/// A client of a server in this process.
struct Client {
    wire: Box<dyn Wire>,
    _ground: MemoryGround,
}

impl Client {
    fn new() -> Self {
        let mut ground = MemoryGround::new(LinkOptions::default()).expect("a store in memory");
        let Ok(wire) = ground.connect(Peer::Trusted) else { panic!("no connection") };
        let mut client = Self { wire, _ground: ground };
        client.ask(&format!("LOGIN {ACCOUNT} {PASSWORD}"));
        client
    }

    /// Sends a command and takes its whole answer, which has to be OK.
    fn ask(&mut self, command: &str) -> String {
        self.wire.send(format!("t {command}\r\n").as_bytes()).expect("a server that reads");
        let mut answer = Vec::new();
        loop {
            match self.wire.receive(true) {
                Received::Octets(octets) => answer.extend(octets),
                other => panic!("{other:?} after {}", String::from_utf8_lossy(&answer)),
            }
            let last = answer.strip_suffix(b"\r\n").unwrap_or_default().rsplit(|octet| *octet == b'\n').next();
            match last.unwrap_or_default() {
                line if line.starts_with(b"t OK") => break,
                line if line.starts_with(b"t ") => panic!("{}", String::from_utf8_lossy(line)),
                _ => {}
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}
