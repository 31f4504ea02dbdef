//! Dovecot's passwd-file: `user:{SCHEME}hash:uid:gid:gecos:home:shell:extra`, one account a line. It reads text; which
//! accounts are made of it is the caller's matter.

use std::collections::{HashMap, HashSet};

use columba_types::limits::ACCOUNT_NAME_BYTES;
use thiserror::Error;

use crate::credential::{self, InvalidCredential, check_credential};
use crate::{Scheme, Secret, quick_hash};

/// One account of the file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Line it stands on, counted from 1.
    pub line: usize,
    /// The name as written; the store makes it lower case.
    pub name: String,
    /// What is known of its password.
    pub password: ImportedPassword,
    /// The line says `nologin`.
    pub disabled: bool,
}

/// What a line says of a password.
#[derive(Clone, Debug)]
pub enum ImportedPassword {
    /// The password itself (PLAIN, CLEARTEXT).
    Plain(Secret),
    /// A hash, as a credential `{SCHEME}data` that can be stored.
    Hashed(String),
}

impl ImportedPassword {
    /// What to store. A plain password is hashed quickly, about a millisecond; the first login strengthens either.
    ///
    /// # Panics
    /// As [`quick_hash`].
    pub fn into_credentials(self) -> Vec<String> {
        match self {
            Self::Plain(password) => quick_hash(&password),
            Self::Hashed(credential) => vec![credential],
        }
    }
}

/// A line that is no account, and why.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("line {line}: {reason}")]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: BadLineReason,
}

/// Why a line is no account. The text never holds the password or its hash.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BadLineReason {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// No colon.
    #[error("it has no ':' between name and password")]
    NoPassword,
    /// The password field is empty.
    #[error("the password of '{0}' is empty; nobody could log in")]
    EmptyPassword(String),
    /// The name is empty, too long, or holds a space or control character.
    #[error("the name is empty, longer than {ACCOUNT_NAME_BYTES} octets, or holds a space or control character")]
    BadName,
    /// The name stands on an earlier line too.
    #[error("'{name}' stands on line {first} already")]
    Repeated {
        /// The name.
        name: String,
        /// The line it stands on first.
        first: usize,
    },
    /// The password field has no scheme and none was given for all.
    #[error("the password of '{0}' has no {{SCHEME}}; put one in front or give a default scheme")]
    NoScheme(String),
    /// The credential cannot be used.
    #[error("the password of '{name}': {reason}")]
    Credential {
        /// The name.
        name: String,
        /// What is wrong.
        reason: InvalidCredential,
    },
    /// A field that narrows who may log in, which would be lost.
    #[error(
        "'{name}' has {field}, which Columba does not know; without it more could log in than before. Remove it to import"
    )]
    Restricted {
        /// The name.
        name: String,
        /// The field.
        field: &'static str,
    },
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct PasswdFile {
    /// The accounts, in the order of the file.
    pub entries: Vec<Entry>,
    /// The lines that are none, in the order of the file.
    pub bad_lines: Vec<BadLine>,
}

/// Reads a whole file. `default_scheme` is the scheme of passwords without one, by name. Empty lines and lines that begin
/// with `#` are skipped.
///
/// # Errors
/// When the default scheme is not known; bad lines are reported in the result, and stop nothing.
pub fn parse(text: &[u8], default_scheme: Option<&str>) -> Result<PasswdFile, InvalidCredential> {
    let default = default_scheme.map(|name| name.trim_matches(['{', '}']));
    if let Some(name) = default.filter(|name| Scheme::parse(name).is_none() && !name.eq_ignore_ascii_case("CRYPT")) {
        return Err(InvalidCredential::UnknownScheme(name.to_owned()));
    }
    let mut file = PasswdFile::default();
    let mut seen = Names::default();
    for (index, octets) in text.split(|octet| *octet == b'\n').enumerate() {
        let line = index + 1;
        let octets = octets.strip_suffix(b"\r").unwrap_or(octets);
        if octets.trim_ascii().is_empty() || octets.starts_with(b"#") {
            continue;
        }
        let entry = parse_line(line, octets, default).and_then(|entry| seen.first(entry));
        match entry {
            Ok(entry) => file.entries.push(entry),
            Err(reason) => file.bad_lines.push(BadLine { line, reason }),
        }
    }
    Ok(file)
}

/// The names met so far, in lower case, as the store will compare them.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn first(&mut self, entry: Entry) -> Result<Entry, BadLineReason> {
        match *self.0.entry(entry.name.to_lowercase()).or_insert(entry.line) {
            first if first == entry.line => Ok(entry),
            first => Err(BadLineReason::Repeated { name: entry.name, first }),
        }
    }
}

fn parse_line(line: usize, octets: &[u8], default: Option<&str>) -> Result<Entry, BadLineReason> {
    let text = std::str::from_utf8(octets).map_err(|_| BadLineReason::NotUtf8)?;
    let mut fields = text.split(':');
    let name = fields.next().unwrap_or_default().trim().to_owned();
    let data = fields.next().ok_or(BadLineReason::NoPassword)?;
    let bad_char = |c: char| c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > ACCOUNT_NAME_BYTES || name.contains(bad_char) {
        return Err(BadLineReason::BadName);
    }
    // The fields after uid, gid, gecos, home and shell; a value may hold colons of its own.
    let extra: HashSet<&str> = fields.skip(5).flat_map(str::split_whitespace).collect();
    let has = |wanted: &str| extra.iter().any(|field| field.split('=').next() == Some(wanted));
    for field in ["allow_nets", "allow_real_nets", "nopassword"] {
        if has(field) {
            return Err(BadLineReason::Restricted { name, field });
        }
    }
    let password = parse_password(&name, data, default)?;
    Ok(Entry { line, name, password, disabled: has("nologin") })
}

