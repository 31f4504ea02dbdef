//! Segments of APPEND and REPLACE: what each of them says, and how it ends.

use columba_types::{Date, DateTime, Flag, SetNum, SystemFlags};

use super::super::parse_command;
use super::super::tests::{bad, ok};
use super::*;

fn head(octets: &str) -> Option<Result<AppendHead, ParseError>> {
    parse_append_head(octets.as_bytes(), ParseMode::default())
}

fn read(octets: &str) -> AppendHead {
    let head = head(octets).unwrap().unwrap();
    assert_eq!(&*head.tag.0, "a");
    head
}

fn begin() -> AppendPart {
    AppendPart::Begin { flags: vec![], date: None }
}

fn url(text: &str) -> AppendPart {
    AppendPart::Url(text.into())
}

const fn place(catenate: bool, wrapped: bool) -> AppendPlace {
    AppendPlace { catenate, wrapped, single: false }
}

// RFC 9051 §6.3.12
#[test]
fn flags_and_date_are_optional() {
    let day = Date::new(1994, 2, 7).unwrap();
    let date = DateTime::from_local(day, 21, 52, 25, -8 * 60);
    let flags = vec![Flag::System(SystemFlags::SEEN), Flag::parse("$Junk").unwrap()];
    let full = AppendPart::Begin { flags, date };
    let no_flags = AppendPart::Begin { flags: vec![], date };
    for (text, begin) in [
        ("a APPEND saved-messages {310}\r\n", begin()),
        ("a append saved-messages (\\Seen \\Recent $Junk) \" 7-Feb-1994 21:52:25 -0800\" {310+}\r\n", full),
        ("a APPEND {14}\r\nsaved-messages \"07-Feb-1994 21:52:25 -0800\" ~{310}\r\n", no_flags),
    ] {
        let AppendHead { append, place, .. } = read(text);
        assert_eq!((append.mailbox.0, append.replaced), (b"saved-messages".to_vec(), None), "{text}");
        assert_eq!((append.parts, place), (vec![begin, AppendPart::Octets], AppendPlace::PLAIN), "{text}");
    }
}

#[test]
fn only_the_literal_of_a_message_is_one() {
    assert_eq!(head("a APPEND {5}\r\n"), None);
    assert_eq!(head("a APPEND {0+}\r\n"), None);
    assert_eq!(head("a UID REPLACE 1 {5}\r\n"), None);
    assert_eq!(head("a APPEND x CATENATE (URL {5}\r\n"), None);
    assert_eq!(head("a APPEND x CATENATE (URL {2}\r\n/x URL {5+}\r\n"), None);
    assert_eq!(head("a LOGIN {5}\r\n"), None);
    assert_eq!(head("a UID FETCH {5}\r\n"), None);
    assert_eq!(head("a APPENDX x {5}\r\n"), None);
    assert_eq!(head("+ APPEND x {5}\r\n"), None);
    assert!(head("a APPEND {0+}\r\n {5}\r\n").unwrap().is_ok());
    for wrong in [
        "a APPEND x y {5}\r\n",
        "a APPEND x{5}\r\n",
        "a APPEND x ({5}\r\n",
        "a APPEND x (\\Seen \\Unknown) {5}\r\n",
        "a APPEND x \"32-Feb-1994 21:52:25 -0800\" {5}\r\n",
        "a APPEND x \"7-Feb-1994 21:52:25 -0800\" {5}\r\n",
        "a APPEND x \" 7-Feb-1994 21:52:25 -0860\" {5}\r\n",
        "a APPEND x UTF8 ({5}\r\n",
        "a APPEND x CATENATE {5}\r\n",
        "a APPEND x CATENATE ({5}\r\n",
        "a APPEND x CATENATE (TEXT{5}\r\n",
        "a APPEND x CATENATE (TEXT x {5}\r\n",
        "a APPEND x CATENATE (URL x TEXT  {5}\r\n",
        "a APPEND x CATENATE (URL x){5}\r\n",
        "a APPEND x CATENATE () {5}\r\n",
        "a APPEND x CATENATE (UTF8 ({5}\r\n",
        "a APPEND x y",
    ] {
        let error = head(wrong).unwrap().unwrap_err();
        assert_eq!(error.tag.as_ref().map(|tag| &*tag.0), Some("a"), "{wrong}");
        assert!(error.text.starts_with("APPEND: "), "{wrong}: {error}");
    }
}

// RFC 4469 §5, RFC 6855 §4
#[test]
fn catenate() {
    let head = read("a APPEND x (\\Draft) CATENATE (URL \"/x/;UID=1\" URL {2}\r\n/y TEXT {5}\r\n");
    let draft = AppendPart::Begin { flags: vec![Flag::System(SystemFlags::DRAFT)], date: None };
    assert_eq!(head.append.parts, [draft, url("/x/;UID=1"), url("/y"), AppendPart::Octets]);
    assert_eq!(head.place, place(true, false));
    let head = read("a APPEND x CATENATE (UTF8 (~{5}\r\n");
    assert_eq!((head.append.parts, head.place), (vec![begin(), AppendPart::Octets], place(true, true)));
    // A whole message of URLs before one with a literal (RFC 3502).
    let head = read("a APPEND x CATENATE (URL /x) {5}\r\n");
    let parts = [begin(), url("/x"), AppendPart::End, begin(), AppendPart::Octets];
    assert_eq!((&head.append.parts[..], head.place), (&parts[..], AppendPlace::PLAIN));
}

