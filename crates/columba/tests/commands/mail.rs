//! Import and export on a store that no server has: what comes in goes out again, octet by octet.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::harness::{Home, files};

/// Content, flag letters and time of each message of a Maildir, by folder.
type Mail = BTreeMap<String, Vec<(Vec<u8>, String, SystemTime)>>;

fn mail(root: &Path) -> Mail {
    let mut mail = Mail::new();
    for (name, content) in files(root) {
        let Some((folder, file)) = name.split_once("cur/").or(name.split_once("new/")) else { continue };
        let flags = file.split_once(":2,").map_or("", |(_, flags)| flags).to_owned();
        let time = std::fs::metadata(root.join(&name)).unwrap().modified().unwrap();
        mail.entry(folder.to_owned()).or_default().push((content, flags, time));
    }
    mail.values_mut().for_each(|messages| messages.sort());
    mail
}

fn home_with_maildir() -> Home {
    let home = Home::new();
    home.add_account("ann", "x");
    home.write(&[
        ("in/cur/1000.M1.host:2,RSab", b"Subject: one\r\n\r\nhello\r\n"),
        ("in/cur/1001.M2.host:2,", b"\r\n"),
        ("in/cur/1002.M3.host:2,DFPT", b"8-bit \xff\xfe, NUL \0 and bare\nlf \rcr\r\n"),
        ("in/cur/1003.M4.host:2,S", b"Subject: mixed\r\n\r\nlf\n\nFrom x\r\n>From y\r\nno end"),
        ("in/dovecot-keywords", b"0 work\n1 $MDNSent\n"),
        ("in/.Sent/cur/1004.M5.host:2,S", b"Subject: sent\r\n\r\n"),
        ("in/.Entw&APw-rfe.2026/cur/1005.M6.host:2,D", b"Subject: draft\r\n\r\n"),
        ("in/subscriptions", b"Sent\nEntw&APw-rfe.2026\n"),
    ]);
    for (n, name) in ["in/cur/1000.M1.host:2,RSab", "in/.Sent/cur/1004.M5.host:2,S"].iter().enumerate() {
        let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000 + n as u64);
        File::options().write(true).open(home.path(name)).unwrap().set_modified(time).unwrap();
    }
    home
}

