//! ID (RFC 2971): who the client says it is, for the log, and who we are.

use tracing::info;

use crate::context::Context;
use crate::hiding;
use crate::reply::{Done, Outcome};
use crate::table::PhaseKind;

/// What a client says of itself.
type Fields = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Answers always with a list, since some clients take NIL for a broken server. The version is told only after login:
/// before, it would only help an attacker choose (RFC 2971 §4).
pub(super) fn id(context: &mut Context<'_, '_>, fields: Option<Fields>) -> Outcome {
    if let Some(fields) = fields {
        // Capabilities change for those who ask again, never by themselves (RFC 9051 §6.1.1).
        context.state.client_fits = hiding::fitting(&context.services.settings.hiding, &fields);
        let text: Vec<String> = fields
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
            .collect();
        info!(connection = context.peer.connection, client = text.join(" "), "ID");
    }
    let settings = &context.services.settings;
    let mut answer = vec![("name", Some(settings.server_name.as_str()))];
    if context.state.phase() != PhaseKind::NotAuthenticated {
        answer.push(("version", Some(settings.version.as_str())));
    }
    let answer: Vec<(&str, Option<&str>)> = answer;
    let mode = context.mode();
    context.channel.printer(mode).id(Some(&answer));
    Ok(Done::new("Nice to meet you"))
}
