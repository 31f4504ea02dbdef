//! Several clients of one mailbox do random things. Each keeps the list of messages and flags that the server's answers
//! make it believe in, as RFC 9051 §5.2 and §7.5 tell it to; in the end, after NOOP, each has to believe the truth.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use columba_sim::LinkOptions;
use columba_sim::script::{ACCOUNT, Ground, MemoryGround, Octets, Outside, PASSWORD, Peer, Received, Wire};
use proptest::prelude::*;

type Flags = BTreeSet<String>;

/// What a client does next.
#[derive(Clone, Debug)]
enum Deed {
    Noop,
    Deliver,
    Append,
    Fetch { from: usize },
    UidFetchBody { from: usize },
    Store { from: usize, count: usize, flag: usize, add: bool, silent: bool, uid: bool },
    Expunge,
    UidExpunge { from: usize },
    Copy { from: usize },
    Move { from: usize },
    Search,
    Select,
    Idle,
}

const FLAGS: [&str; 5] = ["\\Seen", "\\Deleted", "\\Flagged", "$Work", "\\Deleted"];

fn deed() -> impl Strategy<Value = Deed> {
    let at = 0..8_usize;
    prop_oneof![
        2 => Just(Deed::Noop),
        2 => Just(Deed::Deliver),
        1 => Just(Deed::Append),
        2 => at.clone().prop_map(|from| Deed::Fetch { from }),
        1 => at.clone().prop_map(|from| Deed::UidFetchBody { from }),
        6 => (at.clone(), 1..4_usize, 0..FLAGS.len(), any::<[bool; 3]>()).prop_map(|(from, count, flag, [add, silent, uid])| {
            Deed::Store { from, count, flag, add, silent, uid }
        }),
        3 => Just(Deed::Expunge),
        1 => at.clone().prop_map(|from| Deed::UidExpunge { from }),
        1 => at.clone().prop_map(|from| Deed::Copy { from }),
        1 => at.prop_map(|from| Deed::Move { from }),
        1 => Just(Deed::Search),
        1 => Just(Deed::Select),
        2 => Just(Deed::Idle),
    ]
}

/// A message as a client knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    uid: Option<u32>,
    flags: Option<Flags>,
}

struct Client {
    wire: Box<dyn Wire>,
    unread: String,
    tags: u32,
    rev2: bool,
    idling: Option<String>,
    list: Vec<Known>,
}

impl Client {
    fn new(ground: &mut MemoryGround, rev2: bool) -> Self {
        let wire = ground.connect(Peer::Trusted).unwrap();
        let mut client = Self { wire, unread: String::new(), tags: 0, rev2, idling: None, list: Vec::new() };
        assert!(client.line().starts_with("* OK"));
        client.command(&format!("LOGIN {ACCOUNT} {PASSWORD}"));
        if rev2 {
            client.command("ENABLE IMAP4rev2");
        }
        client.select();
        client
    }

    fn select(&mut self) {
        self.list.clear();
        self.command("SELECT INBOX");
        self.learn_all();
    }

