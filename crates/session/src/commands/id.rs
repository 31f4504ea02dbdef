//! ID (RFC 2971): who the client says it is, for the log, and who we are.

use std::net::IpAddr;

use columba_wire::Code;
use tracing::{info, warn};

use crate::context::Context;
use crate::hiding;
use crate::reply::{Done, Failure, Outcome};
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
        if context.peer.id_trusted && context.state.phase() == PhaseKind::NotAuthenticated {
            take_over(context, &fields)?;
        }
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

/// A proxy that the listener trusts says where its client is, and what it calls the connection. The fields are those that
/// Dovecot's proxies send. From now on the address is the client's, for limits, logs and everything else.
fn take_over(context: &mut Context<'_, '_>, fields: &Fields) -> Result<(), Failure> {
    let said = |wanted: &str| {
        let found = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()));
        found.and_then(|(_, value)| value.as_deref())
    };
    let (connection, proxy) = (context.peer.connection, context.peer.address);
    let Some(written) = said("x-originating-ip") else { return Ok(()) };
    let address = std::str::from_utf8(written).ok().and_then(|text| text.parse::<IpAddr>().ok());
    let Some(address) = address.map(|address| address.to_canonical()) else {
        warn!(connection, ?proxy, written = %written.escape_ascii(), "a proxy names an address that is none");
        return Err(Failure::bad("x-originating-ip is no IP address"));
    };
    let called = said("x-session-id").unwrap_or_default();
    info!(connection, ?proxy, %address, proxy_session = %called.escape_ascii(), "the client behind a proxy");
    context.peer.address = Some(address);
    context.services.gate.found_at(connection, address).map_err(|_| {
        // Nothing more than a closed door: the next command finds the connection ended.
        Failure::Bye(Some(Code::Limit), "Clients from there are not served, or there are too many".into())
    })
}
