//! What was seen on this machine, as findings. Pure.

use super::rules::Rules;
use super::walk::Verdict;
use super::{Configured, Held, MailPort};
use crate::check::findings::{Code, Finding};
use crate::check::target::{IMAP, IMAPS, Security};

/// The name of our process.
const COLUMBA: &str = "columba";

/// All that is to be said.
pub(super) fn findings(
    ports: &[MailPort],
    listeners: &[Held],
    configured: Option<&Configured>,
    rules: &Rules,
) -> Vec<Finding> {
    let mut found = Vec::new();
    if listeners.is_empty() {
        let numbers: Vec<String> = ports.iter().map(|port| port.number.to_string()).collect();
        found.push(Finding::new(Code::LocalNothing, "", format!("nobody listens on {}", numbers.join(", "))));
    }
    let has = |number: u16| listeners.iter().any(|held| held.listener.address.port() == number);
    if has(IMAP) != has(IMAPS) {
        let (there, missing) = if has(IMAP) { (IMAP, IMAPS) } else { (IMAPS, IMAP) };
        found.push(Finding::new(Code::LocalOnePort, "", format!("{there} is listened on, {missing} is not")));
    }
    for held in listeners {
        listener(&mut found, held, ports, rules);
    }
    two_servers(&mut found, listeners);
    configuration(&mut found, listeners, configured);
    if let Rules::Unreadable(why) = rules {
        found.push(Finding::new(Code::LocalRulesUnreadable, "", why.as_str()));
    }
    found
}

pub(super) fn is_ours(held: &Held) -> bool {
    held.processes.iter().any(|process| process.name.as_str() == COLUMBA)
}

fn listener(found: &mut Vec<Finding>, held: &Held, ports: &[MailPort], rules: &Rules) {
    let address = held.listener.address;
    let mut add = |code, what: String| found.push(Finding::new(code, address, what));
    let names: Vec<String> = held.processes.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        add(
            Code::LocalProcessUnknown,
            format!("which process it is cannot be seen; its user is {}", held.listener.user),
        );
    } else {
        add(Code::LocalListens, format!("{} listens", names.join(", ")));
        if !is_ours(held) {
            add(Code::LocalOther, format!("the port belongs to {}", names.join(", ")));
        }
    }
    if address.ip().is_loopback() {
        return add(Code::LocalLoopback, "only this machine can reach it".into());
    }
    let narrow = ports.iter().any(|port| port.number == address.port() && port.security != Security::Tls);
    let verdict = rules.verdict(address.port(), address.ip());
    match &verdict {
        Verdict::Unreadable(_) => {}
        Verdict::Dropped => add(Code::LocalBlocked, "no rule lets anyone from elsewhere in".into()),
        Verdict::Only(_) => add(Code::LocalFiltered, format!("the firewall has it {}", verdict.words())),
        Verdict::Unclear(_) => add(Code::LocalRulesUnclear, verdict.words()),
        Verdict::Accepted | Verdict::Unconcerned => {
            if verdict == Verdict::Unconcerned {
                add(Code::LocalRulesNone, "nftables has no rules for incoming packets".into());
            }
            if narrow {
                add(Code::LocalPlainOpen, "whoever reaches this machine reaches it".into());
            }
        }
    }
}

/// Ports that programs of different names share (SO_REUSEPORT, or one on IPv4 and another on IPv6).
fn two_servers(found: &mut Vec<Finding>, listeners: &[Held]) {
    let mut ports: Vec<u16> = listeners.iter().map(|held| held.listener.address.port()).collect();
    ports.dedup();
    for port in ports {
        let held = listeners.iter().filter(|held| held.listener.address.port() == port);
        let mut servers: Vec<Vec<&str>> =
            held.map(|held| held.processes.iter().map(|process| process.name.as_str()).collect()).collect();
        servers.retain(|names| !names.is_empty());
        let first = servers.first().cloned().unwrap_or_default();
        // Programs that hand sockets on (systemd, a master process) hold them together with others.
        if let Some(other) = servers.iter().find(|names| !names.iter().any(|name| first.contains(name))) {
            let what = format!("{} and {} have it", first.join(", "), other.join(", "));
            found.push(Finding::new(Code::LocalMixed, format!("port {port}"), what));
        }
    }
}

