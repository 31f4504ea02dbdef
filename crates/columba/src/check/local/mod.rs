//! This machine's mail ports seen from within: who listens, from where it can be reached, whether the configuration says
//! the same, and rules for a firewall. Reads, and changes nothing.

pub(crate) mod firewall;
mod judge;
mod listeners;
mod processes;
mod rules;
mod walk;

use std::net::IpAddr;

use serde::Serialize;

use super::findings::{Finding, Grade, worst};
use super::print::{self, Colour};
use super::shown::Shown;
use super::target::{IMAP, IMAPS, Security};
use crate::cli::{Check, Place};
use crate::config::{Address, Config, Protocol, TlsMode};
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::place::{configuration, configuration_file};

use firewall::{Firewall, Snippet};
use listeners::Listener;
use processes::Process;
use rules::Rules;

/// An address of an interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Interface {
    pub(crate) name: Shown,
    pub(crate) address: IpAddr,
}

/// A port that mail is read through, and how it is protected as far as known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct MailPort {
    pub(crate) number: u16,
    pub(crate) security: Security,
}

/// Someone who listens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Held {
    #[serde(flatten)]
    pub(crate) listener: Listener,
    /// Those that have the socket open; empty where they cannot be seen.
    pub(crate) processes: Vec<Process>,
    /// The interfaces' addresses at which it answers.
    pub(crate) reachable_at: Vec<IpAddr>,
}

/// What Columba's configuration says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Configured {
    pub(crate) file: Shown,
    /// IMAP listeners.
    pub(crate) addresses: Vec<std::net::SocketAddr>,
}

/// All that was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Local {
    pub(crate) status: Grade,
    pub(crate) ports: Vec<MailPort>,
    pub(crate) listeners: Vec<Held>,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) configuration: Option<Configured>,
    #[serde(skip)]
    pub(crate) rules: Rules,
    pub(crate) findings: Vec<Finding>,
    pub(crate) firewall: Snippet,
}

/// Looks, and prints.
pub(super) async fn run(place: &Place, options: &Check, output: Output) -> Result<u8, Failure> {
    // Without a file, `quickstart` and its options decide where to listen.
    let config = match configuration_file(place) {
        Some(_) => Some(configuration(place)?),
        None => None,
    };
    let mut ports = vec![
        MailPort { number: IMAP, security: Security::StartTls },
        MailPort { number: IMAPS, security: Security::Tls },
    ];
    let configured = config.map(|config| {
        add_ports(&mut ports, &config);
        let imap = config.listeners.iter().filter(|listener| listener.protocol == Protocol::Imap);
        let addresses = imap.filter_map(|listener| match listener.address {
            Address::Tcp(address) if address.port() != 0 => Some(address),
            _ => None,
        });
        let file = configuration_file(place).unwrap_or_default();
        Configured { file: Shown::text(&file.display().to_string()), addresses: addresses.collect() }
    });
    let interfaces = interfaces();
    let listeners = held(&mut ports, &interfaces)?;
    let rules = Rules::read().await;
    let kind = match options.firewall {
        Some(kind) => kind,
        None => Firewall::found().await,
    };
    let findings = judge::findings(&ports, &listeners, configured.as_ref(), &rules);
    let firewall = firewall::snippet(kind, &used(&ports, &listeners), &options.allow, rules.closed_chains());
    let status = worst(&findings);
    let local = Local { status, ports, listeners, interfaces, configuration: configured, rules, findings, firewall };
    match (options.nagios, output) {
        (true, _) => output::print(&nagios(&local)),
        (false, Output::Json) => output.print(&local, ""),
        (false, Output::Text) => output::print(&text(&local, Colour::for_stdout())),
    }
    Ok(status.status())
}

/// Where `quickstart` listens when it may not have the usual ports.
const QUICKSTART_PORTS: [MailPort; 2] =
    [MailPort { number: 1143, security: Security::StartTls }, MailPort { number: 1993, security: Security::Tls }];

/// Who holds these ports, or the other ones of `quickstart`, which then are among the ports.
fn held(ports: &mut Vec<MailPort>, interfaces: &[Interface]) -> Result<Vec<Held>, Failure> {
    let also: Vec<MailPort> =
        QUICKSTART_PORTS.into_iter().filter(|one| !ports.iter().any(|port| port.number == one.number)).collect();
    let numbers: Vec<u16> = ports.iter().chain(&also).map(|port| port.number).collect();
    let listeners = listeners::listening(&numbers).map_err(|error| {
        Failure::new(format!("/proc/net/tcp cannot be read: {error}")).hint("this needs Linux with /proc")
    })?;
    let inodes: Vec<u64> = listeners.iter().map(|listener| listener.inode).collect();
    let mut processes = processes::holders(&inodes);
    let mut all: Vec<Held> = listeners
        .into_iter()
        .map(|listener| {
            let reachable_at = reachable_at(&listener, interfaces);
            Held { processes: processes.remove(&listener.inode).unwrap_or_default(), reachable_at, listener }
        })
        .collect();
    // What others do with those ports is no business of ours.
    let is_other = |held: &Held| also.iter().any(|port| port.number == held.listener.address.port());
    all.retain(|held| !is_other(held) || judge::is_ours(held));
    ports.extend(also.iter().filter(|port| all.iter().any(|held| held.listener.address.port() == port.number)));
    Ok(all)
}