    /// Asks for everything not known yet.
    fn learn_all(&mut self) {
        if !self.list.is_empty() {
            self.command("UID FETCH 1:* (FLAGS)");
        }
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.find("\r\n") {
                let mut line = self.unread[..end].to_owned();
                self.unread.drain(..end + 2);
                if line.ends_with('}') {
                    // The only literals here are one octet long.
                    line.push_str(&self.line());
                }
                return line;
            }
            self.receive(true);
        }
    }

    fn receive(&mut self, wait: bool) -> bool {
        match self.wire.receive(wait) {
            Received::Octets(octets) => self.unread.push_str(std::str::from_utf8(&octets).unwrap()),
            Received::Idle if !wait => return false,
            other => panic!("the server is {other:?}, unread: {:?}", self.unread),
        }
        true
    }

    /// Sends a command and believes what the server says until the tagged OK.
    fn command(&mut self, command: &str) {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.wire.send(format!("{tag} {command}\r\n").as_bytes()).unwrap();
        let expunges = !["FETCH", "STORE", "SEARCH"].iter().any(|name| command.starts_with(name));
        loop {
            let line = self.line();
            if line.starts_with(&format!("{tag} OK")) {
                return;
            }
            assert!(line.starts_with("* "), "{command}: {line}");
            self.believe(&line, expunges);
        }
    }

    /// What comes while idling, and nothing may come otherwise.
    fn listen(&mut self) {
        while self.receive(false) {}
        let idling = self.idling.is_some();
        while self.unread.contains("\r\n") {
            let line = self.line();
            assert!(idling, "said while no command is running: {line}");
            self.believe(&line, true);
        }
    }

    fn idle(&mut self) {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.wire.send(format!("{tag} IDLE\r\n").as_bytes()).unwrap();
        self.idling = Some(tag);
        loop {
            let line = self.line();
            if line.starts_with("+ ") {
                return;
            }
            self.believe(&line, true);
        }
    }

    fn done(&mut self) {
        let Some(tag) = self.idling.take() else { return };
        self.wire.send(b"DONE\r\n").unwrap();
        loop {
            let line = self.line();
            if line.starts_with(&format!("{tag} OK")) {
                return;
            }
            self.believe(&line, true);
        }
    }

    fn believe(&mut self, line: &str, expunges: bool) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let Some(Ok(number)) = words.get(1).map(|word| word.parse::<usize>()) else { return };
        match words.get(2) {
            Some(&"EXISTS") => {
                // RFC 9051 §5.2: EXISTS never takes away.
                assert!(number >= self.list.len(), "{line}, but {} are known", self.list.len());
                self.list.resize(number, Known::default());
            }
            Some(&"EXPUNGE") => {
                // RFC 9051 §7.5.1
                assert!(expunges, "{line} during a command with sequence numbers");
                assert!((1..=self.list.len()).contains(&number), "{line}, but {} are known", self.list.len());
                self.list.remove(number - 1);
            }
            Some(&"FETCH") => self.believe_fetch(number, words.get(3).copied().unwrap_or_default()),
            _ => {}
        }
    }

    fn believe_fetch(&mut self, number: usize, items: &str) {
        assert!((1..=self.list.len()).contains(&number), "FETCH {number}, but {} are known", self.list.len());
        let known = &mut self.list[number - 1];
        if let Some((_, rest)) = items.split_once("UID ") {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let uid = digits.parse().unwrap();
            assert!(known.uid.is_none_or(|before| before == uid), "message {number} was {:?}, is {uid}", known.uid);
            known.uid = Some(uid);
        } else if self.rev2 && !items.contains("BODY[") {
            panic!("FETCH without UID in IMAP4rev2: {items}");
        }
        if let Some((_, rest)) = items.split_once("FLAGS (") {
            let flags = rest.split_once(')').unwrap().0;
            known.flags =
                Some(flags.split_whitespace().filter(|flag| *flag != "\\Recent").map(str::to_owned).collect());
        }
    }

    /// Numbers of messages that are there, as sequence numbers or UIDs; `None` if there is none.
    fn set(&self, from: usize, count: usize, uid: bool) -> Option<String> {
        let numbers: Vec<String> = (0..count)
            .filter_map(|n| {
                let at = (from + n) % self.list.len().max(1);
                let known = self.list.get(at)?;
                if uid { known.uid.map(|uid| uid.to_string()) } else { Some((at + 1).to_string()) }
            })
            .collect();
        (!numbers.is_empty()).then(|| numbers.join(","))
    }

    /// A silent STORE of which the client works out the result by itself.
    fn assume(&mut self, from: usize, count: usize, uid: bool, flag: &str, add: bool) {
        let length = self.list.len().max(1);
        for n in 0..count {
            let named = self.list.get_mut((from + n) % length).filter(|known| !uid || known.uid.is_some());
            if let Some(flags) = named.and_then(|known| known.flags.as_mut()) {
                if add {
                    flags.insert(flag.to_owned())
                } else {
                    flags.remove(flag)
                };
            }
        }
    }

    fn act(&mut self, deed: &Deed, ground: &mut MemoryGround) {
        match deed {
            Deed::Idle if self.idling.is_none() => return self.idle(),
            Deed::Idle => return self.done(),
            Deed::Deliver => return deliver(ground),
            _ => self.done(),
        }
        match deed {
            Deed::Noop => self.command("NOOP"),
            Deed::Append => self.command("APPEND INBOX (\\Flagged) {16+}\r\nSubject: x\r\n\r\nx\r\n"),
            Deed::Fetch { from } => self.with_set(*from, 2, false, |set| format!("FETCH {set} (UID FLAGS)")),
            Deed::UidFetchBody { from } => {
                self.with_set(*from, 1, true, |set| format!("UID FETCH {set} BODY[TEXT]<0.1>"))
            }
            Deed::Store { from, count, flag, add, silent, uid } => {
                let (flag, sign) = (FLAGS[*flag], if *add { '+' } else { '-' });
                let (uid_, silent_) = (if *uid { "UID " } else { "" }, if *silent { ".SILENT" } else { "" });
                let Some(set) = self.set(*from, *count, *uid) else { return };
                if *silent {
                    // Assumed before the answers: what they say of others' changes is newer.
                    self.assume(*from, *count, *uid, flag, *add);
                }
                self.command(&format!("{uid_}STORE {set} {sign}FLAGS{silent_} ({flag})"));
            }
            Deed::Expunge => self.command("EXPUNGE"),
            Deed::UidExpunge { from } => self.with_set(*from, 2, true, |set| format!("UID EXPUNGE {set}")),
            Deed::Copy { from } => self.with_set(*from, 2, false, |set| format!("COPY {set} INBOX")),
            Deed::Move { from } => self.with_set(*from, 1, false, |set| format!("MOVE {set} Archive")),
            Deed::Search => self.command("SEARCH FLAGGED"),
            Deed::Select => self.select(),
            Deed::Idle | Deed::Deliver => {}
        }
    }

    fn with_set(&mut self, from: usize, count: usize, uid: bool, command: impl Fn(&str) -> String) {
        if let Some(set) = self.set(from, count, uid) {
            self.command(&command(&set));
        }
    }
}

