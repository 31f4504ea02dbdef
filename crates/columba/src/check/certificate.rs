//! What is in a certificate chain, and whether it is to be trusted: each question asked by itself, so that one fault does
//! not hide another. Pure: chains come from others.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use columba_types::limits::{CHECK_CERTIFICATES, CHECK_NAMES};
use rustls::CertificateError;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use serde::Serialize;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::shown::Shown;
use super::tls::Roots;
use crate::output::moment;

const DAY_SECS: i64 = 86_400;

/// What one certificate says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Certificate {
    pub(crate) subject: Shown,
    pub(crate) issuer: Shown,
    /// DNS names and addresses it is for.
    pub(crate) names: Vec<Shown>,
    pub(crate) names_left_out: usize,
    pub(crate) not_before: String,
    pub(crate) not_after: String,
    /// Whole days left; negative once it has expired.
    pub(crate) days_left: i64,
    pub(crate) is_too_early: bool,
    pub(crate) is_expired: bool,
    /// Such as `ECDSA P-256` or `RSA 2048`.
    pub(crate) key: String,
    pub(crate) is_key_weak: bool,
    /// Such as `ECDSA with SHA-256`.
    pub(crate) signature: String,
    pub(crate) is_signature_weak: bool,
    pub(crate) is_self_signed: bool,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub(crate) fingerprint: String,
}

/// Whether clients believe it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "trust", content = "why")]
pub(crate) enum Trust {
    Trusted,
    SelfSigned,
    Untrusted(Shown),
}

/// A chain as a server sent it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Chain {
    /// The server's own first; empty when that cannot be read.
    pub(crate) certificates: Vec<Certificate>,
    /// How many it sent.
    pub(crate) sent: usize,
    #[serde(flatten)]
    pub(crate) trust: Trust,
    /// The name that was asked for, and whether the certificate is for it.
    pub(crate) name: Shown,
    pub(crate) is_for_name: bool,
}

impl Chain {
    /// Whether a client would go on without a question, the time left aside.
    pub(crate) fn is_good(&self) -> bool {
        let valid = self.certificates.first().is_some_and(|own| !own.is_expired && !own.is_too_early);
        valid && self.trust == Trust::Trusted && self.is_for_name
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Reads a chain and judges it at the time `now`.
pub(crate) fn read_chain(chain: &[CertificateDer<'_>], name: &ServerName<'_>, roots: &Roots, now: i64) -> Chain {
    let mut certificates = Vec::new();
    for der in chain.iter().take(CHECK_CERTIFICATES) {
        match read(der, now) {
            Some(certificate) => certificates.push(certificate),
            None => break,
        }
    }
    let (trust, is_for_name) = match chain.split_first() {
        Some((own, others)) => (trust(own, others, roots, &certificates, now), is_for(own, name)),
        None => (Trust::Untrusted(Shown::text("it sent no certificate")), false),
    };
    let name = Shown::text(&name.to_str());
    Chain { certificates, sent: chain.len(), trust, name, is_for_name }
}

fn is_for(own: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    ParsedCertificate::try_from(own).is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

fn trust(
    own: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    roots: &Roots,
    read: &[Certificate],
    now: i64,
) -> Trust {
    if roots.named.contains(own) {
        return Trust::Trusted;
    }
    let self_signed = read.first().is_some_and(|own| own.is_self_signed);
    let parsed = match ParsedCertificate::try_from(own) {
        Ok(parsed) => parsed,
        Err(_) if self_signed => return Trust::SelfSigned,
        Err(error) => return Trust::Untrusted(Shown::text(&error.to_string())),
    };
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
    // Whether it has expired is a question of its own: trust is asked for at a time when it was valid.
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(valid_time(own, now)).unwrap_or(0)));
    match verify_server_cert_signed_by_trust_anchor(&parsed, &roots.store, others, time, algorithms) {
        Ok(()) => Trust::Trusted,
        Err(_) if self_signed => Trust::SelfSigned,
        Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            // The issuer that is missing is that of the last one that leads anywhere.
            let missing = read.last().map(|last| format!("no trusted issuer: nobody here knows \"{}\"", last.issuer));
            Trust::Untrusted(Shown::text(&missing.unwrap_or_else(|| "no trusted issuer".into())))
        }
        Err(rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            Trust::Untrusted(Shown::text("a certificate above it has expired"))
        }
        Err(rustls::Error::InvalidCertificate(error)) => Trust::Untrusted(Shown::text(&error.to_string())),
        Err(error) => Trust::Untrusted(Shown::text(&error.to_string())),
    }
}

/// `now`, or the nearest time at which the certificate was valid.
fn valid_time(own: &CertificateDer<'_>, now: i64) -> i64 {
    match X509Certificate::from_der(own) {
        Ok((_, certificate)) => {
            let (from, to) = span(&certificate);
            now.min(to.saturating_sub(1)).max(from.saturating_add(1))
        }
        Err(_) => now,
    }
}

/// Whether it is valid at that time.
pub(crate) fn is_valid_at(own: &CertificateDer<'_>, now: i64) -> bool {
    X509Certificate::from_der(own).is_ok_and(|(_, certificate)| {
        let (from, to) = span(&certificate);
        (from..=to).contains(&now)
    })
}

fn span(certificate: &X509Certificate<'_>) -> (i64, i64) {
    let validity = certificate.validity();
    (validity.not_before.timestamp(), validity.not_after.timestamp())
}

fn read(der: &[u8], now: i64) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let (from, to) = span(&certificate);
    let (key, is_key_weak) = key(&certificate);
    let oid = certificate.signature_algorithm.algorithm.to_id_string();
    let (signature, is_signature_weak) = signature(&oid);
    let (names, names_left_out) = names(&certificate);
    Some(Certificate {
        subject: Shown::text(&certificate.subject().to_string()),
        issuer: Shown::text(&certificate.issuer().to_string()),
        names,
        names_left_out,
        not_before: moment(from),
        not_after: moment(to),
        days_left: to.saturating_sub(now).div_euclid(DAY_SECS),
        is_too_early: now < from,
        is_expired: now > to,
        key,
        is_key_weak,
        signature: signature.to_owned(),
        is_signature_weak,
        is_self_signed: certificate.subject().as_raw() == certificate.issuer().as_raw(),
        fingerprint: Sha256::digest(der).iter().map(|octet| format!("{octet:02x}")).collect(),
    })
}

