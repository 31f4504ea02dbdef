//! LMTP conversations over real sockets, down to the octets in the mailbox.

#![allow(clippy::unwrap_used)]

mod support;

use columba_server::{Config, Counters, Protocol, TlsMode};
use columba_types::{MailboxName, limits};
use support::{Client, Mood, Site, add, listener, usual};
use tokio::io::{AsyncRead, AsyncWrite};

async fn site() -> Site {
    Site::start(|config, _| usual(config)).await
}

async fn small_site() -> Site {
    let small = |config: &mut Config| config.message_bytes = 1000;
    Site::start(|config, _| {
        usual(config);
        small(config);
    })
    .await
}

/// What comes behind the fields of final delivery.
fn received(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message).into_owned();
    let at = text.find("\r\nReceived:").unwrap();
    let mut rest = &text[at + 2..];
    while let Some((_, next)) = rest.split_once("\r\n") {
        rest = next;
        if !rest.starts_with('\t') {
            break;
        }
    }
    rest.to_owned()
}

async fn deliver<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>, to: &str, message: &str) -> String {
    let rcpt = format!("RCPT TO:<{to}>");
    client.converse(&[("MAIL FROM:<sender@example.org>", "250 2.1.0"), (&rcpt, "250 2.1.5"), ("DATA", "354 ")]).await;
    client.say(&format!("{message}\r\n.")).await
}

