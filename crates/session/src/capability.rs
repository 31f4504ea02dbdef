//! What the server can do, as CAPABILITY says it. Nothing is announced that is not built.

use crate::services::{Peer, Security};
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
    "CHILDREN",
    "CONDSTORE",
    "ENABLE",
    "ESEARCH",
    "ID",
    "IDLE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "LITERAL+",
    "MOVE",
    "NAMESPACE",
    "OBJECTID",
    "PREVIEW",
    "PARTIAL",
    "QRESYNC",
    "SASL-IR",
    "SAVEDATE",
    "SEARCHRES",
    "SPECIAL-USE",
    "STATUS=SIZE",
    "UIDBATCHES",
    "UIDONLY",
    "UIDPLUS",
    "UNSELECT",
    "UTF8=ACCEPT",
    "WITHIN",
];

/// The names for a client in this state.
pub(crate) fn names(peer: &Peer, state: &State) -> Vec<&'static str> {
    let mut names = ALWAYS.to_vec();
    if state.phase() != PhaseKind::NotAuthenticated {
        names.extend(AFTER_LOGIN);
        return names;
    }
    names.extend(BEFORE_LOGIN);
    if peer.security == Security::StartTlsOffered {
        names.push("STARTTLS");
    }
    if login_allowed(peer) {
        names.push("AUTH=PLAIN");
    } else {
        names.push("LOGINDISABLED");
    }
    names
}

/// The same as one text.
pub(crate) fn line(peer: &Peer, state: &State) -> String {
    names(peer, state).join(" ")
}

/// Whether a password may be sent in the clear on this connection (RFC 9051 §11.1).
pub(crate) fn login_allowed(peer: &Peer) -> bool {
    peer.security == Security::Tls || peer.plaintext_allowed
}
