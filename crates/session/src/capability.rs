//! What the server can do, as CAPABILITY says it. Nothing is announced that is not built.

use std::borrow::Cow;

use crate::hiding::is_shown;
use crate::services::{Peer, Security, Settings};
use crate::state::State;
use crate::table::PhaseKind;

/// What is announced in every state.
const ALWAYS: &[&str] = &["IMAP4rev1", "IMAP4rev2"];

/// What is announced before login beside what the protection of the connection decides. LITERAL- here, where limits
/// are small, and LITERAL+ after login: both at once are not allowed (RFC 7888 §5).
const BEFORE_LOGIN: &[&str] = &["SASL-IR", "LITERAL-", "ID", "ENABLE"];

/// What is announced after login. ENABLE and ESEARCH are named although rev2 implies them: clients look for them.
pub(crate) const AFTER_LOGIN: &[&str] = &[
    "BINARY",
    "CATENATE",
    "CHILDREN",
    "COMPRESS=DEFLATE",
    "CONDSTORE",
    "CREATE-SPECIAL-USE",
    "ENABLE",
    "ESEARCH",
    "ID",
    "IDLE",
    "INPROGRESS",
    "LIST-EXTENDED",
    "LIST-METADATA",
    "LIST-STATUS",
    "LITERAL+",
    "METADATA",
    "METADATA-SERVER",
    "MOVE",
    "MULTIAPPEND",
    "NAMESPACE",
    "NOTIFY",
    "OBJECTID",
    "PARTIAL",
    "PREVIEW",
    "QRESYNC",
    "REPLACE",
    "SASL-IR",
    "SAVEDATE",
    "SEARCHRES",
    "SPECIAL-USE",
    "STATUS=SIZE",
    "UIDBATCHES",
    "UIDONLY",
    "UIDPLUS",
    "UNAUTHENTICATE",
    "UNSELECT",
    "URL-PARTIAL",
    "UTF8=ACCEPT",
    "WITHIN",
];

/// What can be hidden beside what is announced after login: `NAME=` stands for any value.
const HIDEABLE_TOO: &[&str] = &["LITERAL-", "MESSAGELIMIT=", "SAVELIMIT=", "X-GM-EXT-1", "AUTH=PLAIN"];

/// What no rule hides: without it a client could not begin, or would send its password in the clear.
pub const NEVER_HIDDEN: &[&str] = &["IMAP4rev1", "LOGINDISABLED", "STARTTLS"];

/// What can be hidden; `NAME=` stands for any value.
pub fn hideable() -> impl Iterator<Item = &'static str> {
    ["IMAP4rev2"].iter().chain(AFTER_LOGIN).chain(HIDEABLE_TOO).copied()
}

/// The names for a client in this state, without those that are hidden from it.
pub(crate) fn names(settings: &Settings, peer: &Peer, state: &State) -> Vec<Cow<'static, str>> {
    let mut names = all(settings, peer, state);
    names.retain(|name| NEVER_HIDDEN.contains(&name.as_ref()) || is_shown(&settings.hiding, name, peer, state));
    names
}

fn all(settings: &Settings, peer: &Peer, state: &State) -> Vec<Cow<'static, str>> {
    let mut names: Vec<Cow<'static, str>> = ALWAYS.iter().map(|name| Cow::Borrowed(*name)).collect();
    let mut add = |more: &[&'static str]| names.extend(more.iter().map(|name| Cow::Borrowed(*name)));
    if state.phase() != PhaseKind::NotAuthenticated {
        add(AFTER_LOGIN);
        // RFC 9738 §3: not below 1000, where some clients fail.
        let limits = [("MESSAGELIMIT", settings.message_limit), ("SAVELIMIT", settings.save_limit)];
        names.extend(limits.iter().filter_map(|(name, limit)| Some(format!("{name}={}", (*limit)?).into())));
        // RFC 7889 §2: all mailboxes of an account have the same limit, so it can be told here.
        let limit = state.login.as_ref().map(|login| append_limit(login.message_bytes(settings)));
        names.extend(limit.map(|octets| format!("APPENDLIMIT={octets}").into()));
        names.extend(peer.x_gm_ext_1.then_some(Cow::Borrowed("X-GM-EXT-1")));
        return names;
    }
    add(BEFORE_LOGIN);
    if peer.security == Security::StartTlsOffered {
        add(&["STARTTLS"]);
    }
    add(&[if login_allowed(peer) { "AUTH=PLAIN" } else { "LOGINDISABLED" }]);
    names
}

/// A limit as APPENDLIMIT can say it: a number of 32 bits (RFC 7889 §5).
pub(crate) fn append_limit(message_bytes: u64) -> u32 {
    u32::try_from(message_bytes).unwrap_or(u32::MAX)
}

/// The names as one text.
pub(crate) fn line(settings: &Settings, peer: &Peer, state: &State) -> String {
    names(settings, peer, state).join(" ")
}

/// Whether a password may be sent in the clear on this connection (RFC 9051 §11.1).
pub(crate) fn login_allowed(peer: &Peer) -> bool {
    peer.security == Security::Tls || peer.plaintext_allowed
}
