//! The one message of SASL PLAIN (RFC 4616). Base64 and the dialogue around it are the protocol's matter.

use columba_types::limits::{ACCOUNT_NAME_BYTES, PASSWORD_BYTES};
use thiserror::Error;

use crate::Secret;

/// What a client says with PLAIN.
#[derive(Clone, Debug)]
pub struct PlainMessage {
    /// Who to act as; empty when the client leaves it to the server.
    pub authzid: String,
    /// Whose password it is; never empty.
    pub authcid: String,
    /// The password; never empty.
    pub password: Secret,
}

/// Why the octets are no PLAIN message. To a client all of these are one BAD.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InvalidPlain {
    /// Not three fields separated by two NULs.
    #[error("a PLAIN message has three fields separated by two NULs")]
    Fields,
    /// The name or the password is empty.
    #[error("a PLAIN message needs a name and a password")]
    Empty,
    /// Not UTF-8.
    #[error("a PLAIN message is UTF-8")]
    NotUtf8,
    /// A name or the password is longer than the limits.
    #[error("a name or the password is too long")]
    TooLong,
}

/// Reads the decoded message: `[authzid] NUL authcid NUL passwd` (RFC 4616 §2).
///
/// # Errors
/// When it is anything else, or longer than the limits for names and passwords (255 octets at least, RFC 4616 §2).
pub fn parse_plain(decoded: &[u8]) -> Result<PlainMessage, InvalidPlain> {
    let mut fields = decoded.split(|octet| *octet == 0);
    let (Some(authzid), Some(authcid), Some(password), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(InvalidPlain::Fields);
    };
    if authcid.is_empty() || password.is_empty() {
        return Err(InvalidPlain::Empty);
    }
    if authzid.len().max(authcid.len()) > ACCOUNT_NAME_BYTES || password.len() > PASSWORD_BYTES {
        return Err(InvalidPlain::TooLong);
    }
    let text = |octets: &[u8]| std::str::from_utf8(octets).map(str::to_owned).map_err(|_| InvalidPlain::NotUtf8);
    if std::str::from_utf8(password).is_err() {
        return Err(InvalidPlain::NotUtf8);
    }
    Ok(PlainMessage { authzid: text(authzid)?, authcid: text(authcid)?, password: Secret::new(password) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // RFC 4616 §4: the two examples.
    #[test]
    fn the_examples_of_the_rfc() {
        let message = parse_plain(b"\0tim\0tanstaaftanstaaf").unwrap();
        assert_eq!((message.authzid.as_str(), message.authcid.as_str()), ("", "tim"));
        assert_eq!(message.password.octets(), b"tanstaaftanstaaf");
        let message = parse_plain(b"Ursel\0Kurt\0xipj3plmq").unwrap();
        assert_eq!((message.authzid.as_str(), message.authcid.as_str()), ("Ursel", "Kurt"));
    }

    #[test]
    fn anything_else_is_refused() {
        for (bad, reason) in [
            (&b"tim\0secret"[..], InvalidPlain::Fields),
            (b"", InvalidPlain::Fields),
            (b"\0tim\0sec\0ret", InvalidPlain::Fields),
            (b"\0\0secret", InvalidPlain::Empty),
            (b"\0tim\0", InvalidPlain::Empty),
            (b"\0t\xff\0secret", InvalidPlain::NotUtf8),
            (b"\0tim\0\xc3", InvalidPlain::NotUtf8),
        ] {
            assert_eq!(parse_plain(bad).unwrap_err(), reason, "{bad:?}");
        }
        let long = [&b"\0tim\0"[..], &vec![b'x'; PASSWORD_BYTES + 1]].concat();
        assert_eq!(parse_plain(&long).unwrap_err(), InvalidPlain::TooLong);
    }

    proptest! {
        #[test]
        fn never_panics(octets in proptest::collection::vec(0u8..4, 0..12)) {
            if let Ok(message) = parse_plain(&octets) {
                prop_assert!(!message.authcid.is_empty() && !message.password.is_empty());
            }
        }
    }
}
