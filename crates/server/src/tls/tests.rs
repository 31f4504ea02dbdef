//! Certificates that come, change and go wrong.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::TlsFiles;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

fn make(directory: &Path, name: &str) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let files = TlsFiles { certificate: directory.join("cert.pem"), key: directory.join("key.pem") };
    fs::write(&files.certificate, made.cert.pem()).unwrap();
    fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    files
}

fn same(a: &Option<Arc<ServerConfig>>, b: &Option<Arc<ServerConfig>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

#[test]
fn says_what_is_wrong_with_the_files() {
    let base = TempDir::new().unwrap();
    let files = make(base.path(), "a.example");
    let error = |files: &TlsFiles| Tls::new(Some(files.clone().into())).reload().unwrap_err();
    let missing = TlsFiles { certificate: base.path().join("missing.pem"), ..files.clone() };
    assert!(error(&missing).to_string().ends_with("missing.pem: No such file or directory (os error 2)"));
    let swapped = TlsFiles { certificate: files.key.clone(), key: files.certificate.clone() };
    assert_eq!(error(&swapped), TlsError::NoCertificate(files.key.clone()));
    let no_key = TlsFiles { key: files.certificate.clone(), ..files.clone() };
    assert_eq!(error(&no_key), TlsError::NoKey(files.certificate.clone()));
    let other = TempDir::new().unwrap();
    let mixed = TlsFiles { key: make(other.path(), "b.example").key, ..files };
    assert!(matches!(error(&mixed), TlsError::Unusable { .. }), "{}", error(&mixed));
}

#[test]
fn a_broken_file_never_replaces_a_good_one() {
    let base = TempDir::new().unwrap();
    let files = make(base.path(), "a.example");
    let tls = Tls::new(Some(files.clone().into()));
    assert!(tls.config().is_none());
    assert_eq!(tls.reload(), Ok(true));
    assert_eq!(tls.reload(), Ok(false));
    let good = tls.config();
    fs::write(&files.certificate, "rubbish").unwrap();
    assert!(tls.reload().is_err());
    assert!(same(&tls.config(), &good));
    fs::remove_file(&files.key).unwrap();
    assert!(tls.reload().is_err());
    assert!(same(&tls.config(), &good));
    make(base.path(), "b.example");
    assert_eq!(tls.reload(), Ok(true));
    assert!(!same(&tls.config(), &good));
}

#[tokio::test]
async fn a_change_of_files_or_links_is_noticed() {
    let base = TempDir::new().unwrap();
    let at = |name: &str| base.path().join(name);
    for (directory, name) in [("1", "a.example"), ("2", "b.example")] {
        fs::create_dir(at(directory)).unwrap();
        make(&at(directory), name);
    }
    // As Kubernetes mounts secrets: files are links through a link that is swapped.
    symlink("1", at("..data")).unwrap();
    symlink("..data/cert.pem", at("tls.crt")).unwrap();
    symlink("..data/key.pem", at("tls.key")).unwrap();
    let tls = Arc::new(Tls::new(Some(TlsFiles { certificate: at("tls.crt"), key: at("tls.key") }.into())));
    let mut generations = tls.generations();
    let watching = tokio::spawn(watch(Arc::clone(&tls)));
    generations.wait_for(|generation| *generation == 1).await.unwrap();

    symlink("2", at("..data_new")).unwrap();
    fs::rename(at("..data_new"), at("..data")).unwrap();
    generations.wait_for(|generation| *generation == 2).await.unwrap();

    // Written in place, in the directory the links lead to now.
    make(&at("2"), "c.example");
    generations.wait_for(|generation| *generation >= 3).await.unwrap();
    watching.abort();
}

#[test]
fn one_broken_certificate_leaves_the_others_in_use() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let certificates = vec![make(first.path(), "a.example"), make(second.path(), "b.example")];
    fs::write(first.path().join("key.pem"), "rubbish").unwrap();
    let tls = Tls::new(Some(TlsSettings { certificates, minimum: TlsVersion::V1_3, client_ca: None }));
    assert_eq!(tls.reload(), Err(TlsError::NoKey(first.path().join("key.pem"))));
    let with_one = tls.config();
    assert!(with_one.is_some());
    assert!(tls.reload().is_err(), "it is told as long as it holds");
    assert!(same(&tls.config(), &with_one));
    make(first.path(), "a.example");
    assert_eq!(tls.reload(), Ok(true));
}

#[test]
fn who_vouches_for_clients_has_to_be_there() {
    let base = TempDir::new().unwrap();
    let settings = |client_ca: &str| TlsSettings {
        client_ca: Some(base.path().join(client_ca)),
        ..make(base.path(), "a.example").into()
    };
    let tls = Tls::new(Some(settings("missing.pem")));
    assert!(matches!(tls.reload(), Err(TlsError::Unreadable { .. })));
    assert!(tls.config().is_none(), "nobody is let in whom nobody could be asked about");
    let tls = Tls::new(Some(settings("cert.pem")));
    assert_eq!(tls.reload(), Ok(true));
    fs::write(base.path().join("cert.pem"), "rubbish").unwrap();
    assert!(tls.reload().is_err() && tls.config().is_some());
}
