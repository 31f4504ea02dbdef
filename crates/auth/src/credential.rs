//! What is stored of a password: strings `{SCHEME}data`, made by Columba (Argon2id, SCRAM-SHA-256) or brought along from
//! another server. Where they are stored, and when they are checked, is others' matter.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use columba_types::limits::{
    ARGON2_MEMORY_KIB, ARGON2_PASSES, BCRYPT_COST, PASSWORD_BYTES, PBKDF2_ROUNDS, SHA_CRYPT_ROUNDS,
};
use sha_crypt::ShaCrypt;
use sha1::Sha1;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::Secret;
use crate::scram::{self, Verifier};

/// Argon2id as OWASP recommends it: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Costs what a credential of Columba's own costs, and nobody knows its password.
pub(crate) const DUMMY: &str = "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$Y29sdW1iYS1ub2JvZHkhIQ\
    $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// How a credential keeps its password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// Not hidden at all; only ever read from an import, never stored by one.
    Plain,
    /// `$6$` of crypt(3).
    Sha512Crypt,
    /// `$5$` of crypt(3).
    Sha256Crypt,
    /// bcrypt, `$2a$`, `$2b$`, `$2x$`, `$2y$`.
    BlfCrypt,
    /// Argon2id as a PHC string.
    Argon2id,
    /// Argon2i as a PHC string.
    Argon2i,
    /// Dovecot's PBKDF2 (HMAC-SHA-1): `$1$salt$rounds$hex`.
    Pbkdf2,
    /// A SCRAM-SHA-256 verifier.
    ScramSha256,
}

impl Scheme {
    const NAMES: [(&'static str, Self); 9] = [
        ("PLAIN", Self::Plain),
        ("CLEARTEXT", Self::Plain),
        ("SHA512-CRYPT", Self::Sha512Crypt),
        ("SHA256-CRYPT", Self::Sha256Crypt),
        ("BLF-CRYPT", Self::BlfCrypt),
        ("ARGON2ID", Self::Argon2id),
        ("ARGON2I", Self::Argon2i),
        ("PBKDF2", Self::Pbkdf2),
        ("SCRAM-SHA-256", Self::ScramSha256),
    ];

    /// The scheme of that name, as Dovecot writes it, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, scheme)| *scheme)
    }

    /// The name written in braces.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, scheme)| *scheme == self).map_or("", |(name, _)| name)
    }

    /// The scheme that a hash of crypt(3) says itself (`{CRYPT}`): by its first field.
    pub(crate) fn of_crypt(data: &str) -> Option<Self> {
        match data.strip_prefix('$')?.split('$').next()? {
            "6" => Some(Self::Sha512Crypt),
            "5" => Some(Self::Sha256Crypt),
            "2a" | "2b" | "2x" | "2y" => Some(Self::BlfCrypt),
            _ => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a string is no credential. The text never holds the credential itself.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum InvalidCredential {
    /// No `{SCHEME}` in front.
    #[error("it does not begin with a {{SCHEME}}")]
    NoScheme,
    /// A scheme that Columba does not check.
    #[error(
        "scheme {{{0}}} is not supported; supported are PLAIN, CLEARTEXT, CRYPT ($5$, $6$, $2y$), SHA512-CRYPT, \
         SHA256-CRYPT, BLF-CRYPT, ARGON2ID, ARGON2I, PBKDF2 and SCRAM-SHA-256"
    )]
    UnknownScheme(String),
    /// The data are not of that scheme.
    #[error("the hash is not a valid {0}")]
    Malformed(Scheme),
    /// Checking it would take too long or too much memory.
    #[error("checking this {0} would cost too much; set a new password for the account instead")]
    TooCostly(Scheme),
}

/// Splits `{SCHEME}data`.
pub(crate) fn split(credential: &str) -> Result<(&str, &str), InvalidCredential> {
    credential.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or(InvalidCredential::NoScheme)
}

/// Whether a string is a credential that [`PasswordChecker`](crate::PasswordChecker) can check.
///
/// # Errors
/// What is wrong with it.
pub fn check_credential(credential: &str) -> Result<Scheme, InvalidCredential> {
    let (name, data) = split(credential)?;
    let scheme = match Scheme::parse(name) {
        Some(scheme) => scheme,
        None if name.eq_ignore_ascii_case("CRYPT") => {
            Scheme::of_crypt(data).ok_or_else(|| InvalidCredential::UnknownScheme(name.to_owned()))?
        }
        None => return Err(InvalidCredential::UnknownScheme(name.to_owned())),
    };
    match cost_is_bounded(scheme, data) {
        Some(true) => Ok(scheme),
        Some(false) => Err(InvalidCredential::TooCostly(scheme)),
        None => Err(InvalidCredential::Malformed(scheme)),
    }
}

/// `None` when the data are malformed.
fn cost_is_bounded(scheme: Scheme, data: &str) -> Option<bool> {
    let fields: Vec<&str> = data.split('$').collect();
    Some(match scheme {
        Scheme::Plain => !data.is_empty() && data.len() <= PASSWORD_BYTES,
        Scheme::Sha512Crypt | Scheme::Sha256Crypt => match fields.as_slice() {
            ["", "5" | "6", _salt, _hash] => true,
            ["", "5" | "6", rounds, _salt, _hash] => {
                rounds.strip_prefix("rounds=")?.parse::<u32>().ok()? <= SHA_CRYPT_ROUNDS
            }
            _ => return None,
        },
        Scheme::BlfCrypt => match fields.as_slice() {
            ["", _version, cost, rest] if rest.len() == 53 => cost.parse::<u32>().ok()? <= BCRYPT_COST,
            _ => return None,
        },
        Scheme::Argon2id | Scheme::Argon2i => {
            let hash = PasswordHash::new(data).ok()?;
            let expected = if scheme == Scheme::Argon2id { "argon2id" } else { "argon2i" };
            let params = Params::try_from(&hash).ok()?;
            let complete = hash.algorithm.as_str() == expected && hash.salt.is_some() && hash.hash.is_some();
            complete.then_some(params.m_cost() <= ARGON2_MEMORY_KIB && params.t_cost() <= ARGON2_PASSES)?
        }
        Scheme::Pbkdf2 => parse_pbkdf2(data)?.1 <= PBKDF2_ROUNDS,
        Scheme::ScramSha256 => Verifier::parse(data).map(|_| true)?,
    })
}

