//! Picks fields out of a header block by their names, exactly as they stand: what HEADER.FIELDS and HEADER.FIELDS.NOT send.

use crate::header::{fields, is_blank};

/// The fields that clients ask for in lists of messages, in lower case, sorted. What is kept of headers for bulk reading
/// was picked with this list: another one must be kept under another name.
const COMMON: [&[u8]; 38] = [
    b"bcc",
    b"cc",
    b"content-description",
    b"content-disposition",
    b"content-language",
    b"content-transfer-encoding",
    b"content-type",
    b"date",
    b"disposition-notification-to",
    b"followup-to",
    b"from",
    b"importance",
    b"in-reply-to",
    b"keywords",
    b"lines",
    b"list-id",
    b"list-post",
    b"list-unsubscribe",
    b"mail-followup-to",
    b"message-id",
    b"mime-version",
    b"newsgroups",
    b"organization",
    b"original-recipient",
    b"precedence",
    b"priority",
    b"references",
    b"reply-to",
    b"resent-date",
    b"resent-from",
    b"resent-to",
    b"return-path",
    b"sender",
    b"subject",
    b"to",
    b"user-agent",
    b"x-label",
    b"x-priority",
];

/// Names of fields, made ready for being looked for in many headers.
#[derive(Clone, Debug)]
pub struct FieldNames {
    /// In lower case.
    names: Vec<Vec<u8>>,
    /// Bit n: one of them has n octets; the last bit stands for all longer ones.
    lengths: u64,
}

impl FieldNames {
    /// In any case and order.
    pub fn new(names: &[impl AsRef<[u8]>]) -> Self {
        let names: Vec<Vec<u8>> = names.iter().map(|name| name.as_ref().to_ascii_lowercase()).collect();
        let lengths = names.iter().fold(0, |lengths, name| lengths | length_bit(name));
        Self { names, lengths }
    }

    /// The names that [`FieldNames::are_common`] is about.
    pub fn common() -> Self {
        Self::new(&COMMON)
    }

    /// Whether all of them are among those that clients ask for most: then the fields that [`FieldNames::common`] picks
    /// of a block have all that these pick of it.
    pub fn are_common(&self) -> bool {
        self.names.iter().all(|name| COMMON.binary_search(&&name[..]).is_ok())
    }

    fn have(&self, name: &[u8]) -> bool {
        self.lengths & length_bit(name) != 0 && self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Appends the fields of those names (or, with `not`, all that is not theirs) exactly as they stand in the block, and
    /// the blank line: always there at the end, also where the block has none (RFC 9051 §6.4.5.1).
    pub fn pick(&self, block: &[u8], not: bool, out: &mut Vec<u8>) {
        let blank_at = blank_line(block);
        let (head, blank) = block.split_at_checked(blank_at).unwrap_or((block, &[]));
        let from = out.len();
        let mut done = 0;
        for field in fields(head) {
            if !self.have(field.name) {
                continue;
            }
            let taken = if not { done..field.range.start } else { field.range.clone() };
            out.extend_from_slice(head.get(taken).unwrap_or_default());
            done = field.range.end;
        }
        if not {
            out.extend_from_slice(head.get(done..).unwrap_or_default());
        }
        // A header that the message ends in has no line end, and the blank line needs one before it.
        if out.len() > from && out.last() != Some(&b'\n') {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(if is_blank(blank) { blank } else { b"\r\n" });
    }
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

/// What [`FieldNames::pick`] appends, for one block.
pub fn header_fields(block: &[u8], names: &[impl AsRef<[u8]>], not: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(if not { block.len() } else { 256 });
    FieldNames::new(names).pick(block, not, &mut out);
    out
}

/// Where the blank line is that ends the block; the block's length if there is none.
fn blank_line(block: &[u8]) -> usize {
    let before = block.strip_suffix(b"\n").map(|block| block.strip_suffix(b"\r").unwrap_or(block)).unwrap_or(block);
    let is_blank_line = before.len() < block.len() && (before.is_empty() || before.ends_with(b"\n"));
    if is_blank_line { before.len() } else { block.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_common_names_can_be_searched() {
        assert!(COMMON.is_sorted());
        assert!(FieldNames::new(&["FROM", "Subject"]).are_common());
        assert!(!FieldNames::new(&["from", "dkim-signature"]).are_common());
    }

    // RFC 9051 §6.4.5.1 HEADER.FIELDS
    #[test]
    fn header_fields_are_exact_and_end_with_the_blank_line() {
        let block = b"To: a\r\nSubject: b\r\n c\r\nrubbish\r\nTO:d\r\n\r\n";
        let some = |names: &[&str], not| String::from_utf8(header_fields(block, names, not)).unwrap();
        assert_eq!(some(&["to"], false), "To: a\r\nTO:d\r\n\r\n");
        assert_eq!(some(&["SUBJECT", "x"], false), "Subject: b\r\n c\r\n\r\n");
        assert_eq!(some(&["to"], true), "Subject: b\r\n c\r\nrubbish\r\n\r\n");
        assert_eq!(some(&["none"], false), "\r\n");
        assert_eq!(header_fields(b"A: b", &["a"], false), b"A: b\r\n\r\n");
        assert_eq!(header_fields(b"", &["a"], true), b"\r\n");
        assert_eq!(header_fields(b"A: b\n\n", &["a"], false), b"A: b\n\n");
    }

    proptest! {
        #[test]
        fn fields_and_the_others_are_everything(block in "([AB]: ?[a\r\n ]{0,4}\r?\n|x\r\n){0,8}", name in "[ABC]") {
            let block = format!("{block}\r\n");
            let block = block.get(..crate::walk(block.as_bytes()).parts[0].header.end as usize).unwrap();
            prop_assume!(!block.is_empty());
            let some = header_fields(block.as_bytes(), &[&name], false);
            let others = header_fields(block.as_bytes(), &[&name], true);
            prop_assert_eq!(some.len() + others.len(), block.len() + block.len() - blank_line(block.as_bytes()));
            prop_assert!(some.ends_with(b"\n") && others.ends_with(b"\n"));
            let none: [&str; 0] = [];
            prop_assert_eq!(header_fields(block.as_bytes(), &none, true), block.as_bytes());
        }

        #[test]
        fn of_the_common_fields_the_same_are_picked(
            block in "((From|FROM|to|To|A|cc|x-long) ?: ?[a\r\n ]{0,4}\r?\n|x\r\n| y\n){0,8}(To: z|B: z)?(\r?\n)?",
            names in proptest::collection::vec("from|From|TO|to|Cc|subject", 0..4),
        ) {
            let mut common = Vec::new();
            FieldNames::common().pick(block.as_bytes(), false, &mut common);
            prop_assert!(FieldNames::new(&names).are_common());
            prop_assert_eq!(header_fields(&common, &names, false), header_fields(block.as_bytes(), &names, false));
        }
    }
}
