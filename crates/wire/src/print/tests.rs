//! Each response as a client sees it.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::command::{Section, SectionText, StatusItem};
use columba_types::{Date, DateTime, MailboxId, ModSeq, SystemFlags, Uid, UidSet, UidValidity};
use proptest::prelude::*;

const REV1: PrintMode = PrintMode { rev2: false, utf8: false, uid_only: false };
const REV2: PrintMode = PrintMode { rev2: true, utf8: true, uid_only: false };

fn printed(mode: PrintMode, print: impl FnOnce(&mut Printer<'_>)) -> String {
    let mut out = Vec::new();
    print(&mut Printer::new(&mut out, mode));
    String::from_utf8(out).unwrap()
}

fn rev1(print: impl FnOnce(&mut Printer<'_>)) -> String {
    printed(REV1, print)
}

fn tag() -> Tag {
    Tag("a1".into())
}

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

fn set(numbers: &[u32]) -> UidSet {
    numbers.iter().copied().collect()
}

// RFC 9051 §7.1
#[test]
fn conditions() {
    assert_eq!(rev1(|p| p.tagged(&tag(), Status::Ok, None, "NOOP completed")), "a1 OK NOOP completed\r\n");
    assert_eq!(rev1(|p| p.tagged(&tag(), Status::No, Some(&Code::TryCreate), "No")), "a1 NO [TRYCREATE] No\r\n");
    assert_eq!(rev1(|p| p.untagged(Status::Bad, None, "What")), "* BAD What\r\n");
    assert_eq!(rev1(|p| p.bye(Some(&Code::Limit), "Too many")), "* BYE [LIMIT] Too many\r\n");
    assert_eq!(rev1(|p| p.preauth(None, "Hello")), "* PREAUTH Hello\r\n");
    assert_eq!(rev1(|p| p.continuation("")), "+ \r\n");
    assert_eq!(rev1(|p| p.continuation("AGI=")), "+ AGI=\r\n");
}

// RFC 3501 §9 resp-text, RFC 9051 §9 text; guide §6.62: never empty, one line, ASCII before rev2.
#[test]
fn a_text_stays_in_its_place() {
    assert_eq!(rev1(|p| p.untagged(Status::Ok, None, "")), "* OK Done\r\n");
    assert_eq!(rev1(|p| p.untagged(Status::Ok, Some(&Code::Closed), "")), "* OK [CLOSED] Done\r\n");
    assert_eq!(rev1(|p| p.untagged(Status::No, None, "a\r\n* BYE ä\0")), "* NO a??* BYE ??\r\n");
    assert_eq!(printed(REV2, |p| p.untagged(Status::No, None, "ä\u{85}\n")), "* NO ä??\r\n");
    assert_eq!(rev1(|p| p.untagged(Status::Ok, None, "[ALERT] x")), "* OK : [ALERT] x\r\n");
}

// RFC 9051 §7.1, RFC 4315 §3, RFC 7162 §3.1.2, RFC 8474 §4, RFC 4469 §4
#[test]
fn codes() {
    let validity = UidValidity::new(38505).unwrap();
    let code = |code: Code| {
        let line = rev1(|p| p.untagged(Status::Ok, Some(&code), "x"));
        line["* OK [".len()..line.len() - "] x\r\n".len()].to_owned()
    };
    assert_eq!(code(Code::AppendUid { validity, uids: set(&[3955]) }), "APPENDUID 38505 3955");
    let copied = Code::CopyUid { validity, from: set(&[304, 319, 320]), to: set(&[3956, 3957, 3958]) };
    assert_eq!(code(copied), "COPYUID 38505 304,319:320 3956:3958");
    assert_eq!(code(Code::BadCharset(vec!["US-ASCII", "UTF-8"])), "BADCHARSET (US-ASCII UTF-8)");
    assert_eq!(code(Code::BadCharset(vec![])), "BADCHARSET");
    // RFC 4469 §4.1
    assert_eq!(code(Code::BadUrl(b"/a%20b/;UID=1".to_vec())), "BADURL \"/a%20b/;UID=1\"");
    assert_eq!(code(Code::BadUrl(b"/a b]\"\r\n\xe4".to_vec())), "BADURL \"/a%20b%5D%22%0D%0A%E4\"");
    assert!(code(Code::BadUrl(vec![b']'; 99_999])).len() <= columba_types::limits::QUOTED_STRING_BYTES + 9);
    assert_eq!(code(Code::Capability("IMAP4rev1 ID".into())), "CAPABILITY IMAP4rev1 ID");
    assert_eq!(code(Code::PermanentFlags("\\Seen \\*".into())), "PERMANENTFLAGS (\\Seen \\*)");
    assert_eq!(code(Code::UidNext(uid(4392))), "UIDNEXT 4392");
    assert_eq!(code(Code::UidValidity(UidValidity::MAX)), "UIDVALIDITY 4294967295");
    assert_eq!(code(Code::Unseen(SeqNum::new(12).unwrap())), "UNSEEN 12");
    assert_eq!(code(Code::HighestModSeq(ModSeq(i64::MAX as u64))), "HIGHESTMODSEQ 9223372036854775807");
    assert_eq!(code(Code::MailboxId(MailboxId(255))), "MAILBOXID (F00000000000000ff)");
    assert_eq!(code(Code::UnknownCte), "UNKNOWN-CTE");
    assert_eq!(code(Code::ReadWrite), "READ-WRITE");
}

// RFC 9051 §7.2, §7.4.1, RFC 5161 §3.2, RFC 2971 §3.2
#[test]
fn data_about_the_server_and_sizes() {
    assert_eq!(rev1(|p| p.capability(["IMAP4rev1", "ID"])), "* CAPABILITY IMAP4rev1 ID\r\n");
    assert_eq!(rev1(|p| p.enabled(["IMAP4rev2"])), "* ENABLED IMAP4rev2\r\n");
    assert_eq!(rev1(|p| p.enabled([])), "* ENABLED\r\n");
    assert_eq!(rev1(|p| p.exists(0)), "* 0 EXISTS\r\n");
    assert_eq!(rev1(|p| p.recent(u32::MAX)), "* 4294967295 RECENT\r\n");
    assert_eq!(rev1(|p| p.expunge(SeqNum::MIN)), "* 1 EXPUNGE\r\n");
    assert_eq!(rev1(|p| p.flags(&["\\Seen", "$Junk"])), "* FLAGS (\\Seen $Junk)\r\n");
    assert_eq!(rev1(|p| p.id(None)), "* ID NIL\r\n");
    let fields = [("name", Some("Co\"lumba")), ("os", None)];
    assert_eq!(rev1(|p| p.id(Some(&fields))), "* ID (\"name\" \"Co\\\"lumba\" \"os\" NIL)\r\n");
}

// RFC 9051 §7.3.1, §6.3.9.7; guide §6.18, §6.27, §6.38
#[test]
fn mailbox_lists() {
    let line = ListLine { separator: Some('/'), ..ListLine::default() };
    let list = |mode, line: ListLine<'_>| printed(mode, |p| p.list(&line));
    let root = ListLine { attributes: &["\\Noselect"], ..line };
    assert_eq!(list(REV1, root), "* LIST (\\Noselect) \"/\" \"\"\r\n");
    assert_eq!(list(REV1, ListLine { name: "INBOX", separator: None, ..line }), "* LIST () NIL INBOX\r\n");
    for (name, in_rev1, in_rev2) in [
        ("a/b", "a/b", "a/b"),
        ("a b", "\"a b\"", "\"a b\""),
        ("nil", "\"nil\"", "\"nil\""),
        ("a*\"\\", "\"a*\\\"\\\\\"", "\"a*\\\"\\\\\""),
        ("ä & b", "\"&AOQ- &- b\"", "\"ä & b\""),
        ("x&y]", "x&-y]", "x&y]"),
    ] {
        assert_eq!(list(REV1, ListLine { name, ..line }), format!("* LIST () \"/\" {in_rev1}\r\n"));
        assert_eq!(list(REV2, ListLine { name, ..line }), format!("* LIST () \"/\" {in_rev2}\r\n"));
    }
    let attributes = &["\\HasChildren", "\\Subscribed"];
    let full = ListLine { attributes, name: "b", child_info: true, old_name: Some("a b"), ..line };
    let start = "(\\HasChildren \\Subscribed) \"/\" b";
    let extended = "(\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (\"a b\"))";
    assert_eq!(list(REV2, full), format!("* LIST {start} {extended}\r\n"));
    assert_eq!(rev1(|p| p.lsub(&full)), format!("* LSUB {start}\r\n"));
    let renamed = ListLine { name: "b", old_name: Some("a"), ..line };
    assert_eq!(list(REV2, renamed), "* LIST () \"/\" b (\"OLDNAME\" (a))\r\n");
}

// RFC 9051 §7.3.2, §7.3.5 (NAMESPACE in §6.3.10)
#[test]
fn status_and_namespace() {
    let items = [
        (StatusItem::Messages, 231u32.into()),
        (StatusItem::Size, (i64::MAX as u64).into()),
        (StatusItem::MailboxId, StatusValue::MailboxId(MailboxId(0xf))),
    ];
    let line = rev1(|p| p.status("b ä", &items));
    let values = "MESSAGES 231 SIZE 9223372036854775807 MAILBOXID (F000000000000000f)";
    assert_eq!(line, format!("* STATUS \"b &AOQ-\" ({values})\r\n"));
    assert_eq!(rev1(|p| p.status("x", &[])), "* STATUS x ()\r\n");
    let line = rev1(|p| p.namespace(&[("", '/')], &[("~ä", '/'), ("o\\", '\\')], &[]));
    assert_eq!(line, "* NAMESPACE ((\"\" \"/\")) ((\"~&AOQ-\" \"/\")(\"o\\\\\" \"\\\\\")) NIL\r\n");
}

// RFC 9051 §7.3.4, RFC 3501 §7.2.5; guide §6.9 to §6.11
#[test]
fn search_results() {
    assert_eq!(rev1(|p| p.search([2, 84, 882], None)), "* SEARCH 2 84 882\r\n");
    assert_eq!(rev1(|p| p.search([], None)), "* SEARCH\r\n");
    // RFC 7162 §3.1.6
    assert_eq!(rev1(|p| p.search([2], Some(ModSeq(9)))), "* SEARCH 2 (MODSEQ 9)\r\n");
    let (tag, all, empty) = (tag(), set(&[1, 2, 3, 10]), UidSet::new());
    let none =
        Esearch { tag: &tag, uid: false, min: None, max: None, count: None, all: None, partial: None, modseq: None };
    assert_eq!(rev1(|p| p.esearch(&none)), "* ESEARCH (TAG \"a1\")\r\n");
    let full = Esearch { uid: true, min: Some(1), max: Some(10), count: Some(4), all: Some(&all), ..none };
    let line = "* ESEARCH (TAG \"a1\") UID MIN 1 MAX 10 COUNT 4 ALL 1:3,10\r\n";
    assert_eq!(rev1(|p| p.esearch(&full)), line);
    let nothing = Esearch { count: Some(0), all: Some(&empty), ..none };
    assert_eq!(rev1(|p| p.esearch(&nothing)), "* ESEARCH (TAG \"a1\") COUNT 0\r\n");
}

// RFC 9051 §7.5.2
#[test]
fn fetch_items() {
    let date = DateTime::from_local(Date::new(1996, 7, 1).unwrap(), 2, 44, 25, -7 * 60).unwrap();
    let line = rev1(|p| {
        p.fetch_begin(SeqNum::new(12).unwrap(), Uid::MIN);
        p.fetch_flags(true, SystemFlags::SEEN.union(SystemFlags::ANSWERED), ["$Junk"]);
        p.fetch_internal_date(date);
        p.fetch_size(u64::MAX);
        p.fetch_raw(b"ENVELOPE", b"(NIL)");
        p.fetch_nstring(b"BODY[1]", None);
        p.fetch_nstring(b"BODY[2]", Some(b"x"));
        p.fetch_binary_size(&[1, 2], 7);
        p.fetch_uid(uid(9));
        p.fetch_end();
        p.fetch_begin(SeqNum::MIN, Uid::MIN);
        p.fetch_flags(false, SystemFlags::NONE, []);
        p.fetch_end();
    });
    let expected = "* 12 FETCH (FLAGS (\\Answered \\Seen \\Recent $Junk) INTERNALDATE \" 1-Jul-1996 02:44:25 -0700\" \
        RFC822.SIZE 18446744073709551615 ENVELOPE (NIL) BODY[1] NIL BODY[2] \"x\" BINARY.SIZE[1.2] 7 UID 9)\r\n\
        * 1 FETCH (FLAGS ())\r\n";
    assert_eq!(line, expected);
}

// A literal is streamed between two printers, and what it ends with does not matter.
#[test]
fn a_fetch_response_can_be_printed_in_pieces() {
    let mut out = Vec::new();
    let mut p = Printer::new(&mut out, REV1);
    p.fetch_begin(SeqNum::MIN, Uid::MIN);
    p.fetch_literal_begin(b"BODY[]", 9, false);
    out.extend_from_slice(b" FETCH ((");
    let mut p = Printer::new(&mut out, REV1);
    p.fetch_literal_begin(b"BINARY[1]", 1, true);
    out.push(0);
    let mut p = Printer::new(&mut out, REV1);
    p.fetch_uid(uid(3));
    p.fetch_end();
    let expected = b"* 1 FETCH (BODY[] {9}\r\n FETCH (( BINARY[1] ~{1}\r\n\0 UID 3)\r\n";
    assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn a_fetch_response_can_be_resumed_before_its_first_item() {
    for (first, expected) in [(true, "UID 3)\r\n"), (false, " UID 3)\r\n")] {
        let line = rev1(|p| {
            p.fetch_resume(first);
            p.fetch_uid(uid(3));
            p.fetch_end();
        });
        assert_eq!(line, expected);
    }
}

// RFC 9051 §6.4.5: the length is never echoed; guide §6.33, §6.35
#[test]
fn section_names() {
    let name = |part: &[u32], text: SectionText, origin| {
        String::from_utf8(section_name(&Section { part: part.to_vec(), text }, origin, REV1)).unwrap()
    };
    let fields = vec![b"From".to_vec(), b"X y".to_vec(), b"NIL".to_vec()];
    assert_eq!(name(&[], SectionText::All, None), "BODY[]");
    assert_eq!(name(&[1, 2], SectionText::All, Some(0)), "BODY[1.2]<0>");
    assert_eq!(name(&[1], SectionText::Mime, None), "BODY[1.MIME]");
    assert_eq!(name(&[], SectionText::Text, Some(u64::MAX)), "BODY[TEXT]<18446744073709551615>");
    let header = name(&[1], SectionText::HeaderFields(fields.clone()), Some(0));
    assert_eq!(header, "BODY[1.HEADER.FIELDS (From \"X y\" \"NIL\")]<0>");
    assert_eq!(name(&[], SectionText::HeaderFieldsNot(fields), None), "BODY[HEADER.FIELDS.NOT (From \"X y\" \"NIL\")]");
    assert_eq!(binary_name(&[2], Some(5)), b"BINARY[2]<5>");
    assert_eq!(binary_name(&[], None), b"BINARY[]");
}

// RFC 9051 §4.3: 8-bit is quoted only where that was agreed, and only as UTF-8.
#[test]
fn strings() {
    let string = |mode, octets: &[u8]| {
        let mut out = Vec::new();
        Printer::new(&mut out, mode).string(octets);
        out.escape_ascii().to_string()
    };
    assert_eq!(string(REV1, b"a"), "\\\"a\\\"");
    assert_eq!(string(REV1, "ä".as_bytes()), "{2}\\r\\n\\xc3\\xa4");
    assert_eq!(string(REV2, "ä".as_bytes()), "\\\"\\xc3\\xa4\\\"");
    assert_eq!(string(REV2, b"\xe4"), "{1}\\r\\n\\xe4");
    assert_eq!(string(REV2, b"a\r\n"), "{3}\\r\\na\\r\\n");
    assert_eq!(rev1(|p| p.nstring(None)), "NIL");
    assert_eq!(rev1(|p| p.nstring(Some(b"NIL"))), "\"NIL\"");
    assert_eq!(rev1(|p| p.astring(b"a]")), "a]");
    assert_eq!(rev1(|p| p.astring(b"")), "\"\"");
}

proptest! {
    // What a client's LOGIN reads is what we print: one grammar, two directions.
    #[test]
    fn a_string_is_read_back(octets in prop_oneof![
        proptest::collection::vec(1u8.., 0..20), any::<String>().prop_map(String::into_bytes)
    ], utf8: bool, atom: bool) {
        prop_assume!(!octets.contains(&0));
        let mut line = b"a LOGIN ".to_vec();
        let mut printer = Printer::new(&mut line, PrintMode { rev2: utf8, utf8, uid_only: false });
        if atom { printer.astring(&octets) } else { printer.string(&octets) }
        line.extend_from_slice(b" x");
        let command = crate::parse_command(&line, crate::ParseMode { utf8 }).unwrap();
        let crate::CommandBody::Login { user, .. } = command.body else { panic!("no LOGIN") };
        prop_assert_eq!(user, octets);
    }

    #[test]
    fn numbers_are_decimal(n: u64) {
        let mut out = Vec::new();
        decimal(&mut out, n);
        prop_assert_eq!(out, n.to_string().into_bytes());
    }

    // Whatever a text or a name holds, it is one line of printable characters.
    #[test]
    fn nothing_breaks_out(text: String, rev2: bool) {
        let mode = PrintMode { rev2, utf8: rev2, uid_only: false };
        let line = printed(mode, |p| p.tagged(&tag(), Status::No, None, &text));
        prop_assert!(line.ends_with("\r\n") && !line[..line.len() - 2].chars().any(char::is_control));
        let line = printed(PrintMode::default(), |p| p.status(&text, &[]));
        prop_assert!(line.ends_with("\r\n") && line[..line.len() - 2].bytes().all(|b| (b' '..=b'~').contains(&b)));
    }
}
