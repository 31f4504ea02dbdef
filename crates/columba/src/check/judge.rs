//! What the facts mean: from what was seen at a port, and at all of them together, to findings. Pure.

use super::certificate::{Chain, Trust};
use super::connect::State;
use super::endpoint::{Endpoint, Offer, StartTls};
use super::findings::{Code, Finding};
use super::greeting::{Greeting, has, mechanisms};
use super::hello::Version;
use super::shown::Shown;
use super::starttls::Injection;
use super::target::{IMAP, IMAPS, Security};

/// When a certificate's end is near, in days.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    pub(crate) warn_days: i64,
    pub(crate) crit_days: i64,
}

/// A greeting that takes longer is worth a note.
const SLOW_MILLISECONDS: f64 = 2000.0;

/// SASL mechanisms that show the password's hash, or want it kept in the clear (RFC 6331, RFC 9051 §11.3).
const WEAK_MECHANISMS: &[&str] = &["CRAM-MD5", "DIGEST-MD5", "NTLM", "OTP", "SKEY", "ANONYMOUS"];

/// Findings about one port.
struct Findings<'a> {
    seen: &'a Endpoint,
    found: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, code: Code, what: impl Into<String>) {
        self.found.push(Finding::new(code, self.seen.address, what));
    }
}

/// What is to be said about one port.
pub(crate) fn port(seen: &Endpoint, thresholds: Thresholds) -> Vec<Finding> {
    let mut findings = Findings { seen, found: Vec::new() };
    match seen.state {
        State::Open => findings.add(Code::PortOpen, "open"),
        State::Closed => findings.add(Code::PortClosed, format!("closed: {}", seen.how)),
        State::Filtered => findings.add(Code::PortFiltered, format!("filtered: {}", seen.how)),
        State::Unreachable => findings.add(Code::NoRoute, seen.how.as_str()),
    }
    if seen.state == State::Open {
        greeting(&mut findings);
        tls(&mut findings);
        if seen.serves() {
            capabilities(&mut findings);
        }
        if let Some(chain) = &seen.certificate {
            certificate(&mut findings, chain, thresholds);
        }
    }
    findings.found
}

fn greeting(findings: &mut Findings<'_>) {
    let seen = findings.seen;
    let shown = seen.greeting.clone().unwrap_or_default();
    match (seen.greeting_kind, seen.service) {
        (Some(Greeting::Ok), _) => {}
        (Some(Greeting::Preauth), _) => findings.add(Code::Preauth, format!("it greets with {shown}")),
        (Some(Greeting::Bye), _) => findings.add(Code::GreetingRefused, format!("it greets with {shown}")),
        // Told where TLS is judged.
        (_, Some("IMAP")) if seen.is_not_tls => {}
        (_, Some(service)) => findings.add(Code::NotImap, format!("{service} is spoken there, not IMAP: {shown}")),
        (Some(Greeting::NotImap), None) => findings.add(Code::NotImap, format!("that is no IMAP: {shown}")),
        (None, None) if seen.tls_failure.is_some() && !seen.is_silent => {}
        (None, None) if !shown.is_empty() => findings.add(Code::NotImap, format!("that is no IMAP: {shown}")),
        (None, None) if seen.is_silent => {
            findings.add(Code::GreetingMissing, "it accepts connections and says nothing")
        }
        (None, None) => {
            let why = seen.broken.as_deref().unwrap_or("it closed the connection");
            findings.add(Code::AnswerBroken, format!("no greeting: {why}"));
        }
    }
    if seen.serves() {
        if let Some(why) = &seen.broken {
            findings.add(Code::AnswerBroken, format!("it greets, and then: {why}"));
        }
        if let Some(took) = seen.greeting_milliseconds.filter(|took| *took > SLOW_MILLISECONDS) {
            findings.add(Code::GreetingSlow, format!("the greeting took {:.1} s", took / 1000.0));
        }
        if seen.tells_version {
            let software = seen.software.as_ref().map_or_else(|| "its version".into(), ToString::to_string);
            findings.add(Code::VersionTold, format!("it tells strangers: {software}"));
        }
    }
}

