//! `columba account …` on a store that no server has.

use std::os::unix::fs::PermissionsExt;

use super::harness::{Home, Server};

#[test]
fn an_account_lives_from_add_to_delete() {
    let home = Home::new();
    let text = home.run_with_input(&["account", "add", "Ann@Example.ORG", "--password-stdin"], "secret\n").ok();
    assert_eq!(text.stdout, "Made the account ann@example.org.\n");
    assert!(!text.stderr.contains("secret"));
    let mode = std::fs::metadata(home.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    let list = home.json(&["account", "list"]);
    assert_eq!(list["accounts"][0]["name"], "ann@example.org");
    assert_eq!(list["accounts"][0]["schemes"][0], "ARGON2ID");
    assert!(!list.to_string().contains("argon2id$"), "credentials are nobody's business: {list}");

    assert_eq!(home.json(&["account", "disable", "ann@example.org"])["disabled"], true);
    assert_eq!(home.json(&["account", "show", "ann@example.org"])["disabled"], true);
    assert_eq!(home.json(&["account", "enable", "ANN@example.org"])["disabled"], false);
    home.run_with_input(&["account", "passwd", "ann@example.org", "--password-stdin"], "other\n").ok();

    let limit = |size| home.json(&["account", "limit", "ann@example.org", "--message-size", size]);
    assert_eq!(limit("25MiB")["message_bytes"], 25 << 20);
    assert_eq!(home.json(&["account", "show", "ann@example.org"])["message_bytes"], 25 << 20);
    assert!(limit("default").get("message_bytes").is_none());
    home.run(&["account", "limit", "ann@example.org", "--message-size", "big"]).failed(2, &["--message-size"]);

    let asked = home.run(&["account", "delete", "ann@example.org"]);
    asked.failed(1, &["nobody is there to confirm", "--yes"]);
    home.run(&["account", "delete", "ann@example.org", "--yes"]).ok();
    assert_eq!(home.json(&["account", "list"])["accounts"].as_array().unwrap().len(), 0);
    home.run(&["verify"]).ok();
}

#[test]
fn a_made_up_password_is_shown_once() {
    let home = Home::new();
    let made = home.json(&["account", "add", "ann", "--random"]);
    assert!(made["password"].as_str().unwrap().len() >= 20);
    let again = home.json(&["account", "passwd", "ann", "--random"]);
    assert_ne!(made["password"], again["password"]);
    assert!(home.json(&["account", "show", "ann"]).get("password").is_none());
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let home = Home::new();
    home.run(&["account", "list"]).failed(1, &["there is no Columba data in", "account add"]);
    home.add_account("ann", "x");
    let twice = home.run_with_input(&["account", "add", "ANN", "--password-stdin"], "y\n");
    twice.failed(1, &["there is an account ANN already", "account passwd"]);
    home.run(&["account", "show", "bob"]).failed(1, &["there is no account bob", "account list"]);
    home.run(&["account", "add", "bob"]).failed(1, &["no terminal", "--password-stdin", "--random"]);
    home.run_with_input(&["account", "add", "bob", "--password-stdin"], "\n").failed(1, &["the password is empty"]);
    home.run_with_input(&["account", "add", "b b", "--password-stdin"], "x\n").failed(1, &["b b was not made"]);
    home.run(&["account", "add", "bob", "--password", "x"]).failed(2, &["--password"]);
}

#[test]
fn dovecot_accounts_are_imported_and_bad_lines_told() {
    let home = Home::new();
    let lines = "# comment\nann:{PLAIN}secret:1000:1000::/home/ann\nbob:{SHA512-CRYPT}$6$x:::\n\nno colon\ncat:secret\n\
                 dan:{PLAIN}x::::::nologin\n";
    home.write(&[("users", lines.as_bytes())]);
    let ran = home.run(&["account", "import", "users", "--json"]);
    let ran = ran.failed(1, &["not imported"]);
    let told = ran.json();
    assert_eq!(told["made"], 2, "{told}");
    let bad: Vec<i64> = told["not_made"].as_array().unwrap().iter().map(|b| b["line"].as_i64().unwrap()).collect();
    assert_eq!(bad, [3, 5, 6]);
    assert!(!ran.stdout.contains("secret"));
    assert_eq!(home.json(&["account", "show", "dan"])["disabled"], true);

    let from_stdin =
        home.run_with_input(&["account", "import", "-", "--default-scheme", "PLAIN"], "cat:secret\nann:x\n");
    let from_stdin = from_stdin.failed(1, &["1 line was not imported"]);
    assert!(from_stdin.stdout.contains("Made 1 account.\nline 2: there is an account of that name already"));
    home.run(&["account", "import", "users", "--default-scheme", "ROT13"]).failed(1, &["ROT13"]);
}

#[test]
fn many_accounts_are_imported() {
    let home = Home::new();
    let lines: String = (0..700).map(|n| format!("user{n:04}:{{PLAIN}}pw{n}\n")).collect();
    home.run_with_input(&["account", "import", "-"], &lines).ok();
    let list = home.json(&["account", "list"]);
    let names: Vec<&str> = list["accounts"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 700);
    assert!(names.is_sorted());
}

#[test]
fn mailboxes_are_made_shown_and_deleted() {
    let home = Home::new();
    home.add_account("ann", "x");
    let made = home.json(&["mailbox", "create", "ann", "Work/Über", "--use", "important"]);
    assert_eq!(made["special_uses"][0], "\\Important");
    let list = home.json(&["mailbox", "list", "ann"]);
    let names: Vec<&str> = list["mailboxes"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"INBOX") && names.contains(&"Work/Über"), "{names:?}");
    assert_eq!(home.json(&["mailbox", "show", "ann", "inbox"])["name"], "INBOX");
    home.run(&["mailbox", "create", "ann", "Work/Über"]).failed(1, &["there is one of that name already"]);
    home.run(&["mailbox", "create", "ann", "a//b"]).failed(1, &["cannot be a mailbox", "separated by /"]);
    home.run(&["mailbox", "create", "ann", "x", "--use", "important"])
        .failed(1, &["another mailbox has that special use"]);
    home.run(&["mailbox", "delete", "ann", "Nope", "--yes"]).failed(1, &["ann has no mailbox Nope"]);
    home.run(&["mailbox", "delete", "ann", "INBOX", "--yes"]).failed(1, &["INBOX"]);
    home.run(&["mailbox", "delete", "ann", "Work/Über", "--yes"]).ok();
    home.run(&["mailbox", "show", "ann", "Work/Über"]).failed(1, &["ann has no mailbox"]);
    home.run(&["verify"]).ok();
}

