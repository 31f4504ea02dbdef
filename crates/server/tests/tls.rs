//! TLS as clients meet it: the certificate for the name they ask for, versions, certificates of their own, resumption.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use columba_server::{Config, Protocol, TlsFiles, TlsMode, TlsSettings, TlsVersion};
use rcgen::{BasicConstraints, CertificateParams, CertifiedKey, IsCa, Issuer, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use support::{Client, Site, usual};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const ANY: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

fn write(directory: &Path, name: &str) -> (TlsFiles, rustls::pki_types::CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let at = |end: &str| directory.join(format!("{name}.{end}"));
    fs::write(at("pem"), cert.pem()).unwrap();
    fs::write(at("key"), signing_key.serialize_pem()).unwrap();
    (TlsFiles { certificate: at("pem"), key: at("key") }, cert.der().clone())
}

struct Certificates {
    roots: RootCertStore,
    settings: TlsSettings,
    _directory: TempDir,
}

fn two() -> Certificates {
    let directory = TempDir::new().unwrap();
    let mut roots = RootCertStore::empty();
    let certificates = ["a.example", "b.example"].map(|name| {
        let (files, certificate) = write(directory.path(), name);
        roots.add(certificate).unwrap();
        files
    });
    let settings = TlsSettings { certificates: certificates.to_vec(), minimum: TlsVersion::V1_2, client_ca: None };
    Certificates { roots, settings, _directory: directory }
}

async fn site(settings: &TlsSettings) -> Site {
    let settings = settings.clone();
    Site::start(move |config: &mut Config, _| {
        usual(config);
        config.tls = Some(settings);
    })
    .await
}

fn client(roots: &RootCertStore, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots.clone()), provider.clone());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_webpki_verifier(verifier.build().unwrap())
        .with_no_client_auth()
}

/// Handshake, greeting and the first answer: under TLS 1.3 a client learns only then that its certificate was refused.
async fn greeted(site: &Site, config: &Arc<ClientConfig>, name: &'static str) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(site.address(Protocol::Imap, TlsMode::Implicit)).await?;
    let name = ServerName::try_from(name).unwrap();
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, socket).await?;
    let mut client = Client::new(stream);
    match client.next_line().await {
        Some(line) if line.starts_with("* OK") => Ok(client.into_inner()),
        _ => Err(std::io::ErrorKind::ConnectionAborted.into()),
    }
}

#[tokio::test]
async fn a_client_gets_the_certificate_for_the_name_it_asks_for() {
    let certificates = two();
    let site = site(&certificates.settings).await;
    let config = Arc::new(client(&certificates.roots, ANY));
    for name in ["a.example", "b.example", "B.EXAMPLE"] {
        greeted(&site, &config, name).await.unwrap();
    }
    // Another name gets the first, and the client sees that it is none of its own.
    let refused = greeted(&site, &config, "c.example").await.unwrap_err().to_string();
    assert!(refused.contains("not valid for name"), "{refused}");
    let mut only_first = RootCertStore::empty();
    only_first.roots.push(certificates.roots.roots[0].clone());
    let told = greeted(&site, &Arc::new(client(&only_first, ANY)), "c.example").await.unwrap_err().to_string();
    assert!(told.contains("a.example"), "{told}");
}

#[tokio::test]
async fn the_oldest_version_is_chosen() {
    let mut certificates = two();
    let old = Arc::new(client(&certificates.roots, &[&rustls::version::TLS12]));
    let new = Arc::new(client(&certificates.roots, &[&rustls::version::TLS13]));
    let both = site(&certificates.settings).await;
    greeted(&both, &old, "a.example").await.unwrap();
    greeted(&both, &new, "a.example").await.unwrap();
    certificates.settings.minimum = TlsVersion::V1_3;
    let strict = site(&certificates.settings).await;
    assert!(greeted(&strict, &old, "a.example").await.is_err());
    greeted(&strict, &new, "a.example").await.unwrap();
}

#[tokio::test]
async fn a_client_that_comes_again_resumes() {
    let certificates = two();
    let site = site(&certificates.settings).await;
    let config = Arc::new(client(&certificates.roots, ANY));
    let kind = |stream: &TlsStream<TcpStream>| stream.get_ref().1.handshake_kind().unwrap();
    assert_eq!(kind(&greeted(&site, &config, "a.example").await.unwrap()), HandshakeKind::Full);
    assert_eq!(kind(&greeted(&site, &config, "a.example").await.unwrap()), HandshakeKind::Resumed);
}

/// An authority, and a certificate of a client that it vouches for.
fn authority(name: &str) -> (rcgen::Certificate, rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let own = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let client_key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["ann.example".to_owned()]).unwrap();
    (own, client.signed_by(&client_key, &issuer).unwrap(), client_key)
}

#[tokio::test]
async fn a_certificate_of_a_client_is_asked_for_and_checked() {
    let mut certificates = two();
    let directory = TempDir::new().unwrap();
    let (authority_here, good, good_key) = authority("here");
    let (_, bad, bad_key) = authority("elsewhere");
    fs::write(directory.path().join("ca.pem"), authority_here.pem()).unwrap();
    certificates.settings.client_ca = Some(directory.path().join("ca.pem"));
    let site = site(&certificates.settings).await;
    let with = |certificate: &rcgen::Certificate, key: &KeyPair| {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(ANY).unwrap();
        let config = config.with_root_certificates(certificates.roots.clone());
        Arc::new(config.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap())
    };
    // It may come without one.
    greeted(&site, &Arc::new(client(&certificates.roots, ANY)), "a.example").await.unwrap();
    greeted(&site, &with(&good, &good_key), "a.example").await.unwrap();
    assert!(greeted(&site, &with(&bad, &bad_key), "a.example").await.is_err());
    assert_eq!(site.running.counters().tls_failures, 1);
}
