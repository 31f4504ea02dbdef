//! What holds for every message, as checks that panic. The fuzz target `mime` uses this file too.

#![allow(clippy::unwrap_used)]

mod syntax;

use columba_mime::{Kind, PartTable, Structure, Walker, Want, summarise, walk, without_extensions};
use columba_types::limits::{MIME_DEPTH, MIME_PARTS, STRUCTURE_BYTES};

/// Walks in chunks of these sizes, again and again.
pub(crate) fn walk_in_chunks(message: &[u8], cuts: &[usize]) -> Structure {
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
pub(crate) fn check_structure(message: &[u8], structure: &Structure) {
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
pub(crate) fn check_summary(structure: &Structure) {
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

/// All of it.
pub(crate) fn check(message: &[u8]) {
    let structure = walk(message);
    check_structure(message, &structure);
    check_summary(&structure);
    check_sections(&structure);
}
