//! Scripts: conversations with an IMAP server as text, one file per section of an RFC, played on any [`Ground`].
//! The format is described in `tests/scripts/README.md`.

mod compressed;
mod ground;
mod harness;
mod mail;
mod memory;
mod parse;
pub(crate) mod play;
pub(crate) mod response;
pub(crate) mod shape;
mod socket;
pub(crate) mod text;

pub use ground::{Ground, Received, Refusal, Wire};
pub use harness::{Variant, main};
pub use mail::MailSide;
pub use memory::{MemoryGround, block_on};
pub use parse::{ACCOUNT, Action, Mode, Octets, Outside, PASSWORD, Peer, Script, Step, parse};
pub use play::{Failure, Outcome, play};
pub use socket::{AddressGround, SocketWire};
