//! IMAP connections over real sockets: TLS, limits, bugs, shutdown. What the commands do is the session's to test.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use columba_server::{Counters, Protocol, TlsMode};
use columba_types::{AccountId, limits};
use support::{Client, Mood, Site, certificate, listener, trusting, usual};
use tokio::net::TcpStream;

// RFC 9051 §6.2.1, §6.2.3, §11.1
#[tokio::test]
async fn a_password_is_taken_only_under_tls() {
    let site = Site::start(|config, _| usual(config)).await;
    let mut plain = site.connect(Protocol::Imap, TlsMode::StartTls).await;
    let greeting = plain.line().await;
    assert!(greeting.contains(" STARTTLS") && greeting.contains(" LOGINDISABLED"), "{greeting}");
    let refused = plain.answer("a", "LOGIN ann \"correct horse\"").await;
    assert!(refused.starts_with("a NO [PRIVACYREQUIRED]"), "{refused}");
    assert!(plain.answer("b", "STARTTLS").await.starts_with("b OK"));
    let mut client = plain.secured(&site.directory).await;
    let capability = client.command("c", "CAPABILITY").await.join("\n");
    assert!(capability.contains("AUTH=PLAIN") && !capability.contains("STARTTLS"), "{capability}");
    client.login("ann").await;
}

// RFC 9051 §6.2.1: what a man in the middle put behind STARTTLS is never executed.
#[tokio::test]
async fn nothing_from_before_tls_survives_it() {
    let site = Site::start(|config, _| usual(config)).await;
    let mut plain = site.imap().await;
    plain.raw(b"a STARTTLS\r\nb NOOP\r\n").await;
    assert!(plain.line().await.starts_with("a OK"));
    let mut client = plain.secured(&site.directory).await;
    assert_eq!(client.command("c", "NOOP").await.len(), 1, "only the answer to what came under TLS");
}