// RFC 2033 §4.2 (the example), RFC 5321 §4.4
#[tokio::test]
async fn a_message_reaches_its_mailbox_with_trace_on_top() {
    let site = site().await;
    let mut client = site.lmtp().await;
    let message = "Return-Path: <forged@example.org>\r\nSubject: x\r\n\r\n..dot\r\nend";
    let reply = deliver(&mut client, "Ann@Example.org", message).await;
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let messages = site.messages("ann", "INBOX").await;
    let text = String::from_utf8(messages[0].clone()).unwrap();
    let top = "Return-Path: <sender@example.org>\r\nDelivered-To: Ann@Example.org\r\n\
        Received: from mx.example ([127.0.0.1])\r\n\tby mail.example with LMTP id ";
    assert!(text.starts_with(top), "{text}");
    assert_eq!(received(&messages[0]), "Subject: x\r\n\r\n.dot\r\nend\r\n");
    assert_eq!(site.running.counters().delivered, 1);
    client.converse(&[("QUIT", "221 2.0.0")]).await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn the_greeting_says_what_is_there() {
    let site = site().await;
    let mut client = site.connect(Protocol::Lmtp, TlsMode::StartTls).await;
    client.line().await;
    client.send("LHLO [127.0.0.1]").await;
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| line.starts_with("250-")) {
        lines.push(client.line().await);
    }
    let expected = [
        "250-mail.example",
        "250-PIPELINING",
        "250-ENHANCEDSTATUSCODES",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-CHUNKING",
        "250-STARTTLS",
        "250 SIZE 268435456",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn what_comes_at_the_wrong_time_or_is_no_command_has_its_code() {
    let site = site().await;
    let mut client = site.connect(Protocol::Lmtp, TlsMode::StartTls).await;
    client.line().await;
    client
        .converse(&[
            ("EHLO mx.example", "500 5.5.1"),
            ("HELO mx.example", "500 5.5.1"),
            ("MAIL FROM:<a@b.example>", "503 5.5.1"),
            ("RCPT TO:<ann@b.example>", "503 5.5.1"),
            ("DATA", "503 5.5.1"),
            ("BDAT 6\r\nNOOP", "503 5.5.1"),
            ("NOOP", "250 2.0.0"),
            ("RSET", "250 2.0.0"),
            ("VRFY ann", "252 2.0.0"),
            ("EXPN ann", "502 5.5.1"),
            ("AUTH PLAIN", "500 5.5.2"),
            ("HELP", "214-2.0.0"),
        ])
        .await;
    assert!(client.line().await.starts_with("214 2.0.0"));
    client.send("LHLO mx.example").await;
    while client.line().await.starts_with("250-") {}
    client
        .converse(&[
            ("MAIL FROM:<a@b.example>", "250 2.1.0"),
            ("MAIL FROM:<a@b.example>", "503 5.5.1"),
            ("DATA", "503 5.5.1"),
            ("RCPT TO:<nobody@b.example>", "550 5.1.1"),
            ("DATA", "503 5.5.1"),
            (&"x".repeat(limits::LMTP_LINE_BYTES + 1), "500 5.5.2"),
            // RFC 5321 §4.1.4: LHLO ends the transaction.
            ("RSET", "250 2.0.0"),
            ("RCPT TO:<ann@b.example>", "503 5.5.1"),
        ])
        .await;
}

#[tokio::test]
async fn recipients_are_found_or_told_why_not() {
    let site = site().await;
    add(&site.store, "off", true).await;
    add(&site.store, "cleo@example.org", false).await;
    add(&site.store, "list+fans", false).await;
    let mut client = site.lmtp().await;
    client
        .converse(&[
            ("MAIL FROM:<>", "250 2.1.0"),
            ("RCPT TO:<ann>", "250 2.1.5"),
            ("RCPT TO:<ANN@anywhere.example>", "250 2.1.5"),
            ("RCPT TO:<\"ann\"@anywhere.example>", "250 2.1.5"),
            ("RCPT TO:<cleo@example.org>", "250 2.1.5"),
            ("RCPT TO:<cleo@elsewhere.example>", "550 5.1.1"),
            ("RCPT TO:<list+fans@example.org>", "250 2.1.5"),
            ("RCPT TO:<list@example.org>", "550 5.1.1"),
            ("RCPT TO:<ann+anything@example.org>", "250 2.1.5"),
            ("RCPT TO:<off@example.org>", "550 5.2.1"),
            ("RCPT TO:<postmaster>", "550 5.1.1"),
            ("RCPT TO:<\"ann@x\"@example.org>", "550 5.1.1"),
            ("RCPT TO:<\"a b\"@example.org>", "550 5.1.1"),
            ("RCPT TO:<jörg@example.org>", "553 5.6.7"),
            ("RCPT TO:<>", "501 5.1.3"),
        ])
        .await;
}

// RFC 2033 §4.2: one reply for each successful RCPT, in their order.
#[tokio::test]
async fn each_recipient_is_answered_in_order_and_each_mailbox_gets_one_copy() {
    let site = site().await;
    let mut client = site.lmtp().await;
    client
        .converse(&[
            ("MAIL FROM:<a@b.example>", "250"),
            ("RCPT TO:<ann@one.example>", "250"),
            ("RCPT TO:<nobody@one.example>", "550"),
            ("RCPT TO:<bob@one.example>", "250"),
            ("RCPT TO:<ann@two.example>", "250"),
            ("DATA", "354"),
            ("Subject: x\r\n\r\ny\r\n.", "250 2.0.0"),
        ])
        .await;
    assert!(client.line().await.starts_with("250 2.0.0"));
    assert!(client.line().await.starts_with("250 2.0.0"));
    client.converse(&[("NOOP", "250 2.0.0 OK")]).await;
    assert_eq!(site.messages("ann", "INBOX").await.len(), 1);
    assert_eq!(site.messages("bob", "INBOX").await.len(), 1);
}

#[tokio::test]
async fn a_detail_chooses_a_folder_that_exists_and_creates_none() {
    let site = site().await;
    let mail = site.store.open_account(site.account("ann").await.id).await.unwrap();
    mail.create_mailbox(&MailboxName::new("Lists/Rust").unwrap(), &[]).await.unwrap();
    let before = mail.tree().iter().count();
    let mut client = site.lmtp().await;
    for (to, folder, count) in [
        ("ann+lists/rust@example.org", "Lists/Rust", 1),
        ("ann+Lists/Rust@example.org", "Lists/Rust", 2),
        ("ann+inbox@example.org", "INBOX", 1),
        ("ann+unknown@example.org", "INBOX", 2),
        ("ann+../../etc@example.org", "INBOX", 3),
    ] {
        assert!(deliver(&mut client, to, "Subject: x\r\n\r\n").await.starts_with("250"));
        assert_eq!(site.messages("ann", folder).await.len(), count, "{to}");
    }
    assert_eq!(mail.tree().iter().count(), before);
}

// RFC 2920 §3.1: a whole transaction in one piece, and the next behind it.
#[tokio::test]
async fn commands_may_be_sent_ahead() {
    let site = site().await;
    let mut client = site.lmtp().await;
    let one = "MAIL FROM:<a@b.example>\r\nRCPT TO:<ann@b.example>\r\nRCPT TO:<nobody@b.example>\r\nDATA\r\n";
    client.raw(one.as_bytes()).await;
    for expected in ["250", "250", "550", "354"] {
        assert!(client.line().await.starts_with(expected));
    }
    client.raw(format!("Subject: x\r\n\r\n1\r\n.\r\n{one}").as_bytes()).await;
    for expected in ["250", "250", "250", "550", "354"] {
        assert!(client.line().await.starts_with(expected));
    }
    client.raw(b"Subject: x\r\n\r\n2\r\n.\r\nQUIT\r\n").await;
    assert!(client.line().await.starts_with("250 2.0.0"));
    assert!(client.line().await.starts_with("221 2.0.0"));
    assert_eq!(site.messages("ann", "INBOX").await.len(), 2);
}

// RFC 3030 §2, RFC 2033 §4.3
#[tokio::test]
async fn chunks_make_a_message_and_dots_mean_nothing_in_them() {
    let site = site().await;
    let mut client = site.lmtp().await;
    client.converse(&[("MAIL FROM:<a@b.example> BODY=8BITMIME", "250"), ("RCPT TO:<ann@b.example>", "250")]).await;
    client.raw(b"BDAT 14\r\nSubject: x\r\n\r\n").await;
    assert!(client.line().await.starts_with("250 2.0.0 14 octets"));
    client.converse(&[("DATA", "503"), ("RCPT TO:<bob@b.example>", "503"), ("MAIL FROM:<>", "503")]).await;
    client.raw(b"BDAT 5\r\n.\r\n\r\nBDAT 0 LAST\r\n").await;
    assert!(client.line().await.starts_with("250 2.0.0 5 octets"));
    assert!(client.line().await.starts_with("250 2.0.0 Delivered"));
    assert_eq!(received(&site.messages("ann", "INBOX").await[0]), "Subject: x\r\n\r\n.\r\n\r\n");
}

#[tokio::test]
async fn chunks_without_recipients_are_taken_and_dropped() {
    let site = site().await;
    let mut client = site.lmtp().await;
    client.converse(&[("MAIL FROM:<a@b.example>", "250"), ("BDAT 6\r\nQUIT", "503 5.5.1")]).await;
    // RFC 2033 §4.3: LAST without recipients has no reply at all.
    client.raw(b"BDAT 4 LAST\r\nQUITNOOP\r\n").await;
    assert!(client.line().await.starts_with("250 2.0.0 OK"));
}

// RFC 1870 §6
#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_however_it_comes() {
    let site = small_site().await;
    let mut client = site.lmtp().await;
    client.converse(&[("MAIL FROM:<a@b.example> SIZE=1001", "552 5.3.4")]).await;
    let long = "x".repeat(1000);
    assert!(deliver(&mut client, "ann@b.example", &long).await.starts_with("552 5.3.4"), "1002 with the line end");
    client.converse(&[("MAIL FROM:<a@b.example>", "250"), ("RCPT TO:<ann@b.example>", "250")]).await;
    client.converse(&[(&format!("BDAT 1002\r\n{long}"), "552 5.3.4"), ("BDAT 0 LAST", "552 5.3.4")]).await;
    assert!(deliver(&mut client, "ann@b.example", &"x".repeat(998)).await.starts_with("250"));
    assert_eq!(site.messages("ann", "INBOX").await.len(), 1);
}

// RFC 5321 §6.3
#[tokio::test]
async fn a_message_that_goes_in_circles_is_stopped() {
    let site = site().await;
    let mut client = site.lmtp().await;
    let fields = "Received: from a by b\r\n".repeat(limits::LMTP_RECEIVED_FIELDS);
    assert!(deliver(&mut client, "ann@b.example", &format!("{fields}\r\n")).await.starts_with("250"));
    let more = format!("{fields}received: from b by a\r\n\r\n");
    assert!(deliver(&mut client, "ann@b.example", &more).await.starts_with("554 5.4.6"));
}

#[tokio::test]
async fn a_store_that_refuses_is_a_temporary_failure() {
    let site = site().await;
    let mut client = site.lmtp().await;
    site.engine.set(Mood::Refusing);
    assert!(deliver(&mut client, "ann@b.example", "Subject: x\r\n\r\n").await.starts_with("451 4.3.0"));
    site.engine.set(Mood::Well);
    assert!(deliver(&mut client, "ann@b.example", "Subject: x\r\n\r\n").await.starts_with("250"));
    assert_eq!(site.messages("ann", "INBOX").await.len(), 1);
}

#[tokio::test]
async fn a_spool_that_is_gone_is_a_temporary_failure() {
    let site = Site::start(|config, _| {
        usual(config);
        config.spool = "/nonexistent".into();
    })
    .await;
    let mut client = site.lmtp().await;
    let large = "x\r\n".repeat(limits::MESSAGE_IN_MEMORY_BYTES / 3 + 1);
    assert!(deliver(&mut client, "ann@b.example", &large).await.starts_with("452 4.3.1"));
    assert!(deliver(&mut client, "ann@b.example", "small").await.starts_with("250"));
}

#[tokio::test]
async fn a_large_message_comes_out_as_it_went_in_for_everyone() {
    let site = site().await;
    let mut client = site.lmtp().await;
    let lines: String = (0..60_000).map(|n| format!("line {n:064}\r\n")).collect();
    let message = format!("Subject: large\r\n\r\n{lines}");
    assert!(message.len() > 4 * limits::MESSAGE_IN_MEMORY_BYTES);
    client.converse(&[("MAIL FROM:<a@b.example>", "250"), ("RCPT TO:<ann>", "250"), ("RCPT TO:<bob>", "250")]).await;
    client.raw(format!("BDAT {} LAST\r\n{message}", message.len()).as_bytes()).await;
    assert!(client.line().await.starts_with("250"));
    assert!(client.line().await.starts_with("250"));
    for account in ["ann", "bob"] {
        assert_eq!(received(&site.messages(account, "INBOX").await[0]), message);
    }
}

#[tokio::test]
async fn too_many_recipients_go_into_another_transaction() {
    let site = site().await;
    let mut client = site.lmtp().await;
    client.converse(&[("MAIL FROM:<a@b.example>", "250")]).await;
    client.raw("RCPT TO:<ann>\r\n".repeat(limits::LMTP_RECIPIENTS).as_bytes()).await;
    for _ in 0..limits::LMTP_RECIPIENTS {
        assert!(client.line().await.starts_with("250 2.1.5"));
    }
    client.converse(&[("RCPT TO:<bob>", "452 4.5.3"), ("RSET", "250")]).await;
}

#[tokio::test]
async fn unknown_recipients_are_no_mistakes_and_nonsense_is() {
    let site = site().await;
    let mut client = site.lmtp().await;
    client.converse(&[("MAIL FROM:<a@b.example>", "250")]).await;
    for _ in 0..=limits::LMTP_ERRORS {
        client.converse(&[("RCPT TO:<nobody>", "550 5.1.1")]).await;
    }
    for _ in 0..limits::LMTP_ERRORS {
        client.converse(&[("nonsense", "500 5.5.2")]).await;
    }
    assert!(client.line().await.starts_with("421 4.7.0"));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn addresses_beyond_ascii_need_smtputf8() {
    let site = site().await;
    add(&site.store, "jörg", false).await;
    let mut client = site.lmtp().await;
    client
        .converse(&[
            ("MAIL FROM:<é@b.example>", "553 5.6.7"),
            ("MAIL FROM:<é@b.example> SMTPUTF8", "250"),
            ("RCPT TO:<jörg@b.example>", "250"),
            ("DATA", "354"),
            ("Subject: ü\r\n\r\n.", "250"),
        ])
        .await;
    let text = String::from_utf8(site.messages("jörg", "INBOX").await.remove(0)).unwrap();
    assert!(text.starts_with("Return-Path: <é@b.example>\r\nDelivered-To: jörg@b.example\r\n"), "{text}");
    assert!(text.contains(" with UTF8LMTP id "), "{text}");
}

// RFC 3207 §4.2
#[tokio::test]
async fn tls_begins_anew() {
    let site = site().await;
    let mut plain = site.lmtp().await;
    plain.raw(b"STARTTLS\r\nMAIL FROM:<injected@b.example>\r\n").await;
    assert!(plain.line().await.starts_with("220 2.0.0"));
    let mut client = plain.secured(&site.directory).await;
    client.converse(&[("MAIL FROM:<a@b.example>", "503 5.5.1"), ("STARTTLS", "502 5.5.1")]).await;
    client.send("LHLO mx.example").await;
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| line.starts_with("250-")) {
        lines.push(client.line().await);
    }
    assert!(!lines.join("\n").contains("STARTTLS"), "{lines:?}");
    assert!(deliver(&mut client, "ann", "Subject: x\r\n\r\n").await.starts_with("250"));
}

#[tokio::test]
async fn a_unix_socket_delivers() {
    let site = Site::start(|config, directory| {
        let path = format!("unix:{}", directory.path().join("lmtp").display());
        config.listeners = vec![listener(Protocol::Lmtp, &path, TlsMode::None)];
    })
    .await;
    let mut client = Client::unix(&site.directory.path().join("lmtp")).await;
    client.converse(&[("LHLO postfix", "220")]).await;
    while client.line().await.starts_with("250-") {}
    assert!(deliver(&mut client, "ann", "Subject: x\r\n\r\n").await.starts_with("250"));
    let text = String::from_utf8(site.messages("ann", "INBOX").await.remove(0)).unwrap();
    assert!(text.contains("Received: from postfix (local)"), "{text}");
    assert_eq!(site.running.counters(), Counters { accepted: 1, delivered: 1, ..Counters::default() });
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_leaves_nothing() {
    let site = site().await;
    let mut client = site.lmtp().await;
    client.converse(&[("MAIL FROM:<a@b.example>", "250"), ("RCPT TO:<ann>", "250"), ("DATA", "354")]).await;
    client.raw(b"Subject: x\r\n\r\nhalf").await;
    drop(client);
    site.running.shutdown().await;
    let mail = site.store.open_account(site.store.account_named("ann").await.unwrap().unwrap().id).await.unwrap();
    let inbox = mail.tree().get(&MailboxName::inbox()).unwrap().mailbox.unwrap();
    assert_eq!(mail.head(inbox).await.unwrap().exists, 0);
}

/// With time paused, waiting for anything runs straight into the next timer.
#[tokio::test(start_paused = true)]
async fn a_silent_client_is_sent_away() {
    let site = site().await;
    let mut client = site.connect(Protocol::Lmtp, TlsMode::StartTls).await;
    assert!(client.line().await.starts_with("220"));
    assert!(client.line().await.starts_with("421 4.4.2"));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn an_account_may_take_less_than_the_server() {
    let site = site().await;
    let ann = site.store.account_named("ann").await.unwrap().unwrap().id;
    let change = columba_store::AccountChange { message_bytes: Some(Some(20)), ..Default::default() };
    site.store.update_account(ann, change).await.unwrap();
    let mut client = site.lmtp().await;
    assert!(deliver(&mut client, "ann", "Subject: more than 20\r\n\r\nx").await.starts_with("552 5.3.4 "));
    assert!(deliver(&mut client, "ann", "Subject: x\r\n\r\nx").await.starts_with("250 2.0.0 "));
    assert_eq!(site.messages("ann", "INBOX").await.len(), 1);
}
