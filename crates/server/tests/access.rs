//! Who is served from where: networks of listeners and of accounts, and proxies that speak for others.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::IpAddr;

use columba_server::{Config, Networks, Protocol, TlsMode};
use columba_store::AccountChange;
use columba_types::limits;
use support::{Client, PASSWORD, Site, trusting};
use tempfile::TempDir;
use tokio::net::TcpStream;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn list(texts: &[&str]) -> Vec<columba_server::Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Loopback is a proxy that sends the header, on every listener.
fn proxied(config: &mut Config, _: &TempDir) {
    trusting(config);
    config.listeners.iter_mut().for_each(|listener| listener.proxy_networks = list(&["127.0.0.0/8"]));
}

/// Loopback is a proxy that speaks by ID.
fn by_id(config: &mut Config, _: &TempDir) {
    trusting(config);
    config.listeners.iter_mut().for_each(|listener| listener.id_networks = list(&["127.0.0.1"]));
}

async fn through_proxy(site: &Site, tls: TlsMode, header: &[u8]) -> Client<TcpStream> {
    let mut client = site.connect(Protocol::Imap, tls).await;
    client.raw(header).await;
    client
}

fn addresses(site: &Site) -> Vec<Option<IpAddr>> {
    site.running.connections().into_iter().map(|connection| connection.address).collect()
}

async fn limit(site: &Site, account: &str, allow: &[&str], deny: &[&str]) {
    let networks = Networks { allow: list(allow), deny: list(deny) };
    let change = AccountChange { networks: Some(networks), ..AccountChange::default() };
    site.store.update_account(site.account(account).await.id, change).await.unwrap();
}

#[tokio::test]
async fn a_listed_proxy_says_where_the_client_is() {
    let site = Site::start(proxied).await;
    let line = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 143\r\n";
    let mut client = through_proxy(&site, TlsMode::StartTls, line).await;
    assert!(client.line().await.starts_with("* OK"));
    assert_eq!(addresses(&site), ["203.0.113.9".parse().ok()]);
    // plaintext_networks has loopback, which is where the proxy is, not the client.
    let refused = client.answer("a", &format!("LOGIN ann \"{PASSWORD}\"")).await;
    assert!(refused.starts_with("a NO [PRIVACYREQUIRED]"), "{refused}");
    // TLS begins behind the header.
    let mut inside = through_proxy(&site, TlsMode::Implicit, line).await.secured(&site.directory).await;
    inside.login_after_greeting("ann").await;
    // The mail server may be behind one, too.
    let mut lmtp = site.connect(Protocol::Lmtp, TlsMode::StartTls).await;
    lmtp.raw(b"PROXY UNKNOWN\r\n").await;
    assert!(lmtp.line().await.starts_with("220 "));
}

#[tokio::test]
async fn what_a_proxy_knows_of_tls_counts() {
    let site = Site::start(proxied).await;
    let header = |bits: u8| {
        let address = [203, 0, 113, 9, 192, 0, 2, 1, 0, 99, 0, 143];
        [SIGNATURE, &[0x21, 0x11, 0, 20], &address, &[0x20, 0, 5, bits, 0, 0, 0, 0]].concat()
    };
    let mut client = through_proxy(&site, TlsMode::StartTls, &header(1)).await;
    client.login_after_greeting("ann").await;
    let mut client = through_proxy(&site, TlsMode::StartTls, &header(0)).await;
    assert!(client.line().await.contains("LOGINDISABLED"));
}

#[tokio::test]
async fn a_listed_proxy_without_a_header_is_not_served() {
    let site = Site::start(proxied).await;
    for octets in [&b"a CAPABILITY\r\nb NOOP\r\n"[..], b"PROXY TCP4 nowhere nowhere 1 2\r\n", &[0x16; 200]] {
        assert!(through_proxy(&site, TlsMode::StartTls, octets).await.is_closed().await);
    }
    assert_eq!(site.running.counters().accepted, 0);
    // LOCAL: the proxy looks whether we are there.
    let local = [SIGNATURE, &[0x20, 0, 0, 0]].concat();
    let mut client = through_proxy(&site, TlsMode::StartTls, &local).await;
    client.login_after_greeting("ann").await;
    assert_eq!(addresses(&site), ["127.0.0.1".parse().ok()]);
}

/// With time paused, waiting for anything runs straight into the next timer.
#[tokio::test(start_paused = true)]
async fn a_proxy_that_is_slow_is_closed() {
    let site = Site::start(proxied).await;
    for octets in [&b""[..], b"PROXY TCP4 203.0.113.9", &SIGNATURE[..7]] {
        let begun = tokio::time::Instant::now();
        assert!(through_proxy(&site, TlsMode::StartTls, octets).await.is_closed().await);
        assert!(begun.elapsed() >= limits::PROXY_HEADER && begun.elapsed() < 2 * limits::PROXY_HEADER);
    }
}

