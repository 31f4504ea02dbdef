//! FETCH: items, macros, sections, partials.

use columba_types::limits::MIME_DEPTH;

use super::cursor::{Cursor, Parsed};
use super::set::{message_set, partial_range};
use crate::command::{CommandBody, FetchItem, FetchItems, FetchModifiers, Numbering, Partial, Section, SectionText};

// fetch           = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
//                   [SP "(" fetch-modifier *(SP fetch-modifier) ")"]                      (RFC 4466 §2.4)
pub(super) fn fetch(c: &mut Cursor<'_>, numbering: Numbering) -> Parsed<CommandBody> {
    c.space()?;
    let set = message_set(c)?;
    c.space()?;
    let items = match c.peek() {
        Some(b'(') => c.full_list("expected a list of items", fetch_att)?,
        _ => match fetch_macro(c) {
            Some(items) => items,
            None => vec![fetch_att(c)?],
        },
    };
    let mut modifiers = FetchModifiers::default();
    if c.rest().starts_with(b" (") {
        c.space()?;
        c.expect(b'(', "expected (")?;
        loop {
            fetch_modifier(c, numbering, &mut modifiers)?;
            if c.take(b')') {
                break;
            }
            c.space()?;
        }
        if modifiers.vanished && modifiers.changed_since.is_none() {
            // RFC 7162 §3.2.6
            return c.fail("VANISHED needs CHANGEDSINCE");
        }
    }
    Ok(CommandBody::Fetch { numbering, set, items, modifiers })
}

// fetch-modifier  =/ "CHANGEDSINCE" SP mod-sequence-value / "VANISHED"                    (RFC 7162 §7)
// fetch-modifier  =/ "PARTIAL" SP partial-range                                           (RFC 9394 §4)
/// VANISHED and PARTIAL are for UID FETCH only (RFC 7162 §3.2.6, RFC 9394 §3.3).
fn fetch_modifier(c: &mut Cursor<'_>, numbering: Numbering, modifiers: &mut FetchModifiers) -> Parsed<()> {
    let at = c.place();
    let uid = numbering == Numbering::Uid;
    match c.name().as_str() {
        "CHANGEDSINCE" if modifiers.changed_since.is_none() => {
            c.space()?;
            modifiers.changed_since = Some(c.modseq()?);
        }
        "VANISHED" if uid && !modifiers.vanished => modifiers.vanished = true,
        "PARTIAL" if uid && modifiers.partial.is_none() => {
            c.space()?;
            modifiers.partial = Some(partial_range(c)?);
        }
        "VANISHED" | "PARTIAL" if !uid => return c.fail_at(at, "the modifier is for UID FETCH only"),
        "CHANGEDSINCE" | "VANISHED" | "PARTIAL" => return c.fail_at(at, "the modifier was given already"),
        _ => return c.fail_at(at, "unknown FETCH modifier"),
    }
    Ok(())
}

/// RFC 9051 §6.4.5: a macro stands by itself, not in a list.
fn fetch_macro(c: &mut Cursor<'_>) -> Option<FetchItems> {
    let mut items = vec![FetchItem::Flags, FetchItem::InternalDate, FetchItem::Rfc822Size];
    if c.take_name("FAST") {
        return Some(items);
    }
    items.push(FetchItem::Envelope);
    if c.take_name("ALL") {
        return Some(items);
    }
    items.push(FetchItem::Body);
    c.take_name("FULL").then_some(items)
}

