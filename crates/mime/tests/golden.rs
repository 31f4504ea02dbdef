//! What the server makes of each message in `tests/messages`, compared with the `.golden` file beside it.
//!
//! `BLESS=1 cargo test -p columba-mime --test golden` writes the files anew; read the difference against the RFCs then.

#![allow(clippy::unwrap_used)]

mod check;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use columba_mime::{
    Kind, PartTable, Structure, TextDecoder, TextKind, TransferDecoder, Want, header_fields, summarise, walk,
    without_extensions,
};

/// Octets of a section that are shown; the rest of a long one is not.
const SHOWN_BYTES: usize = 300;

fn shown(octets: &[u8]) -> String {
    let head = octets.get(..SHOWN_BYTES).unwrap_or(octets);
    let text = String::from_utf8_lossy(head).chars().flat_map(escaped).collect::<String>();
    let more = if head.len() < octets.len() { format!("… {} octets", octets.len()) } else { String::new() };
    if std::str::from_utf8(octets).is_ok() { format!("{text}{more}") } else { format!("{}{more}", head.escape_ascii()) }
}

fn escaped(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

fn golden(message: &[u8]) -> String {
    let structure = walk(message);
    let mut out = String::new();
    write_summary(&structure, &mut out);
    let table = PartTable::new(&structure);
    for (want, name) in [(Want::Header, "HEADER"), (Want::Text, "TEXT")] {
        let range = table.locate(&[], want).unwrap();
        writeln!(out, "{name} {}..{} {}", range.start, range.end, shown(slice(message, range.clone()))).unwrap();
    }
    let header = slice(message, table.locate(&[], Want::Header).unwrap());
    let fields = header_fields(header, &["subject", "to"], false);
    writeln!(out, "HEADER.FIELDS (SUBJECT TO) {}", shown(&fields)).unwrap();
    write_parts(message, &table, &mut vec![], &mut out);
    out
}

fn write_summary(structure: &Structure, out: &mut String) {
    let summary = summarise(structure);
    writeln!(out, "{} octets", structure.size).unwrap();
    writeln!(out, "ENVELOPE {}", shown_whole(&summary.envelope)).unwrap();
    if let Some(envelope) = &summary.envelope_utf8 {
        writeln!(out, "ENVELOPE UTF8 {}", shown_whole(envelope)).unwrap();
    }
    writeln!(out, "BODYSTRUCTURE {}", shown_whole(&summary.body_structure)).unwrap();
    if let Some(body_structure) = &summary.body_structure_utf8 {
        writeln!(out, "BODYSTRUCTURE UTF8 {}", shown_whole(body_structure)).unwrap();
    }
    writeln!(out, "BODY {}", shown_whole(&without_extensions(&summary.body_structure))).unwrap();
    let fields = [
        ("subject", &summary.subject),
        ("base subject", &summary.base_subject),
        ("from", &summary.from),
        ("to", &summary.to),
        ("cc", &summary.cc),
        ("bcc", &summary.bcc),
        ("sort from", &summary.from_mailbox),
        ("sort to", &summary.to_mailbox),
        ("sort cc", &summary.cc_mailbox),
        ("display from", &summary.display_from),
        ("display to", &summary.display_to),
    ];
    for (name, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
        writeln!(out, "{name}: {}", shown(text.as_bytes())).unwrap();
    }
    if summary.subject_is_reply {
        writeln!(out, "is a reply").unwrap();
    }
    if let Some(sent) = summary.sent {
        writeln!(out, "sent: {sent}").unwrap();
    }
    if let Some(id) = summary.message_id {
        writeln!(out, "message id: {id}").unwrap();
    }
    if !summary.references.is_empty() {
        writeln!(out, "references: {}", summary.references.join(", ")).unwrap();
    }
}

fn shown_whole(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap().chars().flat_map(escaped).collect()
}

fn slice(message: &[u8], range: std::ops::Range<u64>) -> &[u8] {
    &message[range.start as usize..range.end as usize]
}

/// Writes all parts that can be named, by trying numbers as a client may.
fn write_parts(message: &[u8], table: &PartTable, number: &mut Vec<u32>, out: &mut String) {
    for n in 1.. {
        number.push(n);
        let Some(part) = table.part(number) else {
            number.pop();
            return;
        };
        let name = number.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        let range = table.locate(number, Want::All).unwrap();
        writeln!(out, "{name} {}..{} {}", range.start, range.end, shown(slice(message, range.clone()))).unwrap();
        for (want, kind) in [(Want::Mime, "MIME"), (Want::Header, "HEADER"), (Want::Text, "TEXT")] {
            if let Some(range) = table.locate(number, want) {
                writeln!(out, "{name}.{kind} {}", shown(slice(message, range))).unwrap();
            }
        }
        if part.kind == Kind::Leaf {
            let body = slice(message, part.body.clone());
            let mut decoded = Vec::new();
            let mut decoder = TransferDecoder::new(part.encoding);
            decoder.feed(body, &mut decoded);
            let state = if decoder.finish(&mut decoded) { "" } else { " broken" };
            writeln!(out, "{name} decoded, {:?}{state}: {}", part.encoding, shown(&decoded)).unwrap();
            if part.text != TextKind::NotText {
                let mut text = String::new();
                let mut decoder = TextDecoder::new(part.encoding, &part.charset);
                decoder.feed(body, &mut text);
                decoder.finish(&mut text);
                writeln!(out, "{name} {:?} {:?}: {}", part.text, part.charset, shown(text.as_bytes())).unwrap();
            }
        } else {
            write_parts(message, table, number, out);
        }
        number.pop();
    }
}

fn messages() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/messages");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut messages: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "eml")).collect();
    messages.sort();
    assert!(messages.len() > 70);
    messages
}

#[test]
fn each_message_gives_its_golden() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for path in messages() {
        let message = fs::read(&path).unwrap();
        let golden_path = path.with_extension("golden");
        let found = golden(&message);
        if bless {
            fs::write(&golden_path, &found).unwrap();
        } else if fs::read_to_string(&golden_path).ok().as_deref() != Some(found.as_str()) {
            wrong.push(format!("{}:\n{found}", path.file_name().unwrap().to_string_lossy()));
        }
    }
    assert!(wrong.is_empty(), "{} differ from their golden files:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn each_message_keeps_every_promise() {
    for path in messages() {
        let message = fs::read(&path).unwrap();
        check::check(&message);
        for chunk in [1, 2, 7] {
            assert_eq!(check::walk_in_chunks(&message, &[chunk]), walk(&message), "{path:?}");
        }
    }
}
