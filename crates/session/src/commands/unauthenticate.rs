//! UNAUTHENTICATE (RFC 8437): the connection begins anew, without its TLS being made again.

use columba_wire::{Code, FrameLimits};

use crate::capability;
use crate::context::Context;
use crate::reply::{Done, Outcome};
use crate::state::State;

/// Resets everything that hangs on the login, whatever it is (RFC 8437 §3, §4.1): the whole state is made anew, so that
/// nothing can be forgotten. What ID told stays, as §3 allows, and so does the number of failed logins. The session ends
/// compression once the tagged OK has been sent. NO is no answer to this command.
pub(super) fn unauthenticate(context: &mut Context<'_, '_>) -> Outcome {
    let now = context.channel.elapsed();
    let login_failures = context.state.login_failures;
    let client_fits = std::mem::take(&mut context.state.client_fits);
    *context.state = State { login_failures, client_fits, stranger_since: now, ..State::default() };
    context.channel.authenticated = false;
    context.channel.stranger_since = now;
    context.channel.framer.set_limits(FrameLimits::UNAUTHENTICATED);
    let capabilities = capability::line(&context.services.settings, context.peer, context.state);
    Ok(Done::with(Code::Capability(capabilities), "You are a stranger again"))
}
