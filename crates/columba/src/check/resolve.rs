//! Names become addresses, by the road every program on this machine takes (getaddrinfo). Connects to nothing.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use columba_types::limits::CHECK_ADDRESSES;
use serde::Serialize;

use super::findings::{Code, Finding};
use super::shown::Shown;
use super::target::Host;

/// Which addresses are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    Both,
    Ipv4,
    Ipv6,
}

impl Family {
    pub(crate) fn takes(self, address: IpAddr) -> bool {
        match self {
            Self::Both => true,
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
        }
    }
}

/// What became of a name.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct Resolved {
    /// What was looked up.
    pub(crate) host: String,
    /// Whether it was an address already.
    pub(crate) is_address: bool,
    /// All that are looked at, IPv4 first.
    pub(crate) addresses: Vec<IpAddr>,
    /// How many more there were.
    pub(crate) left_out: usize,
    /// Whether there were addresses of the families that were not wanted, too.
    #[serde(skip)]
    pub(crate) seen: (bool, bool),
    pub(crate) milliseconds: f64,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Shown>,
    /// Whether another try might find some.
    #[serde(skip)]
    pub(crate) may_pass: bool,
}

/// Looks `host` up, for at most `patience`.
pub(crate) async fn resolve(host: &Host, family: Family, patience: Duration) -> Resolved {
    let name = match host {
        Host::Address(address) => {
            let resolved = Resolved { host: host.to_string(), is_address: true, ..Resolved::default() };
            return sorted(resolved, vec![*address], Family::Both);
        }
        Host::Name(name) => name.clone(),
    };
    let started = Instant::now();
    let (done, wait) = tokio::sync::oneshot::channel();
    let asked = name.clone();
    // A thread that nobody waits for: the system's lookup knows no end of its own.
    std::thread::spawn(move || {
        let found = (asked.as_str(), 0).to_socket_addrs();
        done.send(found.map(|all| all.map(|a: SocketAddr| a.ip()).collect::<Vec<_>>()))
    });
    let answer = match tokio::time::timeout(patience, wait).await {
        Ok(Ok(answer)) => answer,
        _ => Err(io::Error::new(io::ErrorKind::TimedOut, "no name server answered in time")),
    };
    let mut resolved = Resolved { host: name, ..Resolved::default() };
    resolved.milliseconds = started.elapsed().as_secs_f64() * 1000.0;
    match answer {
        Ok(found) => sorted(resolved, found, family),
        Err(error) => {
            let text = error.to_string();
            // getaddrinfo's EAI_AGAIN has no kind of its own.
            resolved.may_pass = error.kind() == io::ErrorKind::TimedOut || text.contains("Temporary failure");
            let words = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
            resolved.failure = Some(Shown::text(words));
            resolved
        }
    }
}

fn sorted(mut resolved: Resolved, mut found: Vec<IpAddr>, family: Family) -> Resolved {
    found.sort();
    found.dedup();
    resolved.seen = (found.iter().any(IpAddr::is_ipv4), found.iter().any(IpAddr::is_ipv6));
    found.retain(|address| family.takes(*address));
    resolved.left_out = found.len().saturating_sub(CHECK_ADDRESSES);
    found.truncate(CHECK_ADDRESSES);
    resolved.addresses = found;
    resolved
}

impl Resolved {
    /// What is to be said about the name.
    pub(crate) fn findings(&self, family: Family) -> Vec<Finding> {
        let find = |code, what: String| Finding::new(code, &self.host, what);
        let mut findings = Vec::new();
        if let Some(failure) = &self.failure {
            let code = if self.may_pass { Code::NameLookupFailed } else { Code::NameUnresolved };
            return vec![find(code, format!("the name was not found: {failure}"))];
        }
        if self.addresses.is_empty() {
            let kind = if family == Family::Ipv6 { "IPv6" } else { "IPv4" };
            return vec![find(Code::NameUnresolved, format!("the name has no {kind} address"))];
        }
        if self.left_out > 0 {
            let what = format!("{} addresses are looked at, {} more are not", self.addresses.len(), self.left_out);
            findings.push(find(Code::AddressesLeftOut, what));
        }
        let is_elsewhere = self.addresses.iter().any(|address| !address.is_loopback());
        if !self.is_address && is_elsewhere && family == Family::Both {
            match self.seen {
                (true, false) => findings.push(find(Code::NameNoIpv6, "the name has no IPv6 address".into())),
                (false, true) => findings.push(find(Code::NameNoIpv4, "the name has no IPv4 address".into())),
                _ => {}
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(resolved: &Resolved, family: Family) -> Vec<Code> {
        resolved.findings(family).iter().map(|f| f.code).collect()
    }

    #[test]
    fn addresses_are_sorted_chosen_and_bounded() {
        let many = (0..40u8).map(|n| IpAddr::from([192, 0, 2, n])).chain(["2001:db8::1".parse().unwrap()]).collect();
        let both = sorted(Resolved::default(), many, Family::Both);
        assert_eq!((both.addresses.len(), both.left_out), (CHECK_ADDRESSES, 41 - CHECK_ADDRESSES));
        assert_eq!(codes(&both, Family::Both), [Code::AddressesLeftOut]);
        let four = sorted(Resolved::default(), vec!["192.0.2.1".parse().unwrap()], Family::Both);
        assert_eq!(codes(&four, Family::Both), [Code::NameNoIpv6]);
        assert_eq!(codes(&four, Family::Ipv4), []);
        let none = sorted(Resolved::default(), vec!["192.0.2.1".parse().unwrap()], Family::Ipv6);
        assert_eq!(codes(&none, Family::Ipv6), [Code::NameUnresolved]);
    }

    #[tokio::test]
    async fn a_name_that_cannot_exist_is_unresolved() {
        // RFC 6761 §6.4: never there. Without name servers it is a failure that may pass.
        let resolved = resolve(&Host::Name("nobody.invalid".into()), Family::Both, Duration::from_secs(30)).await;
        assert!(resolved.failure.is_some());
        assert!(matches!(codes(&resolved, Family::Both)[..], [Code::NameUnresolved | Code::NameLookupFailed]));
    }

    #[tokio::test]
    async fn an_address_is_itself() {
        let resolved = resolve(&Host::Address("::1".parse().unwrap()), Family::Ipv4, Duration::ZERO).await;
        assert_eq!(resolved.addresses, ["::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(codes(&resolved, Family::Both), []);
    }
}
