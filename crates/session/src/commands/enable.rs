//! ENABLE (RFC 9051 §6.3.1): what changes the answers of this session.

use crate::context::Context;
use crate::reply::{Done, Outcome};

/// Unknown names are ignored; only what is newly enabled is echoed, and the answer comes also when that is nothing
/// (RFC 5161 §3.1, §3.2).
pub(super) fn enable(context: &mut Context<'_, '_>, names: &[String]) -> Outcome {
    let enabled = &mut context.state.enabled;
    let mut new = Vec::new();
    for name in names {
        let (known, switch) = match name.as_str() {
            "IMAP4REV2" => ("IMAP4rev2", &mut enabled.rev2),
            "UTF8=ACCEPT" => ("UTF8=ACCEPT", &mut enabled.utf8_accept),
            _ => continue,
        };
        if !std::mem::replace(switch, true) {
            new.push(known);
        }
    }
    context.printer().enabled(new);
    Ok(Done::new("Enabled"))
}
