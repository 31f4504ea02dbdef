//! Certificates with their keys: read, checked, and chosen by the name a client asks for.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use columba_types::limits;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SignatureScheme};

use super::TlsError;
use crate::TlsFiles;

/// A certificate, and the names it is for.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// Lower case; the first label may be `*`.
    names: Vec<String>,
    key: Arc<CertifiedKey>,
    /// Of the files' octets, to know whether they changed.
    pub(super) fingerprint: u64,
}

impl Certificate {
    /// Reads it, unless its files are as they were: then `None`.
    pub(super) fn read(files: &TlsFiles, known: Option<u64>) -> Result<Option<Self>, TlsError> {
        let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
        // An answer of the authority that it is not revoked, to be handed out with it (RFC 6066 §8).
        let ocsp = read(&ocsp_beside(&files.certificate)).ok().filter(|octets| !octets.is_empty());
        let fingerprint = fingerprint(&(&certificate, &key, &ocsp));
        if known == Some(fingerprint) {
            return Ok(None);
        }
        let chain = chain(&certificate, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| TlsError::NoKey(files.key.clone()))?;
        let names = names(&chain);
        let mut key =
            CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| TlsError::Unusable {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
                reason: error.to_string(),
            })?;
        key.ocsp = ocsp;
        Ok(Some(Self { names, key: Arc::new(key), fingerprint }))
    }

    /// RFC 9525 §6.3: a star stands for one whole label, the first.
    fn is_for(&self, name: &str) -> bool {
        let fits = |own: &String| match own.strip_prefix("*.") {
            Some(parent) => name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
            None => own == name,
        };
        self.names.iter().any(fits)
    }

    fn suits(&self, schemes: &[SignatureScheme]) -> bool {
        self.key.key.choose_scheme(schemes).is_some()
    }
}

/// `certificate.pem.ocsp`.
fn ocsp_beside(certificate: &Path) -> PathBuf {
    let mut name = certificate.as_os_str().to_owned();
    name.push(".ocsp");
    name.into()
}

pub(super) fn fingerprint(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn chain(octets: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let none = || TlsError::NoCertificate(path.to_owned());
    let chain: Vec<_> = CertificateDer::pem_slice_iter(octets).collect::<Result<_, _>>().map_err(|_| none())?;
    if chain.is_empty() { Err(none()) } else { Ok(chain) }
}

/// A certificate without names, or an odd one, serves whoever asks for no name that another one has.
fn names(chain: &[CertificateDer<'_>]) -> Vec<String> {
    let Some(Ok(leaf)) = chain.first().map(webpki::EndEntityCert::try_from) else { return Vec::new() };
    leaf.valid_dns_names().map(str::to_ascii_lowercase).collect()
}

/// The authorities that vouch for clients.
pub(super) fn authorities(octets: &[u8], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(octets, path)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Authority { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(roots)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error: io::Error| TlsError::Unreadable { path: path.to_owned(), reason: error.to_string() };
    let mut octets = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(limits::CERTIFICATE_BYTES).read_to_end(&mut octets).map_err(unreadable)?;
    Ok(octets)
}

/// All there are, the first for whoever names none that another one is for.
#[derive(Debug)]
pub(super) struct ByName(pub(super) Vec<Certificate>);

impl ByName {
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Certificate> {
        let name = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let suited = || self.0.iter().filter(|certificate| certificate.suits(schemes));
        let named = name.and_then(|name| suited().find(|certificate| certificate.is_for(&name)));
        named.or_else(|| suited().next())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.choose(hello.server_name(), hello.signature_schemes());
        chosen.map(|certificate| Arc::clone(&certificate.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: &[&str]) -> Certificate {
        let base = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let made = made.unwrap();
        let at = |name: &str| base.path().join(name);
        std::fs::write(at("c"), made.cert.pem()).unwrap();
        std::fs::write(at("k"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(at("c.ocsp"), "an answer").unwrap();
        let files = TlsFiles { certificate: at("c"), key: at("k") };
        let read = Certificate::read(&files, None).unwrap().unwrap();
        assert!(Certificate::read(&files, Some(read.fingerprint)).unwrap().is_none());
        assert_eq!(read.key.ocsp.as_deref(), Some(&b"an answer"[..]));
        read
    }

    #[test]
    fn who_asks_for_a_name_gets_its_certificate_and_others_the_first() {
        let all = ByName(vec![
            certificate(&["mail.example.org"]),
            certificate(&["*.example.com", "example.com"]),
            certificate(&["IMAP.example.com"]),
        ]);
        let schemes = [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519];
        let chosen = |name: Option<&str>| all.choose(name, &schemes).unwrap().names[0].clone();
        for (asked, got) in [
            (None, "mail.example.org"),
            (Some("mail.example.org"), "mail.example.org"),
            (Some("MAIL.example.org."), "mail.example.org"),
            (Some("a.example.com"), "*.example.com"),
            (Some("example.com"), "*.example.com"),
            (Some("a.b.example.com"), "mail.example.org"),
            (Some(".example.com"), "mail.example.org"),
            (Some("elsewhere.example"), "mail.example.org"),
        ] {
            assert_eq!(chosen(asked), got, "{asked:?}");
        }
        assert!(all.choose(None, &[SignatureScheme::RSA_PSS_SHA256]).is_none(), "none that this client understands");
    }
}