#[test]
fn an_account_is_limited_to_networks() {
    let home = Home::new();
    let server = Server::plain(&home);
    home.add_account("ann", "secret");
    let mut inside = server.imap();
    assert!(inside.command("LOGIN ann secret").contains("a OK"));
    let wrong = server.imap().command("LOGIN ann wrong");

    let limited = home.json(&["account", "limit", "ann", "--networks", "192.0.2.0/24, 2001:db8::/32"]);
    assert_eq!(limited["allow_networks"], serde_json::json!(["192.0.2.0/24", "2001:db8::/32"]));
    assert!(inside.line().starts_with("* BYE"), "who is in must come again");
    assert_eq!(server.imap().command("LOGIN ann secret"), wrong);

    home.run(&["account", "limit", "ann", "--networks", "any", "--deny-networks", "127.0.0.1"]).ok();
    assert_eq!(server.imap().command("LOGIN ann secret"), wrong);
    let shown = home.run(&["account", "show", "ann"]).ok().stdout;
    assert!(shown.contains("from anywhere, not from 127.0.0.1/32"), "{shown}");

    home.run(&["account", "limit", "ann", "--message-size", "1MiB", "--deny-networks", "none"]).ok();
    assert!(server.imap().command("LOGIN ann secret").contains("a OK"));
    assert_eq!(home.json(&["account", "show", "ann"])["message_bytes"], 1 << 20);

    home.run(&["account", "limit", "ann", "--networks", "192.0.2.7/24"]).failed(2, &["write '192.0.2.0/24'"]);
    home.run(&["account", "limit", "ann"]).failed(2, &["--networks"]);
    home.run(&["account", "limit", "nobody", "--networks", "any"]).failed(1, &["nobody"]);
    home.run(&["verify"]).ok();
}