// fetch-att       = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822.SIZE" / "BODY" ["STRUCTURE"] / "UID" /
//                   "BODY" section [partial] / "BODY.PEEK" section [partial] /
//                   "BINARY" [".PEEK"] section-binary [partial] / "BINARY.SIZE" section-binary
//                   "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] /         (RFC 3501 §9)
//                   "X-GM-MSGID" / "X-GM-THRID" / "X-GM-LABELS" /      (X-GM-EXT-1)
//                   "MODSEQ" / "EMAILID" / "THREADID" / "SAVEDATE"    (RFC 7162 §7, RFC 8474 §7, RFC 8514 §5)
//                   "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]                      (RFC 8970 §6)
pub(super) fn fetch_att(c: &mut Cursor<'_>) -> Parsed<FetchItem> {
    let at = c.place();
    let name = c.name();
    let section = c.peek() == Some(b'[');
    Ok(match (name.as_str(), section) {
        ("ENVELOPE", false) => FetchItem::Envelope,
        ("FLAGS", false) => FetchItem::Flags,
        ("INTERNALDATE", false) => FetchItem::InternalDate,
        ("RFC822.SIZE", false) => FetchItem::Rfc822Size,
        ("BODY", false) => FetchItem::Body,
        ("BODYSTRUCTURE", false) => FetchItem::BodyStructure,
        ("UID", false) => FetchItem::Uid,
        ("MODSEQ", false) => FetchItem::ModSeq,
        ("X-GM-MSGID", false) => FetchItem::GmMsgId,
        ("X-GM-THRID", false) => FetchItem::GmThrId,
        ("X-GM-LABELS", false) => FetchItem::GmLabels,
        ("EMAILID", false) => FetchItem::EmailId,
        ("THREADID", false) => FetchItem::ThreadId,
        ("SAVEDATE", false) => FetchItem::SaveDate,
        ("PREVIEW", false) => preview(c)?,
        ("RFC822", false) => FetchItem::Rfc822,
        ("RFC822.HEADER", false) => FetchItem::Rfc822Header,
        ("RFC822.TEXT", false) => FetchItem::Rfc822Text,
        ("BODY", true) => body_section(c, false)?,
        ("BODY.PEEK", true) => body_section(c, true)?,
        ("BINARY", true) => binary(c, false)?,
        ("BINARY.PEEK", true) => binary(c, true)?,
        ("BINARY.SIZE", true) => FetchItem::BinarySize { part: section_binary(c)? },
        ("BODY.PEEK" | "BINARY" | "BINARY.PEEK" | "BINARY.SIZE", false) => return c.fail("expected ["),
        _ => return c.fail_at(at, "unknown FETCH item"),
    })
}

// preview-mod     = "LAZY"
fn preview(c: &mut Cursor<'_>) -> Parsed<FetchItem> {
    let lazy = c.rest().starts_with(b" (");
    if lazy {
        c.space()?;
        c.full_list("expected a list of modifiers", |c| {
            if c.take_name("LAZY") { Ok(()) } else { c.fail("unknown modifier of PREVIEW") }
        })?;
    }
    Ok(FetchItem::Preview { lazy })
}

fn body_section(c: &mut Cursor<'_>, peek: bool) -> Parsed<FetchItem> {
    let section = section(c)?;
    Ok(FetchItem::BodySection { section, partial: partial(c)?, peek })
}

fn binary(c: &mut Cursor<'_>, peek: bool) -> Parsed<FetchItem> {
    let part = section_binary(c)?;
    Ok(FetchItem::Binary { part, partial: partial(c)?, peek })
}

// section         = "[" [section-spec] "]"
// section-spec    = section-msgtext / (section-part ["." section-text])
// section-text    = section-msgtext / "MIME"
pub(super) fn section(c: &mut Cursor<'_>) -> Parsed<Section> {
    c.expect(b'[', "expected [")?;
    let (part, open) = section_part(c)?;
    let text = match c.peek() {
        Some(b']') if !open => SectionText::All,
        _ => section_text(c, !part.is_empty())?,
    };
    c.expect(b']', "expected ]")?;
    Ok(Section { part, text })
}

