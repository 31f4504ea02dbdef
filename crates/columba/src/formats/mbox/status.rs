//! Flags in the header fields that mbox programs use: `Status`, `X-Status`, `X-Keywords` and `X-Mozilla-Status`.

use columba_mime::fields;
use columba_types::{Flag, SystemFlags};

use super::super::flags_of;

/// Letters of `Status` and `X-Status`. `O` (old: no longer recent) and `U` are no flags.
const LETTERS: [(u8, &str); 5] =
    [(b'R', "\\Seen"), (b'A', "\\Answered"), (b'F', "\\Flagged"), (b'T', "\\Draft"), (b'D', "\\Deleted")];

/// Bits of Thunderbird's field.
const MOZILLA: [(u32, &str); 5] =
    [(0x0001, "\\Seen"), (0x0002, "\\Answered"), (0x0004, "\\Flagged"), (0x0008, "\\Deleted"), (0x1000, "$Forwarded")];

/// The fields that Columba writes, in this order.
const OURS: [&[u8]; 3] = [b"Status", b"X-Status", b"X-Keywords"];

/// The flags a header tells.
pub(super) fn flags(header: &[u8]) -> Vec<Flag> {
    let mut flags: Vec<Flag> = Vec::new();
    for field in fields(header) {
        let value = String::from_utf8_lossy(field.value);
        let named: Vec<&str> = match field.name.to_ascii_lowercase().as_slice() {
            b"status" | b"x-status" => LETTERS
                .iter()
                .filter(|(letter, _)| value.bytes().any(|b| b == *letter))
                .map(|(_, name)| *name)
                .collect(),
            b"x-keywords" => value.split_ascii_whitespace().collect(),
            b"x-mozilla-status" => {
                let bits = u32::from_str_radix(value.trim(), 16).unwrap_or(0);
                MOZILLA.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect()
            }
            _ => continue,
        };
        for flag in flags_of(named) {
            if !flags.contains(&flag) {
                flags.push(flag);
            }
        }
    }
    flags
}

/// Octets of our three fields at the very beginning of a header; 0 when it does not begin with just these.
pub(super) fn our_fields(header: &[u8]) -> usize {
    let mut end = 0;
    let mut found = fields(header);
    for name in OURS {
        match found.next() {
            Some(field) if field.name == name && field.range.start == end => end = field.range.end,
            _ => return 0,
        }
    }
    end
}

/// Our three fields for a message with these flags, each a line of its own.
pub(super) fn print(flags: &[String]) -> String {
    let has = |flag: &str| {
        let wanted = SystemFlags::parse(flag);
        flags.iter().any(|f| wanted.is_some() && SystemFlags::parse(f) == wanted)
    };
    let seen = if has("\\Seen") { "RO" } else { "O" };
    let letters: String =
        LETTERS.iter().skip(1).filter(|(_, name)| has(name)).map(|(letter, _)| char::from(*letter)).collect();
    let keywords: Vec<&str> = flags.iter().map(String::as_str).filter(|f| !f.starts_with('\\')).collect();
    format!("Status: {seen}\nX-Status: {letters}\nX-Keywords: {}\n", keywords.join(" "))
}

/// Whether this is the pseudo message that UW IMAP and Pine keep as the first of an mbox.
pub(super) fn is_folder_internal_data(header: &[u8]) -> bool {
    let mut has_x_imap = false;
    let mut has_subject = false;
    for field in fields(header) {
        has_x_imap |= field.name.eq_ignore_ascii_case(b"x-imap") || field.name.eq_ignore_ascii_case(b"x-imapbase");
        has_subject |= field.name.eq_ignore_ascii_case(b"subject")
            && String::from_utf8_lossy(field.value).contains("FOLDER INTERNAL DATA");
    }
    has_x_imap && has_subject
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_from_every_field() {
        let header = b"Subject: x\nStatus: RO\nX-Status: AFx\nX-Keywords: work  $Phishing \\Seen\nX-Mozilla-Status: 1001\n\nStatus: D\n";
        let expected = ["\\Seen", "\\Answered", "\\Flagged", "work", "$Phishing", "$Forwarded"];
        assert_eq!(flags(header), flags_of(expected));
    }

    #[test]
    fn what_is_printed_is_taken_away_and_nothing_more() {
        let all = ["\\Draft", "\\seen", "a", "\\Deleted", "b"].map(String::from);
        let ours = print(&all);
        assert_eq!(ours, "Status: RO\nX-Status: TD\nX-Keywords: a b\n");
        for rest in ["", "\n", "Status: R\n\nbody", "Subject: x\n"] {
            assert_eq!(our_fields(format!("{ours}{rest}").as_bytes()), ours.len());
        }
        assert_eq!(flags(ours.as_bytes()), flags_of(["\\Seen", "\\Draft", "\\Deleted", "a", "b"]));
        assert_eq!(our_fields(b"Status: RO\nX-Status: \n\n"), 0);
        assert_eq!(our_fields(format!("junk\n{ours}").as_bytes()), 0);
        assert_eq!(our_fields(print(&[]).as_bytes()), print(&[]).len());
    }

    #[test]
    fn the_pseudo_message_is_known() {
        let header = b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\n";
        assert!(is_folder_internal_data(header));
        assert!(!is_folder_internal_data(b"Subject: FOLDER INTERNAL DATA\n\n"));
    }
}