#[tokio::test]
async fn implicit_tls_greets_after_the_handshake() {
    let site = Site::start(|config, _| usual(config)).await;
    let mut client = site.imaps().await;
    let greeting = client.line().await;
    assert!(greeting.starts_with("* OK") && !greeting.contains("STARTTLS"), "{greeting}");
    client.login("ann").await;
    assert!(client.answer("a", "SELECT INBOX").await.starts_with("a OK"));
    assert!(client.command("b", "LOGOUT").await[0].starts_with("* BYE"));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn large_literals_and_answers_pass_through_tls() {
    let site = Site::start(|config, _| usual(config)).await;
    let mut client = site.imaps().await;
    client.line().await;
    client.login("ann").await;
    let line = format!("{}\r\n", "x".repeat(998));
    let message = format!("Subject: large\r\n\r\n{}", line.repeat(3000));
    client.send(&format!("a APPEND INBOX {{{}+}}", message.len())).await;
    client.send(&message).await;
    assert!(client.line().await.starts_with("a OK"));
    assert!(client.answer("b", "SELECT INBOX").await.starts_with("b OK"));
    let fetched = client.command("c", "FETCH 1 BODY.PEEK[]").await;
    assert_eq!(fetched.iter().filter(|l| **l == line.trim_end()).count(), 3000);
}

#[tokio::test]
async fn a_trusted_network_logs_in_without_tls() {
    let site = Site::start(|config, _| trusting(config)).await;
    site.imap().await.login("ann").await;
}

#[tokio::test]
async fn a_unix_socket_is_trusted() {
    let site = Site::start(|config, directory| {
        let path = format!("unix:{}", directory.path().join("imap").display());
        config.listeners = vec![listener(Protocol::Imap, &path, TlsMode::StartTls)];
    })
    .await;
    let mut client = Client::unix(&site.directory.path().join("imap")).await;
    assert!(client.line().await.starts_with("* OK"));
    client.login("ann").await;
    assert_eq!(site.running.connections()[0].address, None);
}

#[tokio::test]
async fn without_a_certificate_there_is_no_tls_until_there_is_one() {
    let site = Site::start(|config, directory| {
        usual(config);
        fs::remove_file(directory.path().join("cert.pem")).unwrap();
    })
    .await;
    let mut plain = site.connect(Protocol::Imap, TlsMode::StartTls).await;
    let greeting = plain.line().await;
    assert!(!greeting.contains(" STARTTLS") && greeting.contains(" LOGINDISABLED"), "{greeting}");
    assert!(site.connect(Protocol::Imap, TlsMode::Implicit).await.is_closed().await);
    assert!(site.running.reload_tls().await.is_err());
    certificate(&site.directory, "localhost");
    site.running.reload_tls().await.unwrap();
    site.imaps().await.login_after_greeting("ann").await;
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections() {
    let site = Site::start(|config, _| usual(config)).await;
    let mut old = site.imaps().await;
    old.login_after_greeting("ann").await;
    certificate(&site.directory, "localhost");
    site.running.reload_tls().await.unwrap();
    // The client trusts just the new one.
    site.imaps().await.login_after_greeting("ann").await;
    assert!(old.answer("a", "NOOP").await.starts_with("a OK"));
    fs::write(site.directory.path().join("cert.pem"), "rubbish").unwrap();
    assert!(site.running.reload_tls().await.is_err());
    assert!(old.answer("b", "NOOP").await.starts_with("b OK"));
}

#[tokio::test]
async fn what_is_no_tls_is_closed_and_counted() {
    let site = Site::start(|config, _| usual(config)).await;
    let mut client = site.connect(Protocol::Imap, TlsMode::Implicit).await;
    client.raw(b"GET / HTTP/1.1\r\n\r\n").await;
    client.is_closed().await;
    let mut plain = site.imap().await;
    assert!(plain.answer("a", "STARTTLS").await.starts_with("a OK"));
    plain.raw(b"b NOOP\r\n").await;
    plain.is_closed().await;
    assert_eq!(site.running.counters().tls_failures, 2);
}

#[tokio::test]
async fn beyond_the_limit_of_the_server_a_client_is_told_why() {
    let site = Site::start(|config, _| {
        trusting(config);
        config.connections = 1;
    })
    .await;
    let mut first = site.imap().await;
    let mut second = site.connect(Protocol::Imap, TlsMode::StartTls).await;
    let bye = second.line().await;
    assert!(bye.starts_with("* BYE [LIMIT] The server has as many connections"), "{bye}");
    assert!(second.is_closed().await);
    let mut under_tls = site.imaps().await;
    assert!(under_tls.line().await.starts_with("* BYE [LIMIT]"));
    assert!(under_tls.is_closed().await);
    assert_eq!(site.connect(Protocol::Lmtp, TlsMode::StartTls).await.line().await.get(..9), Some("421 4.3.2"));
    assert!(first.command("a", "LOGOUT").await[0].starts_with("* BYE"));
    assert!(first.is_closed().await);
    assert_eq!(site.running.counters(), Counters { accepted: 1, refused: 3, ..Counters::default() });
}

#[tokio::test]
async fn an_account_has_its_fill_and_it_is_no_failed_login() {
    let site = Site::start(|config, _| {
        trusting(config);
        config.connections_per_account = 1;
    })
    .await;
    let mut first = site.imap().await;
    first.login("ann").await;
    let mut second = site.imap().await;
    for _ in 0..limits::LOGIN_FAILURES + 1 {
        let answer = second.answer("a", "LOGIN ann \"correct horse\"").await;
        assert!(answer.starts_with("a NO [LIMIT]"), "{answer}");
    }
    site.imap().await.login("bob").await;
    first.command("b", "LOGOUT").await;
    assert!(first.is_closed().await);
    second.login("ann").await;
}

#[tokio::test]
async fn the_list_of_connections_tells_who_is_there() {
    let site = Site::start(|config, _| trusting(config)).await;
    let mut client = site.imap().await;
    let _lmtp = site.lmtp().await;
    client.login("ann").await;
    let list = site.running.connections();
    let seen: Vec<_> = list.iter().map(|c| (c.protocol, c.account, c.address.map(|a| a.to_string()))).collect();
    let here = Some("127.0.0.1".to_owned());
    let ann = site.account("ann").await.id;
    assert_eq!(seen, [(Protocol::Imap, Some(ann), here.clone()), (Protocol::Lmtp, None, here)]);
}

#[tokio::test]
async fn kicking_an_account_ends_its_connections_alone() {
    let site = Site::start(|config, _| trusting(config)).await;
    let (mut ann, mut bob) = (site.imap().await, site.imap().await);
    ann.login("ann").await;
    bob.login("bob").await;
    ann.send("a IDLE").await;
    assert!(ann.line().await.starts_with("+ "));
    assert_eq!(site.running.kick_account(site.account("ann").await.id), 1);
    assert!(ann.line().await.starts_with("* BYE [CONTACTADMIN]"));
    assert!(ann.is_closed().await);
    assert_eq!(site.running.kick_account(AccountId(0xdead)), 0);
    assert!(bob.answer("a", "NOOP").await.starts_with("a OK"));
}

#[tokio::test]
async fn a_bug_ends_its_connection_alone() {
    let site = Site::start(|config, _| trusting(config)).await;
    let (mut ann, mut bob) = (site.imap().await, site.imap().await);
    ann.login("ann").await;
    bob.login("bob").await;
    site.engine.set(Mood::Panicking);
    ann.send("a CREATE folder").await;
    assert!(ann.is_closed().await);
    site.engine.set(Mood::Well);
    assert!(bob.answer("a", "CREATE folder").await.starts_with("a OK"));
    assert_eq!(site.running.counters().bugs, 1);
    site.imap().await.login("ann").await;
}

#[tokio::test]
async fn last_words_arrive_although_the_client_goes_on_sending() {
    let site = Site::start(|config, _| usual(config)).await;
    let mut client = site.imap().await;
    client.raw("nonsense\r\n".repeat(20_000).as_bytes()).await;
    let mut last = String::new();
    while let Some(line) = client.next_line().await {
        last = line;
    }
    assert!(last.starts_with("* BYE"), "{last}");
}

#[tokio::test]
async fn shutdown_tells_everyone_and_leaves_nothing() {
    let site = Site::start(|config, _| trusting(config)).await;
    let address = site.address(Protocol::Imap, TlsMode::StartTls);
    let (mut waiting, mut idling) = (site.imap().await, site.imap().await);
    idling.login("ann").await;
    idling.send("a IDLE").await;
    assert!(idling.line().await.starts_with("+ "));
    let mut lmtp = site.lmtp().await;
    site.running.shutdown().await;
    for client in [&mut waiting, &mut idling] {
        let bye = client.line().await;
        assert!(bye.starts_with("* BYE [UNAVAILABLE]"), "{bye}");
        assert!(client.is_closed().await);
    }
    assert!(lmtp.line().await.starts_with("421 4.3.2"));
    assert!(TcpStream::connect(address).await.is_err());
}

/// With time paused, waiting for anything runs straight into the next timer.
#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_before_login_is_sent_away() {
    let site = Site::start(|config, _| usual(config)).await;
    let mut silent = site.connect(Protocol::Imap, TlsMode::StartTls).await;
    let mut lines = vec![silent.line().await, silent.line().await];
    assert!(lines.pop().unwrap().starts_with("* BYE"), "{lines:?}");
}
