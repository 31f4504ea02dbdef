//! What can be found: every finding with its grade, what it means and what to do. docs/check.md says the same, and a
//! test holds the two together. When a finding holds is decided elsewhere.

use serde::{Serialize, Serializer};

/// How grave a finding is. The worst one decides the exit status.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Grade {
    /// As it should be.
    Ok,
    /// Good to know; nothing has to be done.
    Note,
    /// It could not be found out.
    Unknown,
    /// Should be changed.
    Warning,
    /// People cannot reach their mail, or others can.
    Critical,
}

impl Grade {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The exit status that monitoring systems understand (Monitoring Plugins Development Guidelines).
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Ok | Self::Note => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }
}

/// One kind of finding.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its stable name in text, JSON and documentation.
    pub(crate) id: &'static str,
    pub(crate) grade: Grade,
    /// What to do, in one line; empty where nothing is to be done.
    pub(crate) remedy: &'static str,
}

/// One thing found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Finding {
    #[serde(rename = "id", serialize_with = "by_id")]
    pub(crate) code: Code,
    pub(crate) grade: Grade,
    /// Where: an address and port, a name, a rule; empty for the whole.
    #[serde(rename = "where")]
    pub(crate) place: String,
    /// What was seen, in words.
    pub(crate) what: String,
    pub(crate) remedy: &'static str,
}

impl Finding {
    pub(crate) fn new(code: Code, place: impl ToString, what: impl Into<String>) -> Self {
        let kind = code.kind();
        Self { code, grade: kind.grade, place: place.to_string(), what: what.into(), remedy: kind.remedy }
    }
}

fn by_id<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.kind().id)
}

/// The worst of all; nothing found at all is nothing known.
pub(crate) fn worst<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Grade {
    findings.into_iter().map(|finding| finding.grade).max().unwrap_or(Grade::Unknown)
}

/// Declares the codes with their kinds, so that none can lack one.
macro_rules! findings {
    ($($code:ident $id:literal $grade:ident $remedy:literal)*) => {
        /// Every kind of finding by name.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(crate) enum Code { $($code),* }

        impl Code {
            pub(crate) const fn kind(self) -> &'static Kind {
                match self {
                    $(Self::$code => &Kind { id: $id, grade: Grade::$grade, remedy: $remedy }),*
                }
            }

            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$code),*];
        }
    };
}

