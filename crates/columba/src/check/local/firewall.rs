//! Rules for pasting: TLS from the start for everyone, the port with STARTTLS for the networks that were named. Prints
//! them, and never sets them.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde::Serialize;

use super::MailPort;
use super::rules::{find, output_of};
use crate::check::target::{IMAP, IMAPS, Security};
use crate::config::Network;

/// What rules can be printed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Firewall {
    /// nftables
    Nft,
    /// firewalld (Fedora, RHEL, openSUSE)
    Firewalld,
    /// ufw (Ubuntu)
    Ufw,
    /// iptables and ip6tables
    Iptables,
}

impl Firewall {
    /// The one that is in charge here; nftables where none is.
    pub(super) async fn found() -> Self {
        let ufw = std::fs::read_to_string("/etc/ufw/ufw.conf").unwrap_or_default();
        if ufw.lines().any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes")) {
            return Self::Ufw;
        }
        if find("firewall-cmd").is_some() && output_of("firewall-cmd", &["--state"]).await.is_ok() {
            return Self::Firewalld;
        }
        if find("nft").is_none() && find("iptables").is_some() {
            return Self::Iptables;
        }
        Self::Nft
    }
}

/// Rules, and for what.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Snippet {
    pub(crate) kind: Firewall,
    /// With comments and a heading, one command or rule a line.
    pub(crate) text: String,
}

/// What the rules say, in no firewall's words.
struct Plan {
    /// For everyone.
    open: Vec<u16>,
    /// For the networks alone.
    narrow: Vec<u16>,
    ipv4: Vec<Network>,
    ipv6: Vec<Network>,
}

/// Rules for these ports. `closed` names chains that drop by default, where an accept of another table does not help.
pub(super) fn snippet(kind: Firewall, ports: &[MailPort], allow: &[Network], closed: Vec<String>) -> Snippet {
    let mut open: Vec<u16> = ports.iter().filter(|p| p.security == Security::Tls).map(|p| p.number).collect();
    let mut narrow: Vec<u16> = ports.iter().filter(|p| p.security != Security::Tls).map(|p| p.number).collect();
    open.sort_unstable();
    narrow.sort_unstable();
    let networks = merged(allow);
    let (ipv4, ipv6) = networks.into_iter().partition(|network| network.address.is_ipv4());
    let plan = Plan { open, narrow, ipv4, ipv6 };
    let body = match kind {
        Firewall::Nft if closed.is_empty() => plan.nft_table(),
        Firewall::Nft => plan.nft_lines(&closed),
        Firewall::Firewalld => plan.firewalld(),
        Firewall::Ufw => plan.ufw(),
        Firewall::Iptables => plan.iptables(),
    };
    Snippet { kind, text: format!("{}{body}", plan.heading()) }
}

/// Without those that others hold: an nft set refuses overlapping ones.
fn merged(networks: &[Network]) -> Vec<Network> {
    let mut kept: Vec<Network> = Vec::new();
    let mut sorted = networks.to_vec();
    sorted.sort_by_key(|network| (network.bits, network.address));
    for network in sorted {
        if !kept.iter().any(|wide| wide.contains(network.address)) {
            kept.push(network);
        }
    }
    kept.sort_by_key(|network| network.address);
    kept
}

fn list<T: ToString>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn set<T: ToString>(all: &[T]) -> String {
    if let [one] = all { one.to_string() } else { format!("{{ {} }}", list(all)) }
}

impl Plan {
    fn heading(&self) -> String {
        let mut out = String::new();
        if !self.open.is_empty() {
            let _ = writeln!(out, "# TLS from the start, for everyone: {}", list(&self.open));
        }
        if !self.narrow.is_empty() {
            let networks = [&self.ipv4[..], &self.ipv6[..]].concat();
            let whom = match networks.len() {
                0 => "this machine; add --allow CIDR for others".to_owned(),
                1..=3 => list(&networks),
                more => format!("{more} networks"),
            };
            let _ = writeln!(out, "# STARTTLS, only for {whom}: {}", list(&self.narrow));
        }
        out
    }

    fn nft_rules(&self) -> Vec<String> {
        let mut rules = Vec::new();
        if !self.open.is_empty() {
            rules.push(format!("tcp dport {} accept", set(&self.open)));
        }
        if self.narrow.is_empty() {
            return rules;
        }
        let ports = set(&self.narrow);
        if !self.ipv4.is_empty() {
            rules.push(format!("tcp dport {ports} ip saddr {} accept", set(&self.ipv4)));
        }
        if !self.ipv6.is_empty() {
            rules.push(format!("tcp dport {ports} ip6 saddr {} accept", set(&self.ipv6)));
        }
        rules.push(format!("tcp dport {ports} iifname != \"lo\" drop"));
        rules
    }

    /// A table of its own, which can be loaded again and again.
    fn nft_table(&self) -> String {
        let mut out = String::from("# Save as /etc/nftables.d/columba.nft, and load it: nft -f FILE\n");
        out.push_str("table inet columba_check\ndelete table inet columba_check\ntable inet columba_check {\n");
        out.push_str("    chain input {\n        type filter hook input priority filter; policy accept;\n");
        for rule in self.nft_rules() {
            let _ = writeln!(out, "        {rule}");
        }
        out.push_str("    }\n}\n");
        out
    }

    /// Into the chains that drop, in front of their rules; the last one comes to stand first.
    fn nft_lines(&self, closed: &[String]) -> String {
        let mut out = String::from("# Until the next boot; add them to your rules to keep them.\n");
        for chain in closed {
            for rule in self.nft_rules().iter().rev() {
                let _ = writeln!(out, "nft 'insert rule {chain} {rule}'");
            }
        }
        out
    }

