//! AUTHENTICATE (RFC 9051 §6.2.2) with SASL-IR (RFC 4959). PLAIN (RFC 4616) is the mechanism there is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use columba_auth::{Secret, parse_plain};
use columba_wire::{Code, Frame, Secret as WireSecret};

use super::login::{privacy_required, verify};
use crate::capability;
use crate::context::Context;
use crate::reply::{Failure, Outcome};

pub(super) async fn authenticate(
    context: &mut Context<'_, '_>,
    mechanism: String,
    initial: Option<WireSecret>,
) -> Outcome {
    if mechanism != "PLAIN" {
        return Err(Failure::no(Code::Cannot, format!("The mechanism {mechanism} is not offered")));
    }
    if !capability::login_allowed(context.peer) {
        return Err(privacy_required());
    }
    let encoded = match initial {
        Some(response) => response.0,
        None => response(context).await?,
    };
    // RFC 4959 §3: a lone `=` is an empty initial response.
    let decoded = if encoded == b"=" { Vec::new() } else { decode(&encoded)? };
    let message = parse_plain(&decoded).map_err(|_| Failure::bad("That is no message of the mechanism PLAIN"))?;
    if !message.authzid.is_empty() && message.authzid != message.authcid {
        return Err(Failure::no(Code::AuthorizationFailed, "You cannot act for another account"));
    }
    let user = message.authcid;
    let password: Secret = message.password;
    verify(context, &user, password, "PLAIN").await
}

fn decode(encoded: &[u8]) -> Result<Vec<u8>, Failure> {
    STANDARD.decode(encoded).map_err(|_| Failure::bad("That is not base64"))
}

/// The client's answer to an empty challenge; `*` gives up (RFC 9051 §6.2.2).
async fn response(context: &mut Context<'_, '_>) -> Result<Vec<u8>, Failure> {
    context.printer().continuation("");
    loop {
        match context.channel.frame().await? {
            Frame::Command(line) if line == b"*" => return Err(Failure::bad("Cancelled")),
            Frame::Command(line) => return Ok(line),
            Frame::Literal(_) => {
                context.channel.framer.refuse();
                return Err(Failure::bad("A literal is no answer to a challenge"));
            }
            Frame::Refused(refusal) => return Err(Failure::bad(refusal.reason.to_string())),
            Frame::Data(_) | Frame::DataEnd => {}
        }
    }
}
