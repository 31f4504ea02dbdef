//! ENABLE (RFC 9051 §6.3.1): what changes the answers of this session.

use crate::context::Context;
use crate::reply::{Done, Outcome};
use crate::state::Enabled;

/// Unknown names are ignored; only what is newly enabled is echoed, and the answer comes also when that is nothing
/// (RFC 5161 §3.1, §3.2).
pub(super) fn enable(context: &mut Context<'_, '_>, names: &[String]) -> Outcome {
    let before = context.state.enabled;
    let mut after = before;
    let mut new = Vec::new();
    for name in names {
        let (known, was_on, switch) = match name.as_str() {
            "IMAP4REV2" => ("IMAP4rev2", before.rev2, &mut after.rev2),
            "UTF8=ACCEPT" => ("UTF8=ACCEPT", before.utf8_accept, &mut after.utf8_accept),
            "CONDSTORE" => ("CONDSTORE", before.condstore, &mut after.condstore),
            "QRESYNC" => ("QRESYNC", before.qresync, &mut after.qresync),
            "UIDONLY" => ("UIDONLY", before.uid_only, &mut after.uid_only),
            "METADATA" => ("METADATA", before.metadata, &mut after.metadata),
            "METADATA-SERVER" => ("METADATA-SERVER", before.metadata_server, &mut after.metadata_server),
            _ => continue,
        };
        *switch = true;
        if !was_on && !new.contains(&known) {
            new.push(known);
        }
    }
    let login = context.login()?;
    if !login.listens_to_metadata(before) {
        // RFC 5464 §4.1: what changed before was not asked for.
        login.metadata_told = login.mail.last_metadata_change();
    }
    // RFC 7162 §3.2.3: QRESYNC brings CONDSTORE with it.
    let condstore = after.condstore || after.qresync;
    context.state.enabled = Enabled { condstore: before.condstore, ..after };
    context.printer().enabled(new);
    if condstore {
        context.enable_condstore();
    }
    Ok(Done::new("Enabled"))
}
