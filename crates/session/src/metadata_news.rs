//! Telling a client which annotations other sessions have changed, once it has asked for that (RFC 5464 §4.1, §4.4.2). It
//! is told at the end of a command and in IDLE, with what else there is to tell.

use columba_store::Annotated;

use crate::context::Context;
use crate::state::Login;

/// Prints the names of what has changed, never the values.
pub(crate) fn tell_metadata(context: &mut Context<'_, '_>) {
    let enabled = context.state.enabled;
    let mode = context.mode();
    let Some(login) = context.state.login.as_deref_mut() else { return };
    let own = std::mem::take(&mut login.own_metadata);
    if !enabled.metadata && !enabled.metadata_server {
        return;
    }
    let Login { mail, metadata_told, .. } = login;
    for change in mail.metadata_changes(*metadata_told) {
        *metadata_told = change.number;
        if own.contains(&change.number) {
            continue;
        }
        let mut printer = context.channel.printer(mode);
        match change.of {
            Annotated::Server => printer.metadata_changed("", &change.entries),
            Annotated::Mailbox(id) if enabled.metadata => {
                // One that is gone has no annotations.
                if let Some(name) = mail.tree().name_of(id) {
                    printer.metadata_changed(name.as_str(), &change.entries);
                }
            }
            Annotated::Mailbox(_) => {}
        }
    }
}
