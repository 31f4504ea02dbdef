//! GETMETADATA and SETMETADATA (RFC 5464). Which annotations there are is not known here.

use columba_types::EntryName;

use super::cursor::{Cursor, Parsed};
use crate::command::{CommandBody, MetadataDepth, MetadataOptions};

// getmetadata       = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries
// entries           = entry / "(" entry *(SP entry) ")"
/// The examples of RFC 5464 §4.2.1 have the options behind the mailbox, and so have clients.
pub(super) fn get_metadata(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    let mut options = None;
    if c.peek() == Some(b'(') {
        options = Some(metadata_options(c)?);
        c.space()?;
    }
    let mailbox = c.mailbox()?;
    c.space()?;
    if options.is_none() && c.rest().get(1).is_some_and(u8::is_ascii_alphabetic) && c.peek() == Some(b'(') {
        options = Some(metadata_options(c)?);
        c.space()?;
    }
    let entries = match c.peek() {
        Some(b'(') => entry_names(c)?,
        _ => vec![entry_name(c)?],
    };
    Ok(CommandBody::GetMetadata { mailbox, options: options.unwrap_or_default(), entries })
}

// getmetadata-options = "(" getmetadata-option *(SP getmetadata-option) ")"
// maxsize-opt         = "MAXSIZE" SP number
// scope-opt           = "DEPTH" SP ("0" / "1" / "infinity")
fn metadata_options(c: &mut Cursor<'_>) -> Parsed<MetadataOptions> {
    let given = c.full_list("expected a list of options", |c| {
        let at = c.place();
        let none = MetadataOptions::default();
        match c.name().as_str() {
            "MAXSIZE" => {
                c.space()?;
                Ok(MetadataOptions { max_size: Some(c.number()?), ..none })
            }
            "DEPTH" => {
                c.space()?;
                let at = c.place();
                let depth = match c.name().as_str() {
                    "0" => MetadataDepth::Zero,
                    "1" => MetadataDepth::One,
                    "INFINITY" => MetadataDepth::Infinity,
                    _ => return c.fail_at(at, "expected 0, 1 or infinity"),
                };
                Ok(MetadataOptions { depth: Some(depth), ..none })
            }
            _ => c.fail_at(at, "unknown option of GETMETADATA"),
        }
    })?;
    let merged = given.into_iter().fold(MetadataOptions::default(), |all, one| MetadataOptions {
        max_size: one.max_size.or(all.max_size),
        depth: one.depth.or(all.depth),
    });
    Ok(merged)
}

/// `"(" entry *(SP entry) ")"`
pub(super) fn entry_names(c: &mut Cursor<'_>) -> Parsed<Vec<EntryName>> {
    c.full_list("expected a list of entries", entry_name)
}

// entry               = astring       ; MUST NOT contain "*" or "%"
fn entry_name(c: &mut Cursor<'_>) -> Parsed<EntryName> {
    let at = c.place();
    let name = c.astring("expected the name of an entry")?;
    let name = std::str::from_utf8(&name).ok().and_then(|text| EntryName::new(text).ok());
    match name {
        Some(name) => Ok(name),
        // RFC 5464 §3.2: invalid names are answered with BAD in any command.
        None => c.fail_at(at, "the name of the entry is not valid"),
    }
}