fn add_ports(ports: &mut Vec<MailPort>, config: &Config) {
    for listener in config.listeners.iter().filter(|listener| listener.protocol == Protocol::Imap) {
        let Address::Tcp(address) = &listener.address else { continue };
        let security = match listener.tls {
            TlsMode::Implicit => Security::Tls,
            TlsMode::StartTls => Security::StartTls,
            TlsMode::None => Security::Plain,
        };
        match ports.iter_mut().find(|port| port.number == address.port()) {
            Some(port) => port.security = security,
            None if address.port() != 0 => ports.push(MailPort { number: address.port(), security }),
            None => {}
        }
    }
}

/// The ports that rules are for: those somebody listens on, or both usual ones.
fn used(ports: &[MailPort], listeners: &[Held]) -> Vec<MailPort> {
    let held = |port: &&MailPort| listeners.iter().any(|held| held.listener.address.port() == port.number);
    let used: Vec<MailPort> = ports.iter().filter(held).copied().collect();
    if used.is_empty() { ports.iter().take(2).copied().collect() } else { used }
}

fn interfaces() -> Vec<Interface> {
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    all.iter().map(|one| Interface { name: Shown::text(&one.name), address: one.ip() }).collect()
}

/// Where a listener answers. One on `::` usually takes IPv4, too (net.ipv6.bindv6only = 0, and the program's own wish).
fn reachable_at(listener: &Listener, interfaces: &[Interface]) -> Vec<IpAddr> {
    let bound = listener.address.ip();
    if !bound.is_unspecified() {
        return vec![bound];
    }
    let same_kind = |address: &IpAddr| address.is_ipv4() == bound.is_ipv4();
    interfaces.iter().map(|interface| interface.address).filter(same_kind).collect()
}

/// The report for people.
fn text(local: &Local, colour: Colour) -> String {
    let mut out = String::new();
    for held in &local.listeners {
        let security = local.ports.iter().find(|port| port.number == held.listener.address.port());
        let security = security.map(|port| format!(", {}", port.security.name())).unwrap_or_default();
        out.push_str(&format!("{} is listened on{security}\n", held.listener.address));
        let names: Vec<String> = held.processes.iter().map(ToString::to_string).collect();
        let nobody = || format!("not visible; its user is {}", held.listener.user);
        print::row(&mut out, "process", &if names.is_empty() { nobody() } else { names.join(", ") });
        let reachable: Vec<String> = held.reachable_at.iter().map(ToString::to_string).collect();
        print::row(&mut out, "reachable at", &reachable.join(", "));
        let verdict = local.rules.verdict(held.listener.address.port(), held.listener.address.ip());
        print::row(&mut out, "firewall", &verdict.words());
        out.push('\n');
    }
    if local.listeners.is_empty() {
        let numbers: Vec<String> = local.ports.iter().map(|port| port.number.to_string()).collect();
        out.push_str(&format!("Nobody listens on {}.\n\n", numbers.join(", ")));
    }
    let addresses: Vec<String> = local.interfaces.iter().map(|i| format!("{} {}", i.name, i.address)).collect();
    out.push_str("This machine\n");
    print::row(&mut out, "addresses", &addresses.join(", "));
    let configured = match &local.configuration {
        None => "none found".to_owned(),
        Some(configured) => {
            let all: Vec<String> = configured.addresses.iter().map(ToString::to_string).collect();
            format!("{} ({})", configured.file, all.join(", "))
        }
    };
    print::row(&mut out, "configuration", &configured);
    out.push('\n');
    print::findings(&mut out, &local.findings, colour);
    out.push_str(&format!("\n{}", local.firewall.text));
    out
}

fn nagios(local: &Local) -> String {
    let worst = local.status;
    let word = if worst <= Grade::Note { "OK".into() } else { worst.name().to_uppercase() };
    let grave = local.findings.iter().filter(|finding| finding.grade == worst && worst > Grade::Note);
    let mut said: Vec<String> = grave.take(3).map(|f| format!("{}: {}", f.code.kind().id, f.what)).collect();
    if said.is_empty() {
        said.extend(local.listeners.iter().map(|held| held.listener.address.to_string()));
    }
    format!("IMAP {word}: {} | listeners={}\n", said.join("; ").replace('|', "/"), local.listeners.len())
}
