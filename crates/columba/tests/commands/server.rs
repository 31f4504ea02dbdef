//! Commands beside a running server, servers that are not what they should be, and signals.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use super::harness::{Home, Server, files};

#[test]
fn accounts_are_administered_through_the_running_server() {
    let home = Home::new();
    let server = Server::plain(&home);
    home.add_account("ann", "secret");
    let mut imap = server.imap();
    assert!(imap.command("LOGIN ann secret").contains("a OK"));

    home.run_with_input(&["account", "passwd", "ann", "--password-stdin"], "other\n").ok();
    // Whoever was in with the old password is out.
    let mut said = imap.line();
    while !said.is_empty() && !said.starts_with("* BYE") {
        said = imap.line();
    }
    assert!(said.starts_with("* BYE"), "{said}");
    assert!(server.imap().command("LOGIN ann secret").contains("a NO"));
    assert!(server.imap().command("LOGIN ann other").contains("a OK"));

    home.run(&["account", "disable", "ann"]).ok();
    assert!(server.imap().command("LOGIN ann other").contains("a NO"));
    home.run(&["account", "enable", "ann"]).ok();
    let mut imap = server.imap();
    assert!(imap.command("LOGIN ann other").contains("a OK"));
    home.run(&["account", "delete", "ann", "--yes"]).ok();
    assert!(server.imap().command("LOGIN ann other").contains("a NO"));
    home.run(&["verify"]).ok();
    let (status, log) = server.stop();
    assert_eq!(status, Some(0), "{log}");
    assert!(!log.contains("secret") && !log.contains("other\""), "{log}");
}

#[test]
fn mail_comes_in_and_goes_out_through_the_running_server() {
    let home = Home::new();
    let server = Server::plain(&home);
    home.add_account("ann", "secret");
    let large = [&b"Subject: large\r\n\r\n"[..], &b"0123456789abcdef\r\n".repeat(200_000)].concat();
    home.write(&[
        ("in/cur/1.a:2,S", b"Subject: one\r\n\r\nhello\r\n"),
        ("in/cur/2.b:2,F", &large),
        ("in/.Work/new/3.c", b"Subject: three\r\n\r\n\0\xff\r\n"),
    ]);
    let mut imap = server.imap();
    imap.command("LOGIN ann secret");
    assert!(imap.command("SELECT INBOX").contains("* 0 EXISTS"));
    let told = home.json(&["import", "maildir", "ann", "in"]);
    assert_eq!((&told["messages"], &told["mailboxes_made"]), (&3.into(), &1.into()), "{told}");
    // A client that is there sees it come.
    assert!(imap.command("NOOP").contains("* 2 EXISTS"));
    let fetched = imap.command("FETCH 1 (FLAGS BODY[TEXT])");
    assert!(fetched.contains("\\Seen") && fetched.contains("hello"), "{fetched}");

    home.run(&["export", "maildir", "ann", "out"]).ok();
    let bodies = |root: &str| -> Vec<Vec<u8>> {
        let all = files(&home.path(root)).into_iter();
        let mut found: Vec<_> = all.filter(|(n, _)| n.contains("cur/") || n.contains("new/")).map(|(_, b)| b).collect();
        found.sort();
        found
    };
    assert!(bodies("in") == bodies("out"));
    home.run(&["verify"]).ok();
}

/// Something at the socket of a data directory that greets and then does as `then` says.
fn fake_server(home: &Home, protocol: u32, then: &'static str) -> thread::JoinHandle<()> {
    std::fs::create_dir(home.data()).unwrap();
    std::fs::write(home.data().join("format"), "").unwrap();
    let listener = UnixListener::bind(home.data().join("admin.sock")).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let greeting = format!("{{\"columba\":\"9.9.9\",\"protocol\":{protocol}}}");
        for said in [greeting.as_str(), then].iter().filter(|said| !said.is_empty()) {
            let length = u32::try_from(said.len()).unwrap().to_be_bytes();
            stream.write_all(&[b"J", &length[..], said.as_bytes()].concat()).unwrap();
        }
        // Let the command ask before the connection is closed.
        let _ = std::io::Read::read(&mut stream, &mut [0u8; 1]);
    })
}

#[test]
fn a_server_that_goes_away_in_between_is_told() {
    let home = Home::new();
    let server = fake_server(&home, 1, "");
    home.run(&["verify"]).failed(1, &["the server went away in the middle", "see the server's log"]);
    server.join().unwrap();
    assert!(!home.data().join("shards").exists(), "the store must not be opened behind a server's back");
}

#[test]
fn a_server_of_another_version_is_told() {
    let home = Home::new();
    let server = fake_server(&home, 99, "");
    home.run(&["verify"]).failed(1, &["the server is Columba 9.9.9", "restart the server"]);
    server.join().unwrap();
}

#[test]
fn a_server_that_talks_nonsense_is_told() {
    let home = Home::new();
    let server = fake_server(&home, 1, "{\"Accounts\":[]}");
    home.run(&["account", "show", "ann"]).failed(1, &["does not belong to the question"]);
    server.join().unwrap();
}

#[test]
fn signals_end_and_reload() {
    let home = Home::new();
    let mut server = Server::quickstart(&home, &["--account", "ann", "--log", "info"]);
    let mut imap = server.imap();
    // A command that is still there is no reason to be rude to clients.
    let _command = UnixStream::connect(home.data().join("admin.sock")).unwrap();
    server.signal(rustix::process::Signal::HUP);
    let mut log = BufReader::new(server.child.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("the certificate")));
    assert!(imap.command("NOOP").contains("a OK"), "connections stay");
    server.signal(rustix::process::Signal::INT);
    assert!(log.any(|line| line.unwrap().contains("shutting down")));
    assert!(imap.line().starts_with("* BYE"));
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_killed_server_leaves_nothing_in_the_way() {
    let home = Home::new();
    let mut server = Server::quickstart(&home, &["--account", "ann"]);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert!(home.data().join("admin.sock").exists(), "a killed server cannot remove its socket");
    home.run(&["account", "show", "ann"]).ok();
    let again = Server::quickstart(&home, &[]);
    assert_eq!(again.ready["account"], "ann");
}

#[test]
fn no_server_without_what_it_needs() {
    let home = Home::new();
    home.write(&[("data/foreign", b"x")]);
    home.run(&["serve"]).failed(1, &["no data directory of Columba", "foreign"]);
    let nowhere = Home::new();
    let args = ["account", "list"];
    let ran = super::harness::Ran::new(&args, nowhere.command(&args).output().unwrap());
    if !std::path::Path::new("/etc/columba/columba.toml").exists() {
        ran.failed(1, &["--data DIR or --config FILE"]);
    }
}
