//! A client that only listens to what NOTIFY tells it knows every mailbox of its account: in the end what it believes
//! of them is what LIST and STATUS say (RFC 5465). Others change messages and names meanwhile; so does it, now and then,
//! and of that it is not told.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use columba_sim::LinkOptions;
use columba_sim::script::{ACCOUNT, Ground, MemoryGround, PASSWORD, Peer, Received, Wire};
use proptest::prelude::*;

/// Few, so that things happen to the same ones.
const NAMES: [&str; 7] = ["INBOX", "Sent", "a", "a/b", "a/b/c", "d", "d/e"];
const FLAGS: [&str; 3] = ["\\Seen", "\\Deleted", "$Work"];

#[derive(Clone, Debug)]
enum Deed {
    Append(usize),
    Store { at: usize, set: &'static str, add: bool, flag: usize },
    Expunge(usize),
    Copy { from: usize, to: usize },
    Move { from: usize, to: usize },
    Create(usize),
    Delete(usize),
    Rename(usize, usize),
    Subscribe(usize, bool),
}

/// What the listener does between the others' deeds.
#[derive(Clone, Debug)]
enum Listening {
    Select(usize),
    Unselect,
    Idle,
    /// Sends half a command, so that it hears nothing until the other half.
    HalfSent,
    Own(Deed),
}

fn deed() -> impl Strategy<Value = Deed> {
    let at = 0..NAMES.len();
    let sets = proptest::sample::select(vec!["1", "1:*", "2:*", "*"]);
    prop_oneof![
        4 => at.clone().prop_map(Deed::Append),
        4 => (at.clone(), sets, any::<bool>(), 0..FLAGS.len()).prop_map(|(at, set, add, flag)| Deed::Store { at, set, add, flag }),
        2 => at.clone().prop_map(Deed::Expunge),
        1 => (at.clone(), at.clone()).prop_map(|(from, to)| Deed::Copy { from, to }),
        2 => (at.clone(), at.clone()).prop_map(|(from, to)| Deed::Move { from, to }),
        3 => at.clone().prop_map(Deed::Create),
        1 => at.clone().prop_map(Deed::Delete),
        2 => (at.clone(), at.clone()).prop_map(|(from, to)| Deed::Rename(from, to)),
        1 => (at, any::<bool>()).prop_map(|(at, on)| Deed::Subscribe(at, on)),
    ]
}

fn listening() -> impl Strategy<Value = Listening> {
    let at = 0..NAMES.len();
    let own = prop_oneof![
        at.clone().prop_map(Deed::Append),
        at.clone().prop_map(Deed::Create),
        (at.clone(), any::<bool>()).prop_map(|(at, on)| Deed::Subscribe(at, on)),
    ];
    prop_oneof![
        2 => at.prop_map(Listening::Select),
        1 => Just(Listening::Unselect),
        1 => Just(Listening::Idle),
        1 => Just(Listening::HalfSent),
        2 => own.prop_map(Listening::Own),
    ]
}

struct Connection {
    wire: Box<dyn Wire>,
    unread: String,
    tags: u32,
}

impl Connection {
    fn new(ground: &mut MemoryGround) -> Self {
        let wire = ground.connect(Peer::Trusted).unwrap();
        let mut connection = Self { wire, unread: String::new(), tags: 0 };
        assert!(connection.line().starts_with("* OK"));
        connection.command(&format!("LOGIN {ACCOUNT} {PASSWORD}"));
        connection
    }

    fn receive(&mut self, wait: bool) -> bool {
        match self.wire.receive(wait) {
            Received::Octets(octets) => self.unread.push_str(std::str::from_utf8(&octets).unwrap()),
            Received::Idle if !wait => return false,
            Received::Closed if !wait => return false,
            other => panic!("the server is {other:?}, unread: {:?}", self.unread),
        }
        true
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.find("\r\n") {
                let line = self.unread[..end].to_owned();
                self.unread.drain(..end + 2);
                return line;
            }
            self.receive(true);
        }
    }

    /// The untagged lines, and the tagged one without its tag.
    fn command(&mut self, command: &str) -> (Vec<String>, String) {
        self.tags += 1;
        let tag = format!("t{} ", self.tags);
        self.wire.send(format!("{tag}{command}\r\n").as_bytes()).unwrap();
        self.until(&tag)
    }

