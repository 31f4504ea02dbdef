//! `columba check` against servers of every kind, each with one thing that has to be found.

use std::io::Write;
use std::net::SocketAddr;

use serde_json::Value;

use super::harness::{Home, Ran, Server};
use super::stubs::{Authority, Imap, listen, only_tls_1_0, says, silent};

/// Runs `check` on an address with `--json`; status and report.
fn check(home: &Home, address: SocketAddr, more: &[&str]) -> (i32, Value) {
    let address = address.to_string();
    let args = [&["check", &address, "--json"], more].concat();
    let ran = Ran::new(&args, home.command(&args).output().unwrap());
    (ran.status.unwrap(), ran.json())
}

fn ids(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect()
}

#[track_caller]
fn finds(report: &Value, id: &str) {
    assert!(ids(report).contains(&id), "no {id} in {report:#}");
}

#[track_caller]
fn finds_not(report: &Value, id: &str) {
    assert!(!ids(report).contains(&id), "{id} in {report:#}");
}

/// The only port that was looked at.
fn port(report: &Value) -> &Value {
    assert_eq!(report["ports"].as_array().unwrap().len(), 1);
    &report["ports"][0]
}

/// A test's own CA as a file for `--ca`.
fn trusted(home: &Home) -> Authority {
    let authority = Authority::new();
    home.write(&[("ca.pem", authority.pem.as_bytes())]);
    authority
}

#[test]
fn columba_itself_is_fine() {
    let home = Home::new();
    let server = Server::quickstart(&home, &["--account", "ann"]);
    let of = |kind: &str| server.ready[kind][0].as_str().unwrap().parse::<SocketAddr>().unwrap();
    let ca = server.ready["certificate"].as_str().unwrap();
    for (kind, security) in [("imap", "starttls"), ("imaps", "tls")] {
        let (status, report) = check(&home, of(kind), &["--ca", ca, "--timeout", "60"]);
        assert_eq!(status, 0, "{report:#}");
        let seen = port(&report);
        assert_eq!((&seen["security"], &seen["state"]), (&security.into(), &"open".into()));
        assert_eq!(seen["tls"]["version"], "TLS 1.3");
        assert!(seen["software"].as_str().unwrap().starts_with("Columba"), "{seen:#}");
        let offered = seen["versions"].as_array().unwrap().iter().map(|v| v["offered"].as_str().unwrap());
        assert_eq!(offered.collect::<Vec<_>>(), ["no", "no", "yes", "yes"], "{seen:#}");
        assert_eq!(seen["weak_cipher"]["offered"], "no");
        for id in ["port-open", "tls-modern", "certificate-trusted"] {
            finds(&report, id);
        }
        finds_not(&report, "revision-1-only");
    }
    let (_, report) = check(&home, of("imap"), &["--timeout", "60"]);
    finds(&report, "starttls-safe");
    finds(&report, "plaintext-refused");
    finds(&report, "certificate-self-signed");
}

#[test]
fn a_login_says_which_step_failed() {
    let home = Home::new();
    home.add_account("ann", "correct horse");
    let server = Server::quickstart(&home, &["--account", "ann"]);
    let ca = server.ready["certificate"].as_str().unwrap();
    for kind in ["imap", "imaps"] {
        let address = server.ready[kind][0].as_str().unwrap();
        let login = |more: &[&str], password: &str| {
            let kind = if kind == "imap" { "--starttls" } else { "--tls" };
            let all = [&["check", address, kind, "--login", "ann", "--password-stdin", "--json"], more].concat();
            let ran = home.run_with_input(&all, &format!("{password}\n"));
            let report = ran.json();
            let steps = report["login"]["steps"].as_array().unwrap().clone();
            let last = steps.last().unwrap();
            (ran.status.unwrap(), last["step"].as_str().unwrap().to_owned(), last["is_ok"].as_bool().unwrap())
        };
        assert_eq!(login(&["--ca", ca], "correct horse"), (0, "select".into(), true));
        assert_eq!(login(&["--insecure"], "correct horse"), (0, "select".into(), true));
        assert_eq!(login(&["--ca", ca], "wrong"), (2, "login".into(), false));
        // Nobody vouches for the certificate, so the password stays here.
        assert_eq!(login(&[], "correct horse"), (2, "tls".into(), false));
        assert_eq!(login(&["--ca", ca, "--name", "other.example"], "correct horse"), (2, "tls".into(), false));
    }
}