/// Salt, rounds, hash of Dovecot's `$1$salt$rounds$hex`.
fn parse_pbkdf2(data: &str) -> Option<(&str, u32, [u8; 20])> {
    let mut fields = data.strip_prefix("$1$")?.split('$');
    let (salt, rounds, hex) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?);
    let mut hash = [0u8; 20];
    if hex.len() != 2 * hash.len() || !hex.is_ascii() || fields.next().is_some() || rounds == 0 {
        return None;
    }
    for (octet, digits) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some((salt, rounds, hash))
}

/// Whether `password` is that of `credential`. A credential that cannot be read accepts nothing.
pub(crate) fn accepts(credential: &str, password: &Secret) -> bool {
    let (Ok(scheme), Ok((_, data))) = (check_credential(credential), split(credential)) else { return false };
    let prepared = password.prepared();
    // Other servers hash the octets as they come, Columba the prepared ones. The two differ only for passwords that
    // SASLprep changes.
    let differs = prepared.octets() != password.octets();
    hash_accepts(scheme, data, &prepared) || (differs && hash_accepts(scheme, data, password))
}

fn hash_accepts(scheme: Scheme, data: &str, password: &Secret) -> bool {
    let octets = password.octets();
    match scheme {
        Scheme::Plain => data.as_bytes().ct_eq(octets).into(),
        Scheme::Sha512Crypt | Scheme::Sha256Crypt => ShaCrypt::default().verify_password(octets, data).is_ok(),
        Scheme::BlfCrypt => bcrypt::verify(octets, data).unwrap_or(false),
        Scheme::Argon2id | Scheme::Argon2i => {
            PasswordHash::new(data).is_ok_and(|hash| Argon2::default().verify_password(octets, &hash).is_ok())
        }
        Scheme::Pbkdf2 => parse_pbkdf2(data).is_some_and(|(salt, rounds, hash)| {
            let mut computed = [0u8; 20];
            pbkdf2::pbkdf2_hmac::<Sha1>(octets, salt.as_bytes(), rounds, &mut computed);
            computed.ct_eq(&hash).into()
        }),
        Scheme::ScramSha256 => Verifier::parse(data).is_some_and(|verifier| verifier.accepts(password)),
    }
}

/// What to store for a new password: Argon2id (19 MiB, two passes) and a SCRAM-SHA-256 verifier. Takes some tens of
/// milliseconds of one core, by design.
///
/// # Panics
/// When the operating system gives no random octets; nothing safe can be stored then.
pub fn hash_password(password: &Secret) -> Vec<String> {
    try_hash(password, None).expect("the operating system gives random octets")
}

/// What to store when many thousand passwords are read at once: a SCRAM-SHA-256 verifier of 4096 iterations, about a
/// millisecond each. The first login makes it what [`hash_password`] gives.
///
/// # Panics
/// When the operating system gives no random octets; nothing safe can be stored then.
pub fn quick_hash(password: &Secret) -> Vec<String> {
    let verifier = Verifier::new(&password.prepared(), scram::ITERATIONS_QUICK);
    vec![verifier.expect("the operating system gives random octets").credential()]
}

/// [`hash_password`], with a strong Argon2id that is already there kept.
fn try_hash(password: &Secret, argon2id: Option<&str>) -> Option<Vec<String>> {
    let prepared = password.prepared();
    let slow = match argon2id {
        Some(credential) => credential.to_owned(),
        None => {
            let params = Params::new(MEMORY_KIB, PASSES, 1, None).ok()?;
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let mut salt = [0u8; 16];
            getrandom::fill(&mut salt).ok()?;
            format!("{{ARGON2ID}}{}", argon2.hash_password_with_salt(prepared.octets(), &salt).ok()?)
        }
    };
    Some(vec![slow, Verifier::new(&prepared, scram::ITERATIONS)?.credential()])
}

/// What should be stored instead of `credentials`, now that the password is known to be right; `None` when they are
/// as good as new ones.
pub(crate) fn better(credentials: &[String], password: &Secret) -> Option<Vec<String>> {
    let strong = credentials.iter().find(|credential| is_strong_argon2id(credential));
    let scram = credentials.iter().any(|credential| {
        credential
            .strip_prefix("{SCRAM-SHA-256}")
            .and_then(Verifier::parse)
            .is_some_and(|verifier| verifier.iterations >= scram::ITERATIONS)
    });
    if strong.is_some() && scram { None } else { try_hash(password, strong.map(String::as_str)) }
}

fn is_strong_argon2id(credential: &str) -> bool {
    let Some(data) = credential.strip_prefix("{ARGON2ID}") else { return false };
    PasswordHash::new(data)
        .ok()
        .and_then(|hash| Params::try_from(&hash).ok())
        .is_some_and(|params| params.m_cost() >= MEMORY_KIB && params.t_cost() >= PASSES)
}

#[cfg(test)]
mod tests;
