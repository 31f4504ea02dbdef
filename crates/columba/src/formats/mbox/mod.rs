//! mbox: many messages in one file, each after a line `From sender date`. Read in the variants mboxo and mboxrd, written
//! as mboxrd.
//!
//! Flags have no place of their own in an mbox; programs keep them in header fields. When Columba writes one, it puts
//! the three fields `Status`, `X-Status` and `X-Keywords` in this order in front of each message, and when it reads one
//! it takes just such three at the very beginning away again, so that a message comes back as it was. Fields anywhere
//! else in a header are read for flags and stay where they are.

mod from_line;
mod index;
mod read;
mod status;
mod write;

pub(crate) use read::MboxSource;
pub(crate) use write::MboxWriter;
