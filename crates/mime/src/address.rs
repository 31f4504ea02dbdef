//! RFC 5322 address lists, with the obsolete forms and with patience for what is really out there.

/// One element of an ENVELOPE address list (RFC 9051 §7.5.2), raw octets with the quoting removed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Address {
    /// Display name.
    pub name: Option<Vec<u8>>,
    /// Source route, `@a,@b`.
    pub route: Option<Vec<u8>>,
    /// Local part; the name of a group at its start; `None` at its end.
    pub mailbox: Option<Vec<u8>>,
    /// Domain; empty if there was none; `None` marks the start or end of a group.
    pub host: Option<Vec<u8>>,
}

/// Reads a whole address list; never fails, and gives `ENVELOPE_ADDRESSES` elements at most.
pub fn parse_addresses(_value: &[u8]) -> Vec<Address> {
    Vec::new()
}
