//! TLS handshakes by rustls that look at everything and believe nothing: the certificate is kept and judged afterwards.
//! Where a password follows, the handshake is strict.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use columba_types::limits::{CHECK_CA_BYTES, CHECK_CERTIFICATES};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificate;
use super::hello::Version;
use super::shown::Shown;
use crate::failure::Failure;

/// Who is believed.
#[derive(Debug)]
pub(crate) struct Roots {
    pub(crate) store: Arc<RootCertStore>,
    /// Those of a file. A server's own certificate among them is believed as it is: openssl makes self-signed ones as
    /// CAs, which are no good as a server's otherwise.
    pub(crate) named: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Those of the system, or of a file alone.
    ///
    /// # Errors
    /// When the file cannot be read or has no certificate in it.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let mut store = RootCertStore::empty();
        let mut named = Vec::new();
        match file {
            // A system without any is told by every certificate being untrusted.
            None => drop(store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
            Some(path) => {
                let unreadable = |why: String| {
                    Failure::new(format!("the certificates in {} cannot be read: {why}", path.display()))
                        .hint("--ca wants a file of PEM certificates, as in /etc/ssl/certs/ca-certificates.crt")
                };
                let mut text = Vec::new();
                let read = File::open(path).and_then(|file| file.take(CHECK_CA_BYTES).read_to_end(&mut text));
                read.map_err(|error| unreadable(error.to_string()))?;
                for certificate in CertificateDer::pem_slice_iter(&text) {
                    let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                    store.add(certificate.clone()).map_err(|error| unreadable(error.to_string()))?;
                    named.push(certificate);
                }
                if store.is_empty() {
                    return Err(unreadable("there is none in it".into()));
                }
            }
        }
        Ok(Self { store: Arc::new(store), named })
    }
}

/// What a handshake agreed on.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Agreed {
    pub(crate) version: Version,
    pub(crate) cipher: String,
    /// The group of the key exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    pub(crate) milliseconds: f64,
}

/// A finished handshake.
#[derive(Debug)]
pub(crate) struct Handshake<S> {
    pub(crate) stream: TlsStream<S>,
    pub(crate) agreed: Agreed,
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

/// Why there was none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TlsFailure {
    /// The other side speaks something else.
    NotTls,
    Failed(Shown),
}

impl TlsFailure {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::NotTls => "it answers with something that is no TLS".into(),
            Self::Failed(why) => why.to_string(),
        }
    }
}

/// How far the certificate is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Belief {
    /// Anything goes: nothing secret follows.
    Look,
    /// Like a client: only what the roots vouch for.
    Strict,
}

/// Shakes hands, for at most `patience`.
pub(crate) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    name: &ServerName<'static>,
    roots: &Roots,
    belief: Belief,
    patience: Duration,
) -> Result<Handshake<S>, TlsFailure> {
    let (config, observer) = config(roots, belief)?;
    let started = Instant::now();
    let shaking = TlsConnector::from(config).connect(name.clone(), stream);
    let stream = match tokio::time::timeout(patience, shaking).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(failure(&error)),
        Err(_) => return Err(TlsFailure::Failed(Shown::text("it did not finish the handshake in time"))),
    };
    let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
    let connection = stream.get_ref().1;
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => Version::Tls13,
        _ => Version::Tls12,
    };
    let cipher = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
    let group = connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
    let chain = std::mem::take(&mut *observer.seen.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Handshake { stream, agreed: Agreed { version, cipher, group, milliseconds }, chain })
}

fn config(roots: &Roots, belief: Belief) -> Result<(Arc<ClientConfig>, Arc<Observer>), TlsFailure> {
    let unusable = |error: &dyn std::fmt::Display| TlsFailure::Failed(Shown::text(&error.to_string()));
    let provider = Arc::new(ring::default_provider());
    let strict = match belief {
        Belief::Look => None,
        Belief::Strict => {
            let builder = WebPkiServerVerifier::builder_with_provider(roots.store.clone(), provider.clone());
            Some(builder.build().map_err(|error| unusable(&error))?)
        }
    };
    let observer =
        Arc::new(Observer { provider: provider.clone(), strict, named: roots.named.clone(), seen: Mutex::default() });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| unusable(&error))?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(observer.clone()).with_no_client_auth();
    // Every handshake is a whole one: the certificate is what is looked at.
    config.resumption = rustls::client::Resumption::disabled();
    Ok((Arc::new(config), observer))
}

fn failure(error: &std::io::Error) -> TlsFailure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let words = match inner {
        Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => return TlsFailure::NotTls,
        Some(rustls::Error::InvalidMessage(_)) => return TlsFailure::NotTls,
        Some(rustls::Error::AlertReceived(alert)) => format!("it refused with the alert {alert:?}"),
        Some(rustls::Error::PeerIncompatible(why)) => format!("no version or cipher suite in common ({why:?})"),
        Some(rustls::Error::InvalidCertificate(why)) => format!("the certificate is not accepted: {why}"),
        Some(other) => other.to_string(),
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => "it closed the connection".into(),
        None => error.to_string(),
    };
    TlsFailure::Failed(Shown::text(&words))
}

/// Keeps the certificates it is shown.
#[derive(Debug)]
struct Observer {
    provider: Arc<CryptoProvider>,
    strict: Option<Arc<WebPkiServerVerifier>>,
    named: Vec<CertificateDer<'static>>,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl Observer {
    /// What a check said, where it counts. A signature that cannot be checked does not keep anyone from looking.
    fn judged(
        &self,
        said: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.strict.is_some() { said } else { Ok(HandshakeSignatureValid::assertion()) }
    }
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(own).chain(others).take(CHECK_CERTIFICATES + 1);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = all.map(|c| c.clone().into_owned()).collect();
        match &self.strict {
            Some(_) if self.named.contains(own) => {
                verify_server_name(&ParsedCertificate::try_from(own)?, name)?;
                let is_now = certificate::is_valid_at(own, i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
                let expired = || rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
                is_now.then(ServerCertVerified::assertion).ok_or_else(expired)
            }
            Some(strict) => strict.verify_server_cert(own, others, name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.judged(verify_tls12_signature(message, own, signed, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.judged(verify_tls13_signature(message, own, signed, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