/// RFC 5280 §4.2.1.6. A common name is no name: RFC 9525 §2.
fn names(certificate: &X509Certificate<'_>) -> (Vec<Shown>, usize) {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return (Vec::new(), 0) };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(Shown::text(name)),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).ok().map(|ip| Shown::text(&std::net::IpAddr::from(ip).to_string())),
            16 => <[u8; 16]>::try_from(*octets).ok().map(|ip| Shown::text(&std::net::IpAddr::from(ip).to_string())),
            _ => None,
        },
        _ => None,
    };
    let mut all: Vec<Shown> = extension.value.general_names.iter().filter_map(text).collect();
    let left_out = all.len().saturating_sub(CHECK_NAMES);
    all.truncate(CHECK_NAMES);
    (all, left_out)
}

/// Kind and strength of the key, and whether that is too little (RFC 9325 §4.5).
fn key(certificate: &X509Certificate<'_>) -> (String, bool) {
    let info = certificate.public_key();
    let oid = info.algorithm.algorithm.to_id_string();
    match (info.parsed(), oid.as_str()) {
        (Ok(PublicKey::RSA(rsa)), _) => {
            let bits = rsa.key_size();
            (format!("RSA {bits}"), bits < 2048)
        }
        (Ok(PublicKey::EC(_)), _) => {
            let curve = info.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()).map(|oid| oid.to_id_string());
            match curve.as_deref() {
                Some("1.2.840.10045.3.1.7") => ("ECDSA P-256".into(), false),
                Some("1.3.132.0.34") => ("ECDSA P-384".into(), false),
                Some("1.3.132.0.35") => ("ECDSA P-521".into(), false),
                Some("1.2.840.10045.3.1.1") => ("ECDSA P-192".into(), true),
                Some("1.3.132.0.33") => ("ECDSA P-224".into(), true),
                Some(other) => (format!("ECDSA on curve {other}"), false),
                None => ("ECDSA".into(), false),
            }
        }
        (_, "1.3.101.112") => ("Ed25519".into(), false),
        (_, "1.3.101.113") => ("Ed448".into(), false),
        (Ok(PublicKey::DSA(_)), _) => ("DSA".into(), true),
        (_, other) => (format!("key of kind {other}"), false),
    }
}

