//! Which capabilities are kept from whom: `[[hide]]` of the configuration, and the quirks of clients, which are a file of
//! their own so that they can be replaced while Columba stays the same.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use columba_session::{ClientPattern, Hiding, NEVER_HIDDEN, hideable, matches};
use serde::Serialize;

use super::address::{Network, Unreadable};
use super::mistake::nearest;
use super::reader::{Reader, Section, Spanned};

pub(super) const HIDE: &[&str] = &["capabilities", "accounts", "networks", "clients"];
const QUIRKS: &[&str] = &["version", "quirk"];
const QUIRK: &[&str] = &["clients", "hide", "evidence"];
const CLIENT: &[&str] = &["name", "version", "vendor"];

/// The quirks that hold when no other file is named.
const BUILT_IN: &str = include_str!("quirks.toml");

/// One rule. It holds for whoever fits each list that is not empty.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Hide {
    pub(crate) capabilities: Vec<String>,
    pub(crate) accounts: Vec<String>,
    pub(crate) networks: Vec<Network>,
    pub(crate) clients: Vec<Client>,
}

/// What a client says of itself by ID, `*` for any characters.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Client {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vendor: Option<String>,
}

impl Hide {
    /// As the configuration says it.
    pub(super) fn write_toml(&self, out: &mut String) {
        let text = |s: &str| toml_edit::Value::from(s).to_string();
        let client = |client: &Client| {
            let fields = [("name", &client.name), ("version", &client.version), ("vendor", &client.vendor)];
            let given = fields.iter().filter_map(|(key, value)| Some(format!("{key} = {}", text(value.as_deref()?))));
            format!("{{ {} }}", given.collect::<Vec<_>>().join(", "))
        };
        let texts = |list: &[String]| list.iter().map(|s| text(s)).collect();
        let lists: [(&str, Vec<String>); 4] = [
            ("capabilities", texts(&self.capabilities)),
            ("accounts", texts(&self.accounts)),
            ("networks", self.networks.iter().map(|network| text(&network.to_string())).collect()),
            ("clients", self.clients.iter().map(client).collect()),
        ];
        out.push_str("\n[[hide]]\n");
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            let _ = writeln!(out, "{key} = [{}]", list.join(", "));
        }
    }

    /// The same for the session.
    pub(crate) fn rule(&self) -> Hiding {
        let pattern = |client: &Client| ClientPattern {
            name: client.name.clone(),
            version: client.version.clone(),
            vendor: client.vendor.clone(),
        };
        Hiding {
            capabilities: self.capabilities.clone(),
            accounts: self.accounts.clone(),
            // Both crates write networks the same way, and this one has checked them.
            networks: self.networks.iter().filter_map(|network| network.to_string().parse().ok()).collect(),
            clients: self.clients.iter().map(pattern).collect(),
        }
    }
}

/// The rules of the quirks file that is part of Columba. A test sees to it that it has no mistakes.
pub(crate) fn built_in_quirks() -> Vec<Hide> {
    read_quirks(&mut Reader::new(BUILT_IN), BUILT_IN)
}

/// The rules of the quirks file that `written` names; its mistakes are told at that place.
pub(super) fn quirks_of(reader: &mut Reader<'_>, written: &Spanned<String>, base: &Path) -> Vec<Hide> {
    let path = base.join(&written.value);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let fix = "name a file like crates/columba/src/config/quirks.toml; an empty one means none";
            reader.mistake(&written.span, format!("{} cannot be read: {error}", path.display()), fix);
            return Vec::new();
        }
    };
    let mut inner = Reader::new(&text);
    let rules = read_quirks(&mut inner, &text);
    for mistake in inner.mistakes {
        let what = format!("{}:{}:{}: {}", path.display(), mistake.line, mistake.column, mistake.what);
        reader.mistake(&written.span, what, mistake.fix);
    }
    rules
}

fn read_quirks(reader: &mut Reader<'_>, text: &str) -> Vec<Hide> {
    let document = match toml_edit::Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let what = format!("this is not TOML: {}", error.message().lines().next().unwrap_or_default());
            reader.mistake(&error.span().unwrap_or(0..0), what, "mend this place; what follows is not looked at yet");
            return Vec::new();
        }
    };
    let top = reader.section("", document.as_table(), QUIRKS);
    reader.number(&top, "version", 1..=1);
    let mut rules = Vec::new();
    for (section, span) in reader.subsections(&top, "quirk", "[[quirk]]", QUIRK) {
        for (key, example) in [
            ("clients", "clients = [{ name = \"…\" }]"),
            ("hide", "hide = [\"…\"]"),
            ("evidence", "evidence = \"where one can read of it\""),
        ] {
            if !section.has(key) {
                reader.mistake(&span, format!("this quirk has no `{key}`"), format!("add {example}"));
            }
        }
        reader.string(&section, "evidence");
        let capabilities = read_capabilities(reader, &section, "hide");
        let clients = read_clients(reader, &section);
        rules.push(Hide { capabilities, clients, ..Hide::default() });
    }
    rules
}

