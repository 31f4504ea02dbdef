//! Arbitrary octets as one command: nothing panics, errors are printable, and what is understood is printed and
//! understood again.

use columba_wire::{
    AppendPlace, ParseError, ParseMode, parse_append_end, parse_append_head, parse_append_next, parse_command,
    parse_message_url, print_command, tag_of,
};

/// The octets of one command, as the framer gives them.
pub fn command(octets: &[u8]) {
    for mode in [ParseMode { utf8: false }, ParseMode { utf8: true }] {
        match parse_command(octets, mode) {
            Ok(command) => {
                assert_eq!(tag_of(octets).as_ref(), Some(&command.tag));
                let printed = print_command(&command, mode);
                assert_eq!(parse_command(&printed, mode), Ok(command), "{}", printed.escape_ascii());
            }
            Err(error) => printable(&error),
        }
        let mut place = AppendPlace::PLAIN;
        match parse_append_head(octets, mode) {
            Some(Ok(head)) => place = head.place,
            Some(Err(error)) => {
                assert!(error.tag.is_some());
                printable(&error);
            }
            None => {}
        }
        if let Some(Err(error)) = parse_append_next(octets, place, mode) {
            printable(&error);
        }
        if let Err(error) = parse_append_end(octets, place, mode) {
            printable(&error);
        }
        let _ = parse_message_url(octets);
    }
}

fn printable(error: &ParseError) {
    assert!(error.text.len() < 200 && error.text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{error}");
}