fn tls(findings: &mut Findings<'_>) {
    let seen = findings.seen;
    if let (Some(why), true) = (&seen.tls_failure, seen.security.is_some()) {
        if seen.is_not_tls && seen.security == Some(Security::Tls) {
            // Another service is a finding of its own.
            if matches!(seen.service, None | Some("IMAP")) {
                findings.add(Code::TlsNotSpoken, "it speaks without TLS");
            }
        } else {
            let code = if seen.security == Some(Security::StartTls) { Code::StartTlsFailed } else { Code::TlsFailed };
            findings.add(code, format!("the handshake failed: {why}"));
        }
    }
    starttls(findings);
    versions(findings);
    match &seen.weak_cipher {
        Some(Offer::Yes(suite)) => findings.add(Code::TlsWeakCipher, format!("it takes {suite}")),
        Some(Offer::Unknown(why)) => findings.add(Code::TlsUntested, format!("weak cipher suites: {why}")),
        _ => {}
    }
}

fn starttls(findings: &mut Findings<'_>) {
    let seen = findings.seen;
    if let Some(StartTls::Refused(why)) = &seen.starttls {
        findings.add(Code::StartTlsFailed, format!("STARTTLS was refused: {why}"));
    }
    if seen.starttls == Some(StartTls::NotOffered) && seen.serves() && seen.capabilities_before_tls.is_some() {
        findings.add(Code::StartTlsMissing, "there is no STARTTLS: whatever is said can be read on the way");
    }
    match &seen.injection {
        Some(Injection::Answered) => {
            findings.add(Code::StartTlsInjection, "a command sent before TLS was answered within");
        }
        Some(Injection::Safe(how)) => {
            findings.add(Code::StartTlsSafe, format!("a command sent behind STARTTLS is not answered: {how}"));
        }
        Some(Injection::Untested(why)) => findings.add(Code::StartTlsUntested, why.as_str()),
        None => {}
    }
}

fn versions(findings: &mut Findings<'_>) {
    let versions = &findings.seen.versions;
    let names = |wanted: &dyn Fn(&Offer) -> bool, old: bool| {
        let chosen = versions.iter().filter(|v| (v.version < Version::Tls12) == old && wanted(&v.offer));
        chosen.map(|v| v.version.name()).collect::<Vec<_>>()
    };
    let yes = |offer: &Offer| matches!(offer, Offer::Yes(_));
    let (old, new) = (names(&yes, true), names(&yes, false));
    let unknown: Vec<&str> =
        [true, false].iter().flat_map(|old| names(&|o| matches!(o, Offer::Unknown(_)), *old)).collect();
    if !old.is_empty() {
        findings.add(Code::TlsOldVersion, format!("{} offered", is_or_are(&old)));
    } else if !new.is_empty() && unknown.is_empty() {
        findings.add(Code::TlsModern, format!("{} offered, nothing older", is_or_are(&new)));
    }
    if versions.iter().any(|v| v.version == Version::Tls13 && matches!(v.offer, Offer::No(_))) {
        findings.add(Code::TlsNo13, "TLS 1.3 is not offered");
    }
    // Without any handshake the failure has been told.
    if findings.seen.tls.is_some() && !unknown.is_empty() {
        findings.add(Code::TlsUntested, format!("could not be told: {}", unknown.join(", ")));
    }
}

fn is_or_are(names: &[&str]) -> String {
    format!("{} {}", names.join(" and "), if names.len() == 1 { "is" } else { "are" })
}

fn capabilities(findings: &mut Findings<'_>) {
    let seen = findings.seen;
    if let Some(before) = &seen.capabilities_before_tls {
        plaintext(findings, before);
    }
    let Some(all) = &seen.capabilities else { return };
    match (has(all, "IMAP4rev2"), has(all, "IMAP4rev1")) {
        (true, _) => {}
        (false, true) => findings.add(Code::RevisionOld, "IMAP4rev1 alone"),
        (false, false) => findings.add(Code::RevisionMissing, "neither IMAP4rev1 nor IMAP4rev2 is announced"),
    }
    let mechanisms = mechanisms(all);
    let is_protected = seen.tls.is_some();
    if is_protected && mechanisms.is_empty() && has(all, "LOGINDISABLED") {
        findings.add(Code::MechanismsNone, "within TLS, too, there is neither a mechanism nor LOGIN");
    }
    let weak: Vec<&str> = mechanisms.iter().map(String::as_str).filter(|name| WEAK_MECHANISMS.contains(name)).collect();
    if !weak.is_empty() {
        findings.add(Code::MechanismsWeak, format!("it offers {}", weak.join(", ")));
    }
}

