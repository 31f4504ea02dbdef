//! Commands that name messages and change something: STORE, COPY, MOVE, EXPUNGE; and flags.

use columba_types::limits::LIST_ITEMS;
use columba_types::{Flag, Keyword, SystemFlags};

use super::cursor::{Cursor, Parsed};
use super::set::message_set;
use crate::command::{CommandBody, GmLabel, Numbering, StoreAction};

// store           = "STORE" SP sequence-set [SP store-modifiers] SP store-att-flags      (RFC 4466 §2.5)
// store-modifier  =/ "UNCHANGEDSINCE" SP mod-sequence-valzer                              (RFC 7162 §7)
// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
pub(super) fn store(c: &mut Cursor<'_>, numbering: Numbering) -> Parsed<CommandBody> {
    c.space()?;
    let set = message_set(c)?;
    c.space()?;
    let mut unchanged_since = None;
    if c.take(b'(') {
        if !c.take_name("UNCHANGEDSINCE") {
            return c.fail("the only modifier of STORE is UNCHANGEDSINCE");
        }
        c.space()?;
        unchanged_since = Some(c.modseq()?);
        c.expect(b')', "expected )")?;
        c.space()?;
    }
    let at = c.place();
    let action = match c.peek() {
        Some(b'+') => StoreAction::Add,
        Some(b'-') => StoreAction::Remove,
        _ => StoreAction::Replace,
    };
    if action != StoreAction::Replace {
        c.skip();
    }
    let silent = match c.name().as_str() {
        "FLAGS" => false,
        "FLAGS.SILENT" => true,
        name @ ("X-GM-LABELS" | "X-GM-LABELS.SILENT") if unchanged_since.is_none() => {
            let silent = name != "X-GM-LABELS";
            c.space()?;
            let labels = c.list("expected a list of labels", gm_label)?;
            return Ok(CommandBody::StoreLabels { numbering, set, action, silent, labels });
        }
        _ => return c.fail_at(at, "expected FLAGS, +FLAGS or -FLAGS, with or without .SILENT"),
    };
    c.space()?;
    let flags = if c.peek() == Some(b'(') { flag_list(c)? } else { bare_flags(c)? };
    Ok(CommandBody::Store { numbering, set, unchanged_since, action, silent, flags })
}

// label           = "\" atom / astring                                                    (X-GM-EXT-1)
pub(super) fn gm_label(c: &mut Cursor<'_>) -> Parsed<GmLabel> {
    match c.take(b'\\') {
        true => Ok(GmLabel::System(c.atom("expected the name of a label")?.to_owned())),
        false => c.mailbox().map(GmLabel::Name),
    }
}

// flag-list       = "(" [flag *(SP flag)] ")"
pub(super) fn flag_list(c: &mut Cursor<'_>) -> Parsed<Vec<Flag>> {
    let flags = c.list("expected a list of flags", flag)?;
    Ok(flags.into_iter().flatten().collect())
}

fn bare_flags(c: &mut Cursor<'_>) -> Parsed<Vec<Flag>> {
    let mut flags = Vec::new();
    for _ in 0..LIST_ITEMS {
        flags.extend(flag(c)?);
        if matches!(c.rest(), [] | [b' ']) {
            return Ok(flags);
        }
        c.space()?;
    }
    c.fail("the list has too many items")
}

// flag            = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword / flag-extension
/// `None` for \Recent, which no client can set or clear (RFC 3501 §2.3.2) and some send back nevertheless.
fn flag(c: &mut Cursor<'_>) -> Parsed<Option<Flag>> {
    let at = c.place();
    if !c.take(b'\\') {
        return keyword(c).map(Flag::Keyword).map(Some);
    }
    let name = c.atom("expected the name of a flag")?;
    if name.eq_ignore_ascii_case("Recent") {
        return Ok(None);
    }
    match SystemFlags::ALL.iter().find(|(_, known)| known.get(1..).is_some_and(|k| k.eq_ignore_ascii_case(name))) {
        Some((flag, _)) => Ok(Some(Flag::System(*flag))),
        // RFC 9051 §2.3.2: a flag that begins with a backslash is defined by an RFC; we know of no other.
        None => c.fail_at(at, "unknown flag that begins with a backslash"),
    }
}

// flag-keyword    = "$MDNSent" / "$Forwarded" / "$Junk" / "$NotJunk" / "$Phishing" / atom
pub(super) fn keyword(c: &mut Cursor<'_>) -> Parsed<Keyword> {
    let at = c.place();
    let atom = c.atom("expected a flag")?;
    match Keyword::new(atom) {
        Ok(keyword) => Ok(keyword),
        Err(_) => c.fail_at(at, "the keyword is too long"),
    }
}

// copy            = "COPY" SP sequence-set SP mailbox
pub(super) fn copy(c: &mut Cursor<'_>, numbering: Numbering) -> Parsed<CommandBody> {
    c.space()?;
    let set = message_set(c)?;
    c.space()?;
    let mailbox = c.mailbox()?;
    Ok(CommandBody::Copy { numbering, set, mailbox })
}

