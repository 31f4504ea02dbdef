//! Holds together: `spec/index.tsv`, what CAPABILITY says in every state, the command table, and the transcripts.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use columba_session::COMMANDS;
use columba_sim::LinkOptions;
use columba_sim::script::{Ground, MemoryGround, Outside, PASSWORD, Peer, Received};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

struct Row {
    capability: String,
    built: bool,
    commands: Vec<String>,
    scripts: Vec<String>,
}

fn index() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("spec/index.tsv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("capability\trfc\ttier\tstatus\tcommands\tscripts"));
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    lines
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [capability, rfc, tier, status, commands, scripts] = columns[..] else { panic!("{line}") };
            // A dash for what no RFC defines.
            for number in rfc.split(' ').filter(|number| *number != "-") {
                assert!(number.parse::<u32>().is_ok(), "{capability}: {rfc}");
            }
            assert!(["T0", "T1", "T2", "T3", "T4"].contains(&tier), "{capability}: {tier}");
            assert!(["built", "not"].contains(&status), "{capability}: {status}");
            Row {
                capability: capability.into(),
                built: status == "built",
                commands: words(commands),
                scripts: words(scripts),
            }
        })
        .collect()
}

/// What two CAPABILITY commands say to a client that is protected so and gives these commands in between.
fn asked_twice(peer: Peer, before: &str, between: &str) -> [BTreeSet<String>; 2] {
    let mut ground = MemoryGround::new(LinkOptions::default()).unwrap();
    // What is off by default is announced where it is on.
    ground.outside(&Outside::MessageLimit { any: 1000, saving: Some(1000) }, &[]).unwrap();
    let mut wire = ground.connect(peer).unwrap();
    let commands = format!("{before}a CAPABILITY\r\n{between}c CAPABILITY\r\nd LOGOUT\r\n");
    wire.send(commands.as_bytes()).unwrap();
    let mut said = Vec::new();
    while let Received::Octets(octets) = wire.receive(true) {
        said.extend(octets);
    }
    let said = String::from_utf8(said).unwrap();
    let mut answers = said.lines().filter_map(|line| line.strip_prefix("* CAPABILITY "));
    [(); 2].map(|()| answers.next().expect(&said).split(' ').map(str::to_owned).collect())
}

/// What CAPABILITY says to a client that is protected so, before and after login.
fn announced(peer: Peer) -> BTreeSet<String> {
    asked_twice(peer, "", &format!("b LOGIN bob {PASSWORD}\r\n")).into_iter().flatten().collect()
}

// RFC 9051 §6.3.1
#[test]
fn enable_leaves_what_is_announced() {
    let everything: Vec<String> = index().into_iter().map(|row| row.capability).collect();
    let enable = format!("b ENABLE {}\r\n", everything.join(" "));
    let [before, after] = asked_twice(Peer::Tls, &format!("x LOGIN bob {PASSWORD}\r\n"), &enable);
    assert_eq!(before, after);
}

/// The row a capability belongs to: `AUTH=PLAIN` belongs to `AUTH=`, `STATUS=SIZE` to itself.
fn row_name(capability: &str) -> &str {
    if capability.starts_with("APPENDLIMIT=") {
        return "APPENDLIMIT";
    }
    ["AUTH=", "MESSAGELIMIT=", "SAVELIMIT="].into_iter().find(|row| capability.starts_with(row)).unwrap_or(capability)
}

// RFC 9051 §6.1.1: what is announced is there.
#[test]
fn what_is_announced_is_built_and_what_is_built_is_announced() {
    let built: BTreeSet<String> = index().into_iter().filter(|row| row.built).map(|row| row.capability).collect();
    let all: BTreeSet<String> = [Peer::Trusted, Peer::Plain, Peer::StartTls, Peer::Tls, Peer::Labels]
        .into_iter()
        .flat_map(announced)
        .map(|capability| row_name(&capability).to_owned())
        .collect();
    assert_eq!(all, built);
}

// What the README promises is built, and what is built stands in the README.
#[test]
fn the_readme_names_what_is_built() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let table = readme.lines().skip_while(|line| *line != "| for | there is |").take_while(|line| !line.is_empty());
    let named: Vec<String> = table.flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    let distinct: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(distinct.len(), named.len(), "a capability stands in the README twice");
    let built: BTreeSet<String> = index().into_iter().filter(|row| row.built).map(|row| row.capability).collect();
    assert_eq!(distinct, built);
}

// RFC 7888 §5: LITERAL+ and LITERAL- are never announced together.
#[test]
fn the_two_kinds_of_literals_are_not_announced_together() {
    let mut ground = MemoryGround::new(LinkOptions::default()).unwrap();
    let mut wire = ground.connect(Peer::Tls).unwrap();
    wire.send(format!("a CAPABILITY\r\nb LOGIN bob {PASSWORD}\r\nc CAPABILITY\r\n").as_bytes()).unwrap();
    let mut said = Vec::new();
    while let Received::Octets(octets) = wire.receive(true) {
        said.extend(octets);
    }
    let said = String::from_utf8(said).unwrap();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("CAPABILITY ")).collect();
    assert_eq!(lines.len(), 4, "{said}");
    for line in lines {
        assert_ne!(line.contains("LITERAL+"), line.contains("LITERAL-"), "{line}");
    }
}