/// RFC 9051 §6.2.3, §11.1: LOGIN and PLAIN only under protection.
fn plaintext(findings: &mut Findings<'_>, before: &[Shown]) {
    let mut ways: Vec<String> = mechanisms(before);
    ways.retain(|name| matches!(name.as_str(), "PLAIN" | "LOGIN" | "XOAUTH2" | "OAUTHBEARER"));
    for way in &mut ways {
        way.insert_str(0, "AUTH=");
    }
    if !has(before, "LOGINDISABLED") {
        ways.insert(0, "LOGIN (no LOGINDISABLED)".into());
    }
    if ways.is_empty() {
        findings.add(Code::PlaintextRefused, "no password is taken without TLS");
    } else if findings.seen.address.ip().is_loopback() {
        // Servers take this machine for a safe network.
        findings.add(Code::PlaintextLoginLocal, format!("without TLS this machine may use {}", ways.join(", ")));
    } else {
        findings.add(Code::PlaintextLogin, format!("offered without TLS: {}", ways.join(", ")));
    }
}

fn certificate(findings: &mut Findings<'_>, chain: &Chain, thresholds: Thresholds) {
    let Some(own) = chain.certificates.first() else {
        let why = if let Trust::Untrusted(why) = &chain.trust { why.as_str() } else { "" };
        return findings.add(Code::CertificateUnreadable, format!("the certificate cannot be read: {why}"));
    };
    let until = &own.not_after;
    let days = own.days_left;
    if own.is_expired {
        findings.add(Code::CertificateExpired, format!("expired since {until}"));
    } else if own.is_too_early {
        findings.add(Code::CertificateNotYetValid, format!("valid only from {}", own.not_before));
    } else if days < thresholds.crit_days {
        findings.add(Code::CertificateExpiresNow, format!("{} left, until {until}", count_days(days)));
    } else if days < thresholds.warn_days {
        findings.add(Code::CertificateExpiresSoon, format!("{} left, until {until}", count_days(days)));
    }
    if !chain.is_for_name {
        let names: Vec<&str> = own.names.iter().take(5).map(Shown::as_str).collect();
        let more = own.names.len() + own.names_left_out - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let names = if names.is_empty() { "no name at all".into() } else { names.join(", ") };
        findings.add(Code::CertificateWrongName, format!("not for {}: it is for {names}{more}", chain.name));
    }
    match &chain.trust {
        Trust::Trusted => {}
        Trust::SelfSigned => findings.add(Code::CertificateSelfSigned, "the certificate vouches for itself"),
        Trust::Untrusted(why) => findings.add(Code::CertificateUntrusted, why.as_str()),
    }
    if own.is_key_weak {
        findings.add(Code::CertificateWeakKey, format!("its key is {}", own.key));
    }
    // The signature of a root, or of what vouches for itself, is not what is believed.
    if let Some(weak) = chain.certificates.iter().find(|c| c.is_signature_weak && !c.is_self_signed) {
        findings.add(Code::CertificateWeakSignature, format!("\"{}\" is signed by {}", weak.subject, weak.signature));
    }
    if chain.is_good() && !own.is_key_weak && days >= thresholds.warn_days {
        findings.add(Code::CertificateTrusted, format!("good for {}, {} left", chain.name, count_days(days)));
    }
}

fn count_days(days: i64) -> String {
    if days == 1 { "1 day".into() } else { format!("{days} days") }
}