#[test]
fn a_login_says_that_nothing_listens() {
    let home = Home::new();
    let closed = closed();
    let args = ["check", &closed.to_string(), "--login", "ann", "--password-stdin", "--json"];
    let ran = home.run_with_input(&args, "secret\n");
    assert_eq!(ran.status, Some(2));
    assert_eq!(ran.json()["login"]["steps"][1]["step"], "connect");
    assert!(ran.json()["findings"][0]["what"].as_str().unwrap().contains("closed (refused)"));
}

/// A port that nobody listens on.
fn closed() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_closed_port_is_closed() {
    let home = Home::new();
    let (status, report) = check(&home, closed(), &[]);
    assert_eq!((status, &port(&report)["state"]), (2, &"closed".into()));
    finds(&report, "nothing-answers");
}

#[test]
fn a_silent_port_is_told_and_left() {
    let home = Home::new();
    for how in [&[][..], &["--tls"], &["--starttls"], &["--plain"]] {
        let (status, report) = check(&home, silent(), &[how, &["--timeout", "1"]].concat());
        assert_eq!((status, &port(&report)["state"]), (2, &"open".into()), "{how:?}");
        finds(&report, if how == ["--tls"] { "tls-failed" } else { "greeting-missing" });
    }
}

#[test]
fn other_services_are_named() {
    let home = Home::new();
    let services: [(&[u8], &str); 3] = [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "SSH is spoken"),
        (b"220 mail.example.org ESMTP\r\n", "SMTP is spoken"),
        (b"\x00\x01\x02\x03", "is no IMAP"),
    ];
    for (banner, says_what) in services {
        for how in ["--starttls", "--tls"] {
            let (status, report) = check(&home, says(banner), &[how, "--timeout", "3"]);
            assert_eq!(status, 2, "{report:#}");
            let whats: Vec<&str> =
                report["findings"].as_array().unwrap().iter().map(|f| f["what"].as_str().unwrap()).collect();
            let is_told = whats.iter().any(|what| what.contains(says_what));
            assert!(is_told || ids(&report).contains(&"tls-not-spoken"), "{how} {banner:?}: {report:#}");
        }
    }
    // HTTP speaks when spoken to.
    let http = listen("127.0.0.1:0", |mut stream| {
        if std::io::Read::read(&mut stream, &mut [0; 100]).is_ok_and(|octets| octets > 0) {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let (_, report) = check(&home, http, &["--starttls", "--timeout", "1"]);
    assert_eq!(port(&report)["service"], "HTTP");
    finds(&report, "not-imap");
}

#[test]
fn imap_on_the_port_for_tls_is_told() {
    let home = Home::new();
    let (status, report) = check(&home, Imap::default().listen("127.0.0.1:0"), &["--tls"]);
    assert_eq!(status, 2);
    finds(&report, "tls-not-spoken");
    finds_not(&report, "not-imap");
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let home = Home::new();
    let authority = trusted(&home);
    /// Name, years, options; finding and status.
    type Case = (&'static str, (i32, i32), &'static [&'static str], &'static str, i32);
    let cases: [Case; 5] = [
        ("127.0.0.1", (2020, 2021), &["--ca", "ca.pem"], "certificate-expired", 2),
        ("127.0.0.1", (2110, 2120), &["--ca", "ca.pem"], "certificate-not-yet-valid", 2),
        ("other.example", (2020, 2110), &["--ca", "ca.pem"], "certificate-wrong-name", 2),
        ("127.0.0.1", (2020, 2110), &[], "certificate-untrusted", 2),
        ("127.0.0.1", (2020, 2110), &["--ca", "ca.pem"], "certificate-trusted", 0),
    ];
    for (name, years, more, id, wanted) in cases {
        let tls = Some(authority.tls(name, years));
        let server = Imap { tls, is_implicit: true, ..Imap::default() }.listen("127.0.0.1:0");
        let (status, report) = check(&home, server, &[&["--tls"], more].concat());
        assert_eq!(status, wanted, "{id}: {report:#}");
        finds(&report, id);
    }
}

#[test]
fn days_left_are_graded() {
    let home = Home::new();
    let authority = trusted(&home);
    let tls = Some(authority.tls("127.0.0.1", (2020, 2110)));
    let server = Imap { tls, is_implicit: true, ..Imap::default() }.listen("127.0.0.1:0");
    let grade = |warn: &str, crit: &str| {
        let days = ["--tls", "--quick", "--ca", "ca.pem", "--warn-days", warn, "--crit-days", crit];
        check(&home, server, &days)
    };
    let (status, report) = grade("90000", "7");
    assert_eq!(status, 1);
    finds(&report, "certificate-expires-soon");
    let (status, report) = grade("90000", "80000");
    assert_eq!(status, 2);
    finds(&report, "certificate-expires-now");
}

#[test]
fn injection_behind_starttls_is_found() {
    let home = Home::new();
    let tls = Some(trusted(&home).tls("127.0.0.1", (2020, 2110)));
    for (flawed, id, wanted) in [(true, "starttls-injection", 2), (false, "starttls-safe", 0)] {
        let server = Imap { tls: tls.clone(), keeps_what_came_before: flawed, ..Imap::default() };
        let (status, report) = check(&home, server.listen("127.0.0.1:0"), &["--ca", "ca.pem"]);
        finds(&report, id);
        assert_eq!(status, wanted, "{report:#}");
    }
}

#[test]
fn starttls_that_is_missing_or_broken_is_found() {
    let home = Home::new();
    let missing = Imap { before: "IMAP4rev1 AUTH=PLAIN", ..Imap::default() };
    let (status, report) = check(&home, missing.listen("127.0.0.1:0"), &["--starttls"]);
    assert_eq!(status, 2);
    for id in ["starttls-missing", "plaintext-login-local", "revision-1-only"] {
        finds(&report, id);
    }
    let (status, report) = check(&home, Imap::default().listen("127.0.0.1:0"), &["--starttls"]);
    assert_eq!(status, 2);
    finds(&report, "starttls-failed");
}

#[test]
fn old_tls_alone_is_found() {
    let home = Home::new();
    let (status, report) = check(&home, only_tls_1_0(), &["--tls"]);
    assert_eq!(status, 2);
    finds(&report, "tls-old-version");
    finds(&report, "tls-weak-cipher");
    finds(&report, "tls-failed");
    assert_eq!(port(&report)["versions"][0]["offered"], "yes");
    assert_eq!(port(&report)["versions"][2]["offered"], "no");
}

#[test]
fn ipv6_is_looked_at() {
    let home = Home::new();
    let tls = Some(trusted(&home).tls("::1", (2020, 2110)));
    let server = Imap { tls, ..Imap::default() }.listen("[::1]:0");
    let (status, report) = check(&home, server, &["--ca", "ca.pem", "-6"]);
    assert_eq!(status, 0, "{report:#}");
    assert_eq!(port(&report)["address"], server.to_string());
}

#[test]
fn a_hostile_server_garbles_nothing() {
    let home = Home::new();
    let tls = Some(trusted(&home).tls("127.0.0.1", (2020, 2110)));
    let server = Imap {
        tls,
        greeting: "* OK \x1b[2J\x1b]0;owned\x07\u{202e}\u{9b}31m Dovecot",
        before: "STARTTLS \x1b[1m IMAP4rev1",
        within: "IMAP4rev1 ID AUTH=\x1b[31mPLAIN",
        id: "(\"name\" \"\x1b[2Jevil\u{7f}\" \"version\" \"1\x08\x08\")",
        ..Imap::default()
    }
    .listen("127.0.0.1:0");
    let address = server.to_string();
    for form in [&[][..], &["--json"], &["--nagios"]] {
        let args = [&["check", &address, "--ca", "ca.pem"], form].concat();
        let ran = Ran::new(&args, home.command(&args).output().unwrap());
        assert!(ran.stdout.contains("evil") || form == ["--nagios"], "{}", ran.stdout);
        let bad = |c: char| (c.is_control() && c != '\n') || ('\u{200b}'..='\u{202e}').contains(&c);
        assert!(!ran.stdout.contains(bad), "{form:?}: {:?}", ran.stdout);
    }
}

#[test]
fn floods_come_to_an_end() {
    let home = Home::new();
    let flood = listen("127.0.0.1:0", |mut stream| {
        let _ = stream.write_all(b"* OK hello\r\n");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    let (status, report) = check(&home, flood, &["--starttls"]);
    assert_eq!(status, 2);
    finds(&report, "answer-broken");
    let lines = listen("127.0.0.1:0", |mut stream| while stream.write_all(&b"* OK x\r\n".repeat(1000)).is_ok() {});
    let (status, report) = check(&home, lines, &["--starttls"]);
    assert_eq!(status, 2);
    finds(&report, "answer-broken");
}

#[test]
fn monitoring_gets_one_line() {
    let home = Home::new();
    let closed = closed().to_string();
    let args = ["check", &closed, "--nagios"];
    let ran = Ran::new(&args, home.command(&args).output().unwrap());
    assert_eq!(ran.status, Some(2));
    let start = "IMAP CRITICAL: 127.0.0.1: nothing-answers 127.0.0.1: no port is open | time=";
    assert!(ran.stdout.starts_with(start) && ran.stdout.lines().count() == 1, "{}", ran.stdout);
    for wrong in [&["check", "--frobnicate"][..], &["check", "a b"], &["check", "localhost", "--ca", "nowhere.pem"]] {
        let ran = Ran::new(wrong, home.command(wrong).output().unwrap());
        assert_eq!(ran.status, Some(3), "{wrong:?}: {}{}", ran.stdout, ran.stderr);
    }
    let other = ["config", "check", "--frobnicate"];
    Ran::new(&other, home.command(&other).output().unwrap()).failed(2, &["--frobnicate"]);
    let help = ["check", "--help"];
    Ran::new(&help, home.command(&help).output().unwrap()).ok();
}

#[test]
fn this_machine_is_seen_from_within() {
    let home = Home::new();
    let free = closed().port();
    let config = format!(
        "data = \"data\"\n[auth]\nplaintext_networks = [\"127.0.0.0/8\"]\n\
         [[listener]]\nprotocol = \"imap\"\naddress = \"127.0.0.1:{free}\"\ntls = \"none\"\n"
    );
    home.write(&[("columba.toml", config.as_bytes())]);
    let local = || {
        let args = ["check", "--local", "--config", "columba.toml", "--json", "--allow", "192.0.2.0/24"];
        Ran::new(&args, home.command(&args).output().unwrap()).json()
    };
    finds(&local(), "local-config-not-listening");
    let _server = Server::start(home.command(&["serve", "--config", "columba.toml"]));
    let report = local();
    finds(&report, "local-config-agrees");
    let held = report["listeners"].as_array().unwrap().iter();
    let held: Vec<&Value> = held.filter(|l| l["address"] == format!("127.0.0.1:{free}")).collect();
    assert_eq!(held.len(), 1, "{report:#}");
    assert_eq!(held[0]["processes"][0]["name"], "columba");
    let text = report["firewall"]["text"].as_str().unwrap();
    assert!(text.contains("192.0.2.0/24") && text.contains(&free.to_string()), "{text}");
}
