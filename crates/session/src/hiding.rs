//! Which capabilities are kept from whom. What is hidden is not announced and stays usable: a client that asks for it
//! without having read of it gets it. Who wrote the rules, and where, is not known here.

use columba_types::Network;

use crate::services::Peer;
use crate::state::State;

/// Capabilities, and who is not told of them: whoever fits each condition that is given. A rule without conditions is
/// for everybody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hiding {
    /// Names, in any case, with `*` for any characters.
    pub capabilities: Vec<String>,
    /// Accounts, with `*` for any characters. Before login nobody fits.
    pub accounts: Vec<String>,
    /// Where the client comes from. What comes over a Unix socket fits no network.
    pub networks: Vec<Network>,
    /// What the client says of itself. Before it says so it fits none.
    pub clients: Vec<ClientPattern>,
}

/// What a client says of itself by ID (RFC 2971 §3.3), with `*` for any characters and in any case. Whoever fits each
/// that is given; a field the client does not send fits nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientPattern {
    /// The field `name`.
    pub name: Option<String>,
    /// The field `version`.
    pub version: Option<String>,
    /// The field `vendor`.
    pub vendor: Option<String>,
}

/// Names and values as ID sends them.
type IdFields = [(Vec<u8>, Option<Vec<u8>>)];

impl ClientPattern {
    fn fits(&self, fields: &IdFields) -> bool {
        let said = |wanted: &str| {
            let found = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()));
            found.and_then(|(_, value)| value.as_deref())
        };
        let fits = |pattern: &Option<String>, field| {
            pattern.as_ref().is_none_or(|pattern| said(field).is_some_and(|value| matches(pattern, value)))
        };
        fits(&self.name, "name") && fits(&self.version, "version") && fits(&self.vendor, "vendor")
    }
}

/// The rules, by their places, that a client fits by what it says of itself.
pub(crate) fn fitting(rules: &[Hiding], fields: &IdFields) -> Box<[usize]> {
    let fits = |rule: &Hiding| rule.clients.iter().any(|client| client.fits(fields));
    rules.iter().enumerate().filter(|(_, rule)| fits(rule)).map(|(place, _)| place).collect()
}

/// Whether this client is to be told of the capability.
pub(crate) fn is_shown(rules: &[Hiding], capability: &str, peer: &Peer, state: &State) -> bool {
    let account = state.login.as_ref().map(|login| login.account.name.as_str());
    let fits = |place: usize, rule: &Hiding| {
        let account_fits = |name: &str| rule.accounts.iter().any(|pattern| matches(pattern, name.as_bytes()));
        let address_fits = |address| rule.networks.iter().any(|network| network.contains(address));
        rule.capabilities.iter().any(|pattern| matches(pattern, capability.as_bytes()))
            && (rule.accounts.is_empty() || account.is_some_and(account_fits))
            && (rule.networks.is_empty() || peer.address.is_some_and(address_fits))
            && (rule.clients.is_empty() || state.client_fits.contains(&place))
    };
    !rules.iter().enumerate().any(|(place, rule)| fits(place, rule))
}

/// Whether the text is as the pattern says: `*` stands for any octets, everything else for itself in any case.
pub fn matches(pattern: &str, text: &[u8]) -> bool {
    let pattern = pattern.as_bytes();
    let (mut at, mut star, mut from) = (0, None, 0);
    let mut next = 0;
    while let Some(octet) = text.get(next) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some(at);
                from = next;
                at += 1;
            }
            Some(wanted) if wanted.eq_ignore_ascii_case(octet) => {
                at += 1;
                next += 1;
            }
            // The last star takes one more.
            _ => match star {
                None => return false,
                Some(star) => {
                    from += 1;
                    (at, next) = (star + 1, from);
                }
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|octet| *octet == b'*')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::services::Security;

    #[test]
    fn a_star_is_anything_and_case_is_nothing() {
        for (pattern, text) in [
            ("UIDONLY", "uidonly"),
            ("*", ""),
            ("AUTH=*", "AUTH=PLAIN"),
            ("*office*365", "Microsoft Office 365"),
            ("a*b*c", "a-bb-bc"),
        ] {
            assert!(matches(pattern, text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("UIDONLY", "UIDONLYX"), ("", "x"), ("a*b", "a-bc"), ("*x", "xy")] {
            assert!(!matches(pattern, text.as_bytes()), "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_obvious_way(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            fn obvious(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern, text) {
                    ([], []) => true,
                    ([b'*', rest @ ..], _) => (0..=text.len()).any(|n| obvious(rest, &text[n..])),
                    ([p, rest @ ..], [t, more @ ..]) => p == t && obvious(rest, more),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(&pattern, text.as_bytes()), obvious(pattern.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn a_rule_is_for_whoever_fits_each_of_its_conditions() {
        let rule = Hiding {
            capabilities: vec!["UID*".into()],
            networks: vec!["192.0.2.0/24".parse().unwrap()],
            ..Hiding::default()
        };
        let from = |address: Option<&str>| Peer {
            connection: 1,
            address: address.map(|address| address.parse().unwrap()),
            security: Security::Tls,
            plaintext_allowed: false,
            x_gm_ext_1: false,
            id_trusted: false,
        };
        let mut state = State::default();
        let rules = [rule.clone(), Hiding { clients: vec![ClientPattern::default()], ..rule }];
        assert!(!is_shown(&rules[..1], "UIDPLUS", &from(Some("192.0.2.7")), &state));
        assert!(is_shown(&rules[..1], "IDLE", &from(Some("192.0.2.7")), &state));
        assert!(is_shown(&rules, "UIDPLUS", &from(Some("192.0.3.7")), &state));
        assert!(is_shown(&rules, "UIDPLUS", &from(None), &state));
        assert!(is_shown(&rules[1..], "UIDPLUS", &from(Some("192.0.2.7")), &state));
        state.client_fits = fitting(&rules[1..], &[]);
        assert!(!is_shown(&rules[1..], "UIDPLUS", &from(Some("192.0.2.7")), &state));
    }

    #[test]
    fn a_client_fits_by_all_that_is_wanted_of_it() {
        let fields = [
            (b"Name".to_vec(), Some(b"Microsoft Office 365".to_vec())),
            (b"version".to_vec(), Some(b"15.20.9160.4".to_vec())),
            (b"vendor".to_vec(), None),
        ];
        let pattern = |name: &str, version: Option<&str>, vendor: Option<&str>| ClientPattern {
            name: Some(name.into()),
            version: version.map(Into::into),
            vendor: vendor.map(Into::into),
        };
        assert!(pattern("microsoft*", None, None).fits(&fields));
        assert!(pattern("microsoft*", Some("15.*"), None).fits(&fields));
        assert!(!pattern("microsoft*", Some("16.*"), None).fits(&fields));
        assert!(!pattern("microsoft*", None, Some("*")).fits(&fields));
    }
}
