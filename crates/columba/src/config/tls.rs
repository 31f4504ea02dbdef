//! `[tls]`: certificates with their keys, the oldest version, who vouches for clients. Whether a certificate is a good one,
//! rustls says at start.

use std::ops::Range;
use std::path::{Path, PathBuf};

use columba_types::limits::CERTIFICATES;
use serde::Serialize;

use super::reader::{Reader, Section, Spanned};

pub(super) const TLS: &[&str] = &["certificate", "key", "minimum", "client_ca"];
const CERTIFICATE: &[&str] = &["certificate", "key"];

/// The certificate chain and its key, both PEM, and what else there is to TLS.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// For other names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) more: Vec<CertificateFiles>,
    pub(crate) minimum: TlsVersion,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_ca: Option<PathBuf>,
}

/// One more certificate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct CertificateFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The oldest version that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) enum TlsVersion {
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    #[serde(rename = "1.3")]
    V1_3,
}

impl TlsVersion {
    pub(crate) const WORDS: [(&'static str, Self); 2] = [("1.2", Self::V1_2), ("1.3", Self::V1_3)];
}

impl TlsFiles {
    pub(crate) fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, more: Vec::new(), minimum: TlsVersion::default(), client_ca: None }
    }

    /// Every certificate with its key, the first one for clients that name none.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let more = self.more.iter().map(|files| (files.certificate.as_path(), files.key.as_path()));
        std::iter::once((self.certificate.as_path(), self.key.as_path())).chain(more)
    }

    /// Every file that is read.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.certificates().flat_map(|(certificate, key)| [certificate, key]).chain(self.client_ca.as_deref())
    }

    /// What the server is told.
    pub(crate) fn for_server(&self) -> columba_server::TlsSettings {
        let files = |(certificate, key): (&Path, &Path)| columba_server::TlsFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        columba_server::TlsSettings {
            certificates: self.certificates().map(files).collect(),
            minimum: match self.minimum {
                TlsVersion::V1_2 => columba_server::TlsVersion::V1_2,
                TlsVersion::V1_3 => columba_server::TlsVersion::V1_3,
            },
            client_ca: self.client_ca.clone(),
        }
    }

    /// The section as a file has it.
    pub(crate) fn to_toml(&self) -> String {
        let text = |path: &Path| toml_edit::Value::from(path.to_string_lossy().as_ref()).to_string();
        let mut out = String::from("\n[tls]\n");
        let pair = |(certificate, key)| format!("certificate = {}\nkey = {}\n", text(certificate), text(key));
        if self.more.is_empty() {
            self.certificates().for_each(|files| out.push_str(&pair(files)));
        }
        let minimum = TlsVersion::WORDS.iter().find(|(_, version)| *version == self.minimum);
        minimum.iter().for_each(|(word, _)| out.push_str(&format!("minimum = \"{word}\"\n")));
        self.client_ca.iter().for_each(|path| out.push_str(&format!("client_ca = {}\n", text(path))));
        if !self.more.is_empty() {
            self.certificates().for_each(|files| out.push_str(&format!("[[tls.certificate]]\n{}", pair(files))));
        }
        out
    }
}

/// One certificate stands in `[tls]` itself, several in `[[tls.certificate]]`.
pub(super) fn read_tls(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    span: &Range<usize>,
    base: &Path,
) -> Option<TlsFiles> {
    let minimum = reader.word(section, "minimum", &TlsVersion::WORDS).map(|word| word.value).unwrap_or_default();
    let client_ca = reader.string(section, "client_ca");
    if let Some(written) = &client_ca {
        check_pem(reader, written, base, "CERTIFICATE", "a certificate");
    }
    let certificates = match section.is_list("certificate") {
        false => vec![read_certificate(reader, section, span, base, "[tls]")],
        true => {
            if section.has("key") {
                let what = "`key` stands in [tls], and the certificates in [[tls.certificate]]";
                reader.mistake(&section.key_span("key"), what, "put it behind its certificate");
            }
            let sections = reader.subsections(section, "certificate", "[[tls.certificate]]", CERTIFICATE);
            if sections.len() > CERTIFICATES {
                let what = format!("there are {} certificates, and at most {CERTIFICATES}", sections.len());
                reader.mistake(span, what, "take certificates with several names");
            }
            let one = |(section, span): &(Section<'_>, Range<usize>)| {
                read_certificate(reader, section, span, base, "[[tls.certificate]]")
            };
            sections.iter().map(one).collect()
        }
    };
    let mut files = certificates.into_iter().flatten();
    let first = files.next()?;
    let client_ca = client_ca.map(|written| base.join(written.value));
    Some(TlsFiles { more: files.collect(), minimum, client_ca, ..TlsFiles::new(first.certificate, first.key) })
}

