//! `columba check`: any IMAP server's ports looked at from outside, this machine's from within, and a login tried.
//!
//! Invariants:
//! - Nothing a server sends can hang, flood or garble: every read is bounded in octets and time, and foreign text is held
//!   only as [`shown::Shown`].
//! - A password leaves this machine only under TLS with a good certificate, unless the command line says otherwise.
//! - Looking changes nothing: no login is tried without `--login`, no rule of a firewall is ever set.

mod certificate;
mod connect;
mod conversation;
mod endpoint;
mod findings;
mod greeting;
mod hello;
mod judge;
mod local;
mod login;
mod print;
mod probes;
mod resolve;
mod shown;
mod starttls;
mod suites;
mod target;
mod tls;

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use columba_auth::Secret;
use rustls::pki_types::ServerName;
use serde::Serialize;

use crate::cli::{Check, Place};
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::password_entry;

use endpoint::{Endpoint, Subject, examine};
use findings::{Finding, Grade, worst};
use judge::Thresholds;
use login::{Attempt, Login, Step};
use print::Colour;
use resolve::{Family, Resolved, resolve};
use target::{Host, IMAP, IMAPS, Port, Security, ports};
use tls::{Belief, Roots};

pub(crate) use local::firewall::Firewall;
pub(crate) use target::Target;

/// Connections to one host at once.
const AT_ONCE: usize = 4;

/// All that was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) status: Grade,
    pub(crate) milliseconds: f64,
    #[serde(flatten)]
    pub(crate) resolved: Resolved,
    pub(crate) ports: Vec<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<Login>,
    pub(crate) findings: Vec<Finding>,
}

/// Runs the check, prints what came of it, and gives the exit status.
///
/// # Errors
/// When nothing could be looked at: a file that cannot be read, no password. That is status 3.
pub(crate) async fn run(place: &Place, options: Check, output: Output) -> Result<u8, Failure> {
    if let Some(mistake) = options.mistake() {
        return Err(Failure::new(mistake));
    }
    if options.local {
        return local::run(place, &options, output).await;
    }
    let thresholds = Thresholds { warn_days: options.warn_days, crit_days: options.crit_days };
    let report = match &options.login {
        Some(account) => try_login(&options, account).await?,
        None => look(&options, thresholds, output).await?,
    };
    match (options.nagios, output) {
        (true, _) => output::print(&print::nagios(&report, thresholds)),
        (false, Output::Json) => output.print(&report, ""),
        (false, Output::Text) => output::print(&print::report(&report, Colour::for_stdout())),
    }
    Ok(report.status.status())
}

/// What the options say of where to look.
struct Where {
    host: Host,
    ports: Vec<Port>,
    family: Family,
    name: ServerName<'static>,
    roots: Arc<Roots>,
    step: Duration,
}

impl Where {
    fn of(options: &Check) -> Result<Self, Failure> {
        let target = match &options.target {
            Some(target) => target.clone(),
            None => Target { host: Host::Name("localhost".into()), port: None },
        };
        let port = match (target.port, options.port) {
            (Some(one), Some(other)) if one != other => {
                return Err(Failure::new(format!("two ports are named, {one} and {other}")).hint("name one of them"));
            }
            (one, other) => one.or(other),
        };
        let security = match (options.tls, options.starttls, options.plain) {
            (true, _, _) => Some(Security::Tls),
            (_, true, _) => Some(Security::StartTls),
            (_, _, true) => Some(Security::Plain),
            _ => None,
        };
        let family = match (options.ipv4, options.ipv6) {
            (true, false) => Family::Ipv4,
            (false, true) => Family::Ipv6,
            _ => Family::Both,
        };
        if let Host::Address(address) = &target.host
            && !family.takes(*address)
        {
            return Err(Failure::new(format!("{address} is no address of the kind that -4 or -6 wants")));
        }
        let wanted = options.name.clone().unwrap_or_else(|| target.host.to_string());
        let name = ServerName::try_from(wanted.clone()).map_err(|_| {
            Failure::new(format!("no certificate can be for \"{}\"", wanted.escape_debug()))
                .hint("--name wants a host name or an address")
        })?;
        Ok(Self {
            host: target.host,
            ports: ports(port, security),
            family,
            name,
            roots: Arc::new(Roots::load(options.ca.as_deref())?),
            step: Duration::from_secs(options.timeout),
        })
    }
}