/// What is to be said about all ports of a host together. `host` is as it was asked for.
pub(crate) fn host(host: &str, all: &[Endpoint]) -> Vec<Finding> {
    if !all.iter().any(|seen| seen.state == State::Open) {
        let reached = all.iter().any(|seen| seen.state != State::Unreachable);
        // Where this machine cannot go, nothing is known of the server.
        let code = if reached { Code::NothingAnswers } else { Code::NothingReached };
        return vec![Finding::new(code, host, if reached { "no port is open" } else { "no packet left this machine" })];
    }
    let mut found = Vec::new();
    let serves = |port: u16| all.iter().any(|seen| seen.address.port() == port && seen.serves());
    let looked = |port: u16| all.iter().any(|seen| seen.address.port() == port);
    if looked(IMAPS) && serves(IMAP) && !serves(IMAPS) {
        found.push(Finding::new(Code::ImplicitTlsMissing, host, "port 143 serves and port 993 doesn't"));
    }
    for seen in all.iter().filter(|seen| matches!(seen.state, State::Closed | State::Filtered)) {
        let port = seen.address.port();
        let other = all.iter().find(|other| other.address.port() == port && other.state == State::Open);
        if let Some(other) = other {
            let what = format!("port {port} is {} here and open at {}", seen.state.name(), other.address.ip());
            found.push(Finding::new(Code::AddressDiffers, seen.address, what));
        }
    }
    let prints: Vec<&str> = all
        .iter()
        .filter_map(|seen| seen.certificate.as_ref()?.certificates.first())
        .map(|own| own.fingerprint.as_str())
        .collect();
    if prints.windows(2).any(|pair| pair.first() != pair.last()) {
        found.push(Finding::new(Code::CertificateDiffers, host, "not all ports show the same certificate"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::greeting::capabilities;

    const DAYS: Thresholds = Thresholds { warn_days: 21, crit_days: 7 };

    fn open(address: &str) -> Endpoint {
        let mut seen = Endpoint::new(address.parse().unwrap(), Some(Security::StartTls));
        seen.state = State::Open;
        seen.greeting_kind = Some(Greeting::Ok);
        seen.greeting = Some(Shown::text("* OK ready"));
        seen
    }

    fn codes(seen: &Endpoint) -> Vec<Code> {
        port(seen, DAYS).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn passwords_without_tls_are_grave_but_from_here() {
        let before = |address: &str, line: &str| {
            let mut seen = open(address);
            seen.capabilities_before_tls = capabilities(line.as_bytes());
            codes(&seen)
        };
        let far = "192.0.2.1:143";
        assert!(before(far, "* CAPABILITY IMAP4rev1 STARTTLS").contains(&Code::PlaintextLogin));
        assert!(before(far, "* CAPABILITY STARTTLS LOGINDISABLED AUTH=PLAIN").contains(&Code::PlaintextLogin));
        assert!(before(far, "* CAPABILITY STARTTLS LOGINDISABLED AUTH=GSSAPI").contains(&Code::PlaintextRefused));
        assert!(before("[::1]:143", "* CAPABILITY IMAP4rev1").contains(&Code::PlaintextLoginLocal));
    }

    #[test]
    fn greetings_are_judged() {
        let mut seen = open("192.0.2.1:143");
        for (kind, code) in [
            (Some(Greeting::Preauth), Code::Preauth),
            (Some(Greeting::Bye), Code::GreetingRefused),
            (Some(Greeting::NotImap), Code::NotImap),
        ] {
            seen.greeting_kind = kind;
            assert!(codes(&seen).contains(&code), "{kind:?}");
        }
        seen = open("192.0.2.1:143");
        seen.greeting_milliseconds = Some(2500.0);
        seen.capabilities = capabilities(b"* CAPABILITY AUTH=CRAM-MD5");
        let found = codes(&seen);
        for code in [Code::GreetingSlow, Code::RevisionMissing, Code::MechanismsWeak] {
            assert!(found.contains(&code), "{code:?} in {found:?}");
        }
    }

    #[test]
    fn ports_of_a_host_are_compared() {
        let of = |all: &[Endpoint]| host("mail", all).iter().map(|finding| finding.code).collect::<Vec<_>>();
        let closed = |address: &str| {
            let mut seen = Endpoint::new(address.parse().unwrap(), None);
            seen.state = State::Closed;
            seen
        };
        assert_eq!(of(&[open("192.0.2.1:143"), closed("192.0.2.1:993")]), [Code::ImplicitTlsMissing]);
        assert_eq!(of(&[open("192.0.2.1:993"), closed("192.0.2.1:143")]), []);
        assert_eq!(of(&[open("192.0.2.1:993"), closed("[2001:db8::1]:993")]), [Code::AddressDiffers]);
        assert_eq!(of(&[closed("192.0.2.1:993")]), [Code::NothingAnswers]);
        assert_eq!(of(&[Endpoint::new("192.0.2.1:993".parse().unwrap(), None)]), [Code::NothingReached]);
    }
}
