//! Arbitrary octets as one command: nothing panics, errors are printable, and what is understood is printed and
//! understood again.

use columba_wire::{
    AppendMessage, ParseError, ParseMode, parse_append_head, parse_append_next, parse_command, print_command, tag_of,
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
        if let Some(Err(error)) = parse_append_head(octets, mode) {
            assert!(error.tag.is_some());
            printable(&error);
        }
        let previous = AppendMessage { utf8: mode.utf8, ..AppendMessage::default() };
        if let Err(error) = parse_append_next(octets, &previous) {
            printable(&error);
        }
    }
}

fn printable(error: &ParseError) {
    assert!(error.text.len() < 200 && error.text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{error}");
}
