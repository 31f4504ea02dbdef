//! Addresses to listen on and networks to trust, as people write them, with the reasons when they are wrong.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where to listen.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The same, with a relative path of a socket taken from `base`.
    pub(crate) fn below(self, base: &Path) -> Self {
        match self {
            Self::Unix(path) => Self::Unix(base.join(path)),
            tcp => tcp,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is no address or network, and what to write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unreadable {
    pub(crate) what: String,
    pub(crate) fix: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.fix)
    }
}

impl std::error::Error for Unreadable {}

impl FromStr for Address {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wrong = |what: &str, fix: String| Err(Unreadable { what: format!("\"{text}\" {what}"), fix });
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => wrong("names no file", "write unix:/run/columba/lmtp".into()),
                path => Ok(Self::Unix(path.into())),
            };
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::Tcp(address));
        }
        if text.starts_with('/') {
            return wrong("has no kind", format!("write unix:{text}"));
        }
        match text.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => return wrong("has no port", format!("write {ip}:143")),
            Ok(IpAddr::V6(ip)) => return wrong("has no port", format!("write [{ip}]:143")),
            Err(_) => {}
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return match text.parse::<u16>() {
                Ok(port) => wrong("has no IP address", format!("write 0.0.0.0:{port} for every IPv4 address")),
                Err(_) => wrong("is no address", "write an IP address and a port, for instance 0.0.0.0:143".into()),
            };
        };
        if port.parse::<u16>().is_err() {
            return wrong("has a bad port", format!("write {host}: and a port from 0 to 65535"));
        }
        if host.is_empty() || host == "*" {
            return wrong(
                "has no IP address",
                format!("write 0.0.0.0:{port} for every IPv4 address, [::]:{port} for IPv6"),
            );
        }
        if host.parse::<Ipv6Addr>().is_ok() {
            return wrong("needs brackets", format!("write [{host}]:{port}"));
        }
        if host == "localhost" {
            return wrong("has a host name", format!("write 127.0.0.1:{port} or [::1]:{port}"));
        }
        wrong(
            "has no IP address",
            format!("names are not looked up: write the IP address, for instance 0.0.0.0:{port}"),
        )
    }
}

/// A range of addresses, `10.0.0.0/8`; one address is a range of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Network {
    pub(crate) address: IpAddr,
    /// Leading bits that count.
    pub(crate) bits: u8,
}

impl Network {
    /// Whether an address lies in it.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && masked(address, self.bits) == self.address
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl serde::Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Network {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wrong = |what: &str, fix: String| Err(Unreadable { what: format!("\"{text}\" {what}"), fix });
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return wrong("is no network", "write an IP address and its leading bits, for instance 10.0.0.0/8".into());
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits.map(str::parse::<u8>) {
            None => most,
            Some(Ok(bits)) if bits <= most => bits,
            Some(_) => return wrong("has a bad prefix", format!("after the / write a number from 0 to {most}")),
        };
        let start = masked(address, bits);
        if start != address {
            return wrong("has bits set beyond its prefix", format!("write {start}/{bits}"));
        }
        Ok(Self { address, bits })
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_print() {
        for text in ["0.0.0.0:143", "[::]:143", "[::1]:0", "unix:/run/columba/lmtp"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn each_wrong_address_has_its_fix() {
        let fixes = [
            ("143", "write 0.0.0.0:143 for every IPv4 address"),
            (":143", "write 0.0.0.0:143 for every IPv4 address, [::]:143 for IPv6"),
            ("::1", "write [::1]:143"),
            ("2001:db8::1:143", "write [2001:db8::1:143]:143"),
            ("10.0.0.1", "write 10.0.0.1:143"),
            ("10.0.0.1:99999", "write 10.0.0.1: and a port from 0 to 65535"),
            ("localhost:143", "write 127.0.0.1:143 or [::1]:143"),
            ("mail.example.org:143", "names are not looked up: write the IP address, for instance 0.0.0.0:143"),
            ("/run/lmtp", "write unix:/run/lmtp"),
            ("unix:", "write unix:/run/columba/lmtp"),
            ("", "write an IP address and a port, for instance 0.0.0.0:143"),
        ];
        for (text, fix) in fixes {
            assert_eq!(text.parse::<Address>().unwrap_err().fix, fix, "{text}");
        }
    }

    #[test]
    fn networks_read_and_refuse() {
        assert_eq!("127.0.0.1".parse::<Network>().unwrap().to_string(), "127.0.0.1/32");
        assert_eq!("::/0".parse::<Network>().unwrap().to_string(), "::/0");
        assert_eq!("0.0.0.0/0".parse::<Network>().unwrap().bits, 0);
        assert_eq!("10.1.0.0/8".parse::<Network>().unwrap_err().fix, "write 10.0.0.0/8");
        assert_eq!("10.0.0.0/33".parse::<Network>().unwrap_err().fix, "after the / write a number from 0 to 32");
        assert!("localhost".parse::<Network>().is_err());
        let contains = |network: &str, ip: &str| network.parse::<Network>().unwrap().contains(ip.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("::/0", "2001:db8::1") && !contains("::/0", "10.0.0.1") && contains("0.0.0.0/0", "10.0.0.1"));
    }
}
