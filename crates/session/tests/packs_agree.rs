//! With packs, without them, and with some of them, FETCH and SEARCH give the same octets, whatever happened to the mailbox
//! before: three servers are told the same, and nobody can tell which of them has packs.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use columba_sim::LinkOptions;
use columba_sim::script::{ACCOUNT, Ground, MailSide, MemoryGround, PASSWORD, Peer, Received, Wire, block_on};
use columba_store::Options;
use proptest::prelude::*;

/// What packs have a part in, and what goes past them.
const QUESTIONS: [&str; 21] = [
    "FETCH 1:* ENVELOPE",
    "FETCH 1:* (UID FLAGS BODYSTRUCTURE RFC822.SIZE)",
    "UID FETCH 1:* (ENVELOPE BODY THREADID EMAILID MODSEQ)",
    "FETCH 2:4,7:* (PREVIEW ENVELOPE)",
    "FETCH 1:* PREVIEW (LAZY)",
    "FETCH 1:* BODY.PEEK[HEADER.FIELDS (FROM Subject DATE to)]",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (X-Odd Received)] ENVELOPE BODY.PEEK[HEADER]<3.40>)",
    "UID FETCH 1:* BODY.PEEK[HEADER.FIELDS.NOT (From)]",
    "FETCH 1:* BODY.PEEK[HEADER.FIELDS (To Cc)]<1.10>",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (To)] BODY.PEEK[1]<0.9>)",
    "FETCH 1:3 (FLAGS BODY[HEADER.FIELDS (Date)])",
    "FETCH 1:* FLAGS",
    "SEARCH SUBJECT a",
    "UID SEARCH FROM example",
    "SEARCH NOT TO o BCC \"\"",
    "SEARCH HEADER Content-Type text",
    "SEARCH HEADER X-Odd \"\"",
    "SEARCH OR TEXT hello SENTSINCE 1-Jan-2010",
    "SEARCH NOT CC x BODY e",
    "SEARCH HEADER Received with SUBJECT e",
    "SEARCH SENTBEFORE 1-Jan-2005 HEADER Message-ID @",
];

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Expunge(u32, u32),
    Move(u32, u32),
    Back(u32),
    Copy(u32, u32),
    Ask(usize),
    /// Only the server that has some packs does this; the one that has all does it always.
    Pack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let span = || (1u32..30, 0u32..6);
    let step = prop_oneof![
        8 => any::<usize>().prop_map(Step::Append),
        1 => span().prop_map(|(low, more)| Step::Expunge(low, more)),
        1 => span().prop_map(|(low, more)| Step::Move(low, more)),
        1 => (1u32..30).prop_map(Step::Back),
        1 => span().prop_map(|(low, more)| Step::Copy(low, more)),
        4 => (0..QUESTIONS.len()).prop_map(Step::Ask),
        2 => Just(Step::Pack),
    ];
    proptest::collection::vec(step, 1..50)
}

struct Side {
    ground: MemoryGround,
    wire: Box<dyn Wire>,
    commands: u32,
}

impl Side {
    fn new(packed_page: Option<usize>, background: bool, utf8: bool) -> Self {
        let options = Options::default();
        let packed_page = packed_page.unwrap_or(options.packed_page);
        let mut ground =
            MemoryGround::on(MailSide::with(Options { packed_page, ..options }).unwrap(), LinkOptions::default());
        if background {
            ground = ground.packing();
        }
        let wire = ground.connect(Peer::Trusted).unwrap();
        let mut side = Self { ground, wire, commands: 0 };
        side.receive(b"\r\n");
        side.say(&format!("LOGIN {ACCOUNT} {PASSWORD}"));
        if utf8 {
            side.say("ENABLE UTF8=ACCEPT");
        }
        side.say("CREATE other");
        side.say("SELECT INBOX");
        side
    }

    fn receive(&mut self, until: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.wire.receive(true) {
                Received::Octets(octets) => all.extend(octets),
                other => panic!("the server is {other:?} after {:?}", String::from_utf8_lossy(&all)),
            }
            let last = all.strip_suffix(b"\r\n").unwrap_or_default();
            let last = last.rsplit(|octet| *octet == b'\n').next().unwrap_or_default();
            if all.ends_with(b"\r\n") && (until == b"\r\n" || last.starts_with(until)) {
                return all;
            }
        }
    }

    fn send(&mut self, command: &[u8]) -> Vec<u8> {
        self.commands += 1;
        let tag = format!("c{} ", self.commands);
        self.wire.send(&[tag.as_bytes(), command, b"\r\n"].concat()).unwrap();
        self.receive(tag.as_bytes())
    }

    fn say(&mut self, command: &str) -> Vec<u8> {
        self.send(command.as_bytes())
    }
}

fn messages() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/messages");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|name| name == "eml")).collect();
    files.sort();
    files.into_iter().map(|path| std::fs::read(path).unwrap()).filter(|octets| octets.len() < 100_000).collect()
}

fn play(steps: &[Step], utf8: bool) -> Result<(), TestCaseError> {
    let messages = messages();
    let mut sides = [Side::new(None, false, utf8), Side::new(Some(1), true, utf8), Side::new(Some(1), false, utf8)];
    let all = (0..QUESTIONS.len()).map(Step::Ask);
    for step in steps.iter().cloned().chain([Step::Pack]).chain(all) {
        let command = match &step {
            Step::Append(which) => {
                let octets = &messages[which % messages.len()];
                // RFC 6855 §4: as it has to be written once UTF8=ACCEPT is enabled.
                let (before, after) = if utf8 { ("UTF8 (~", ")") } else { ("", "") };
                let mut command = format!("APPEND INBOX {before}{{{}+}}\r\n", octets.len()).into_bytes();
                command.extend_from_slice(octets);
                command.extend_from_slice(after.as_bytes());
                command
            }
            Step::Expunge(low, more) => {
                for side in &mut sides {
                    side.say(&format!("UID STORE {low}:{} +FLAGS.SILENT (\\Deleted)", low + more));
                }
                b"EXPUNGE".to_vec()
            }
            Step::Move(low, more) => format!("UID MOVE {low}:{} other", low + more).into_bytes(),
            Step::Back(uid) => {
                sides.iter_mut().for_each(|side| _ = side.say("SELECT other"));
                let back = format!("UID MOVE {uid}:* INBOX");
                let said: Vec<Vec<u8>> = sides.iter_mut().map(|side| side.say(&back)).collect();
                prop_assert!(said.iter().all(|one| *one == said[0]));
                b"SELECT INBOX".to_vec()
            }
            Step::Copy(low, more) => format!("UID COPY {low}:{} INBOX", low + more).into_bytes(),
            Step::Ask(which) => QUESTIONS[*which].as_bytes().to_vec(),
            Step::Pack => {
                block_on(sides[2].ground.store().pack_next()).unwrap();
                continue;
            }
        };
        let said: Vec<String> =
            sides.iter_mut().map(|side| String::from_utf8_lossy(&side.send(&command)).into_owned()).collect();
        prop_assert_eq!(&said[0], &said[1], "{:?}", step);
        prop_assert_eq!(&said[0], &said[2], "{:?}", step);
    }
    for mut side in sides {
        side.say("LOGOUT");
        side.wire.close();
        side.ground.finish().unwrap();
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn nobody_can_tell_who_has_packs(steps in steps(), utf8: bool) {
        play(&steps, utf8)?;
    }
}