fn deliver(ground: &mut MemoryGround) {
    let octets = b"Subject: y\r\n\r\ny\r\n";
    let message = Outside::Message {
        account: ACCOUNT.into(),
        mailbox: "INBOX".into(),
        flags: Vec::new(),
        date: None,
        octets: Octets::Given(octets.to_vec()),
    };
    ground.outside(&message, octets).unwrap();
}

fn play(deeds: &[(usize, Deed)], rev2: [bool; 3]) {
    let mut ground = MemoryGround::new(LinkOptions::default()).unwrap();
    for _ in 0..4 {
        deliver(&mut ground);
    }
    let mut clients: Vec<Client> = rev2.iter().map(|rev2| Client::new(&mut ground, *rev2)).collect();
    for (who, deed) in deeds {
        clients[*who].act(deed, &mut ground);
        clients.iter_mut().for_each(Client::listen);
    }
    for client in &mut clients {
        client.done();
        client.command("NOOP");
        let believed = client.list.clone();
        client.learn_all();
        for (number, (believed, told)) in believed.iter().zip(&client.list).enumerate() {
            assert!(
                believed.uid.is_none() || believed.uid == told.uid,
                "message {}: {believed:?}, {told:?}",
                number + 1
            );
            assert!(believed.flags.is_none() || believed.flags == told.flags, "{}: {believed:?}, {told:?}", number + 1);
        }
        assert_eq!(believed.len(), client.list.len());
    }
    let uids: Vec<Option<u32>> = clients[0].list.iter().map(|known| known.uid).collect();
    assert!(uids.is_sorted() && uids.iter().all(Option::is_some), "{uids:?}");
    for client in &clients[1..] {
        assert_eq!(client.list, clients[0].list);
    }
    clients.iter_mut().for_each(|client| client.wire.close());
    drop(clients);
    ground.finish().unwrap();
}

/// Few by default; as many as PROPTEST_CASES says by hand.
fn config() -> ProptestConfig {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 60 };
    ProptestConfig { cases, max_shrink_iters: 2_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    // RFC 9051 §5.2, §7.5.1, §7.5.2. Guide §6 points 1, 2, 6, 45, 46.
    #[test]
    fn what_clients_believe_is_true(
        deeds in proptest::collection::vec((0..3_usize, deed()), 1..40),
        rev2 in any::<[bool; 3]>(),
    ) {
        play(&deeds, rev2);
    }
}
