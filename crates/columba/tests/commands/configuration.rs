//! `columba config …`, and which configuration counts.

use super::harness::{Home, Ran};

fn run(home: &Home, args: &[&str]) -> Ran {
    Ran::new(args, home.command(args).output().unwrap())
}

#[test]
fn a_file_without_mistakes_is_said_to_have_none() {
    let home = Home::new();
    home.write(&[("empty.toml", b""), ("c.toml", run(&home, &["config", "default"]).ok().stdout.as_bytes())]);
    assert_eq!(run(&home, &["config", "check", "empty.toml"]).ok().stdout, "empty.toml: no mistakes\n");
    run(&home, &["config", "check", "c.toml"]).ok();
    let json = run(&home, &["config", "check", "c.toml", "--json"]).ok().json();
    assert_eq!(json["ok"], true);
}

#[test]
fn mistakes_are_drawn_and_are_data_for_programs() {
    let home = Home::new();
    home.write(&[("bad.toml", b"dta = \"x\"\n[limits]\nconnections = \"many\"\n")]);
    let expected = "columba: bad.toml:1:1: there is no setting `dta` at the top level\n    dta = \"x\"\n    ^^^ did you mean `data`?\n\
                    bad.toml:3:15: `connections` is a whole number, not a text\n    connections = \"many\"\n                  ^^^^^^ write connections = 1\n\
                    2 mistakes in bad.toml\n  `columba config default` prints a file with every setting explained\n";
    assert_eq!(run(&home, &["config", "check", "bad.toml"]).failed(1, &[]).stderr, expected);
    let json = run(&home, &["config", "check", "bad.toml", "--json"]).failed(1, &["2 mistakes"]).json();
    assert_eq!(json["mistakes"][1]["line"], 3);
    assert_eq!(json["mistakes"][0]["fix"], "did you mean `data`?");
    run(&home, &["serve", "--config", "bad.toml"]).failed(1, &["2 mistakes in bad.toml"]);
    run(&home, &["account", "list", "--config", "missing.toml"]).failed(1, &["missing.toml cannot be read"]);
}

#[test]
fn what_holds_is_shown_and_can_be_read_again() {
    let home = Home::new();
    home.write(&[("c.toml", b"data = \"mail\"\n[limits]\nmessage_bytes = \"1 MiB\"\n")]);
    let shown = run(&home, &["config", "show", "--config", "c.toml"]).ok().stdout;
    assert!(shown.contains("message_bytes = 1048576"), "{shown}");
    assert!(shown.contains(home.path("mail").to_str().unwrap()), "paths are relative to the file: {shown}");
    home.write(&[("shown.toml", shown.as_bytes())]);
    run(&home, &["config", "check", "shown.toml"]).ok();
    assert_eq!(run(&home, &["config", "show", "--config", "shown.toml"]).ok().stdout, shown);
    let json = run(&home, &["config", "show", "--config", "c.toml", "--data", "other", "--json"]).ok().json();
    assert_eq!(json["data"], home.path("other").to_str().unwrap());
}
