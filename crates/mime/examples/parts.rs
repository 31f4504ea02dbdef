//! Prints the parts of messages: for each file its name, then depth, type and octets of the body of each part.
//! `tests/messages/compare.py` reads it.

use std::io::Write;

use columba_mime::{Kind, Part, walk};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for file in std::env::args().skip(1) {
        writeln!(out, "== {file}")?;
        let structure = walk(&std::fs::read(&file)?);
        let mut depths: Vec<usize> = Vec::new();
        for part in &structure.parts {
            let depth = part.parent.and_then(|parent| depths.get(parent as usize)).map_or(0, |depth| depth + 1);
            depths.push(depth);
            writeln!(out, "{depth}\t{}\t{}", kind(part), part.body.end - part.body.start)?;
        }
    }
    Ok(())
}

fn kind(part: &Part) -> String {
    let opaque = part.kind == Kind::Leaf && part.content.media_type == "multipart";
    if opaque { "text/plain".to_owned() } else { format!("{}/{}", part.content.media_type, part.content.subtype) }
}