/// Name of a signature algorithm, and whether it is broken.
fn signature(oid: &str) -> (&str, bool) {
    match oid {
        "1.2.840.113549.1.1.2" => ("RSA with MD2", true),
        "1.2.840.113549.1.1.4" => ("RSA with MD5", true),
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => ("RSA with SHA-1", true),
        "1.2.840.113549.1.1.10" => ("RSA-PSS", false),
        "1.2.840.113549.1.1.11" => ("RSA with SHA-256", false),
        "1.2.840.113549.1.1.12" => ("RSA with SHA-384", false),
        "1.2.840.113549.1.1.13" => ("RSA with SHA-512", false),
        "1.2.840.10040.4.3" => ("DSA with SHA-1", true),
        "1.2.840.10045.4.1" => ("ECDSA with SHA-1", true),
        "1.2.840.10045.4.3.2" => ("ECDSA with SHA-256", false),
        "1.2.840.10045.4.3.3" => ("ECDSA with SHA-384", false),
        "1.2.840.10045.4.3.4" => ("ECDSA with SHA-512", false),
        "1.3.101.112" => ("Ed25519", false),
        other => (other, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::RootCertStore;
    use std::slice::from_ref;

    /// 2026-01-01.
    const NOW: i64 = 1_767_225_600;

    fn params(name: &str, years: (i32, i32)) -> CertificateParams {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 11));
        params
    }

    fn authority() -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
        let mut params = params("Test CA", (2020, 2040));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        (der, Issuer::new(params, key))
    }

    fn roots(all: &[CertificateDer<'static>]) -> Roots {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(all.iter().cloned());
        Roots { store: store.into(), named: all.to_vec() }
    }

    fn judged(der: CertificateDer<'_>, roots: &[CertificateDer<'static>], name: &'static str) -> Chain {
        read_chain(&[der], &ServerName::try_from(name).unwrap(), &self::roots(roots), NOW)
    }

    #[test]
    fn each_fault_is_told_by_itself() {
        let (ca, issuer) = authority();
        let issue = |name: &str, years| {
            let key = KeyPair::generate().unwrap();
            params(name, years).signed_by(&key, &issuer).unwrap().der().clone()
        };
        let good = judged(issue("mail.example.org", (2025, 2026)), from_ref(&ca), "mail.example.org");
        assert!(good.is_good(), "{good:?}");
        assert_eq!(good.certificates[0].days_left, 10);
        assert_eq!(good.certificates[0].key, "ECDSA P-256");
        assert_eq!(good.certificates[0].signature, "ECDSA with SHA-256");
        assert_eq!(good.certificates[0].names, [Shown::text("mail.example.org")]);

        let both = judged(issue("other.example.org", (2023, 2024)), from_ref(&ca), "mail.example.org");
        let own = &both.certificates[0];
        assert_eq!((&both.trust, both.is_for_name, own.is_expired), (&Trust::Trusted, false, true));
        assert!(own.days_left < 0 && !both.is_good());

        let early = judged(issue("mail.example.org", (2030, 2031)), &[ca], "mail.example.org");
        assert!(early.certificates[0].is_too_early && early.trust == Trust::Trusted && !early.is_good());

        let unknown = judged(issue("mail.example.org", (2025, 2027)), &[], "mail.example.org");
        let Trust::Untrusted(why) = &unknown.trust else { panic!("{unknown:?}") };
        assert!(why.as_str().contains("Test CA"), "{why}");
    }

    #[test]
    fn a_self_signed_one_is_trusted_only_by_name() {
        let key = KeyPair::generate().unwrap();
        let der = params("localhost", (2025, 2027)).self_signed(&key).unwrap().der().clone();
        assert_eq!(judged(der.clone(), &[], "localhost").trust, Trust::SelfSigned);
        assert!(judged(der.clone(), from_ref(&der), "localhost").is_good());
        assert!(!judged(der, &[], "127.0.0.1").is_for_name);
        // As openssl makes them.
        let mut params = params("localhost", (2025, 2027));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().clone();
        assert!(judged(der.clone(), from_ref(&der), "localhost").is_good());
        assert_eq!(judged(der, &[], "localhost").trust, Trust::SelfSigned);
    }

    #[test]
    fn what_is_no_certificate_is_told() {
        let chain = judged(CertificateDer::from(vec![1, 2, 3]), &[], "localhost");
        assert!(chain.certificates.is_empty() && !chain.is_for_name);
        assert!(matches!(chain.trust, Trust::Untrusted(_)));
        let none = read_chain(&[], &ServerName::try_from("a").unwrap(), &roots(&[]), NOW);
        assert!(!none.is_good());
    }

    proptest! {
        #[test]
        fn damaged_certificates_are_read(at in 0usize..600, octet: u8, cut in 0usize..600) {
            let key = KeyPair::generate().unwrap();
            let mut der = params("localhost", (2025, 2027)).self_signed(&key).unwrap().der().to_vec();
            let length = der.len();
            der[at % length] = octet;
            der.truncate(length - cut % length);
            let _ = judged(CertificateDer::from(der), &[], "localhost");
        }
    }
}