fn read_certificate(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    span: &Range<usize>,
    base: &Path,
    place: &str,
) -> Option<CertificateFiles> {
    let certificate = reader.string(section, "certificate");
    let key = reader.string(section, "key");
    for name in CERTIFICATE {
        if !section.has(name) {
            reader.mistake(span, format!("{place} has no `{name}`"), format!("add {name} = \"…\", a PEM file"));
        }
    }
    if let Some(certificate) = &certificate {
        check_pem(reader, certificate, base, "CERTIFICATE", "a certificate");
    }
    if let Some(key) = &key {
        check_pem(reader, key, base, "PRIVATE KEY", "a private key");
    }
    Some(CertificateFiles { certificate: base.join(certificate?.value), key: base.join(key?.value) })
}

/// Whether the file is there and holds a PEM block of that kind. Whether it is a good one, rustls says at start.
fn check_pem(reader: &mut Reader<'_>, written: &Spanned<String>, base: &Path, label: &str, wanted: &str) {
    let path = base.join(&written.value);
    match std::fs::read(&path) {
        Err(error) => {
            let what = format!("{} cannot be read: {error}", path.display());
            let fix = format!("name a PEM file with {wanted} that this user may read");
            reader.mistake(&written.span, what, fix);
        }
        Ok(octets) => {
            let text = String::from_utf8_lossy(&octets);
            let holds = |label: &str| text.lines().any(|l| l.starts_with("-----BEGIN ") && l.contains(label));
            if !holds(label) {
                let swapped = holds(if label == "CERTIFICATE" { "PRIVATE KEY" } else { "CERTIFICATE" });
                let fix = if swapped { "are `certificate` and `key` swapped?" } else { "name a file in PEM form" };
                reader.mistake(&written.span, format!("{} does not hold {wanted}", path.display()), fix);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;

    #[test]
    fn certificates_for_several_names_are_read_and_shown() {
        let base = tempfile::tempdir().unwrap();
        for (name, label) in [("c", "CERTIFICATE"), ("k", "PRIVATE KEY")] {
            std::fs::write(base.path().join(name), format!("-----BEGIN {label}-----\n")).unwrap();
        }
        let pair = "certificate = \"c\"\nkey = \"k\"\n";
        let text = format!(
            "[tls]\nminimum = \"1.3\"\nclient_ca = \"c\"\n[[tls.certificate]]\n{pair}[[tls.certificate]]\n{pair}"
        );
        let config = read(&text, base.path()).unwrap();
        assert_eq!(config.tls.as_ref().unwrap().paths().count(), 5);
        assert_eq!(read(&config.to_toml(), base.path()).unwrap(), config);
        let one = read(&format!("[tls]\n{pair}"), base.path()).unwrap();
        assert_eq!(read(&one.to_toml(), base.path()).unwrap(), one);
    }

    #[test]
    fn mistakes_are_told() {
        let said = |text: &str| -> Vec<String> {
            read(text, std::path::Path::new("/nonexistent")).unwrap_err().into_iter().map(|m| m.what).collect()
        };
        for (text, expected) in [
            ("[tls]\nminimum = \"1.1\"", "`minimum` cannot be \"1.1\""),
            ("[tls]\nkey = \"k\"\n[[tls.certificate]]\ncertificate = \"c\"", "[[tls.certificate]] has no `key`"),
            ("[tls]\nkey = \"k\"\n[[tls.certificate]]\ncertificate = \"c\"", "`key` stands in [tls]"),
            ("[tls]\nclient_ca = \"ca.pem\"", "[tls] has no `certificate`"),
            ("[tls]\nclient_ca = \"ca.pem\"", "/nonexistent/ca.pem cannot be read"),
        ] {
            let told = said(text);
            assert!(told.iter().any(|what| what.starts_with(expected)), "{text}: {told:?}");
        }
    }
}
