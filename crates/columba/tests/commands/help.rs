//! Every command tells what it does, with an example; a wrong command line is status 2.

use super::harness::{Home, Ran};

const COMMANDS: &[&str] = &[
    "",
    "quickstart",
    "serve",
    "account",
    "account add",
    "account list",
    "account show",
    "account passwd",
    "account disable",
    "account enable",
    "account limit",
    "account delete",
    "account import",
    "mailbox",
    "mailbox list",
    "mailbox show",
    "mailbox create",
    "mailbox delete",
    "import",
    "import maildir",
    "import mbox",
    "import eml",
    "export",
    "export maildir",
    "export mbox",
    "config",
    "config check",
    "config show",
    "config default",
    "verify",
    "check",
    "version",
];

#[test]
fn every_command_has_help_with_an_example() {
    let home = Home::new();
    for command in COMMANDS {
        let mut args: Vec<&str> = command.split_whitespace().collect();
        args.push("--help");
        let ran = Ran::new(&args, home.command(&args).output().unwrap()).ok();
        assert!(ran.stdout.contains("Example"), "{command}:\n{}", ran.stdout);
        assert!(ran.stdout.contains("--json"), "{command}:\n{}", ran.stdout);
    }
}

#[test]
fn a_wrong_command_line_is_status_2() {
    let home = Home::new();
    for args in
        [&["frobnicate"][..], &["account", "add"], &["import", "maildir", "ann"], &["quickstart", "--imap", "143"]]
    {
        Ran::new(args, home.command(args).output().unwrap()).failed(2, &["error"]);
    }
    let nothing: &[&str] = &[];
    Ran::new(nothing, home.command(nothing).output().unwrap()).failed(2, &["quickstart"]);
}

#[test]
fn the_version_is_told() {
    let home = Home::new();
    let version = home.json(&["version"]);
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}