#[tokio::test]
async fn a_header_of_anybody_else_is_no_header() {
    let site = Site::start(|config, _| trusting(config)).await;
    let mut client = through_proxy(&site, TlsMode::StartTls, b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 143\r\n").await;
    assert!(client.line().await.starts_with("* OK"));
    let answer = client.line().await;
    assert!(answer.starts_with("PROXY BAD") || answer.starts_with("* BAD"), "{answer}");
    assert_eq!(addresses(&site), ["127.0.0.1".parse().ok()]);
}

#[tokio::test]
async fn a_network_that_is_not_served_finds_a_closed_door() {
    let denied = |networks: Networks| {
        move |config: &mut Config, _: &TempDir| {
            trusting(config);
            config.listeners.iter_mut().for_each(|listener| listener.networks = networks.clone());
        }
    };
    let elsewhere = Networks { allow: list(&["192.0.2.0/24"]), deny: Vec::new() };
    let site = Site::start(denied(elsewhere)).await;
    for tls in [TlsMode::StartTls, TlsMode::Implicit] {
        assert!(site.connect(Protocol::Imap, tls).await.is_closed().await);
    }
    assert_eq!(site.running.counters().refused, 2);
    let here = Networks { allow: list(&["127.0.0.0/8"]), deny: list(&["127.0.0.2"]) };
    Site::start(denied(here)).await.imap().await.login("ann").await;
}

#[tokio::test]
async fn a_proxied_client_from_a_denied_network_is_closed_too() {
    let site = Site::start(|config, directory| {
        proxied(config, directory);
        let networks = Networks { allow: Vec::new(), deny: list(&["203.0.113.0/24"]) };
        config.listeners.iter_mut().for_each(|listener| listener.networks = networks.clone());
    })
    .await;
    let line = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 143\r\n";
    assert!(through_proxy(&site, TlsMode::StartTls, line).await.is_closed().await);
    let line = b"PROXY TCP4 203.0.114.9 192.0.2.1 4711 143\r\n";
    assert!(through_proxy(&site, TlsMode::StartTls, line).await.line().await.starts_with("* OK"));
}

#[tokio::test]
async fn an_account_is_not_to_be_had_from_a_barred_network() {
    let site = Site::start(|config, _| trusting(config)).await;
    let mut client = site.imap().await;
    let wrong = client.answer("a", "LOGIN ann wrong").await;
    limit(&site, "ann", &["192.0.2.0/24"], &[]).await;
    // Nothing tells the right password from a wrong one.
    assert_eq!(client.answer("a", &format!("LOGIN ann \"{PASSWORD}\"")).await, wrong);
    limit(&site, "ann", &[], &["127.0.0.1"]).await;
    let mut client = site.imap().await;
    assert_eq!(client.answer("a", &format!("LOGIN ann \"{PASSWORD}\"")).await, wrong);
    limit(&site, "ann", &["127.0.0.0/8"], &["127.0.0.2"]).await;
    client.login("ann").await;
}

#[tokio::test]
async fn a_trusted_proxy_says_by_id_where_the_client_is() {
    let site = Site::start(by_id).await;
    limit(&site, "ann", &["203.0.113.0/24"], &[]).await;
    let mut client = site.imap().await;
    let said = "ID (\"x-session-id\" \"abc\" \"X-Originating-IP\" \"::ffff:203.0.113.9\" \"x-connected-port\" \"143\")";
    assert!(client.answer("a", said).await.starts_with("a OK"));
    assert_eq!(addresses(&site), ["203.0.113.9".parse().ok()]);
    client.login("ann").await;
    // Once somebody is logged in, it is only an ID.
    assert!(client.answer("b", "ID (\"x-originating-ip\" \"198.51.100.1\")").await.starts_with("b OK"));
    assert_eq!(addresses(&site), ["203.0.113.9".parse().ok()]);

    let mut client = site.imap().await;
    for wrong in ["", "nowhere", "203.0.113.9:99", "1.2.3.4.5"] {
        let answer = client.answer("c", &format!("ID (\"x-originating-ip\" \"{wrong}\")")).await;
        assert!(answer.starts_with("c BAD"), "{answer}");
    }
    assert!(client.answer("d", "ID (\"x-originating-ip\" NIL)").await.starts_with("d OK"));
}

#[tokio::test]
async fn what_anybody_else_says_by_id_is_only_said() {
    let site = Site::start(|config, _| trusting(config)).await;
    limit(&site, "ann", &["203.0.113.0/24"], &[]).await;
    let mut client = site.imap().await;
    assert!(client.answer("a", "ID (\"x-originating-ip\" \"203.0.113.9\")").await.starts_with("a OK"));
    assert_eq!(addresses(&site), ["127.0.0.1".parse().ok()]);
    assert!(client.answer("b", &format!("LOGIN ann \"{PASSWORD}\"")).await.starts_with("b NO"));
}

#[tokio::test]
async fn where_the_client_is_by_id_limits_it() {
    let site = Site::start(|config, directory| {
        by_id(config, directory);
        config.connections_per_address = 1;
    })
    .await;
    let said = "ID (\"x-originating-ip\" \"203.0.113.9\")";
    let mut first = site.imap().await;
    assert!(first.answer("a", said).await.starts_with("a OK"));
    let mut second = site.imap().await;
    second.send(&format!("a {said}")).await;
    assert!(second.line().await.starts_with("* BYE [LIMIT]"));
    assert!(second.is_closed().await);
}

// RFC 9051 §6.2.1: nor does an address that a man in the middle may have put before STARTTLS.
#[tokio::test]
async fn an_address_said_before_tls_does_not_survive_it() {
    let site = Site::start(by_id).await;
    limit(&site, "ann", &["203.0.113.0/24"], &[]).await;
    let mut plain = site.imap().await;
    let said = "ID (\"x-originating-ip\" \"203.0.113.9\")";
    assert!(plain.answer("a", said).await.starts_with("a OK"));
    assert!(plain.answer("b", "STARTTLS").await.starts_with("b OK"));
    let mut client = plain.secured(&site.directory).await;
    assert!(client.answer("c", &format!("LOGIN ann \"{PASSWORD}\"")).await.starts_with("c NO"));
    assert_eq!(addresses(&site), ["127.0.0.1".parse().ok()]);
    assert!(client.answer("d", said).await.starts_with("d OK"));
    client.login("ann").await;
}
