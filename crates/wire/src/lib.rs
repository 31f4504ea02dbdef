//! Bytes <-> commands and responses of IMAP4rev1 and IMAP4rev2: framing, grammar, printing.
//!
//! Invariants:
//! - No I/O, no clock, no task: every function is a pure function of its arguments and its own state.
//! - No input makes this crate panic, recurse without bound or hold more memory than the limits allow.
//! - A frame is the same however the network cut the octets.
//! - What is printed is one whole, legal piece of the protocol: no text of ours can start a new line or a literal.
//! - A password or an initial response never appears in a `Debug` text or an error text.
//! - This crate never knows what a mailbox holds, who is logged in, or what a command does.

#[cfg(test)]
mod arbitrary;
mod command;
mod framer;
mod input;
mod mailbox;
mod parse;
mod print;

pub use command::*;
pub use framer::{Frame, FrameLimits, Framer, LiteralHead, Refusal, RefusalReason};
pub use input::Input;
pub use mailbox::{BadName, NameForm, RawMailbox, encode_mailbox};
pub use parse::{
    AppendHead, AppendPlace, BadUrl, MessageUrl, ParseError, ParseMode, parse_append_end, parse_append_head,
    parse_append_next, parse_command, parse_message_url, tag_of,
};
pub use print::{
    Code, Esearch, ListLine, Namespace, PrintMode, Printer, Status, StatusValue, binary_name, print_command,
    section_name,
};
