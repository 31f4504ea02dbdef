//! IP networks, as configurations name them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IP network, `10.0.0.0/8` or `fd00::/8`; an address alone is the network of just that address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InvalidNetwork {
    /// Not `address` or `address/bits`.
    Unreadable(String),
    /// More bits than the address has.
    TooManyBits(String, u8),
    /// An address within the network, not its first.
    NotFirst(String, String),
}

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(text) => {
                write!(f, "'{text}' is no network; write it as 192.168.1.0/24, fd00::/8 or a single address")
            }
            Self::TooManyBits(text, most) => write!(f, "'{text}': the number of bits is at most {most}"),
            Self::NotFirst(text, first) => write!(f, "'{text}' has bits set behind its prefix; write '{first}'"),
        }
    }
}

impl std::error::Error for InvalidNetwork {}

impl Network {
    /// Whether the address lies in it. An IPv4 address that came over an IPv6 socket counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let mask = mask(self.prefix, 32) as u32;
                first.to_bits() == address.to_bits() & mask
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => first.to_bits() == address.to_bits() & mask(self.prefix, 128),
            _ => false,
        }
    }
}

/// The highest `prefix` of `width` bits, in the lowest `width` bits.
fn mask(prefix: u8, width: u8) -> u128 {
    let all = u128::MAX >> (128 - width);
    let free = u32::from(width.saturating_sub(prefix));
    all & all.checked_shl(free).unwrap_or(0)
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let unreadable = || InvalidNetwork::Unreadable(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| unreadable())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match bits {
            Some(bits) => bits.parse::<u8>().map_err(|_| unreadable())?,
            None => width,
        };
        if prefix > width {
            return Err(InvalidNetwork::TooManyBits(text.to_owned(), width));
        }
        let first = match address {
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & mask(prefix, 32) as u32).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & mask(prefix, 128)).into()),
        };
        if first != address {
            return Err(InvalidNetwork::NotFirst(text.to_owned(), Self { first, prefix }.to_string()));
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// From where somebody may come.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Networks {
    /// From these alone; empty: from anywhere.
    pub allow: Vec<Network>,
    /// From these not, whatever is allowed.
    pub deny: Vec<Network>,
}

impl Networks {
    /// Whether whoever is at `address` may come. `None` is this machine itself, by a Unix socket, whose file says who may.
    pub fn admit(&self, address: Option<IpAddr>) -> bool {
        let Some(address) = address else { return true };
        let among = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
        (self.allow.is_empty() || among(&self.allow)) && !among(&self.deny)
    }

    /// Whether everybody may come.
    pub fn is_open(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn contains_what_lies_in_it() {
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(contains("192.0.2.1", "192.0.2.1"));
        assert!(!contains("192.0.2.1", "192.0.2.2"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(contains("fd00::/8", "fd12::1"));
        assert!(contains("::/0", "2001:db8::1"));
        assert!(!contains("::1/128", "::2"));
    }

    #[test]
    fn who_is_denied_stays_outside_whatever_is_allowed() {
        let list = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let networks = Networks { allow: list(&["10.0.0.0/8", "fd00::/8"]), deny: list(&["10.9.0.0/16"]) };
        let admit = |address: &str| networks.admit(Some(address.parse().unwrap()));
        assert!(admit("10.1.2.3") && admit("fd00::1") && admit("::ffff:10.1.2.3"));
        assert!(!admit("10.9.2.3") && !admit("192.0.2.1") && !admit("2001:db8::1") && !admit("::ffff:10.9.0.1"));
        assert!(networks.admit(None));
        let all_but = Networks { allow: Vec::new(), ..networks };
        assert!(all_but.admit(Some("192.0.2.1".parse().unwrap())));
        assert!(!all_but.admit(Some("10.9.0.0".parse().unwrap())));
        assert!(Networks::default().is_open() && !all_but.is_open());
    }

    #[test]
    fn says_how_to_write_it() {
        for (text, said) in [
            ("10.0.0.1/8", "write '10.0.0.0/8'"),
            ("fd00::1/8", "write 'fd00::/8'"),
            ("10.0.0.0/33", "at most 32"),
            ("local", "is no network"),
            ("10.0.0.0/", "is no network"),
        ] {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_network_contains_just_what_shares_its_prefix(bits: u128, prefix in 0u8..=128, other: u128) {
            let first = Ipv6Addr::from_bits(bits & mask(prefix, 128));
            prop_assume!(first.to_ipv4_mapped().is_none());
            let network: Network = format!("{first}/{prefix}").parse().unwrap();
            prop_assert_eq!(&network.to_string().parse::<Network>().unwrap(), &network);
            let shares = prefix == 0 || (bits ^ other) >> (128 - u32::from(prefix)) == 0;
            let other = Ipv6Addr::from_bits(other);
            prop_assume!(other.to_ipv4_mapped().is_none());
            prop_assert_eq!(network.contains(other.into()), shares);
        }
    }
}