pub(super) fn read_hide(reader: &mut Reader<'_>, section: &Section<'_>, span: &Range<usize>) -> Hide {
    if !section.has("capabilities") {
        reader.mistake(span, "this rule has no `capabilities`", "add capabilities = [\"COMPRESS=DEFLATE\"]");
    }
    let capabilities = read_capabilities(reader, section, "capabilities");
    let accounts = reader.strings(section, "accounts").unwrap_or_default();
    let written = reader.strings(section, "networks").unwrap_or_default();
    for (key, none) in [("accounts", accounts.is_empty()), ("networks", written.is_empty())] {
        if section.has(key) && none {
            let fix = "remove it if the rule is for everybody";
            reader.mistake(&section.key_span(key), format!("`{key}` names nobody"), fix);
        }
    }
    let mut networks = Vec::new();
    for network in written {
        match network.value.parse() {
            Ok(parsed) => networks.push(parsed),
            Err(Unreadable { what, fix }) => reader.mistake(&network.span, what, fix),
        }
    }
    let clients = read_clients(reader, section);
    Hide { capabilities, accounts: accounts.into_iter().map(|name| name.value).collect(), networks, clients }
}

/// Capabilities there are, or patterns that at least one of them fits.
fn read_capabilities(reader: &mut Reader<'_>, section: &Section<'_>, key: &'static str) -> Vec<String> {
    let written = reader.strings(section, key).unwrap_or_default();
    for Spanned { value, span } in &written {
        let fits = |known: &str| {
            let (name, any_value) = (known.trim_end_matches('='), known.ends_with('='));
            matches(value, known.as_bytes()) || (any_value && matches(value, format!("{name}=0").as_bytes()))
        };
        if NEVER_HIDDEN.iter().any(|name| name.eq_ignore_ascii_case(value)) {
            let fix = "remove it: without it clients could not begin, or would send passwords in the clear";
            reader.mistake(span, format!("{value} is never hidden"), fix);
        } else if !hideable().any(fits) {
            let names: Vec<&str> = hideable().collect();
            let fix = match nearest(&value.to_ascii_uppercase(), &names) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("name one of {}, with * for any characters", names.join(", ")),
            };
            reader.mistake(span, format!("there is no capability \"{value}\""), fix);
        }
    }
    written.into_iter().map(|name| name.value).collect()
}

fn read_clients(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<Client> {
    let mut clients = Vec::new();
    for (client, span) in reader.subsections(section, "clients", "clients", CLIENT) {
        if !CLIENT.iter().any(|key| client.has(key)) {
            let fix = "write { name = \"…\" }, and `version` or `vendor` if need be";
            reader.mistake(&span, "this client has neither `name` nor `version` nor `vendor`", fix);
        }
        let mut field = |key| reader.string(&client, key).map(|text| text.value);
        let client = Client { name: field("name"), version: field("version"), vendor: field("vendor") };
        clients.push(client);
    }
    clients
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_quirks_have_no_mistakes() {
        let mut reader = Reader::new(BUILT_IN);
        let rules = read_quirks(&mut reader, BUILT_IN);
        assert_eq!(reader.mistakes, []);
        assert!(rules.iter().all(|rule| !rule.clients.is_empty() && !rule.capabilities.is_empty()));
        assert!(rules.iter().any(|rule| rule.capabilities == ["UIDONLY"]));
    }

    fn mistakes(text: &str) -> String {
        let found = super::super::read(text, Path::new("/nonexistent")).unwrap_err();
        found.iter().map(|m| m.render("c.toml", text)).collect()
    }

    #[test]
    fn rules_are_checked() {
        let text = r#"[[hide]]
capabilities = ["COMPRES=DEFLATE", "UID*", "messagelimit=*", "STARTTLS"]
accounts = []
networks = ["10.1.0.0/8"]
clients = [{}, { nam = "x" }, { name = 7 }]
[[hide]]
accounts = ["ann"]
[clients]
quirks = "none.toml"
"#;
        let found = mistakes(text);
        for wanted in [
            "c.toml:2:17: there is no capability \"COMPRES=DEFLATE\"",
            "did you mean \"COMPRESS=DEFLATE\"?",
            "c.toml:2:62: STARTTLS is never hidden",
            "c.toml:3:1: `accounts` names nobody",
            "c.toml:4:13: \"10.1.0.0/8\" has bits set beyond its prefix",
            "c.toml:5:12: this client has neither",
            "there is no setting `nam` in clients",
            "c.toml:6:1: this rule has no `capabilities`",
            "c.toml:9:10: /nonexistent/none.toml cannot be read",
        ] {
            assert!(found.contains(wanted), "{wanted}\n{found}");
        }
        for unwanted in
            ["c.toml:1:1:", "capability \"UID*\"", "capability \"messagelimit=*\"", "`networks` names nobody"]
        {
            assert!(!found.contains(unwanted), "{unwanted}\n{found}");
        }
    }

    #[test]
    fn another_quirks_file_takes_the_place_of_ours_and_its_mistakes_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("quirks.toml");
        let text = "[clients]\nquirks = \"quirks.toml\"\n";
        std::fs::write(&file, "").unwrap();
        assert_eq!(super::super::read(text, directory.path()).unwrap().clients.rules, []);
        let good = "version = 1\n[[quirk]]\nclients = [{ vendor = \"x*\" }]\nhide = [\"ID\"]\nevidence = \"seen\"\n";
        std::fs::write(&file, good).unwrap();
        assert_eq!(super::super::read(text, directory.path()).unwrap().clients.rules.len(), 1);
        std::fs::write(&file, "[[quirk]]\nclients = [{ vendor = \"x*\" }]\nhide = [\"IDX\"]\n").unwrap();
        let found = super::super::read(text, directory.path()).unwrap_err();
        assert!(found.iter().all(|m| m.line == 2), "{found:?}");
        assert!(found[0].what.ends_with("quirks.toml:1:1: this quirk has no `evidence`"), "{found:?}");
        assert!(found[1].what.ends_with("quirks.toml:3:9: there is no capability \"IDX\""), "{found:?}");
    }
}