    fn until(&mut self, tag: &str) -> (Vec<String>, String) {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            match line.strip_prefix(tag) {
                Some(tagged) => return (lines, tagged.to_owned()),
                None => lines.push(line),
            }
        }
    }

    /// One deed; what it answers with OK is returned.
    fn act(&mut self, deed: &Deed) -> Option<(Vec<String>, String)> {
        let name = |at: &usize| NAMES[*at];
        let (selects, command) = match deed {
            Deed::Append(at) => (None, format!("APPEND {} {{1+}}\r\nx", name(at))),
            Deed::Store { at, set, add, flag } => {
                let sign = if *add { '+' } else { '-' };
                (Some(at), format!("UID STORE {set} {sign}FLAGS ({})", FLAGS[*flag]))
            }
            Deed::Expunge(at) => (Some(at), "EXPUNGE".into()),
            Deed::Copy { from, to } => (Some(from), format!("UID COPY 1:* {}", name(to))),
            Deed::Move { from, to } => (Some(from), format!("UID MOVE 2:* {}", name(to))),
            Deed::Create(at) => (None, format!("CREATE {}", name(at))),
            Deed::Delete(at) => (None, format!("DELETE {}", name(at))),
            Deed::Rename(from, to) => (None, format!("RENAME {} {}", name(from), name(to))),
            Deed::Subscribe(at, on) => {
                (None, format!("{} {}", if *on { "SUBSCRIBE" } else { "UNSUBSCRIBE" }, name(at)))
            }
        };
        if let Some(at) = selects
            && !self.command(&format!("SELECT {}", name(at))).1.starts_with("OK")
        {
            return None;
        }
        let answer = self.command(&command);
        if selects.is_some() {
            self.command("UNSELECT");
        }
        answer.1.starts_with("OK").then_some(answer)
    }
}

/// What is believed of a mailbox: the items of its STATUS that are known.
type Believed = BTreeMap<String, u64>;

struct Listener {
    connection: Connection,
    condstore: bool,
    mailboxes: BTreeMap<String, Believed>,
    subscribed: BTreeSet<String>,
    selected: Option<String>,
    half_sent: bool,
    /// To what happens in the selected mailbox.
    deaf: bool,
}

impl Listener {
    fn new(ground: &mut MemoryGround, condstore: bool, selected: &str) -> Self {
        let mut connection = Connection::new(ground);
        let mailboxes = BTreeMap::new();
        if condstore {
            connection.command("ENABLE CONDSTORE");
        }
        let (subscribed, _) = connection.command("LIST (SUBSCRIBED) \"\" *");
        let subscribed = subscribed.iter().filter_map(|line| line.split("\"/\" ").nth(1)).map(str::to_owned).collect();
        let deaf = selected == "selected NONE";
        let mut listener =
            Self { connection, condstore, mailboxes, subscribed, selected: None, half_sent: false, deaf };
        let events = "(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)";
        listener.command(&format!("NOTIFY SET STATUS ({selected}) (personal {events})"));
        listener
    }

    fn command(&mut self, command: &str) -> String {
        let (lines, tagged) = self.connection.command(command);
        lines.iter().for_each(|line| self.believe(line));
        tagged
    }

    /// What comes unasked.
    fn listen(&mut self) {
        while self.connection.receive(false) {}
        while self.connection.unread.contains("\r\n") {
            let line = self.connection.line();
            self.believe(&line);
        }
    }