fn parse_password(name: &str, data: &str, default: Option<&str>) -> Result<ImportedPassword, BadLineReason> {
    let owned = || name.to_owned();
    let (scheme, hash) = match (credential::split(data), default) {
        (Ok((scheme, hash)), _) => (scheme, hash),
        (Err(_), _) if data.is_empty() => return Err(BadLineReason::EmptyPassword(owned())),
        (Err(_), Some(scheme)) => (scheme, data),
        (Err(_), None) => return Err(BadLineReason::NoScheme(owned())),
    };
    if hash.is_empty() {
        return Err(BadLineReason::EmptyPassword(owned()));
    }
    let credential = format!("{{{scheme}}}{hash}");
    match check_credential(&credential) {
        Ok(Scheme::Plain) => Ok(ImportedPassword::Plain(Secret::new(hash))),
        // Written by the name the check found: {CRYPT} says nothing, and names come in any case.
        Ok(scheme) => Ok(ImportedPassword::Hashed(format!("{{{scheme}}}{hash}"))),
        Err(reason) => Err(BadLineReason::Credential { name: owned(), reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHA512: &str = "$6$rQhGlYyso9ZjmKf1$t43IbzXBZsUGWhqQtFuPyXoHAl8.fIikCTsWNU48Zh79vrvxy/\
        k3YKRtId.XUXiqht01sA.8q/IFTQpaOssu8.";

    fn credential(entry: &Entry) -> String {
        match &entry.password {
            ImportedPassword::Hashed(credential) => credential.clone(),
            ImportedPassword::Plain(secret) => format!("plain {}", String::from_utf8_lossy(secret.octets())),
        }
    }

    #[test]
    fn reads_the_lines_of_a_file() {
        let text = format!(
            "# accounts\n\n   \nann:{{PLAIN}}secret:1000:1000::/home/ann::userdb_quota=1G\r\n\
             bob@example.org:{{sha512-crypt}}{SHA512}\ncleo:{{CRYPT}}{SHA512}::::::nologin reason=gone\n"
        );
        let file = parse(text.as_bytes(), None).unwrap();
        assert_eq!(file.bad_lines, []);
        let seen: Vec<_> = file.entries.iter().map(|e| (e.line, e.name.as_str(), credential(e), e.disabled)).collect();
        let hashed = format!("{{SHA512-CRYPT}}{SHA512}");
        assert_eq!(
            seen,
            [
                (4, "ann", "plain secret".to_owned(), false),
                (5, "bob@example.org", hashed.clone(), false),
                (6, "cleo", hashed, true)
            ]
        );
    }

    #[test]
    fn every_bad_line_is_reported_and_the_rest_is_read() {
        let text = b"ann\nbob:{MD5}x\ncleo:{PLAIN}\ndan:secret\n:{PLAIN}x\neve:{PLAIN}x::::::allow_nets=10.0.0.0/8\n\
            fay:{PLAIN}x\nFAY:{PLAIN}y\ngil:{ARGON2ID}$argon2id$rubbish\nh\xffn:{PLAIN}x\nida:\n\
            joe:{BLF-CRYPT}$2y$31$4548HUbBPnQ.PKgfwYen4OThoyaeTmRkPNsK2JS8NMbpPti5IzC/K\n";
        let file = parse(text, None).unwrap();
        assert_eq!(file.entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["fay"]);
        let reasons: Vec<_> = file.bad_lines.iter().map(ToString::to_string).collect();
        let begin = [
            "line 1: it has no ':'",
            "line 2: the password of 'bob': scheme {MD5} is not supported",
            "line 3: the password of 'cleo' is empty",
            "line 4: the password of 'dan' has no {SCHEME}",
            "line 5: the name is empty",
            "line 6: 'eve' has allow_nets",
            "line 8: 'FAY' stands on line 7 already",
            "line 9: the password of 'gil': the hash is not a valid ARGON2ID",
            "line 10: it is not UTF-8",
            "line 11: the password of 'ida' is empty",
            "line 12: the password of 'joe': checking this BLF-CRYPT would cost too much",
        ];
        assert_eq!(reasons.len(), begin.len(), "{reasons:#?}");
        for (reason, begin) in reasons.iter().zip(begin) {
            assert!(reason.starts_with(begin), "{reason} / {begin}");
        }
    }

    #[test]
    fn a_default_scheme_stands_for_missing_ones_only() {
        let text = format!("ann:secret\nbob:{{SHA512-CRYPT}}{SHA512}\n");
        let file = parse(text.as_bytes(), Some("plain")).unwrap();
        assert_eq!(credential(&file.entries[0]), "plain secret");
        assert_eq!(credential(&file.entries[1]), format!("{{SHA512-CRYPT}}{SHA512}"));
        assert_eq!(parse(b"", Some("MD5")).unwrap_err(), InvalidCredential::UnknownScheme("MD5".into()));
        let crypt = parse(format!("ann:{SHA512}\n").as_bytes(), Some("CRYPT")).unwrap();
        assert_eq!(credential(&crypt.entries[0]), format!("{{SHA512-CRYPT}}{SHA512}"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[a:{}$PLAIN#\\n\\r é]{0,80}") {
            let file = parse(text.as_bytes(), None).unwrap();
            prop_assert!(file.entries.len() + file.bad_lines.len() <= text.split('\n').count());
        }
    }
}