// setmetadata         = "SETMETADATA" SP mailbox SP entry-values
// entry-values        = "(" entry-value *(SP entry-value) ")"
// value               = nstring / literal8
pub(super) fn set_metadata(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    let mailbox = c.mailbox()?;
    c.space()?;
    let entries = c.full_list("expected a list of entries and values", |c| {
        let at = c.place();
        let name = entry_name(c)?;
        if !name.can_hold_a_value() {
            return c.fail_at(at, "an entry of that name cannot have a value");
        }
        c.space()?;
        let value = match c.peek() {
            Some(b'~') => Some(c.literal8()?),
            _ => c.nstring("expected a value or NIL")?,
        };
        Ok((name, value))
    })?;
    Ok(CommandBody::SetMetadata { mailbox, entries })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, ok};
    use super::*;
    use crate::mailbox::RawMailbox;

    fn name(text: &str) -> EntryName {
        EntryName::new(text).unwrap()
    }

    fn get(text: &str) -> (RawMailbox, MetadataOptions, Vec<EntryName>) {
        match ok(&format!("GETMETADATA {text}")) {
            CommandBody::GetMetadata { mailbox, options, entries } => (mailbox, options, entries),
            other => panic!("{other:?}"),
        }
    }

    // RFC 5464 §4.2, §5
    #[test]
    fn what_is_asked_for() {
        let none = MetadataOptions::default();
        assert_eq!(get("\"\" /shared/comment"), (RawMailbox(vec![]), none, vec![name("/shared/comment")]));
        let two = vec![name("/shared/comment"), name("/private/comment")];
        let inbox = RawMailbox(b"INBOX".to_vec());
        assert_eq!(get("INBOX (/shared/comment \"/private/comment\")"), (inbox.clone(), none, two.clone()));
        let options = MetadataOptions { max_size: Some(1024), depth: Some(MetadataDepth::Infinity) };
        assert_eq!(
            get("(maxsize 1024 Depth Infinity) INBOX (/shared/comment /private/comment)"),
            (inbox.clone(), options, two)
        );
        let depth = MetadataOptions { max_size: None, depth: Some(MetadataDepth::One) };
        assert_eq!(get("INBOX (DEPTH 1) (/private)"), (inbox, depth, vec![name("/private")]));
        for wrong in [
            "INBOX",
            "INBOX ()",
            "INBOX (/private/x/)",
            "INBOX /public/x",
            "INBOX comment",
            "INBOX /shared/*",
            "INBOX (/shared/a /shared/b%)",
            "INBOX (/shared/a  /shared/b)",
            "() INBOX /shared/a",
            "(DEPTH 2) INBOX /shared/a",
            "(MAXSIZE) INBOX /shared/a",
            "(MAXSIZE -1) INBOX /shared/a",
            "(SIZE 1) INBOX /shared/a",
            "(DEPTH 0) INBOX (DEPTH 0) /shared/a",
            "INBOX {11}\r\n/shared/äx",
        ] {
            bad(format!("GETMETADATA {wrong}"));
        }
    }

    // RFC 5464 §4.3; guide §6.67: NIL, "NIL", literals and literal8.
    #[test]
    fn what_is_set() {
        let text = "SETMETADATA INBOX (/private/comment {5}\r\na\r\nbc /shared/comment NIL /private/x \"NIL\" \
                    /private/vendor/a/b ~{3}\r\n\0\n\0)";
        let entries = match ok(text) {
            CommandBody::SetMetadata { entries, .. } => entries,
            other => panic!("{other:?}"),
        };
        let expected = vec![
            (name("/private/comment"), Some(b"a\r\nbc".to_vec())),
            (name("/shared/comment"), None),
            (name("/private/x"), Some(b"NIL".to_vec())),
            (name("/private/vendor/a/b"), Some(b"\0\n\0".to_vec())),
        ];
        assert_eq!(entries, expected);
        for wrong in [
            "INBOX ()",
            "INBOX /private/comment x",
            "INBOX (/private/comment)",
            "INBOX (/private/comment x)",
            "INBOX (/private/comment \"x\" /shared/comment)",
            "INBOX (/private \"x\")",
            "INBOX (/private/vendor/a \"x\")",
            "INBOX (/private/a* \"x\")",
            "INBOX (/private/a {1}\r\n\0)",
            "INBOX (/private/a ~\"x\")",
            "INBOX (/private/a ~{9}\r\nx)",
        ] {
            bad(format!("SETMETADATA {wrong}"));
        }
    }
}
