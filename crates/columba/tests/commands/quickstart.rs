//! `columba quickstart`: the first start, the second one, and ports that cannot be had.

use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::process::Stdio;

use super::harness::{Home, Ran, Server};

#[test]
fn the_first_start_makes_all_and_the_second_keeps_it() {
    let home = Home::new();
    let first = Server::quickstart(&home, &["--account", "ann"]);
    assert_eq!(first.ready["account"], "ann");
    assert_eq!(first.ready["first_start"], true);
    assert!(first.ready["password"].as_str().unwrap().len() >= 20);
    let certificate = first.ready["certificate"].as_str().unwrap().to_owned();
    assert!(std::fs::read_to_string(&certificate).unwrap().contains("BEGIN CERTIFICATE"));
    let socket = std::fs::metadata(home.data().join("admin.sock")).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let key = std::fs::metadata(home.data().join("tls/key.pem")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert!(first.imap().command("CAPABILITY").contains("STARTTLS"));
    assert_eq!(home.json(&["mailbox", "show", "ann", "INBOX"])["messages"], 1);
    let (status, log) = first.stop();
    assert_eq!(status, Some(0), "{log}");
    assert!(!home.data().join("admin.sock").exists());

    let second = Server::quickstart(&home, &[]);
    assert_eq!(second.ready["account"], "ann");
    assert_eq!(second.ready["first_start"], false);
    assert!(second.ready["password"].is_null());
    assert_eq!(second.ready["certificate"], certificate);
    assert_eq!(home.json(&["mailbox", "show", "ann", "INBOX"])["messages"], 1);

    let third = home.run(&["quickstart", "--imap", "127.0.0.1:0", "--imaps", "127.0.0.1:0"]);
    third.failed(1, &["in use", &second.child.id().to_string(), "another --data"]);
}

#[test]
fn people_are_told_what_to_do_next() {
    let home = Home::new();
    let mut command =
        home.command(&["quickstart", "--account", "ann", "--imap", "127.0.0.1:0", "--imaps", "127.0.0.1:0"]);
    command.arg("--password-stdin").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"chosen secret\n").unwrap();
    let mut said = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    while !said.contains("\nReady") {
        assert_ne!(std::io::BufRead::read_line(&mut out, &mut said).unwrap(), 0, "{said}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for part in ["ann", "the one you gave", "openssl s_client", "mbsync", "Thunderbird", "lmtp:unix:", "columba-data"] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    assert!(!said.contains("chosen secret"));
    assert!(home.path("columba-data/format").exists());
    // Other commands find it where it was started.
    let args = ["account", "list"];
    assert!(Ran::new(&args, home.command(&args).output().unwrap()).ok().stdout.contains("ann"));
}

#[test]
fn a_chosen_port_that_is_taken_is_an_error_and_makes_no_account() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = home.run(&["quickstart", "--imap", &address, "--imaps", "127.0.0.1:0"]);
    ran.failed(1, &[&address, "another program listens there already"]);
    home.run(&["account", "list"]).failed(1, &["there is no Columba data"]);
    // And it is not in the way of the next start.
    Server::quickstart(&home, &[]);
}

#[test]
fn usual_ports_that_cannot_be_had_are_exchanged() {
    let home = Home::new();
    // Either this test may take them, or nobody without rights may, or somebody else has them.
    let _taken: Vec<_> = [143, 993].iter().map(|port| TcpListener::bind(("127.0.0.1", *port))).collect();
    let mut command = home.command(&["quickstart", "--account", "ann"]);
    command.arg("--data").arg(home.data());
    let server = Server::start(command);
    let notes = server.ready["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 2, "{}", server.ready);
    for (kind, usual) in [("imap", "143"), ("imaps", "993")] {
        let address = server.ready[kind][0].as_str().unwrap();
        assert!(address.starts_with("127.0.0.1:") && !address.ends_with(&format!(":{usual}")), "{address}");
        let port = address.rsplit(':').next().unwrap();
        assert!(notes.iter().any(|n| n.as_str().unwrap().contains(port)), "{notes:?}");
    }
}

#[test]
fn a_configuration_is_not_for_quickstart() {
    let home = Home::new();
    home.write(&[("c.toml", b"")]);
    home.run(&["quickstart", "--config", "c.toml"]).failed(1, &["quickstart has no configuration", "columba serve"]);
}
