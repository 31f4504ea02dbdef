//! Telling a client which annotations other sessions have changed, once it has asked for that (RFC 5464 §4.1, §4.4.2): at
//! the end of a command and in IDLE, with what else there is to tell; and at once if it asked by NOTIFY (RFC 5465 §5.6, §5.7).

use columba_store::Annotated;

use crate::context::Context;
use crate::state::Login;

/// Prints the names of what has changed, never the values. Gives back whether something was forgotten that NOTIFY asked for.
pub(crate) fn tell_metadata(context: &mut Context<'_, '_>) -> bool {
    let enabled = context.state.enabled;
    let mode = context.mode();
    let Some(login) = context.state.login.as_deref_mut() else { return false };
    let own = std::mem::take(&mut login.own_metadata);
    if !login.listens_to_metadata(enabled) {
        return false;
    }
    let Login { mail, metadata_told, notify, .. } = login;
    let notify = notify.as_deref();
    let forgotten = notify.is_some_and(|notify| notify.wants_metadata()) && mail.has_forgotten_metadata(*metadata_told);
    let tree = mail.tree();
    for change in mail.metadata_changes(*metadata_told) {
        *metadata_told = change.number;
        if own.contains(&change.number) {
            continue;
        }
        // One that is gone has no annotations, and no name.
        let (name, wanted) = match change.of {
            Annotated::Server => ("", notify.is_some_and(|notify| notify.wants_server_metadata())),
            Annotated::Mailbox(id) => {
                let Some(name) = tree.name_of(id) else { continue };
                (name.as_str(), notify.is_some_and(|notify| notify.events_of(name, &tree).metadata))
            }
        };
        let enabled = enabled.metadata || enabled.metadata_server && change.of == Annotated::Server;
        if wanted || enabled {
            context.channel.printer(mode).metadata_changed(name, &change.entries);
        }
    }
    forgotten
}
