//! Arbitrary octets as a message: taken apart the same in any chunks, ranges that fit, syntax that is always valid.

use columba_mime::{
    PartTable, TextDecoder, decode_header, fields, header_fields, parse_addresses, parse_date, unfold, walk,
    without_extensions,
};

#[path = "../../crates/mime/tests/check/mod.rs"]
mod check;

/// The first octet says how the rest is cut.
pub fn mime(octets: &[u8]) {
    let Some((&seed, message)) = octets.split_first() else { return };
    check::check(message);
    let structure = walk(message);
    assert_eq!(check::walk_in_chunks(message, &[usize::from(seed).max(1), 1, 3]), structure);
    for part in PartTable::new(&structure).parts() {
        let mut text = String::new();
        let mut decoder = TextDecoder::new(part.encoding, &part.charset);
        let body = message.get(part.body.start as usize..part.body.end as usize).unwrap_or_default();
        body.chunks(usize::from(seed).max(1)).for_each(|chunk| decoder.feed(chunk, &mut text));
        decoder.finish(&mut text);
    }
    for field in fields(message) {
        let value = unfold(field.value);
        decode_header(&value);
        parse_addresses(&value);
        parse_date(&value);
    }
    header_fields(message, &["subject", "to"], seed % 2 == 0);
    let _ = PartTable::decode(message);
    assert!(without_extensions(message).len() <= message.len());
}
