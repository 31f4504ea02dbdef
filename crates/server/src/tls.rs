//! Certificate and key: read, checked, put to use, and read again when they change. Who asks for TLS, and when, is
//! others' matter.

mod watch;

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use columba_types::limits;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use thiserror::Error;
use tracing::{error, info};

use crate::TlsFiles;

pub use watch::directories_to;
pub(crate) use watch::watch;

/// Why certificate and key cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file holds no certificate.
    #[error("{}: there is no certificate in it; it should begin with -----BEGIN CERTIFICATE-----", .0.display())]
    NoCertificate(PathBuf),
    /// The file holds no key.
    #[error("{}: there is no private key in it that can be used; encrypted keys cannot", .0.display())]
    NoKey(PathBuf),
    /// The two do not belong together, or their kind is not supported.
    #[error("{} and {} cannot be used together: {reason}", certificate.display(), key.display())]
    Unusable {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What is in use now.
#[derive(Clone, Default)]
struct Current {
    config: Option<Arc<ServerConfig>>,
    /// Of the files' octets, to know whether they changed.
    fingerprint: u64,
}

/// The certificate in use. New connections ask for it each time; those that have one keep theirs.
pub(crate) struct Tls {
    files: Option<TlsFiles>,
    /// Shared by all certificates, so that a new one does not end the clients' tickets.
    tickets: Option<Arc<dyn ProducesTickets>>,
    current: RwLock<Current>,
    generation: tokio::sync::watch::Sender<u64>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Nothing is read yet.
    pub(crate) fn new(files: Option<TlsFiles>) -> Self {
        // Stateless tickets: a client that comes again saves the signature, and the server keeps nothing for it.
        let tickets = ring::Ticketer::new().ok();
        let generation = tokio::sync::watch::Sender::new(0);
        Self { files, tickets, current: RwLock::default(), generation }
    }

    pub(crate) fn files(&self) -> Option<&TlsFiles> {
        self.files.as_ref()
    }

    /// What to do handshakes with; `None` while there is no certificate.
    pub(crate) fn config(&self) -> Option<Arc<ServerConfig>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    /// Tells of every certificate put to use.
    #[cfg(test)]
    pub(crate) fn generations(&self) -> tokio::sync::watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Reads the files, and puts them to use if they have changed; whether they had. What was in use stays when they
    /// cannot be used.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let Some(files) = &self.files else { return Ok(false) };
        let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
        let mut hasher = DefaultHasher::new();
        (&certificate, &key).hash(&mut hasher);
        let fingerprint = hasher.finish();
        let known = self.current.read().unwrap_or_else(PoisonError::into_inner).fingerprint;
        if known == fingerprint && self.config().is_some() {
            return Ok(false);
        }
        let config = Arc::new(self.build(files, &certificate, &key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { config: Some(config), fingerprint };
        self.generation.send_modify(|generation| *generation += 1);
        Ok(true)
    }

    /// [`Tls::reload`], with its outcome logged.
    pub(crate) fn reload_and_log(&self) {
        match self.reload() {
            Ok(true) => info!(files = ?self.files, "new certificate in use"),
            Ok(false) => {}
            Err(error) if self.config().is_some() => {
                error!(%error, "the new certificate cannot be used, the old one stays");
            }
            Err(error) => error!(%error, "there is no certificate that can be used, so no TLS"),
        }
    }

    fn build(&self, files: &TlsFiles, certificate: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
        let unusable = |reason: String| TlsError::Unusable {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            reason,
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| TlsError::NoCertificate(files.certificate.clone()))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(files.certificate.clone()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey(files.key.clone()))?;
        // TLS 1.2 and 1.3, no older one.
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?;
        let mut config =
            builder.with_no_client_auth().with_single_cert(chain, key).map_err(|error| unusable(error.to_string()))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = usize::from(self.tickets.is_some());
        if let Some(tickets) = &self.tickets {
            config.ticketer = Arc::clone(tickets);
        }
        Ok(config)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error: io::Error| TlsError::Unreadable { path: path.to_owned(), reason: error.to_string() };
    let mut octets = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(limits::CERTIFICATE_BYTES).read_to_end(&mut octets).map_err(unreadable)?;
    Ok(octets)
}

#[cfg(test)]
mod tests;