async fn look(options: &Check, thresholds: Thresholds, output: Output) -> Result<Report, Failure> {
    let started = Instant::now();
    let place = Where::of(options)?;
    let resolved = resolve(&place.host, place.family, place.step).await;
    let mut findings = resolved.findings(place.family);
    if output == Output::Text && !options.nagios && std::io::stderr().is_terminal() {
        eprintln!("Looking at {} …", place.host);
    }
    let mut subjects = Vec::new();
    for address in &resolved.addresses {
        for port in &place.ports {
            subjects.push(Subject {
                address: SocketAddr::new(*address, port.number),
                security: port.security,
                name: place.name.clone(),
                roots: place.roots.clone(),
                step: place.step,
                is_quick: options.quick,
            });
        }
    }
    let ports = examine_all(subjects).await;
    findings.extend(ports.iter().flat_map(|seen| judge::port(seen, thresholds)));
    if !ports.is_empty() {
        findings.extend(judge::host(&place.host.to_string(), &ports));
    }
    let milliseconds = endpoint::milliseconds(started.elapsed());
    Ok(Report { status: worst(&findings), milliseconds, resolved, ports, login: None, findings })
}

/// A few at a time, in their order.
async fn examine_all(subjects: Vec<Subject>) -> Vec<Endpoint> {
    use futures_util::StreamExt as _;
    futures_util::stream::iter(subjects.into_iter().map(examine)).buffered(AT_ONCE).collect().await
}

async fn try_login(options: &Check, account: &str) -> Result<Report, Failure> {
    let place = Where::of(options)?;
    if account.contains(['\0', '\r', '\n']) {
        return Err(Failure::new("the account's name has characters that cannot be sent"));
    }
    let password = password(account, options.password_stdin)?;
    let begun = Instant::now();
    let mut login = Login::default();
    let started = Instant::now();
    let resolved = resolve(&place.host, place.family, place.step).await;
    let went = match resolved.findings(place.family).iter().find(|finding| finding.grade > Grade::Note) {
        Some(finding) => Err(finding.what.clone()),
        None => Ok(resolved.addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")),
    };
    if login.took(Step::Resolve, started, went) {
        let attempt = Attempt {
            places: places(&resolved, &place.ports),
            name: place.name.clone(),
            roots: &place.roots,
            belief: if options.insecure { Belief::Look } else { Belief::Strict },
            account,
            password: &password,
            step: place.step,
        };
        attempt.run(&mut login).await;
    }
    let findings = vec![login.finding(account)];
    let milliseconds = endpoint::milliseconds(begun.elapsed());
    Ok(Report { status: worst(&findings), milliseconds, resolved, ports: Vec::new(), login: Some(login), findings })
}

/// Where a client would try: TLS from the start before STARTTLS, every address of it.
fn places(resolved: &Resolved, ports: &[Port]) -> Vec<(SocketAddr, Security)> {
    let mut ports: Vec<Port> = ports.to_vec();
    ports.sort_by_key(|port| port.security != Some(Security::Tls));
    let usual = |port: &Port| match (port.security, port.number) {
        (Some(security), _) => security,
        (None, IMAPS) => Security::Tls,
        (None, IMAP) => Security::StartTls,
        // A port in the thousands is named after its example: 1993, 10993.
        (None, number) if number % 1000 == IMAPS => Security::Tls,
        (None, _) => Security::StartTls,
    };
    let all = ports.iter().flat_map(|port| {
        resolved.addresses.iter().map(move |address| (SocketAddr::new(*address, port.number), usual(port)))
    });
    all.collect()
}

fn password(account: &str, from_stdin: bool) -> Result<Secret, Failure> {
    if from_stdin {
        return password_entry::from_stdin();
    }
    password_entry::ask_once(account)
}
