//! What SCRAM-SHA-256 keeps of a password (RFC 5802 §3, RFC 7677): salt, iterations, StoredKey, ServerKey. The exchange
//! with a client is not here yet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use columba_types::limits::PBKDF2_ROUNDS;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Secret;

/// RFC 7677 §4: at least 4096 iterations; the fewest for the many passwords of an import.
pub(crate) const ITERATIONS_QUICK: u32 = 4096;
/// For a password that is set alone. Cyrus SASL, in many clients, refuses to do more than 65,536.
pub(crate) const ITERATIONS: u32 = 60_000;

const SALT_BYTES: usize = 16;

/// A stored verifier: enough to check a password or a client's proof, not enough to log in with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Verifier {
    pub(crate) iterations: u32,
    pub(crate) salt: Vec<u8>,
    pub(crate) stored_key: [u8; 32],
    pub(crate) server_key: [u8; 32],
}

impl Verifier {
    /// Makes the verifier of a password that is already prepared (SASLprep).
    pub(crate) fn derive(prepared: &Secret, salt: &[u8], iterations: u32) -> Option<Self> {
        // RFC 5802 §3: SaltedPassword := Hi(Normalize(password), salt, i); Hi is PBKDF2 with one block.
        let mut salted = zeroize::Zeroizing::new([0u8; 32]);
        pbkdf2::pbkdf2_hmac::<Sha256>(prepared.octets(), salt, iterations, &mut *salted);
        let client_key = hmac(&*salted, b"Client Key")?;
        let server_key = hmac(&*salted, b"Server Key")?;
        Some(Self { iterations, salt: salt.to_vec(), stored_key: Sha256::digest(client_key).into(), server_key })
    }

    /// A verifier with a new salt; `None` when the operating system gives no random octets.
    pub(crate) fn new(prepared: &Secret, iterations: u32) -> Option<Self> {
        let mut salt = [0u8; SALT_BYTES];
        getrandom::fill(&mut salt).ok()?;
        Self::derive(prepared, &salt, iterations)
    }

    /// Reads `4096:salt$StoredKey:ServerKey` (RFC 5803 §3), and Dovecot's `4096,salt,StoredKey,ServerKey`.
    pub(crate) fn parse(data: &str) -> Option<Self> {
        let mut fields = data.split([':', '$', ',']);
        let iterations: u32 = fields.next()?.parse().ok()?;
        let salt = BASE64.decode(fields.next()?).ok()?;
        let mut key = || BASE64.decode(fields.next()?).ok()?.try_into().ok();
        let (stored_key, server_key) = (key()?, key()?);
        let sound = fields.next().is_none() && (1..=PBKDF2_ROUNDS).contains(&iterations) && !salt.is_empty();
        sound.then_some(Self { iterations, salt, stored_key, server_key })
    }

    /// What is stored: the authInfo and authValue of RFC 5803 §3, behind the scheme in braces.
    pub(crate) fn credential(&self) -> String {
        let [salt, stored, server] = [&self.salt[..], &self.stored_key, &self.server_key].map(|o| BASE64.encode(o));
        format!("{{SCRAM-SHA-256}}{}:{salt}${stored}:{server}", self.iterations)
    }

    /// Whether the prepared password is the one.
    pub(crate) fn accepts(&self, prepared: &Secret) -> bool {
        Self::derive(prepared, &self.salt, self.iterations)
            .is_some_and(|other| bool::from(other.stored_key.ct_eq(&self.stored_key)))
    }
}

fn hmac(key: &[u8], text: &[u8]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    // `doveadm pw -s SCRAM-SHA-256 -p secret`
    const DOVECOT: &str = "4096,vespbaZ0FGOiElhD//0T/A==,PWjNI8O2jFm73f0GQctJGOyXIbOeLj9HYDQu+OC63cs=,\
        Rlj9Nqa61oykV2A/HyMXB7CmtY+QaxoQxegrch2NIQo=";

    #[test]
    fn derives_what_dovecot_derives() {
        let theirs = Verifier::parse(DOVECOT).unwrap();
        assert_eq!(Verifier::derive(&Secret::from("secret"), &theirs.salt, 4096), Some(theirs.clone()));
        assert!(theirs.accepts(&Secret::from("secret")));
        assert!(!theirs.accepts(&Secret::from("Secret")));
    }

    // RFC 7677 §3: the example exchange for user "user", password "pencil"; the server's signature needs ServerKey.
    #[test]
    fn the_server_key_signs_the_example_of_the_rfc() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::derive(&Secret::from("pencil"), &salt, 4096).unwrap();
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = hmac(&verifier.server_key, message.as_bytes()).unwrap();
        assert_eq!(BASE64.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn parses_what_it_prints() {
        let verifier = Verifier::new(&Secret::from("secret"), ITERATIONS_QUICK).unwrap();
        let credential = verifier.credential();
        assert_eq!(Verifier::parse(credential.strip_prefix("{SCRAM-SHA-256}").unwrap()), Some(verifier));
    }

    #[test]
    fn refuses_what_is_no_verifier() {
        for bad in ["", "4096", "0,AA==,,", "4096,AA==,AA==,AA==", "99999999,AA==,AA==,AA==", "x:y$z:w"] {
            assert_eq!(Verifier::parse(bad), None, "{bad}");
        }
        assert_eq!(Verifier::parse(&format!("{DOVECOT},")), None);
    }
}