#[test]
fn a_maildir_goes_in_and_out_octet_by_octet() {
    let home = home_with_maildir();
    // One message's first line ends in a bare LF, and others do not: only exactly as it is does it come out again.
    let told = home.json(&["import", "maildir", "ann", "in", "--keep-line-ends"]);
    assert_eq!((&told["messages"], &told["mailboxes"], &told["mailboxes_made"]), (&6.into(), &3.into(), &1.into()));
    home.run(&["export", "maildir", "ann", "out"]).ok();
    let seconds = |mail: Mail| {
        let whole = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let each = |(content, flags, time): (Vec<u8>, String, SystemTime)| (content, flags, whole(time));
        mail.into_iter().map(|(f, m)| (f, m.into_iter().map(each).collect::<Vec<_>>())).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(seconds(mail(&home.path("in"))), seconds(mail(&home.path("out"))));
    let keywords = std::fs::read_to_string(home.path("out/dovecot-keywords")).unwrap();
    assert_eq!(keywords, "0 work\n1 $MDNSent\n");
    let subscribed = std::fs::read_to_string(home.path("out/subscriptions")).unwrap();
    assert!(subscribed.contains("Entw&APw-rfe.2026\n") && subscribed.contains("Sent\n"), "{subscribed}");
    home.run(&["verify"]).ok();

    // What was exported is as good as the original, without any option.
    home.add_account("bob", "x");
    home.run(&["import", "maildir", "bob", "out"]).ok();
    home.run(&["export", "maildir", "bob", "again"]).ok();
    assert_eq!(seconds(mail(&home.path("out"))), seconds(mail(&home.path("again"))));
}

#[test]
fn unix_line_ends_become_crlf_and_back() {
    let home = Home::new();
    home.add_account("ann", "x");
    home.write(&[("in/new/1.a", b"Subject: x\n\nhello\n")]);
    home.run(&["import", "maildir", "ann", "in"]).ok();
    home.run(&["export", "maildir", "ann", "crlf"]).ok();
    home.run(&["export", "maildir", "ann", "lf", "--lf", "--mailbox", "INBOX"]).ok();
    assert_eq!(mail(&home.path("crlf"))[""][0].0, b"Subject: x\r\n\r\nhello\r\n");
    assert_eq!(mail(&home.path("lf"))[""][0].0, b"Subject: x\n\nhello\n");
    home.run(&["import", "maildir", "ann", "in", "--keep-line-ends", "--mailbox", "Kept"]).ok();
    home.run(&["export", "maildir", "ann", "kept", "--mailbox", "Kept"]).ok();
    assert_eq!(mail(&home.path("kept"))[".Kept/"][0].0, b"Subject: x\n\nhello\n");
}

#[test]
fn an_mbox_goes_in_and_out() {
    let home = home_with_maildir();
    home.run(&["import", "maildir", "ann", "in"]).ok();
    home.run(&["export", "mbox", "ann", "out"]).ok();
    let first = std::fs::read(home.path("out/INBOX.mbox")).unwrap();
    assert!(first.starts_with(b"From MAILER-DAEMON Sun Sep  9 01:46:40 2001\nStatus: RO\nX-Status: A\nX-Keywords: "));
    home.add_account("bob", "x");
    let told = home.json(&["import", "mbox", "bob", "out"]);
    assert_eq!(told["messages"], 6, "{told}");
    home.run(&["export", "mbox", "bob", "again"]).ok();
    assert_eq!(files(&home.path("out")), files(&home.path("again")));
    home.run(&["import", "mbox", "bob", "out/Sent.mbox", "--mailbox", "Old/Sent"]).ok();
    assert_eq!(home.json(&["mailbox", "show", "bob", "Old/Sent"])["messages"], 1);
}

#[test]
fn eml_files_go_where_they_are_told() {
    let home = Home::new();
    home.add_account("ann", "x");
    home.write(&[("a/b/1.eml", b"Date: Thu, 1 Jan 1970 00:00:09 +0000\n\nx\n"), ("2.txt", b"Subject: 2\r\n\r\n")]);
    let args = ["import", "eml", "ann", "a", "2.txt", "--mailbox", "Saved", "--flag", "\\Seen", "--flag", "old"];
    assert_eq!(home.json(&args)["messages"], 2);
    let saved = home.json(&["mailbox", "show", "ann", "Saved"]);
    assert_eq!((&saved["messages"], &saved["unseen"], &saved["keywords"][0]), (&2.into(), &0.into(), &"old".into()));
    home.run(&["import", "eml", "ann", "2.txt", "--flag", "no flag"]).failed(1, &["is no flag"]);
    home.run(&["import", "eml", "ann", "missing.eml"]).failed(1, &["missing.eml"]);
}

#[test]
fn what_cannot_be_read_is_told_and_stops_nothing() {
    let home = home_with_maildir();
    std::os::unix::fs::symlink("nowhere", home.path("in/cur/999.broken:2,")).unwrap();
    let ran = home.run(&["import", "maildir", "ann", "in"]).failed(1, &["999.broken", "1 thing went wrong"]);
    assert!(ran.stdout.contains("Imported 6 messages"), "{}", ran.stdout);
    let told = home.run(&["import", "maildir", "ann", "in", "--json"]).failed(1, &[]).json();
    assert!(told["problems"][0]["origin"].as_str().unwrap().ends_with("999.broken:2,"));
}

#[test]
fn duplicates_are_left_out_if_wanted() {
    let home = home_with_maildir();
    home.run(&["import", "maildir", "ann", "in"]).ok();
    let again = home.json(&["import", "maildir", "ann", "in", "--skip-duplicates"]);
    assert_eq!((&again["messages"], &again["skipped"]), (&0.into(), &6.into()), "{again}");
    let twice = home.json(&["import", "maildir", "ann", "in"]);
    assert_eq!(twice["messages"], 6);
    let into = home.json(&["import", "maildir", "ann", "in", "--into", "Old", "--skip-duplicates"]);
    assert_eq!((&into["messages"], &into["mailboxes_made"]), (&6.into(), &3.into()), "{into}");
}

#[test]
fn special_use_is_given_by_name_only_where_it_is_free() {
    let home = home_with_maildir();
    home.run(&["mailbox", "delete", "ann", "Sent", "--yes"]).ok();
    home.write(&[("in/.Spam/cur/1.a", b"x\r\n"), ("in/.Entw&APw-rfe/cur/1.a", b"x\r\n")]);
    home.write(&[("drafts/cur/1.a", b"x\r\n")]);
    home.run(&["import", "maildir", "ann", "drafts", "--mailbox", "Drafts"]).ok();
    home.run(&["import", "maildir", "ann", "in"]).ok();
    let uses = |name: &str| home.json(&["mailbox", "show", "ann", name])["special_uses"].to_string();
    assert_eq!(uses("Sent"), "[\"\\\\Sent\"]");
    // Junk, which a new account has, never held a message.
    assert_eq!((uses("Spam"), uses("Junk")), ("[\"\\\\Junk\"]".into(), "[]".into()));
    // Drafts did.
    assert_eq!((uses("Entwürfe"), uses("Drafts")), ("[]".into(), "[\"\\\\Drafts\"]".into()));
}

#[test]
fn many_messages_keep_their_order_and_number() {
    let home = Home::new();
    home.add_account("ann", "x");
    let many: String =
        (0..2500).map(|n| format!("From a Thu Jan  1 00:00:00 1970\nSubject: {n}\n\nbody {n}\n\n")).collect();
    home.write(&[("many", many.as_bytes())]);
    assert_eq!(home.json(&["import", "mbox", "ann", "many"])["messages"], 2500);
    home.run(&["export", "mbox", "ann", "out", "--mailbox", "INBOX"]).ok();
    let text = std::fs::read_to_string(home.path("out/INBOX.mbox")).unwrap();
    let subjects: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("Subject: ")).collect();
    let expected: Vec<String> = (0..2500).map(|n| n.to_string()).collect();
    assert_eq!(subjects, expected);
    home.run(&["verify"]).ok();
}

#[test]
fn an_export_overwrites_nothing() {
    let home = home_with_maildir();
    home.write(&[("out/precious", b"x")]);
    for format in ["maildir", "mbox"] {
        home.run(&["export", format, "ann", "out"]).failed(1, &["not empty"]);
    }
    home.run(&["export", "maildir", "ann", "new", "--mailbox", "Nope"]).failed(1, &["ann has no mailbox Nope"]);
    assert!(!home.path("new").exists());
    home.run(&["export", "maildir", "bob", "new"]).failed(1, &["there is no account bob"]);
    home.run(&["import", "maildir", "bob", "in"]).failed(1, &["there is no account bob"]);
    home.run(&["import", "maildir", "ann", "out"]).failed(1, &["no Maildir"]);
}