// section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
fn section_text(c: &mut Cursor<'_>, in_part: bool) -> Parsed<SectionText> {
    let at = c.place();
    Ok(match c.name().as_str() {
        "HEADER" => SectionText::Header,
        "HEADER.FIELDS" => SectionText::HeaderFields(header_list(c)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(header_list(c)?),
        "TEXT" => SectionText::Text,
        "MIME" if in_part => SectionText::Mime,
        // RFC 9051 §6.4.5.1: the message itself has HEADER, a part has MIME.
        "MIME" => return c.fail_at(at, "MIME needs the number of a part before it"),
        _ => return c.fail_at(at, "expected HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or the number of a part"),
    })
}

// header-list     = "(" header-fld-name *(SP header-fld-name) ")"
// header-fld-name = astring
fn header_list(c: &mut Cursor<'_>) -> Parsed<Vec<Vec<u8>>> {
    c.space()?;
    c.full_list("expected a list of field names", |c| c.astring("expected the name of a field"))
}

// section-part    = nz-number *("." nz-number)
/// The numbers, and whether a dot without a number follows them.
fn section_part(c: &mut Cursor<'_>) -> Parsed<(Vec<u32>, bool)> {
    let mut part = Vec::new();
    while c.peek().is_some_and(|b| b.is_ascii_digit()) {
        if part.len() > MIME_DEPTH {
            return c.fail("no message is nested so deep");
        }
        part.push(c.nz_number()?);
        if !c.take(b'.') {
            return Ok((part, false));
        }
    }
    let open = !part.is_empty();
    Ok((part, open))
}

// section-binary  = "[" [section-part] "]"
fn section_binary(c: &mut Cursor<'_>) -> Parsed<Vec<u32>> {
    c.expect(b'[', "expected [")?;
    let (part, open) = section_part(c)?;
    if open || c.peek() != Some(b']') {
        // RFC 3516 §4: BINARY is of parts, not of headers or texts.
        return c.fail("expected part numbers and ]");
    }
    c.skip();
    Ok(part)
}

// partial         = "<" number64 "." nz-number64 ">"
fn partial(c: &mut Cursor<'_>) -> Parsed<Option<Partial>> {
    if !c.take(b'<') {
        return Ok(None);
    }
    let offset = c.number64()?;
    c.expect(b'.', "expected . and a length")?;
    let at = c.place();
    let length = c.number64()?;
    if length == 0 {
        return c.fail_at(at, "the length cannot be zero");
    }
    c.expect(b'>', "expected >")?;
    Ok(Some(Partial { offset, length }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, ok};
    use super::*;

    fn items(text: &str) -> FetchItems {
        match ok(&format!("FETCH 1 {text}")) {
            CommandBody::Fetch { items, .. } => items,
            other => panic!("{other:?}"),
        }
    }

    fn section(text: &str) -> Section {
        match items(&format!("BODY[{text}]")).pop() {
            Some(FetchItem::BodySection { section, .. }) => section,
            other => panic!("{other:?}"),
        }
    }

    // RFC 9051 §6.4.5; guide §6.41
    #[test]
    fn macros_are_spelled_out() {
        use FetchItem::*;
        assert_eq!(items("fast"), [Flags, InternalDate, Rfc822Size]);
        assert_eq!(items("ALL"), [Flags, InternalDate, Rfc822Size, Envelope]);
        assert_eq!(items("Full"), [Flags, InternalDate, Rfc822Size, Envelope, Body]);
        bad("FETCH 1 (ALL)");
        bad("FETCH 1 ALL FAST");
    }

    // RFC 9051 §6.4.5, RFC 3501 §6.4.5
    #[test]
    fn items_without_a_section() {
        use FetchItem::*;
        let all = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE RFC822 rfc822.header RFC822.TEXT)";
        let expected =
            [Uid, Flags, InternalDate, Rfc822Size, Envelope, Body, BodyStructure, Rfc822, Rfc822Header, Rfc822Text];
        assert_eq!(items(all), expected);
        // RFC 8474 §5.3, RFC 8514 §4.2
        assert_eq!(items("(EMAILID threadid SaveDate)"), [EmailId, ThreadId, SaveDate]);
        for wrong in
            ["()", "X", "(FLAGS", "FLAGS UID", "BODY.PEEK", "BINARY", "FLAGS[]", "EMAILID[]", "(FLAGS,UID)", "(FLAGS )"]
        {
            bad(format!("FETCH 1 {wrong}"));
        }
    }

    // RFC 8970 §6
    #[test]
    fn previews() {
        use FetchItem::*;
        assert_eq!(items("PREVIEW"), [Preview { lazy: false }]);
        assert_eq!(items("preview (lazy)"), [Preview { lazy: true }]);
        assert_eq!(items("(PREVIEW UID)"), [Preview { lazy: false }, Uid]);
        assert_eq!(items("(PREVIEW (LAZY LAZY) UID)"), [Preview { lazy: true }, Uid]);
        for wrong in ["PREVIEW ()", "PREVIEW (X)", "PREVIEW LAZY", "PREVIEW(LAZY)", "(PREVIEW (LAZY)UID)", "PREVIEW[]"]
        {
            bad(format!("FETCH 1 {wrong}"));
        }
    }

    // RFC 9051 §6.4.5.1
    #[test]
    fn sections() {
        let names = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(section(""), Section { part: vec![], text: SectionText::All });
        assert_eq!(section("1.22.3"), Section { part: vec![1, 22, 3], text: SectionText::All });
        assert_eq!(section("header"), Section { part: vec![], text: SectionText::Header });
        assert_eq!(section("4.TEXT"), Section { part: vec![4], text: SectionText::Text });
        assert_eq!(section("4.1.MIME"), Section { part: vec![4, 1], text: SectionText::Mime });
        let fields = SectionText::HeaderFields(names(&["From", "a b", "x]"]));
        assert_eq!(section("HEADER.FIELDS (From \"a b\" x])"), Section { part: vec![], text: fields });
        let not = SectionText::HeaderFieldsNot(names(&["to"]));
        assert_eq!(section("2.header.fields.not ({2}\r\nto)"), Section { part: vec![2], text: not });
        for wrong in [
            "MIME",
            "1.",
            ".1",
            "0",
            "1.0",
            "1..2",
            "HEADER.FIELDS",
            "HEADER.FIELDS ()",
            "HEADER.FIELDS From",
            "HEADER.FIELDS(From)",
            "HEADER.1",
            "1.FOO",
            "TEXT.MIME",
            " ",
            "4294967296",
            "HEADER.FIELDS (a  b)",
        ] {
            bad(format!("FETCH 1 BODY[{wrong}]"));
        }
        bad("FETCH 1 BODY[");
        bad("FETCH 1 BODY[TEXT");
        assert!(bad(format!("FETCH 1 BODY[{}1]", "1.".repeat(MIME_DEPTH + 1))).contains("nested"));
    }

    // RFC 9051 §9 partial; guide §6.33
    #[test]
    fn partials() {
        let partial = Some(Partial { offset: 0, length: 393_216 });
        let section = Section { part: vec![], text: SectionText::All };
        assert_eq!(items("BODY.PEEK[]<0.393216>"), [FetchItem::BodySection { section, partial, peek: true }]);
        let partial = Some(Partial { offset: i64::MAX as u64, length: i64::MAX as u64 });
        let binary = FetchItem::Binary { part: vec![1], partial, peek: false };
        assert_eq!(items("BINARY[1]<9223372036854775807.9223372036854775807>"), [binary]);
        for wrong in ["<0>", "<0.0>", "<.1>", "<0.1", "<9223372036854775808.1>", "<0.1><2.3>", " <0.1>", "<-1.1>"] {
            bad(format!("FETCH 1 BODY[]{wrong}"));
        }
        bad("FETCH 1 BINARY.SIZE[1]<0.1>");
    }

    // RFC 9051 §6.4.5, guide §6.39: only part numbers; BINARY[] is the whole message.
    #[test]
    fn binary() {
        let whole = FetchItem::Binary { part: vec![], partial: None, peek: true };
        assert_eq!(items("BINARY.PEEK[]"), [whole]);
        assert_eq!(items("BINARY.SIZE[1.2]"), [FetchItem::BinarySize { part: vec![1, 2] }]);
        for wrong in ["BINARY[HEADER]", "BINARY[1.TEXT]", "BINARY[1.]", "BINARY.SIZE[1.MIME]", "BINARY[1"] {
            bad(format!("FETCH 1 {wrong}"));
        }
    }
}