fn configuration(found: &mut Vec<Finding>, listeners: &[Held], configured: Option<&Configured>) {
    let ours: Vec<&Held> = listeners.iter().filter(|held| is_ours(held)).collect();
    let Some(configured) = configured else {
        if !ours.is_empty() {
            found.push(Finding::new(Code::LocalConfigNone, "", "Columba runs, and no configuration was found here"));
        }
        return;
    };
    let mut agrees = true;
    for address in &configured.addresses {
        // Whose it is cannot be seen by everyone; that it is there can.
        let there = listeners
            .iter()
            .any(|held| held.listener.address == *address && (is_ours(held) || held.processes.is_empty()));
        if !there {
            agrees = false;
            found.push(Finding::new(
                Code::LocalConfigMissing,
                address,
                "configured, and Columba does not listen there",
            ));
        }
    }
    for held in ours.iter().filter(|held| !configured.addresses.contains(&held.listener.address)) {
        agrees = false;
        found.push(Finding::new(
            Code::LocalConfigExtra,
            held.listener.address,
            "Columba listens, and it is not configured",
        ));
    }
    if agrees && !configured.addresses.is_empty() {
        let count = configured.addresses.len();
        let what = format!("what is configured is listened on ({count} of {count})");
        found.push(Finding::new(Code::LocalConfigAgrees, "", what));
    }
}

#[cfg(test)]
mod tests {
    use super::super::listeners::Listener;
    use super::super::processes::Process;
    use super::*;
    use crate::check::shown::Shown;
    use serde_json::json;

    const PORTS: [MailPort; 2] =
        [MailPort { number: 143, security: Security::StartTls }, MailPort { number: 993, security: Security::Tls }];

    fn held(address: &str, name: &str) -> Held {
        let listener = Listener { address: address.parse().unwrap(), user: Shown::text("root"), inode: 1 };
        let process = Process { id: 1, name: Shown::text(name), user: Shown::text("root") };
        Held { listener, processes: if name.is_empty() { vec![] } else { vec![process] }, reachable_at: vec![] }
    }

    fn codes(listeners: &[Held], configured: &[&str], rules: &Rules) -> Vec<Code> {
        let addresses = configured.iter().map(|address| address.parse().unwrap()).collect();
        let configured = Configured { file: Shown::text("columba.toml"), addresses };
        findings(&PORTS, listeners, Some(&configured), rules).iter().map(|finding| finding.code).collect()
    }

    fn rules(policy: &str) -> Rules {
        let chain = json!({"chain": {"family": "inet", "table": "t", "name": "i", "type": "filter", "hook": "input",
            "policy": policy}});
        Rules::Read { objects: vec![chain], has_old_tables: false }
    }

    #[test]
    fn listeners_are_held_against_the_configuration() {
        let both = [held("0.0.0.0:143", "columba"), held("0.0.0.0:993", "columba")];
        let wanted = ["0.0.0.0:143", "0.0.0.0:993"];
        let open = rules("accept");
        let found = codes(&both, &wanted, &open);
        assert_eq!(found, [Code::LocalListens, Code::LocalPlainOpen, Code::LocalListens, Code::LocalConfigAgrees]);
        assert!(codes(&both, &wanted[..1], &open).contains(&Code::LocalConfigExtra));
        assert!(codes(&both[..1], &wanted, &open).contains(&Code::LocalConfigMissing));
        assert!(codes(&both[..1], &wanted, &open).contains(&Code::LocalOnePort));
        assert_eq!(codes(&[], &[], &open), [Code::LocalNothing]);
        assert!(codes(&both, &wanted, &rules("drop")).contains(&Code::LocalBlocked));
        assert!(codes(&both, &wanted, &Rules::Unreadable("x".into())).contains(&Code::LocalRulesUnreadable));
    }

    #[test]
    fn other_servers_are_named() {
        let open = rules("accept");
        let mixed = [held("0.0.0.0:143", "dovecot"), held("[::]:143", "columba")];
        let found = codes(&mixed, &["[::]:143"], &open);
        assert!(found.contains(&Code::LocalMixed) && found.contains(&Code::LocalOther), "{found:?}");
        let hidden = codes(&[held("127.0.0.1:143", "")], &["127.0.0.1:143"], &open);
        assert!(hidden.contains(&Code::LocalProcessUnknown) && hidden.contains(&Code::LocalLoopback), "{hidden:?}");
        assert!(!hidden.contains(&Code::LocalConfigMissing));
    }
}
