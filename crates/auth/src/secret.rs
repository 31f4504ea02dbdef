//! A password on its way through the server. It knows how not to be seen; what it is good for is others' matter.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

/// A password as the client sent it; the memory is overwritten when it is dropped, and it never prints.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the octets over.
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(octets.into()))
    }

    /// The octets as they came.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Octets.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is hashed: SASLprep (RFC 4013, as RFC 4616 §2 and RFC 5802 §2.2 ask), so that the same word typed on two
    /// devices is the same password. One that SASLprep forbids, or that is no UTF-8, is taken as it is: it could be
    /// chosen in an earlier life of the account, and must go on working.
    pub(crate) fn prepared(&self) -> Secret {
        let prepared = std::str::from_utf8(&self.0).ok().and_then(|text| stringprep::saslprep(text).ok());
        match prepared {
            Some(Cow::Owned(text)) if !text.is_empty() => Secret::new(text),
            _ => self.clone(),
        }
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4013 §3: examples of SASLprep.
    #[test]
    fn the_examples_of_saslprep() {
        for (typed, prepared) in
            [("I\u{ad}X", "IX"), ("user", "user"), ("USER", "USER"), ("\u{aa}", "a"), ("\u{2168}", "IX")]
        {
            assert_eq!(Secret::from(typed).prepared().octets(), prepared.as_bytes(), "{typed:?}");
        }
    }

    #[test]
    fn what_saslprep_forbids_stays_as_it_is() {
        for typed in ["\u{7}", "\u{627}1", "\u{ad}"] {
            assert_eq!(Secret::from(typed).prepared().octets(), typed.as_bytes(), "{typed:?}");
        }
        assert_eq!(Secret::new([0xffu8]).prepared().octets(), [0xff]);
    }

    #[test]
    fn nothing_of_it_prints() {
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "Secret");
    }
}
