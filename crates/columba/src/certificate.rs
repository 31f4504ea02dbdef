//! The certificate that `quickstart` makes for itself. Nobody else vouches for it: clients are told to trust this one file.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use columba_types::Date;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};

use crate::failure::Failure;

/// Days a certificate is good for; Apple's clients refuse longer ones.
const VALID_DAYS: i64 = 820;
/// Age in days at which a new one is made.
const RENEWED_DAYS: u64 = 790;

/// The two files, made or found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Whether they were made just now.
    pub(crate) is_new: bool,
}

/// Finds the certificate in the data directory, or makes one for `localhost`, this host's name, loopback and `addresses`.
///
/// # Errors
/// When files cannot be read or written, or the system gives no random numbers.
pub(crate) fn find_or_make(data: &Path, host_name: &str, addresses: &[IpAddr]) -> Result<Certificate, Failure> {
    let directory = data.join("tls");
    let found =
        |is_new| Certificate { certificate: directory.join("certificate.pem"), key: directory.join("key.pem"), is_new };
    let paths = found(false);
    if paths.key.exists() && is_fresh(&paths.certificate) {
        return Ok(paths);
    }
    let (certificate, key) =
        make(host_name, addresses).map_err(|error| Failure::new(format!("no certificate could be made: {error}")))?;
    let written = DirBuilder::new().mode(0o700).recursive(true).create(&directory).and_then(|()| {
        // The key first: a certificate is never there without its key.
        write_private(&paths.key, &key, 0o600)?;
        write_private(&paths.certificate, &certificate, 0o644)
    });
    written
        .map_err(|error| Failure::new(format!("the certificate cannot be kept in {}: {error}", directory.display())))?;
    Ok(found(true))
}

fn is_fresh(certificate: &Path) -> bool {
    let made = fs::metadata(certificate).and_then(|metadata| metadata.modified());
    let age = made.ok().map(|made| made.elapsed().unwrap_or_default());
    age.is_some_and(|age| age < Duration::from_secs(RENEWED_DAYS * 86_400))
}

fn make(host_name: &str, addresses: &[IpAddr]) -> Result<(String, String), rcgen::Error> {
    let mut names = vec!["localhost".to_owned()];
    let usable =
        |name: &str| name.is_ascii() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if host_name != "localhost" && usable(host_name) {
        names.push(host_name.to_owned());
    }
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    let own = addresses.iter().filter(|ip| !ip.is_loopback() && !ip.is_unspecified()).map(ToString::to_string);
    names.extend(own);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, host_name);
    params.distinguished_name.push(DnType::OrganizationName, "Columba quickstart");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let today = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    let today = i64::try_from(today).unwrap_or(0);
    let day = |days| {
        let date = Date::from_days_since_epoch(days);
        date_time_ymd(i32::from(date.year), date.month, date.day)
    };
    // From yesterday on, for clients whose clock is behind.
    (params.not_before, params.not_after) = (day(today - 1), day(today + VALID_DAYS));
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn write_private(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_made_once_and_its_key_is_private() {
        let data = tempfile::tempdir().unwrap();
        let made = find_or_make(data.path(), "host.example", &["192.0.2.1".parse().unwrap()]).unwrap();
        assert!(made.is_new);
        let mode = fs::metadata(&made.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(&made.certificate).unwrap();
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----"));
        let again = find_or_make(data.path(), "host.example", &[]).unwrap();
        assert!(!again.is_new);
        assert_eq!(fs::read_to_string(&again.certificate).unwrap(), text);
    }

    #[test]
    fn an_old_one_is_renewed() {
        let data = tempfile::tempdir().unwrap();
        let made = find_or_make(data.path(), "host", &[]).unwrap();
        let old = SystemTime::now() - Duration::from_secs((RENEWED_DAYS + 1) * 86_400);
        fs::File::options().write(true).open(&made.certificate).unwrap().set_modified(old).unwrap();
        assert!(find_or_make(data.path(), "host", &[]).unwrap().is_new);
    }
}
