//! What counts as one address for the limits.

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one address for the limits: an IPv4 address, or an IPv6 /64, which is what one household has.
/// `None` for this machine itself, where webmail, proxies and tests speak for many.
pub(crate) fn counted_as(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(v6) => Some(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into()),
        v4 => Some(v4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_household_counts_as_one() {
        let counted = |text: &str| counted_as(text.parse().unwrap()).map(|a| a.to_string());
        assert_eq!(counted("203.0.113.9"), Some("203.0.113.9".into()));
        assert_eq!(counted("::ffff:203.0.113.9"), Some("203.0.113.9".into()));
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), Some("2001:db8:1:2::".into()));
        assert_eq!(counted("127.0.0.1"), None);
        assert_eq!(counted("::1"), None);
    }
}