// RFC 3502 §6.3.11, RFC 6855 §4
#[test]
fn what_follows_octets() {
    let next = |octets: &str, place| parse_append_next(octets.as_bytes(), place, ParseMode::default());
    let end = |octets: &str, place| parse_append_end(octets.as_bytes(), place, ParseMode::default());
    let (plain, utf8, text) = (AppendPlace::PLAIN, place(false, true), place(true, false));
    for (octets, at) in [("", plain), (" ", plain), (")", utf8), (")", text), ("))", place(true, true))] {
        assert_eq!(end(octets, at), Ok(vec![AppendPart::End]), "{octets}");
    }
    assert_eq!(end(" URL /x)", text), Ok(vec![url("/x"), AppendPart::End]));
    assert_eq!(end(" CATENATE (URL /x)", plain), Ok(vec![AppendPart::End, begin(), url("/x"), AppendPart::End]));
    let flagged = AppendPart::Begin { flags: vec![Flag::System(SystemFlags::FLAGGED)], date: None };
    let parts = vec![AppendPart::End, flagged, AppendPart::Octets];
    assert_eq!(next(" (\\Flagged) {7}\r\n", plain), Some(Ok((parts, plain))));
    assert_eq!(next(" TEXT {7}\r\n", text), Some(Ok((vec![AppendPart::Octets], text))));
    assert_eq!(next(" URL {7}\r\n", text), None);
    let parts = vec![AppendPart::End, begin(), AppendPart::Octets];
    assert_eq!(next(") UTF8 (~{7+}\r\n", utf8), Some(Ok((parts, utf8))));
    for (wrong, place) in [("", utf8), (")", plain), ("x", plain), (" (\\Seen)", plain), ("", text), (" ", text)] {
        assert_eq!(end(wrong, place).unwrap_err().tag, None, "{wrong}");
    }
    assert_eq!(next("{7}\r\n", plain).unwrap().unwrap_err().tag, None);
}

// RFC 8508 §5, §4.7; guide §6 point 73: message 0 is no message.
#[test]
fn replace() {
    let single = AppendPlace { single: true, ..AppendPlace::PLAIN };
    for (text, numbering, number) in [
        ("a REPLACE 4 x {5}\r\n", Numbering::Seq, SetNum::Num(4)),
        ("a uid replace 4 x {5}\r\n", Numbering::Uid, SetNum::Num(4)),
        ("a REPLACE * x {5}\r\n", Numbering::Seq, SetNum::Star),
    ] {
        let head = read(text);
        assert_eq!((head.append.replaced, head.place), (Some((numbering, number)), single), "{text}");
    }
    let more = parse_append_next(b" {5}\r\n", single, ParseMode::default()).unwrap();
    assert!(more.unwrap_err().text.contains("one message"));
    for wrong in ["0 x", "1,2 x", "1:2 x", "$ x", "x", "4294967296 x", "-1 x", "1 x y"] {
        let error = head(&format!("a REPLACE {wrong} {{5}}\r\n")).unwrap().unwrap_err();
        assert_eq!(error.tag.as_ref().map(|tag| &*tag.0), Some("a"), "{wrong}");
    }
}

#[test]
fn whole_commands_of_urls() {
    let parts = vec![begin(), url("/x/;UID=1"), AppendPart::End];
    let append = Append { replaced: None, mailbox: crate::RawMailbox(b"x".to_vec()), parts: parts.clone() };
    assert_eq!(ok("APPEND x CATENATE (URL /x/;UID=1)"), CommandBody::Append(append.clone()));
    let two = Append { parts: [&parts[..], &parts[..]].concat(), ..append.clone() };
    assert_eq!(ok("APPEND x CATENATE (URL /x/;UID=1) CATENATE (URL /x/;UID=1)"), CommandBody::Append(two));
    let replace = Append { replaced: Some((Numbering::Uid, SetNum::Num(3))), ..append };
    assert_eq!(ok("UID REPLACE 3 x catenate (url /x/;UID=1)"), CommandBody::Append(replace));
    for wrong in [
        "APPEND x",
        "APPEND x {1}\r\nx",
        "APPEND x CATENATE ()",
        "APPEND x CATENATE (URL)",
        "APPEND x CATENATE (URL /x",
        "APPEND x CATENATE (TEXT \"x\")",
        "APPEND x CATENATE (TEXT {1}\r\nx)",
        "REPLACE 1 x CATENATE (URL /x) CATENATE (URL /x)",
    ] {
        bad(wrong);
    }
    let long = |n| format!("APPEND x CATENATE (URL {{{n}}}\r\n{})", "x".repeat(n));
    ok(&long(limits::URL_BYTES));
    assert!(bad(long(limits::URL_BYTES + 1)).contains("too long"));
    let many = |n: usize| format!("a APPEND x CATENATE (URL /x{})", " URL /x".repeat(n));
    assert!(parse_command(many(limits::APPEND_PARTS - 3).as_bytes(), ParseMode::default()).is_ok());
    assert!(bad(&many(limits::APPEND_PARTS)[2..]).contains("too many"));
}
