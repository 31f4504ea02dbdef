//! Following ten thousand mailboxes costs what following one does: a change is one line, and what is kept for a client
//! that does not listen is bounded (limits::FEED_NEWS).

#![allow(clippy::unwrap_used)]

use columba_sim::LinkOptions;
use columba_sim::script::{ACCOUNT, Ground, MemoryGround, PASSWORD, Peer, Received, Wire, block_on};
use columba_types::{MailboxName, limits};

const MAILBOXES: usize = 10_000;

struct Client(Box<dyn Wire>);

impl Client {
    fn new(ground: &mut MemoryGround) -> Self {
        let mut client = Self(ground.connect(Peer::Trusted).unwrap());
        let said = client.say(&format!("x LOGIN {ACCOUNT} {PASSWORD}\r\n"));
        assert_eq!(count(&said, "x OK"), 1, "{said:?}");
        client
    }

    /// Sends, and gives the lines that come.
    fn say(&mut self, octets: &str) -> Vec<String> {
        self.0.send(octets.as_bytes()).unwrap();
        self.hear()
    }

    fn hear(&mut self) -> Vec<String> {
        match self.0.receive(false) {
            Received::Octets(octets) => String::from_utf8(octets).unwrap().lines().map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

fn count(lines: &[String], start: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(start)).count()
}

#[test]
fn ten_thousand_mailboxes_are_followed() {
    let mut ground = MemoryGround::new(LinkOptions::default()).unwrap();
    let mut listener = Client::new(&mut ground);
    let mut other = Client::new(&mut ground);
    let store = ground.store().clone();
    let account = block_on(store.account_named(ACCOUNT)).unwrap().unwrap();
    let mail = block_on(store.open_account(account.id)).unwrap();
    for n in 0..MAILBOXES {
        block_on(mail.create_mailbox(&MailboxName::new(&format!("all/{n}")).unwrap(), &[])).unwrap();
    }
    let lines = listener.say("a NOTIFY SET STATUS (personal (MessageNew MessageExpunge FlagChange MailboxName))\r\n");
    assert_eq!(count(&lines, "* STATUS "), MAILBOXES + 7);
    let append = |n: usize| format!("b{n} APPEND all/{n} {{1+}}\r\nx\r\n");
    other.say(&append(7));
    let told = listener.hear();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("* STATUS all/7 (MESSAGES 1 UIDNEXT 2 "), "{told:?}");

    // While it sends a command, as many mailboxes change as are kept apart, some of them many times.
    listener.say("c NO");
    let apart = limits::FEED_NEWS / 2;
    (0..limits::FEED_NEWS + 1).for_each(|n| _ = other.say(&append(n % 10)));
    (0..apart).for_each(|n| _ = other.say(&append(n)));
    let told = listener.say("OP\r\n");
    assert_eq!((count(&told, "* STATUS "), told.len()), (apart, apart + 1));

    other.say("d RENAME all every\r\n");
    let told = listener.hear();
    assert_eq!(told, ["* LIST (\\HasChildren) \"/\" every (\"OLDNAME\" (all))"]);

    // And more than are kept.
    listener.say("e NO");
    (0..limits::FEED_NEWS + 1).for_each(|n| _ = other.say(&append(n).replace("all/", "every/")));
    let told = listener.say("OP\r\n");
    assert!(told[0].starts_with("* OK [NOTIFICATIONOVERFLOW]"), "{told:?}");
    assert_eq!(told.len(), 2);
    other.say(&append(1).replace("all/", "every/"));
    assert_eq!(listener.hear(), [""; 0]);
}