// move            = "MOVE" SP sequence-set SP mailbox
pub(super) fn r#move(c: &mut Cursor<'_>, numbering: Numbering) -> Parsed<CommandBody> {
    c.space()?;
    let set = message_set(c)?;
    c.space()?;
    let mailbox = c.mailbox()?;
    Ok(CommandBody::Move { numbering, set, mailbox })
}

// "UIDBATCHES" SP nz-number [SP nz-number ":" nz-number]                                  (RFC 10022 §4)
pub(super) fn uid_batches(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    let size = c.nz_number()?;
    let mut batches = None;
    if c.take(b' ') && c.peek().is_some() {
        let first = c.nz_number()?;
        c.expect(b':', "expected : and the last batch")?;
        batches = Some((first, c.nz_number()?));
    }
    Ok(CommandBody::UidBatches { size, batches })
}

// uid-expunge     = "EXPUNGE" SP sequence-set
pub(super) fn uid_expunge(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    let uids = Some(message_set(c)?);
    Ok(CommandBody::Expunge { uids })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, ok};
    use super::*;
    use columba_types::ModSeq;
    use columba_types::limits::{KEYWORD_BYTES, LIST_ITEMS};

    fn parsed(text: &str) -> (Numbering, StoreAction, bool, Vec<Flag>) {
        match ok(text) {
            CommandBody::Store { numbering, action, silent, flags, .. } => (numbering, action, silent, flags),
            other => panic!("{other:?}"),
        }
    }

    // RFC 9051 §6.4.6
    #[test]
    fn actions_and_flags() {
        let seen = Flag::System(SystemFlags::SEEN);
        let junk = Flag::parse("$Junk").unwrap();
        let (seq, uid) = (Numbering::Seq, Numbering::Uid);
        assert_eq!(parsed("STORE 1 FLAGS ()"), (seq, StoreAction::Replace, false, vec![]));
        let both = vec![seen.clone(), junk.clone()];
        assert_eq!(parsed("STORE 1 +flags.silent (\\sEEN $Junk)"), (seq, StoreAction::Add, true, both.clone()));
        assert_eq!(parsed("UID STORE 1 -FLAGS \\Seen $Junk "), (uid, StoreAction::Remove, false, both));
        // RFC 3501 §2.3.2: \Recent cannot be altered; clients that send back what they got mean no harm.
        assert_eq!(parsed("STORE 1 FLAGS (\\Recent \\Seen)").3, [seen]);
        assert_eq!(parsed("STORE 1 FLAGS \\Recent").3, []);
        for wrong in [
            "STORE 1 FLAGS",
            "STORE 1 FLAGS ",
            "STORE 1 ++FLAGS (a)",
            "STORE 1 +-FLAGS (a)",
            "STORE 1 FLAGS.LOUD (a)",
            "STORE 1 (UNCHANGEDSINCE) FLAGS (a)",
            "STORE 1 (UNCHANGEDSINCE 1)FLAGS (a)",
            "STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS (a)",
            "STORE 1 () FLAGS (a)",
            "STORE 1 FLAGS (\\Unknown)",
            "STORE 1 FLAGS (\\*)",
            "STORE 1 FLAGS (\\)",
            "STORE 1 FLAGS (a]b)",
            "STORE 1 FLAGS (\"a\")",
            "STORE 1 FLAGS (a)b",
            "STORE 1 FLAGS a b) ",
        ] {
            bad(wrong);
        }
    }

    // RFC 7162 §3.1.3
    #[test]
    fn unchangedsince() {
        let since = |text: &str| match ok(text) {
            CommandBody::Store { unchanged_since, .. } => unchanged_since,
            other => panic!("{other:?}"),
        };
        assert_eq!(since("STORE 1 FLAGS (a)"), None);
        assert_eq!(since("UID STORE 1 (unchangedsince 0) +FLAGS.SILENT (a)"), Some(ModSeq(0)));
    }

    // limits::KEYWORD_BYTES, LIST_ITEMS
    #[test]
    fn flags_are_bounded() {
        let long = |n| format!("STORE 1 FLAGS ({})", "k".repeat(n));
        ok(&long(KEYWORD_BYTES));
        assert!(bad(long(KEYWORD_BYTES + 1)).contains("too long"));
        for (open, close) in [("", ""), ("(", ")")] {
            let many = |n| format!("STORE 1 FLAGS {open}{}{close}", vec!["k"; n].join(" "));
            ok(&many(LIST_ITEMS));
            assert!(bad(many(LIST_ITEMS + 1)).contains("too many items"));
        }
    }

    // RFC 9051 §6.4.7, §6.4.8
    #[test]
    fn copy_and_move() {
        let mailbox = crate::mailbox::RawMailbox(b"x y".to_vec());
        let set = crate::command::MessageSet::Saved;
        let copy = CommandBody::Copy { numbering: Numbering::Seq, set: set.clone(), mailbox: mailbox.clone() };
        assert_eq!(ok("COPY $ \"x y\""), copy);
        assert_eq!(ok("UID MOVE $ {3}\r\nx y"), CommandBody::Move { numbering: Numbering::Uid, set, mailbox });
        for wrong in ["COPY 1", "MOVE x 1", "UID EXPUNGE", "EXPUNGE 1"] {
            bad(wrong);
        }
    }
}