#[test]
fn every_command_belongs_to_one_row() {
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in index() {
        for command in row.commands {
            owners.entry(command).or_default().push(row.capability.clone());
        }
    }
    for (command, rows) in &owners {
        assert_eq!(rows.len(), 1, "{command} belongs to {rows:?}");
    }
    let indexed: BTreeSet<&str> = owners.keys().map(String::as_str).collect();
    let table: BTreeSet<&str> = COMMANDS.iter().map(|spec| spec.name).collect();
    assert_eq!(indexed, table);
}

#[test]
fn every_row_is_shown_by_scripts_that_exist() {
    let scripts = root().join("tests/scripts");
    for row in index().iter().filter(|row| row.built) {
        assert!(!row.scripts.is_empty(), "{} is shown by no script", row.capability);
        for script in &row.scripts {
            assert!(scripts.join(format!("{script}.script")).is_file(), "{}: {script}", row.capability);
        }
    }
}

/// Every script by its name, with its text.
fn scripts() -> Vec<(String, String)> {
    fn find(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => find(&path, found),
                false if path.extension().is_some_and(|e| e == "script") => found.push(path),
                false => {}
            }
        }
    }
    let folder = root().join("tests/scripts");
    let mut paths = Vec::new();
    find(&folder, &mut paths);
    let name = |path: &Path| path.strip_prefix(&folder).unwrap().with_extension("").display().to_string();
    paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_script_names_its_rule_and_belongs_to_a_row_or_to_the_limits() {
    let indexed: BTreeSet<String> = index().into_iter().flat_map(|row| row.scripts).collect();
    for (name, text) in scripts() {
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("# ") && first.contains(": "), "{name} does not begin with its rule: {first}");
        let apart = ["limits/", "rfc5530/", "rfc2180/", "bugs/", "rfc9051/11-"];
        let listed = indexed.contains(&name) || apart.iter().any(|prefix| name.starts_with(prefix));
        assert!(listed, "{name} is in no row of spec/index.tsv");
    }
}

#[test]
fn every_command_is_sent_by_some_script() {
    let all: Vec<String> = scripts().into_iter().map(|(_, text)| text.to_ascii_uppercase()).collect();
    for spec in COMMANDS {
        let sent = |line: &str| {
            let Some((_, command)) = line.split_once("C: ") else { return false };
            command.split(' ').skip(1).take(2).any(|word| word == spec.name)
        };
        assert!(all.iter().any(|text| text.lines().any(sent)), "no script sends {}", spec.name);
    }
}

/// The least that makes a command complete.
fn arguments(command: &str) -> &'static str {
    match command {
        "AUTHENTICATE" => " X-NONE",
        "LOGIN" => " bob wrong",
        "ENABLE" => " X-NONE",
        "COMPRESS" => " DEFLATE",
        "NOTIFY" => " NONE",
        "SELECT" | "EXAMINE" => " INBOX",
        "CREATE" | "DELETE" | "SUBSCRIBE" | "UNSUBSCRIBE" => " x",
        "RENAME" => " x y",
        "LIST" | "LSUB" => " \"\" x",
        "STATUS" => " INBOX (MESSAGES)",
        "APPEND" => " nowhere {1+}\r\nx",
        "ID" => " NIL",
        "IDLE" => "\r\nDONE",
        "GETMETADATA" => " INBOX /private/comment",
        "SETMETADATA" => " INBOX (/private/comment NIL)",
        "SEARCH" => " ALL",
        "FETCH" => " 1 UID",
        "STORE" => " 1 +FLAGS (\\Seen)",
        "COPY" | "MOVE" => " 1 nowhere",
        "UIDBATCHES" => " 500",
        "REPLACE" => " 1 nowhere {1+}\r\nx",
        _ => "",
    }
}

// RFC 9051 §3: a command is BAD in the states the table does not give it, and in no other.
#[test]
fn every_command_keeps_to_its_states() {
    use columba_session::PhaseKind::{Authenticated, NotAuthenticated, Selected};
    for (phase, before) in [
        (NotAuthenticated, String::new()),
        (Authenticated, format!("x LOGIN bob {PASSWORD}\r\n")),
        (Selected, format!("x LOGIN bob {PASSWORD}\r\nx APPEND INBOX {{1+}}\r\nx\r\nx SELECT INBOX\r\n")),
    ] {
        for spec in COMMANDS {
            let mut ground = MemoryGround::new(LinkOptions::default()).unwrap();
            let mut wire = ground.connect(Peer::StartTls).unwrap();
            if phase != NotAuthenticated {
                wire = ground.connect(Peer::Tls).unwrap();
            }
            wire.send(format!("{before}a {}{}\r\n", spec.name, arguments(spec.name)).as_bytes()).unwrap();
            let mut said = String::new();
            while !said.contains("\r\na ") {
                match wire.receive(true) {
                    Received::Octets(octets) => said.push_str(&String::from_utf8(octets).unwrap()),
                    other => panic!("{} in {phase:?}: {other:?} after {said}", spec.name),
                }
            }
            let bad = said.contains("\r\na BAD ");
            assert_eq!(bad, !spec.phases.contains(&phase), "{} in {phase:?}: {said}", spec.name);
        }
    }
}
