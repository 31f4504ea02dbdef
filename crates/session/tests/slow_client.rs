//! A client that asks for much and takes little: the server holds only so much for it, waits, and gives up after a while
//! (limits OUTPUT_BYTES and STALLED). Guide §6 point 80.

#![allow(clippy::unwrap_used)]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use columba_auth::PasswordChecker;
use columba_session::{AccountFull, Compressors, End, Gate, Pass, Peer, Security, Services, Session, Settings};
use columba_sim::script::{ACCOUNT, MailSide, Octets, Outside, PASSWORD};
use columba_sim::{ClientEnd, LinkOptions, connect};
use columba_types::{AccountId, limits};

/// What fits between the two, as in a socket's buffer.
const PIPE_BYTES: usize = 10_000;
/// Much more than the server may hold.
const MESSAGE_BYTES: usize = 40 * limits::OUTPUT_BYTES;

#[derive(Debug)]
struct OpenGate;

impl Gate for OpenGate {
    fn enter(&self, _connection: u64, _account: AccountId) -> Result<Pass, AccountFull> {
        Ok(Box::new(()))
    }
}

fn mail_with_a_large_message() -> MailSide {
    let mail = MailSide::new().unwrap();
    let mut octets = b"Subject: large\r\n\r\n".to_vec();
    octets.resize(MESSAGE_BYTES, b'x');
    deliver(&mail, &octets);
    mail
}

fn deliver(mail: &MailSide, octets: &[u8]) {
    let message = Outside::Message {
        account: ACCOUNT.into(),
        mailbox: "INBOX".into(),
        flags: Vec::new(),
        date: None,
        octets: Octets::Given(Vec::new()),
    };
    mail.outside(&message, octets).unwrap();
}

const PEER: Peer = Peer {
    connection: 1,
    address: None,
    security: Security::Tls,
    plaintext_allowed: false,
    x_gm_ext_1: false,
    id_trusted: false,
};

fn services(mail: &MailSide) -> Arc<Services> {
    Arc::new(Services {
        store: mail.store().clone(),
        passwords: PasswordChecker::default(),
        gate: Arc::new(OpenGate),
        settings: Settings::default(),
        compressors: Compressors::default(),
    })
}

/// Polls until the session is over or waits for `client`; passwords are checked on other threads meanwhile.
fn run_until_it_waits(mut poll: impl FnMut() -> Poll<End>, client: &ClientEnd) -> Poll<End> {
    loop {
        client.before_poll();
        if let Poll::Ready(end) = poll() {
            return Poll::Ready(end);
        }
        let (waits, unread) = client.waits();
        if waits.for_room || (waits.for_octets && !unread) {
            return Poll::Pending;
        }
        std::thread::yield_now();
    }
}

/// Lets a session begin to answer a FETCH of the large message, then hands it to `rest`, with a way to poll it.
fn with_a_fetch_begun(rest: impl FnOnce(&MailSide, &ClientEnd, &mut dyn FnMut() -> Poll<End>)) {
    let mail = mail_with_a_large_message();
    let options = LinkOptions { pipe_bytes: PIPE_BYTES, ..LinkOptions::default() };
    let (client, mut link) = connect(mail.clock(), options);
    let mut session = Session::new(services(&mail), PEER);
    let mut life = pin!(session.run(&mut link));
    let mut poll = || life.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    client.send(format!("a LOGIN {ACCOUNT} {PASSWORD}\r\nb SELECT INBOX\r\n").as_bytes()).unwrap();
    assert!(run_until_it_waits(&mut poll, &client).is_pending());
    client.take();
    client.send(b"c FETCH 1 BODY.PEEK[]\r\n").unwrap();
    assert!(run_until_it_waits(&mut poll, &client).is_pending());
    assert!(client.waits().0.for_room, "the answer is held somewhere else than in the pipe");
    rest(&mail, &client, &mut || run_until_it_waits(&mut poll, &client));
}

// limits::SEARCH_BREATH_BYTES, SEARCH_BREATH_CRITERIA: whoever shares the core gets a turn in between.
#[test]
fn a_long_search_gives_way() {
    let mail = MailSide::new().unwrap();
    let mut octets = b"Subject: x\r\n\r\n".to_vec();
    octets.resize(usize::try_from(5 * limits::SEARCH_BREATH_BYTES).unwrap(), b'x');
    deliver(&mail, &octets);
    let large = turns_of(&mail, "BODY y");
    assert!(large >= 4, "{large} turns for a large text");
    for _ in 0..60 {
        deliver(&mail, b"Subject: x\r\n\r\nx\r\n");
    }
    let simple = turns_of(&mail, "UNSEEN");
    let many = turns_of(&mail, &"UNSEEN ".repeat(limits::SEARCH_KEYS - 1));
    assert!(many > simple, "{many} turns for many criteria, {simple} for one");
}

/// How often a session gives way while it answers a SEARCH.
fn turns_of(mail: &MailSide, criteria: &str) -> usize {
    let (client, mut link) = connect(mail.clock(), LinkOptions::default());
    let mut session = Session::new(services(mail), PEER);
    let mut life = pin!(session.run(&mut link));
    let turns = std::cell::Cell::new(0);
    let mut poll = || {
        turns.set(turns.get() + 1);
        life.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
    client.send(format!("a LOGIN {ACCOUNT} {PASSWORD}\r\nb SELECT INBOX\r\n").as_bytes()).unwrap();
    assert!(run_until_it_waits(&mut poll, &client).is_pending());
    client.take();
    turns.set(0);
    client.send(format!("c SEARCH {criteria}\r\n").as_bytes()).unwrap();
    assert!(run_until_it_waits(&mut poll, &client).is_pending());
    assert!(client.take().windows(4).any(|w| w == b"c OK"));
    turns.get()
}

#[test]
fn a_client_that_takes_nothing_is_given_up_after_a_while() {
    with_a_fetch_begun(|mail, client, run| {
        mail.clock().advance(limits::STALLED - Duration::from_secs(1));
        assert!(run().is_pending(), "given up too early");
        mail.clock().advance(Duration::from_secs(2));
        assert_eq!(run(), Poll::Ready(End::Closed));
        assert_eq!(client.take().len(), PIPE_BYTES);
    });
}

#[test]
fn a_client_that_takes_little_at_a_time_gets_everything() {
    with_a_fetch_begun(|mail, client, run| {
        let mut taken = Vec::new();
        // Each pause is shorter than the patience of the server, all of them together are many times as long.
        while client.waits().0.for_room {
            mail.clock().advance(limits::STALLED - Duration::from_secs(1));
            taken.extend(client.take());
            assert!(run().is_pending());
        }
        taken.extend(client.take());
        assert!(taken.len() > MESSAGE_BYTES);
        assert!(taken.windows(4).any(|w| w == b"c OK"));
    });
}