findings! {
    NameUnresolved "name-unresolved" Critical "Give the name an A or AAAA record, or check how it is spelled."
    NameLookupFailed "name-lookup-failed" Unknown "See whether this machine reaches its name servers (/etc/resolv.conf), and try again."
    NameNoIpv6 "name-no-ipv6" Note "Where the server has IPv6, give the name an AAAA record."
    NameNoIpv4 "name-no-ipv4" Note "Networks without IPv6 can't reach it; give the name an A record."
    AddressesLeftOut "addresses-left-out" Note "Name the addresses that matter one by one."

    PortOpen "port-open" Ok ""
    PortClosed "port-closed" Note "Nothing, if the other port is meant to do; else let the server listen there."
    PortFiltered "port-filtered" Note "Nothing, if it is meant so; else open it in the firewall."
    NoRoute "no-route" Note "Look from a machine that has such addresses; this one has no way there."
    NothingAnswers "nothing-answers" Critical "Start the server; then see `columba check --local` there and the firewalls between."
    NothingReached "nothing-reached" Unknown "Look from a machine with a way there; nothing was learnt of the server."
    AddressDiffers "address-differs" Warning "Let the server listen on every address of the name, or take the others out of DNS."
    ImplicitTlsMissing "implicit-tls-missing" Note "Offer IMAP with TLS from the start on port 993 (RFC 8314): STARTTLS can be stripped."

    GreetingMissing "greeting-missing" Critical "Something accepts and says nothing: see what listens there, and whether it hangs."
    NotImap "not-imap" Critical "See which process listens there (`columba check --local` on that machine)."
    GreetingRefused "greeting-refused" Critical "The server turns this machine away; its log says why (a limit, a ban, an overload)."
    GreetingSlow "greeting-slow" Note "See whether the server waits for DNS lookups or is short of processes."
    AnswerBroken "answer-broken" Critical "See the server's log: it broke off, or sent what is no IMAP."
    Preauth "preauth" Critical "Close the port: whoever connects is logged in without a password."

    RevisionMissing "revision-missing" Warning "It announces no revision of IMAP; clients may refuse it."
    RevisionOld "revision-1-only" Note "IMAP4rev2 (RFC 9051) is not offered; clients get along with IMAP4rev1."
    VersionTold "software-version-told" Note "Take the version out of greeting and ID, if you'd rather not tell it to scanners."

    StartTlsMissing "starttls-missing" Critical "Give the server a certificate and turn STARTTLS on, or close this port."
    StartTlsFailed "starttls-failed" Critical "STARTTLS is announced and does not work: see the server's TLS settings and log."
    StartTlsInjection "starttls-injection" Critical "Update the server: what is sent before TLS is taken as sent within (CVE-2011-0411)."
    StartTlsSafe "starttls-safe" Ok ""
    StartTlsUntested "starttls-untested" Note "Try again with a longer --timeout."
    PlaintextLogin "plaintext-login" Critical "Refuse passwords without TLS: announce LOGINDISABLED and no AUTH=PLAIN before STARTTLS."
    PlaintextLoginLocal "plaintext-login-local" Note "Seen from this machine only; look from another one, too."
    PlaintextRefused "plaintext-refused" Ok ""
    MechanismsNone "mechanisms-none" Warning "Nobody can log in this way: turn a mechanism on, for instance PLAIN within TLS."
    MechanismsWeak "mechanisms-weak" Note "Turn them off: they need passwords kept in the clear, or hide nothing."

    TlsNotSpoken "tls-not-spoken" Critical "This port wants TLS from the start: turn implicit TLS on for it."
    TlsFailed "tls-failed" Critical "See the server's log and its certificate, key and cipher settings."
    TlsOldVersion "tls-old-version" Warning "Turn TLS 1.0 and 1.1 off (RFC 8996)."
    TlsNo13 "tls-no-1.3" Note "Offer TLS 1.3, too: fewer round trips, better secrecy."
    TlsWeakCipher "tls-weak-cipher" Warning "Turn these cipher suites off."
    TlsModern "tls-modern" Ok ""
    TlsUntested "tls-untested" Note "Try again with a longer --timeout."

    CertificateTrusted "certificate-trusted" Ok ""
    CertificateExpired "certificate-expired" Critical "Renew the certificate now, and let the server read it."
    CertificateExpiresNow "certificate-expires-now" Critical "Renew the certificate, and see why it was not renewed by itself."
    CertificateExpiresSoon "certificate-expires-soon" Warning "Renew the certificate, and see why it was not renewed by itself."
    CertificateNotYetValid "certificate-not-yet-valid" Critical "See whether the clocks are right; the certificate is for later."
    CertificateWrongName "certificate-wrong-name" Critical "Get a certificate with this name, or use the name that is in it."
    CertificateSelfSigned "certificate-self-signed" Warning "Get one that clients trust (Let's Encrypt), or give clients this one: --ca FILE."
    CertificateUntrusted "certificate-untrusted" Critical "Send the whole chain (fullchain.pem), or name the private CA with --ca FILE."
    CertificateUnreadable "certificate-unreadable" Critical "Replace the certificate: it is malformed."
    CertificateWeakKey "certificate-weak-key" Warning "Make a new key: ECDSA P-256, or RSA with 2048 bits or more."
    CertificateWeakSignature "certificate-weak-signature" Warning "Get a certificate that is signed with SHA-256 or better."
    CertificateDiffers "certificate-differs" Note "Give every port the same certificate, or see that each is renewed."

    LoginWorks "login-works" Ok ""
    LoginFailed "login-failed" Critical "See the step that failed; the server's log says more."

    LocalListens "local-listens" Ok ""
    LocalNothing "local-nothing-listens" Critical "Start the server: `columba serve`, or see why it ended."
    LocalOnePort "local-one-port" Note "Nothing, if it is meant so: port 993 alone is the safest."
    LocalLoopback "local-loopback-only" Note "To serve others, listen on 0.0.0.0 and [::] instead of loopback."
    LocalPlainOpen "local-starttls-for-everyone" Note "Let only your own networks reach it (the snippet below): TLS from the start is for all."
    LocalFiltered "local-restricted" Ok ""
    LocalBlocked "local-blocked" Warning "The firewall here drops it: open it as the snippet below shows."
    LocalProcessUnknown "local-process-unknown" Note "Run this as root: others' processes are not visible."
    LocalOther "local-not-columba" Note "Columba cannot have the port while another server has it."
    LocalMixed "local-two-servers" Warning "Two programs share the port: connections go now to one, now to the other. Stop one."
    LocalConfigAgrees "local-config-agrees" Ok ""
    LocalConfigMissing "local-config-not-listening" Warning "The configuration names a listener that is not there: restart the server, see its log."
    LocalConfigExtra "local-config-unknown-listener" Warning "Columba listens where its configuration doesn't say: another one runs, or restart it."
    LocalConfigNone "local-config-none" Note "Name it with --config FILE to have it compared with what listens."
    LocalRulesUnreadable "local-rules-unreadable" Note "Run this as root with nftables installed, and it reads the rules."
    LocalRulesUnclear "local-rules-unclear" Note "The rules depend on things that can't be judged here: look from outside, too."
    LocalRulesNone "local-rules-none" Note "No rule concerns the port; the snippet below has some."
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const PAGE: &str = include_str!("../../../../docs/check.md");

    #[test]
    fn every_finding_is_documented_with_its_grade_and_remedy() {
        let rows: Vec<Vec<&str>> = PAGE
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
            .collect();
        let documented: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
        let known: Vec<&str> = Code::ALL.iter().map(|code| code.kind().id).collect();
        assert_eq!(documented, known, "docs/check.md lists them in the order of the code");
        for (row, code) in rows.iter().zip(Code::ALL) {
            let Kind { id, grade, remedy } = code.kind();
            assert_eq!(row.len(), 4, "{id}: id, grade, meaning, remedy");
            assert_eq!(row[1], grade.name(), "{id}");
            assert!(row[2].len() > 10, "{id} has a meaning");
            assert_eq!(row[3], if remedy.is_empty() { "–" } else { remedy }, "{id}");
        }
    }

    #[test]
    fn remedies_are_one_line_and_ids_are_unique() {
        let mut ids = HashSet::new();
        for code in Code::ALL {
            let Kind { id, grade, remedy } = code.kind();
            assert!(ids.insert(id), "{id} is there twice");
            assert!(remedy.len() <= 100, "{id}: {} characters", remedy.len());
            assert_eq!(remedy.is_empty(), *grade == Grade::Ok, "{id}: what is not ok has a remedy");
        }
    }

    #[test]
    fn the_worst_decides_the_status() {
        let of = |codes: &[Code]| worst(&codes.iter().map(|c| Finding::new(*c, "", "")).collect::<Vec<_>>()).status();
        assert_eq!(of(&[Code::PortOpen, Code::TlsNo13]), 0);
        assert_eq!(of(&[Code::PortOpen, Code::TlsOldVersion, Code::NameLookupFailed]), 1);
        assert_eq!(of(&[Code::TlsOldVersion, Code::NotImap]), 2);
        assert_eq!(of(&[Code::NameLookupFailed, Code::NameNoIpv6]), 3);
        assert_eq!(of(&[]), 3);
    }
}
