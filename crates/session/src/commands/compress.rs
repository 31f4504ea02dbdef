//! COMPRESS (RFC 4978). How octets are compressed is the matter of `compression.rs`.

use columba_wire::Code;

use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};

/// The session turns compression on once the tagged OK has been sent.
pub(super) fn compress(context: &mut Context<'_, '_>, mechanism: &str) -> Outcome {
    if mechanism != "DEFLATE" {
        return Err(Failure::bad("COMPRESS: the only mechanism is DEFLATE"));
    }
    if context.channel.is_compressed() {
        return Err(Failure::no(Code::CompressionActive, "DEFLATE is active already, by an earlier COMPRESS"));
    }
    Ok(Done::new("DEFLATE active"))
}
