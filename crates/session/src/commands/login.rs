//! LOGIN (RFC 9051 §6.2.3), and what every way of logging in has in common.

use columba_auth::Secret;
use columba_store::AccountChange;
use columba_types::limits;
use columba_wire::{Code, FrameLimits};
use tracing::{info, warn};

use crate::capability;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};
use crate::state::Login;

/// A name and a password in plain.
pub(super) async fn login(context: &mut Context<'_, '_>, user: Vec<u8>, password: columba_wire::Secret) -> Outcome {
    let password = Secret::new(password.0);
    if !capability::login_allowed(context.peer) {
        return Err(privacy_required());
    }
    let Ok(user) = String::from_utf8(user) else { return refuse(context, "", "LOGIN") };
    verify(context, &user, password, "LOGIN").await
}

/// RFC 9051 §6.2.3, §7.1: the password was sent in the clear, and is not even looked at.
pub(super) fn privacy_required() -> Failure {
    Failure::no(Code::PrivacyRequired, "Passwords are taken only over TLS: use STARTTLS, or port 993")
}

/// Checks name and password. Unknown account, wrong password, disabled account and barred network are answered alike, after
/// the same work.
pub(super) async fn verify(context: &mut Context<'_, '_>, user: &str, password: Secret, how: &str) -> Outcome {
    let account = context.services.store.account_named(user).await?;
    let address = context.peer.address;
    let usable = account.filter(|account| !account.disabled && account.networks.admit(address));
    let credentials = usable.as_ref().map(|account| account.credentials.clone()).unwrap_or_default();
    let verdict = context.services.passwords.verify(credentials, password).await;
    let Some(mut account) = usable.filter(|_| verdict.accepted) else { return refuse(context, user, how) };
    if let Some(credentials) = verdict.replace {
        let change = AccountChange { credentials: Some(credentials), ..AccountChange::default() };
        if let Err(error) = context.services.store.update_account(account.id, change).await {
            warn!(account = account.name, %error, "the stronger form of a password could not be stored");
        }
    }
    // An account that has its fill is told so, never that the login failed.
    let pass = context.services.gate.enter(context.peer.connection, account.id).map_err(|full| {
        let text = format!("The account has {} connections already, which is its limit: close one first", full.limit);
        Failure::No(Some(Code::Limit), text.into())
    })?;
    // It may have been disabled or limited while the password was checked, before the gate knew of this connection.
    if context
        .services
        .store
        .account(account.id)
        .await?
        .is_none_or(|account| account.disabled || !account.networks.admit(address))
    {
        return refuse(context, user, how);
    }
    let mail = context.services.store.open_account(account.id).await?;
    info!(connection = context.peer.connection, address = ?context.peer.address, account = account.name, how, "login");
    // A session needs no verifiers, and many sessions would hold many.
    account.credentials = Vec::new();
    context.state.login = Some(Box::new(Login {
        account,
        mail,
        selected: None,
        deselected: false,
        notify: None,
        metadata_told: 0,
        own_metadata: Vec::new(),
        _pass: pass,
    }));
    context.state.login_failures = 0;
    context.channel.authenticated = true;
    let settings = &context.services.settings;
    let dropped_bytes = limits::DRAINED_BYTES.max(context.login()?.message_bytes(settings));
    context.channel.framer.set_limits(FrameLimits { dropped_bytes, ..FrameLimits::AUTHENTICATED });
    Ok(Done::with(
        Code::Capability(capability::line(&context.services.settings, context.peer, context.state)),
        "Logged in",
    ))
}

/// One answer for every reason.
fn refuse(context: &mut Context<'_, '_>, user: &str, how: &str) -> Outcome {
    context.state.login_failures += 1;
    let failures = context.state.login_failures;
    warn!(connection = context.peer.connection, address = ?context.peer.address, account = user, how, failures, "login failed");
    Err(Failure::no(Code::AuthenticationFailed, "The user name or the password is wrong"))
}