    fn believe(&mut self, line: &str) {
        assert!(!line.contains("NOTIFICATIONOVERFLOW"), "{line}");
        if let Some(rest) = line.strip_prefix("* STATUS ") {
            let (name, items) = rest.split_once(" (").unwrap();
            assert!(self.selected.as_deref() != Some(name), "STATUS of the selected mailbox: {line}");
            let words: Vec<&str> = items.trim_end_matches(')').split(' ').collect();
            let believed = self.mailboxes.entry(name.to_owned()).or_default();
            for pair in words.chunks(2).filter(|pair| self.condstore || pair[0] != "HIGHESTMODSEQ") {
                believed.insert(pair[0].to_owned(), pair[1].parse().unwrap());
            }
        } else if let Some(rest) = line.strip_prefix("* LIST (") {
            let (attributes, rest) = rest.split_once(") \"/\" ").unwrap();
            let (name, old) = match rest.split_once(" (\"OLDNAME\" (") {
                Some((name, old)) => (name, Some(old.trim_end_matches("))"))),
                None => (rest, None),
            };
            if let Some(old) = old {
                self.rename(old, name);
            }
            match attributes.contains("\\NonExistent") {
                true => _ = self.mailboxes.remove(name),
                false => _ = self.mailboxes.entry(name.to_owned()).or_default(),
            }
            match attributes.contains("\\Subscribed") {
                true => _ = self.subscribed.insert(name.to_owned()),
                false => _ = self.subscribed.remove(name),
            }
        } else if let Some(selected) = &self.selected {
            let mut words = line.split(' ').skip(1);
            let number = words.next().and_then(|word| word.parse().ok());
            let messages = self.mailboxes.entry(selected.clone()).or_default().entry("MESSAGES".into());
            match (number, words.next()) {
                (Some(number), Some("EXISTS")) => _ = messages.insert_entry(number),
                (Some(_), Some("EXPUNGE")) => _ = messages.and_modify(|messages| *messages -= 1),
                _ => {}
            }
        }
    }

    /// What lies below goes along, and is not told (RFC 5465 §5.4).
    fn rename(&mut self, old: &str, new: &str) {
        let is_moved = |name: &str| name == old || name.strip_prefix(old).is_some_and(|rest| rest.starts_with('/'));
        let moved: Vec<String> = self.mailboxes.keys().filter(|name| is_moved(name)).cloned().collect();
        for name in moved {
            let believed = self.mailboxes.remove(&name).unwrap();
            self.mailboxes.insert(format!("{new}{}", &name[old.len()..]), believed);
        }
        if let Some(selected) = self.selected.as_mut().filter(|name| is_moved(name)) {
            *selected = format!("{new}{}", &selected[old.len()..]);
        }
    }

    /// Of a mailbox that was selected, only what EXISTS and EXPUNGE say is known.
    fn forget(&mut self, name: &str) {
        if let Some(believed) = self.mailboxes.get_mut(name) {
            believed.retain(|item, _| item == "MESSAGES" || item == "UIDVALIDITY");
        }
    }

    fn select(&mut self, name: Option<&str>) {
        if let Some(left) = self.selected.take() {
            // What is untold of it is told after this.
            self.forget(&left);
        }
        let command = name.map_or("UNSELECT".to_owned(), |name| format!("SELECT {name}"));
        let (lines, tagged) = self.connection.command(&command);
        self.selected = name.filter(|_| tagged.starts_with("OK")).map(str::to_owned);
        lines.iter().for_each(|line| self.believe(line));
        if let Some(selected) = self.selected.clone() {
            self.forget(&selected);
        }
    }

    fn finish_half(&mut self) {
        if std::mem::take(&mut self.half_sent) {
            self.connection.wire.send(b"OP\r\n").unwrap();
            let (lines, _) = self.connection.until("half ");
            lines.iter().for_each(|line| self.believe(line));
        }
    }

    fn act(&mut self, listening: &Listening) {
        self.finish_half();
        match listening {
            Listening::Select(at) => self.select(Some(NAMES[*at])),
            Listening::Unselect if self.selected.is_some() => self.select(None),
            Listening::Unselect => {}
            Listening::Idle => {
                self.connection.wire.send(b"idle IDLE\r\n").unwrap();
                self.listen();
                self.connection.wire.send(b"DONE\r\n").unwrap();
                let (lines, _) = self.connection.until("idle ");
                lines.iter().filter(|line| !line.starts_with('+')).for_each(|line| self.believe(line));
            }
            Listening::HalfSent => {
                self.connection.wire.send(b"half NO").unwrap();
                self.half_sent = true;
            }
            Listening::Own(deed) => self.act_myself(deed),
        }
    }

