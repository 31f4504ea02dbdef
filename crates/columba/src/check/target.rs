//! What is looked at: a host, its ports, and how each is spoken to. Reads what people write; looks nothing up.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::Serialize;

/// IMAP with STARTTLS (RFC 9051 §2.1).
pub(crate) const IMAP: u16 = 143;
/// IMAP with TLS from the start (RFC 8314 §3.2).
pub(crate) const IMAPS: u16 = 993;

/// `HOST[:PORT]` as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

/// A name or an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.pad(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// How a port is protected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Security {
    /// TLS from the start.
    Tls,
    StartTls,
    /// TLS is not asked for.
    Plain,
}

impl Security {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tls => "TLS",
            Self::StartTls => "STARTTLS",
            Self::Plain => "plain",
        }
    }
}

/// A port, and what is known of how to speak there; `None`: it is found out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    pub(crate) security: Option<Security>,
}

/// The ports that are looked at: the named one, or both of a mail host.
pub(crate) fn ports(named: Option<u16>, security: Option<Security>) -> Vec<Port> {
    let usual = |number| match number {
        IMAP => Some(Security::StartTls),
        IMAPS => Some(Security::Tls),
        _ => None,
    };
    match (named, security) {
        (Some(number), security) => vec![Port { number, security: security.or(usual(number)) }],
        (None, Some(Security::Tls)) => vec![Port { number: IMAPS, security }],
        (None, Some(_)) => vec![Port { number: IMAP, security }],
        (None, None) => [IMAP, IMAPS].map(|number| Port { number, security: usual(number) }).into(),
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { host: Host::Address(address), port: None });
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, after) = rest.split_once(']').ok_or("the ] is missing: write [2001:db8::1]:143")?;
            let address: Ipv6Addr = address.parse().map_err(|_| format!("{address} is no IPv6 address"))?;
            let port = match after.strip_prefix(':') {
                Some(digits) => Some(port(digits)?),
                None if after.is_empty() => None,
                None => return Err("after the ] comes a : and a port".into()),
            };
            return Ok(Self { host: Host::Address(address.into()), port });
        }
        if text.contains("://") {
            return Err("write the host alone, without ://".into());
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => {
                return Err(format!("an IPv6 address before a port needs brackets: [{host}]:143"));
            }
            Some((host, digits)) => (host, Some(port(digits)?)),
            None => (text, None),
        };
        let host = match host.parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(name(host)?),
        };
        Ok(Self { host, port })
    }
}

fn port(digits: &str) -> Result<u16, String> {
    match digits.parse() {
        Ok(0) | Err(_) => Err(format!("\"{digits}\" is no port: write a number from 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

/// RFC 1123 §2.1, with the underscores that are seen in the wild, and at most 253 characters.
fn name(text: &str) -> Result<String, String> {
    let labels = || text.strip_suffix('.').unwrap_or(text).split('.');
    let good = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if text.len() <= 253 && labels().all(good) {
        return Ok(text.strip_suffix('.').unwrap_or(text).to_owned());
    }
    Err(format!("\"{}\" is no host name; a name in other letters is written in its xn-- form", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Option<u16>), String> {
        text.parse::<Target>().map(|target| (target.host.to_string(), target.port))
    }

    #[test]
    fn hosts_and_ports_are_read() {
        for (text, host, port) in [
            ("mail.example.org", "mail.example.org", None),
            ("mail.example.org.:1143", "mail.example.org", Some(1143)),
            ("192.0.2.1:993", "192.0.2.1", Some(993)),
            ("2001:db8::1", "2001:db8::1", None),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[::1]:143", "::1", Some(143)),
        ] {
            assert_eq!(read(text), Ok((host.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_says_what_to_write() {
        for (text, says) in [
            ("", "no host name"),
            ("imap://mail", "without ://"),
            ("mail:99999", "1 to 65535"),
            ("mail:0", "1 to 65535"),
            ("[::1", "] is missing"),
            ("[::1]143", "comes a :"),
            ("[mail]:143", "no IPv6 address"),
            ("2001:db8::g:143", "needs brackets"),
            ("a b", "no host name"),
            ("bücher.example", "xn--"),
            ("a..b", "no host name"),
            ("\u{1b}[31m", "no host name"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
            assert!(!error.contains('\u{1b}'));
        }
    }

    #[test]
    fn a_mail_host_has_two_ports() {
        let numbers = |named, security| ports(named, security).iter().map(|p| p.number).collect::<Vec<_>>();
        assert_eq!(numbers(None, None), [143, 993]);
        assert_eq!(numbers(None, Some(Security::Tls)), [993]);
        assert_eq!(numbers(None, Some(Security::Plain)), [143]);
        assert_eq!(ports(Some(1143), None), [Port { number: 1143, security: None }]);
        assert_eq!(ports(Some(993), None)[0].security, Some(Security::Tls));
    }
}
