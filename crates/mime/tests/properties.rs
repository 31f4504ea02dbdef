//! What holds for every message, however odd.

#![allow(clippy::unwrap_used)]

mod check;

use check::{check, check_structure, check_summary, walk_in_chunks};

use columba_mime::{PartTable, Structure, TextDecoder, Want, decode_header, header_fields, summarise, walk};
use columba_types::limits::{MIME_DEPTH, MIME_PARTS};
use proptest::prelude::*;

/// Lines from which messages of all kinds of brokenness come about.
const LINES: [&str; 40] = [
    "",
    "",
    "",
    " ",
    "text",
    "-",
    "--",
    "-- ",
    "--a",
    "--a",
    "--a",
    "--a--",
    "--a-- ",
    "--ab",
    "--ab",
    "--ab--",
    "--a\t ",
    "a: b",
    "Subject: =?utf-8?q?=C3=BC?= \u{fc} x",
    "From: \"a, b\" <c@d>, group: e@f, g; (h",
    "To: <@a,@b:c@d>, \"",
    " folded; charset=\"x",
    "\tboundary=ab",
    "Content-Type: multipart/mixed; boundary=a",
    "Content-Type: multipart/mixed; boundary=\"ab\"",
    "Content-Type: multipart/digest; boundary=a",
    "content-type: multipart/alternative;",
    "Content-Type: message/rfc822",
    "Content-Type: message/global; name*=utf-8''%C3%BC",
    "Content-Type: text/html; charset=utf-8",
    "Content-Type: message/delivery-status",
    "Content-Type: image/\u{fc}; name*0=a; name*1=b; x=",
    "Content-Transfer-Encoding: base64",
    "Content-Transfer-Encoding: x-\u{fc}",
    "Content-Disposition: attachment; filename=\"\u{fc}\"",
    "Content-Language: de, en",
    "Content-Description: a\rb\0c",
    "Message-ID: <\"a\"@b>",
    "References: <a@b> <c@d>",
    "Date: Mon, 1 Jan 2001 00:00:00 +0000",
];

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let line = (0..LINES.len(), prop_oneof![4 => Just("\r\n"), 2 => Just("\n"), 1 => Just("\r")]);
    proptest::collection::vec(line, 0..40).prop_map(|lines| {
        let lines = lines.into_iter().flat_map(|(line, end)| [LINES[line], end]);
        lines.collect::<String>().into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn odd_messages(message in messages()) {
        check(&message);
    }

    #[test]
    fn arbitrary_octets(message: Vec<u8>) {
        check(&message);
        decode_header(&message);
    }

    #[test]
    fn chunks_make_no_difference(message in messages(), cuts in proptest::collection::vec(1usize..30, 1..6)) {
        prop_assert_eq!(walk_in_chunks(&message, &cuts), walk(&message));
        prop_assert_eq!(walk_in_chunks(&message, &[1]), walk(&message));
    }

    #[test]
    fn the_header_section_is_all_fields(message in messages()) {
        let structure = walk(&message);
        let header = &message[..structure.parts[0].header.end as usize];
        let none: [&str; 0] = [];
        let all = header_fields(header, &none, true);
        prop_assert!(all.starts_with(header));
        prop_assert!(all.ends_with(b"\n"));
        prop_assert_eq!(header_fields(header, &none, false).len() <= 2, true);
    }

    #[test]
    fn text_of_any_part_can_be_decoded(message in messages()) {
        for part in PartTable::new(&walk(&message)).parts() {
            let mut text = String::new();
            let mut decoder = TextDecoder::new(part.encoding, &part.charset);
            decoder.feed(&message[part.body.start as usize..part.body.end as usize], &mut text);
            decoder.finish(&mut text);
        }
    }
}

/// A multipart in a multipart and so on, each closed or not.
fn nested(depth: usize, close: bool, inner_type: &str) -> Vec<u8> {
    let mut message = String::new();
    for level in 0..depth {
        message += &match inner_type {
            "multipart" => format!("Content-Type: multipart/mixed; boundary=b{level}.\r\n\r\n--b{level}.\r\n"),
            other => format!("Subject: {level}\r\nContent-Type: {other}\r\n\r\n"),
        };
    }
    message += "\r\ntext";
    if close {
        (0..depth).rev().for_each(|level| message += &format!("\r\n--b{level}.--\r\n"));
    }
    message.into_bytes()
}

#[test]
fn depth_is_bounded() {
    for message in
        [nested(5000, true, "multipart"), nested(5000, false, "multipart"), nested(5000, false, "message/rfc822")]
    {
        let structure = walk(&message);
        check_structure(&message, &structure);
        check_summary(&structure);
        assert_eq!(structure.parts.len(), MIME_DEPTH);
        assert_eq!(PartTable::new(&structure).locate(&[1; 1000], Want::All), None);
    }
}

#[test]
fn the_number_of_parts_is_bounded_and_the_last_has_the_rest() {
    let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    (0..MIME_PARTS + 50).for_each(|n| message.extend_from_slice(format!("--b\r\n\r\n{n}\r\n").as_bytes()));
    message.extend_from_slice(b"--b--\r\n");
    let structure = walk(&message);
    check_structure_without_siblings(&message, &structure);
    check_summary(&structure);
    assert_eq!(structure.parts.len(), MIME_PARTS);
    assert_eq!(structure.parts.last().unwrap().body.end, message.len() as u64);
    assert_eq!(walk_in_chunks(&message, &[4096]), structure);
    let table = PartTable::new(&structure);
    let last = table.locate(&[MIME_PARTS as u32 - 1], Want::All).unwrap();
    assert!(message[last.start as usize..].starts_with(b"9998\r\n--b\r\n"));
}

// The full check compares siblings pairwise, too slow for so many.
fn check_structure_without_siblings(message: &[u8], structure: &Structure) {
    assert_eq!(structure.size, message.len() as u64);
    let ends = structure.parts[1..].windows(2).all(|pair| pair[0].body.end <= pair[1].header.start);
    assert!(ends && structure.parts[1..].iter().all(|part| part.parent == Some(0)));
}

#[test]
fn messages_in_messages_at_the_limit_are_leaves() {
    let mut message = b"Content-Type: multipart/digest; boundary=b\r\n\r\n".to_vec();
    (0..MIME_PARTS).for_each(|_| message.extend_from_slice(b"--b\r\n\r\nSubject: x\r\n\r\ny\r\n"));
    let structure = walk(&message);
    check_summary(&structure);
    assert_eq!(structure.parts.len(), MIME_PARTS);
}

#[test]
fn a_structure_too_long_to_send_is_opaque() {
    let mut message = b"Subject: kept\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    let header = format!("--b\r\nContent-Description: {}\r\n\r\n", "\"".repeat(4000));
    (0..3000).for_each(|_| message.extend_from_slice(header.as_bytes()));
    let structure = walk(&message);
    check_summary(&structure);
    let summary = summarise(&structure);
    assert!(summary.body_structure.starts_with(b"(\"text\" \"plain\""));
    assert!(summary.envelope.starts_with(b"(NIL \"kept\""));
    assert_eq!(PartTable::decode(&summary.parts).unwrap().parts().len(), 3001);
}

#[test]
fn huge_headers_are_bounded_and_exact() {
    let mut message = "X: y\r\n".repeat(400_000).into_bytes();
    message.extend_from_slice(format!("Subject: {}\r\n\r\nbody", "s".repeat(2_000_000)).as_bytes());
    let structure = walk(&message);
    check_summary(&structure);
    assert_eq!(structure.parts[0].body, message.len() as u64 - 4..message.len() as u64);
    assert_eq!(walk_in_chunks(&message, &[10_000]), structure);
}