    /// Of what it does itself it is not told.
    fn act_myself(&mut self, deed: &Deed) {
        let Some((lines, tagged)) = self.connection.act(deed) else { return };
        lines.iter().for_each(|line| self.believe(line));
        match deed {
            Deed::Append(at) if self.selected.as_deref() != Some(NAMES[*at]) => {
                let uid = tagged.split([' ', ']']).nth(3).unwrap().parse::<u64>().unwrap();
                let believed = self.mailboxes.entry(NAMES[*at].to_owned()).or_default();
                believed.insert("UIDNEXT".into(), uid + 1);
                believed.entry("MESSAGES".into()).and_modify(|n| *n += 1);
                believed.entry("UNSEEN".into()).and_modify(|n| *n += 1);
                believed.remove("HIGHESTMODSEQ");
            }
            Deed::Create(at) => {
                let mut name = NAMES[*at];
                // With those above it that are missing, up to the first that is there.
                while self.mailboxes.insert(name.to_owned(), Believed::new()).is_none() {
                    let Some((parent, _)) = name.rsplit_once('/') else { break };
                    if self.mailboxes.contains_key(parent) {
                        break;
                    }
                    name = parent;
                }
            }
            Deed::Subscribe(at, true) => _ = self.subscribed.insert(NAMES[*at].to_owned()),
            Deed::Subscribe(at, false) => _ = self.subscribed.remove(NAMES[*at]),
            _ => {}
        }
    }

    fn check(mut self, ground: &mut MemoryGround) {
        self.finish_half();
        self.command("NOOP");
        if self.deaf && self.selected.is_some() {
            // Of the selected mailbox it wanted to hear nothing; when it leaves, it is told.
            self.select(None);
        }
        let mut other = Connection::new(ground);
        let status = "STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)";
        let (lines, _) = other.command(&format!("LIST \"\" * RETURN ({status})"));
        let mut names = BTreeSet::new();
        for line in lines.iter().filter_map(|line| line.strip_prefix("* STATUS ")) {
            let (name, items) = line.split_once(" (").unwrap();
            names.insert(name.to_owned());
            let words: Vec<&str> = items.trim_end_matches(')').split(' ').collect();
            let truth: Believed = words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].parse().unwrap())).collect();
            let believed = self.mailboxes.get(name).unwrap_or_else(|| panic!("{name} is not known"));
            for (item, believed) in believed {
                assert_eq!(truth[item], *believed, "{item} of {name}");
            }
        }
        assert_eq!(self.mailboxes.keys().cloned().collect::<BTreeSet<_>>(), names);
        let (lines, _) = other.command("LIST (SUBSCRIBED) \"\" *");
        let subscribed = lines.iter().filter_map(|line| line.split("\"/\" ").nth(1)).map(str::to_owned);
        assert_eq!(self.subscribed, subscribed.collect::<BTreeSet<_>>());
        self.connection.wire.close();
        other.wire.close();
    }
}

fn play(steps: &[Result<Deed, Listening>], condstore: bool, selected: &str) {
    let mut ground = MemoryGround::new(LinkOptions::default()).unwrap();
    let mut other = Connection::new(&mut ground);
    other.command("CREATE a/b");
    let mut listener = Listener::new(&mut ground, condstore, selected);
    for step in steps {
        match step {
            // That ends the connection, which is another story.
            Ok(Deed::Delete(at)) if listener.selected.as_deref() == Some(NAMES[*at]) => {}
            Ok(deed) => _ = other.act(deed),
            Err(listening) => listener.act(listening),
        }
        listener.listen();
    }
    listener.check(&mut ground);
    other.wire.close();
    drop(other);
    ground.finish().unwrap();
}

/// Few by default; as many as PROPTEST_CASES says by hand.
fn config() -> ProptestConfig {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 60 };
    ProptestConfig { cases, max_shrink_iters: 2_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    // RFC 5465 §3.1, §5, §6. Guide §6 point 53.
    #[test]
    fn who_only_listens_knows_all(
        steps in proptest::collection::vec(
            prop_oneof![3 => deed().prop_map(Ok), 1 => listening().prop_map(Err)],
            1..60,
        ),
        condstore: bool,
        selected in 0..4_usize,
    ) {
        let items = "MessageNew MessageExpunge";
        let selected = match selected {
            0 => "selected NONE".to_owned(),
            1 => format!("selected ({items})"),
            2 => format!("selected ({items} FlagChange)"),
            _ => format!("selected-delayed ({items} FlagChange)"),
        };
        play(&steps, condstore, &selected);
    }
}
