//! Certificate and key: read, checked, put to use, and read again when they change. Who asks for TLS, and when, is
//! others' matter.

mod certificates;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use thiserror::Error;
use tracing::{error, info};

use crate::{TlsSettings, TlsVersion};
use certificates::{ByName, Certificate, authorities, fingerprint, read};

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
    /// A certificate that should vouch for clients cannot.
    #[error("{} cannot vouch for clients: {reason}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// All of it together makes no configuration.
    #[error("TLS cannot be set up: {0}")]
    Refused(String),
}

/// What is in use now.
#[derive(Default)]
struct Current {
    config: Option<Arc<ServerConfig>>,
    /// In the order of the settings; `None` for one that never could be used.
    certificates: Vec<Option<Certificate>>,
    /// Of the file with those who vouch for clients.
    client_ca: u64,
}

/// The certificates in use. New connections ask for them each time; those that have one keep theirs.
pub(crate) struct Tls {
    settings: Option<TlsSettings>,
    /// Shared by all certificates, so that a new one does not end the clients' tickets.
    tickets: Option<Arc<dyn ProducesTickets>>,
    current: RwLock<Current>,
    generation: tokio::sync::watch::Sender<u64>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Tls {
    /// Nothing is read yet.
    pub(crate) fn new(settings: Option<TlsSettings>) -> Self {
        // Stateless tickets: a client that comes again saves the signature, and the server keeps nothing for it.
        let tickets = ring::Ticketer::new().ok();
        let generation = tokio::sync::watch::Sender::new(0);
        Self { settings, tickets, current: RwLock::default(), generation }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.settings.is_some()
    }

    /// Every file that is read.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let files = self.settings.iter().flat_map(|settings| &settings.certificates);
        let files = files.flat_map(|files| [files.certificate.clone(), files.key.clone()]);
        files.chain(self.settings.iter().filter_map(|settings| settings.client_ca.clone())).collect()
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

    /// Reads the files, and puts them to use if they have changed; whether they had. Of each certificate what was in use
    /// stays when it cannot be used.
    ///
    /// # Errors
    /// The first thing that is wrong; what is right is in use all the same.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let Some(settings) = &self.settings else { return Ok(false) };
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let (mut changed, mut wrong) = (false, None);
        current.certificates.resize(settings.certificates.len(), None);
        for (files, place) in settings.certificates.iter().zip(&mut current.certificates) {
            match Certificate::read(files, place.as_ref().map(|certificate| certificate.fingerprint)) {
                Ok(Some(read)) => {
                    *place = Some(read);
                    changed = true;
                }
                Ok(None) => {}
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        let client_ca = settings.client_ca.as_deref().map(|path| Ok((path, read(path)?))).transpose()?;
        let known = fingerprint(&client_ca);
        if !changed && current.config.is_some() && current.client_ca == known {
            return wrong.map_or(Ok(false), Err);
        }
        let usable: Vec<Certificate> = current.certificates.iter().flatten().cloned().collect();
        if usable.is_empty() {
            return wrong.map_or(Ok(false), Err);
        }
        let verifier = client_ca.map(|(path, octets)| authorities(&octets, path)).transpose()?;
        current.config = Some(Arc::new(self.build(settings.minimum, ByName(usable), verifier)?));
        current.client_ca = known;
        drop(current);
        self.generation.send_modify(|generation| *generation += 1);
        wrong.map_or(Ok(true), Err)
    }

    /// [`Tls::reload`], with its outcome logged.
    pub(crate) fn reload_and_log(&self) {
        match self.reload() {
            Ok(true) => info!(files = ?self.paths(), "new certificate in use"),
            Ok(false) => {}
            Err(error) if self.config().is_some() => {
                error!(%error, "a certificate cannot be used, what was in use stays");
            }
            Err(error) => error!(%error, "there is no certificate that can be used, so no TLS"),
        }
    }

    fn build(
        &self,
        minimum: TlsVersion,
        certificates: ByName,
        client_authorities: Option<rustls::RootCertStore>,
    ) -> Result<ServerConfig, TlsError> {
        let refused = |error: &dyn std::fmt::Display| TlsError::Refused(error.to_string());
        let provider = Arc::new(ring::default_provider());
        let versions: &[_] = match minimum {
            TlsVersion::V1_2 => &[&TLS13, &TLS12],
            TlsVersion::V1_3 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions);
        let builder = builder.map_err(|error| refused(&error))?;
        let builder = match client_authorities {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                // A client without a certificate is as welcome as before; one with a wrong one is not.
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier.allow_unauthenticated().build().map_err(|error| refused(&error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(certificates));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = usize::from(self.tickets.is_some());
        if let Some(tickets) = &self.tickets {
            config.ticketer = Arc::clone(tickets);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests;
