//! What holds for every message, however odd.

mod syntax;

use columba_mime::{
    Kind, PartTable, Structure, TextDecoder, Walker, Want, decode_header, header_fields, summarise, walk,
    without_extensions,
};
use columba_types::limits::{MIME_DEPTH, MIME_PARTS, STRUCTURE_BYTES};
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

fn walk_in_chunks(message: &[u8], cuts: &[usize]) -> Structure {
    let mut walker = Walker::new();
    let mut rest = message;
    for cut in cuts.iter().cycle().take(message.len()) {
        let (chunk, after) = rest.split_at((*cut).min(rest.len()));
        walker.feed(chunk);
        rest = after;
    }
    walker.feed(rest);
    walker.finish()
}

/// Ranges are in bounds, in order, and in the parent's body; kinds have the children they promise.
fn check_structure(message: &[u8], structure: &Structure) {
    assert_eq!(structure.size, message.len() as u64);
    assert!((1..=MIME_PARTS).contains(&structure.parts.len()));
    let mut depths: Vec<usize> = Vec::new();
    for (index, part) in structure.parts.iter().enumerate() {
        assert_eq!(part.header.end, part.body.start);
        assert!(part.header.start <= part.header.end && part.body.start <= part.body.end);
        let parent = part.parent.map(|parent| &structure.parts[parent as usize]);
        let depth = part.parent.map_or(0, |parent| depths[parent as usize] + 1);
        assert!(depth < MIME_DEPTH);
        depths.push(depth);
        match parent {
            None => assert!(index == 0 && part.header.start == 0 && part.body.end == structure.size),
            Some(parent) => {
                assert!(parent.kind != Kind::Leaf);
                assert!(parent.body.start <= part.header.start && part.body.end <= parent.body.end);
                // Siblings never overlap; a message inside fills its part.
                let before = structure.parts[..index].iter().rev().find(|other| other.parent == part.parent);
                assert!(
                    before.is_none_or(|before| before.body.end <= part.header.start && parent.kind == Kind::Multipart)
                );
                if parent.kind == Kind::Message {
                    assert_eq!(parent.body, part.header.start..part.body.end);
                }
            }
        }
        assert_eq!(part.envelope.is_some(), parent.is_none_or(|parent| parent.kind == Kind::Message));
        let body = &message[part.body.start as usize..part.body.end as usize];
        assert_eq!(part.lines, body.iter().filter(|b| **b == b'\n').count() as u64);
        let children = structure.parts.iter().filter(|other| other.parent == Some(index as u32)).count();
        match part.kind {
            Kind::Leaf => assert_eq!(children, 0),
            Kind::Message => assert_eq!(children, 1),
            Kind::Multipart => assert!(children >= 1),
        }
    }
}

/// Everything printed is valid syntax, for both kinds of client and both forms of body.
fn check_summary(structure: &Structure) {
    let summary = summarise(structure);
    let envelopes = [(Some(&summary.envelope), false), (summary.envelope_utf8.as_ref(), true)];
    for (envelope, utf8) in envelopes.into_iter().filter_map(|(e, utf8)| Some((e?, utf8))) {
        assert!(envelope.len() <= STRUCTURE_BYTES);
        syntax::check_envelope(&syntax::parse(envelope, utf8));
    }
    let bodies = [(Some(&summary.body_structure), false), (summary.body_structure_utf8.as_ref(), true)];
    for (body, utf8) in bodies.into_iter().filter_map(|(b, utf8)| Some((b?, utf8))) {
        assert!(body.len() <= STRUCTURE_BYTES);
        syntax::check_body(&syntax::parse(body, utf8), true);
        let plain = without_extensions(body);
        syntax::check_body(&syntax::parse(&plain, utf8), false);
    }
    let table = PartTable::new(structure);
    assert_eq!(summary.parts, table.encode());
    assert_eq!(PartTable::decode(&summary.parts), Ok(table));
}

/// All parts can be reached by a number, and their sections lie where the structure says.
fn check_sections(structure: &Structure) {
    let table = PartTable::new(structure);
    for (index, part) in structure.parts.iter().enumerate() {
        let number = part_number(structure, index);
        // Numbers name parts: a message inside is named by the number of its part, unless it is a single part itself.
        let named = number.is_some();
        if let Some(number) = number {
            assert_eq!(table.locate(&number, Want::All), Some(part.body.clone()), "{number:?}");
            assert_eq!(table.locate(&number, Want::Mime), Some(part.header.clone()));
            let inside = (part.kind == Kind::Message).then(|| &structure.parts[index + 1]);
            assert_eq!(table.locate(&number, Want::Header), inside.map(|inside| inside.header.clone()));
            assert_eq!(table.locate(&number, Want::Text), inside.map(|inside| inside.body.clone()));
            assert_eq!(table.encoding(&number).is_some(), part.kind == Kind::Leaf);
        }
        assert!(named || part.kind == Kind::Multipart);
    }
}

/// The number of a part by the rules of RFC 9051 §6.4.5.1; `None` for a whole message that is a multipart.
fn part_number(structure: &Structure, index: usize) -> Option<Vec<u32>> {
    let part = &structure.parts[index];
    let Some(parent) = part.parent else { return (part.kind != Kind::Multipart).then(|| vec![1]) };
    let parent_index = parent as usize;
    match structure.parts[parent_index].kind {
        Kind::Message => {
            let mut number = part_number(structure, parent_index)?;
            number.push(1);
            (part.kind != Kind::Multipart).then_some(number)
        }
        _ => {
            let grand = structure.parts[parent_index].parent.map(|at| &structure.parts[at as usize]);
            let mut number = match (part_number(structure, parent_index), grand) {
                (Some(number), _) => number,
                (None, None) => Vec::new(),
                (None, Some(_)) => part_number(structure, structure.parts[parent_index].parent? as usize)?,
            };
            let place = structure.parts[..index].iter().filter(|other| other.parent == part.parent).count();
            number.push(place as u32 + 1);
            Some(number)
        }
    }
}

fn check(message: &[u8]) {
    let structure = walk(message);
    check_structure(message, &structure);
    check_summary(&structure);
    check_sections(&structure);
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
