//! Names of folders on disk and in the store: Maildir++ names, file names, and what well-known names are for.

use std::collections::HashMap;
use std::sync::LazyLock;

use columba_store::{SpecialUse, normalise_name};
use columba_types::{InvalidMailboxName, MailboxName};
use columba_wire::{NameForm, RawMailbox, encode_mailbox};

/// Uses and names, as the file says.
const SPECIAL_NAMES: &str = include_str!("special_names.tsv");

/// Folders of Gmail that have its own below them.
const GMAIL: [&str; 2] = ["[gmail]/", "[google mail]/"];

/// What a mailbox of that name is for, judged by its name.
pub(crate) fn special_use_of(name: &MailboxName) -> Option<SpecialUse> {
    static USES: LazyLock<HashMap<String, SpecialUse>> = LazyLock::new(|| special_names().collect());
    let name = name.as_str().to_lowercase();
    let within = name.strip_prefix("inbox/").or_else(|| GMAIL.iter().find_map(|prefix| name.strip_prefix(prefix)));
    USES.get(&name).or_else(|| USES.get(within?)).copied()
}

/// Names in lower case, with their uses.
fn special_names() -> impl Iterator<Item = (String, SpecialUse)> {
    let lines = SPECIAL_NAMES.lines().filter(|line| !line.starts_with('#'));
    let entries = lines.filter_map(|line| {
        let (special_use, names) = line.split_once('\t')?;
        Some((SpecialUse::parse(&format!("\\{special_use}"))?, names))
    });
    entries.flat_map(|(special_use, names)| names.split('|').map(move |name| (name.to_lowercase(), special_use)))
}

/// The name of a folder whose components are as Maildir++ and Dovecot write them: modified UTF-7, or UTF-8 where
/// there are octets above ASCII.
pub(super) fn from_components<'a>(
    components: impl Iterator<Item = &'a [u8]>,
) -> Result<MailboxName, InvalidMailboxName> {
    let decoded: Vec<String> = components.filter(|c| !c.is_empty()).map(decode_component).collect();
    normalise_name(&decoded.join("/"))
}

fn decode_component(octets: &[u8]) -> String {
    let text = match RawMailbox(octets.to_vec()).decode(NameForm::ModifiedUtf7) {
        Ok(text) => text,
        Err(_) => String::from_utf8_lossy(octets).into_owned(),
    };
    // Dovecot's listescape writes what cannot stand in a file name as \ and two hexadecimal digits. A slash within a
    // component cannot stay one: it would make a level that was not there.
    let text = text.replace("\\2e", ".").replace("\\2f", "_").replace("\\5c", "\\");
    text.replace(['/', '\u{fffd}'], "_")
}

/// The directory of a folder in a Maildir++: `.A.B`; empty for INBOX, which is the directory itself.
pub(super) fn maildir_directory(name: &MailboxName) -> String {
    if name.is_inbox() {
        return String::new();
    }
    name.as_str().split('/').map(|component| format!(".{}", encode_component(component))).collect()
}

fn encode_component(component: &str) -> String {
    let escaped = component.replace('\\', "\\5c");
    let encoded = String::from_utf8_lossy(&encode_mailbox(&escaped, NameForm::ModifiedUtf7)).into_owned();
    // The dot separates, and it never occurs in base64, so it can be escaped afterwards.
    encoded.replace('.', "\\2e")
}

/// A component as a file name: `%` and a leading dot are written as `%` and two hexadecimal digits.
pub(super) fn file_name(component: &str) -> String {
    let escaped = component.replace('%', "%25");
    match escaped.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => escaped,
    }
}

/// The inverse of [`file_name`]; other text stays what it is.
pub(super) fn from_file_name(name: &str) -> String {
    name.replace("%2E", ".").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        normalise_name(text).unwrap()
    }

    #[test]
    fn maildir_directories_are_undone() {
        for text in ["Work", "Work/2026", "Entwürfe/v1.2", "a\\b", "INBOX/x", "a\\2eb", "R&D"] {
            let directory = maildir_directory(&name(text));
            let components = directory.split('.').map(str::as_bytes);
            assert_eq!(from_components(components).unwrap(), name(text), "{directory}");
        }
        assert_eq!(maildir_directory(&name("Entwürfe/v1.2")), ".Entw&APw-rfe.v1\\2e2");
    }

    #[test]
    fn foreign_spellings_are_read() {
        let read = |s: &str| from_components(s.split('.').map(str::as_bytes)).unwrap().to_string();
        assert_eq!(read(".Entwürfe"), "Entwürfe");
        assert_eq!(read(".R&D"), "R&D");
        assert_eq!(read(".inbox.x"), "INBOX/x");
        assert_eq!(read("..a..b"), "a/b");
    }

    #[test]
    fn file_names_are_undone_and_never_hidden() {
        for text in ["a", ".a", "..", "100%", "%2E", "%252E", "a.b"] {
            assert!(!file_name(text).starts_with('.'));
            assert_eq!(from_file_name(&file_name(text)), text);
        }
    }

    #[test]
    fn names_of_big_services_are_known() {
        assert_eq!(special_use_of(&name("Sent Items")), Some(SpecialUse::Sent));
        assert_eq!(special_use_of(&name("Junk E-mail")), Some(SpecialUse::Junk));
        assert_eq!(special_use_of(&name("Work/Sent")), None);
        assert_eq!(special_use_of(&name("INBOX/Entwürfe")), Some(SpecialUse::Drafts));
        assert_eq!(special_use_of(&name("[Gmail]/Sent Mail")), Some(SpecialUse::Sent));
        assert_eq!(special_use_of(&name("[Gmail]/All Mail")), Some(SpecialUse::Archive));
        assert_eq!(special_use_of(&name("[Google Mail]/Papierkorb")), Some(SpecialUse::Trash));
        assert_eq!(special_use_of(&name("All Mail")), None);
        assert_eq!(special_use_of(&name("ENVOYÉS")), Some(SpecialUse::Sent));
        assert_eq!(special_use_of(&name("送信済み")), Some(SpecialUse::Sent));
    }

    #[test]
    fn every_line_of_the_names_is_understood() {
        let lines = SPECIAL_NAMES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let (special_use, names) = line.split_once('\t').unwrap();
            let special_use = SpecialUse::parse(&format!("\\{special_use}")).unwrap();
            for text in names.split('|') {
                assert_eq!(name(text).as_str(), text, "not in normal form");
                assert_eq!(special_use_of(&name(text)), Some(special_use), "{text} has two uses");
            }
        }
    }
}