    fn firewalld(&self) -> String {
        let mut out = String::new();
        for port in &self.open {
            let what = if *port == IMAPS { "--add-service=imaps".into() } else { format!("--add-port={port}/tcp") };
            let _ = writeln!(out, "firewall-cmd --permanent {what}");
        }
        for port in &self.narrow {
            let what = if *port == IMAP { "--remove-service=imap".into() } else { format!("--remove-port={port}/tcp") };
            let _ = writeln!(out, "firewall-cmd --permanent {what}");
            for (family, networks) in [("ipv4", &self.ipv4), ("ipv6", &self.ipv6)] {
                for network in networks {
                    let _ = writeln!(
                        out,
                        "firewall-cmd --permanent --add-rich-rule='rule family=\"{family}\" source address=\"{network}\" \
                         port port=\"{port}\" protocol=\"tcp\" accept'"
                    );
                }
            }
        }
        out.push_str("firewall-cmd --reload\n");
        out
    }

    /// The first rule that fits counts, so the networks come before everyone.
    fn ufw(&self) -> String {
        let mut out = String::new();
        for port in &self.open {
            let _ = writeln!(out, "ufw allow {port}/tcp comment 'IMAP over TLS'");
        }
        for port in &self.narrow {
            for network in self.ipv4.iter().chain(&self.ipv6) {
                let _ = writeln!(out, "ufw allow proto tcp from {network} to any port {port} comment 'IMAP'");
            }
            let _ = writeln!(out, "ufw deny {port}/tcp");
        }
        out
    }

    /// In front of all other rules, in their order.
    fn iptables(&self) -> String {
        let mut out = String::new();
        for (program, networks) in [("iptables", &self.ipv4), ("ip6tables", &self.ipv6)] {
            let mut rules: Vec<String> = self.open.iter().map(|port| format!("--dport {port} -j ACCEPT")).collect();
            for port in &self.narrow {
                rules.extend(networks.iter().map(|network| format!("-s {network} --dport {port} -j ACCEPT")));
                rules.push(format!("! -i lo --dport {port} -j DROP"));
            }
            for (at, rule) in rules.iter().enumerate() {
                let _ = writeln!(out, "{program} -I INPUT {} -p tcp {rule}", at + 1);
            }
        }
        out.push_str("# To keep them, save them as your system does (iptables-save, netfilter-persistent save).\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: [MailPort; 2] =
        [MailPort { number: 143, security: Security::StartTls }, MailPort { number: 993, security: Security::Tls }];

    fn printed(kind: Firewall, allow: &[&str], closed: &[&str]) -> String {
        let allow: Vec<Network> = allow.iter().map(|network| network.parse().unwrap()).collect();
        snippet(kind, &PORTS, &allow, closed.iter().map(|chain| (*chain).to_owned()).collect()).text
    }

    #[test]
    fn each_firewall_has_its_words() {
        let nft = printed(Firewall::Nft, &["192.0.2.0/24", "2001:db8::/32"], &[]);
        assert!(
            nft.contains("        tcp dport 993 accept\n        tcp dport 143 ip saddr 192.0.2.0/24 accept\n"),
            "{nft}"
        );
        assert!(
            nft.contains(
                "tcp dport 143 ip6 saddr 2001:db8::/32 accept\n        tcp dport 143 iifname != \"lo\" drop\n"
            )
        );
        let lines = printed(Firewall::Nft, &["192.0.2.1"], &["inet filter input"]);
        let first = lines.lines().find(|line| line.starts_with("nft")).unwrap();
        assert_eq!(first, "nft 'insert rule inet filter input tcp dport 143 iifname != \"lo\" drop'");
        assert!(lines.ends_with("nft 'insert rule inet filter input tcp dport 993 accept'\n"), "{lines}");
        let ufw = printed(Firewall::Ufw, &["192.0.2.0/24"], &[]);
        assert!(ufw.ends_with(
            "ufw allow 993/tcp comment 'IMAP over TLS'\n\
             ufw allow proto tcp from 192.0.2.0/24 to any port 143 comment 'IMAP'\nufw deny 143/tcp\n"
        ));
        let firewalld = printed(Firewall::Firewalld, &["2001:db8::/32"], &[]);
        assert!(firewalld.contains("rule family=\"ipv6\" source address=\"2001:db8::/32\" port port=\"143\""));
        assert!(firewalld.contains("--add-service=imaps\n") && firewalld.contains("--remove-service=imap\n"));
        let iptables = printed(Firewall::Iptables, &["192.0.2.0/24"], &[]);
        assert!(iptables.contains("iptables -I INPUT 2 -p tcp -s 192.0.2.0/24 --dport 143 -j ACCEPT\n"));
        assert!(iptables.contains("ip6tables -I INPUT 2 -p tcp ! -i lo --dport 143 -j DROP\n"), "{iptables}");
    }

    #[test]
    fn without_networks_only_this_machine_has_starttls() {
        let nft = printed(Firewall::Nft, &[], &[]);
        assert!(nft.contains("only for this machine"), "{nft}");
        assert!(!nft.contains("saddr"), "{nft}");
    }

    #[test]
    fn networks_within_others_are_left_out() {
        let networks = ["10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8", "2001:db8::/32", "2001:db8:1::/48"];
        let merged = merged(&networks.map(|network| network.parse().unwrap()));
        assert_eq!(merged.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "2001:db8::/32"]);
        let all = merged_text(&["0.0.0.0/0", "192.0.2.1"]);
        assert_eq!(all, ["0.0.0.0/0"]);
    }

    fn merged_text(networks: &[&str]) -> Vec<String> {
        let all: Vec<Network> = networks.iter().map(|network| network.parse().unwrap()).collect();
        merged(&all).iter().map(ToString::to_string).collect()
    }
}
