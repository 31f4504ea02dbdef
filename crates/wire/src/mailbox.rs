//! Mailbox names as they look on the wire: raw octets, modified UTF-7 and UTF-8. Which names are allowed, what INBOX
//! means and what a pattern matches is not known here.

use std::fmt;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

// RFC 3501 §5.1.3: the alphabet with "," for "/", no padding, and no bits left over.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The octets of a mailbox name or pattern as sent, quotes and escapes taken away.
#[derive(Clone, PartialEq, Eq, Default, Hash)]
pub struct RawMailbox(pub Vec<u8>);

impl fmt::Debug for RawMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// How names are written on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum NameForm {
    /// RFC 3501 §5.1.3, until something else is enabled.
    ModifiedUtf7,
    /// After ENABLE UTF8=ACCEPT (RFC 9755 §3) or IMAP4rev2 (RFC 9051 §5.1).
    Utf8,
}

/// Why octets are no mailbox name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadName {
    /// Not UTF-8 where UTF-8 was agreed.
    NotUtf8,
    /// An octet in modified UTF-7 that is no printable ASCII.
    NotPrintable,
    /// A `&` without its `-`.
    OpenShift,
    /// What stands between `&` and `-` is no modified base64 of whole UTF-16 units.
    BadBase64,
    /// A surrogate without its other half.
    LoneSurrogate,
    /// Printable ASCII hidden in base64.
    NeedlessBase64,
    /// Base64 that ends only to begin again.
    NeedlessShift,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "the mailbox name is not valid UTF-8",
            Self::NotPrintable => "a mailbox name in modified UTF-7 holds printable ASCII only",
            Self::OpenShift => "the mailbox name has a & without a closing -; & itself is written &-",
            Self::BadBase64 => "the mailbox name has something else than UTF-16 in modified base64 between & and -",
            Self::LoneSurrogate => "the mailbox name has an unpaired surrogate between & and -",
            Self::NeedlessBase64 => "the mailbox name has printable ASCII encoded in base64",
            Self::NeedlessShift => "the mailbox name has two encoded runs where one is needed",
        })
    }
}

impl std::error::Error for BadName {}

impl RawMailbox {
    /// The name in UTF-8. `%` and `*` of a pattern stay what they are. Each name has exactly one form that is
    /// accepted, so that one mailbox cannot be addressed by two spellings (RFC 3501 §5.1.3).
    pub fn decode(&self, form: NameForm) -> Result<String, BadName> {
        match form {
            NameForm::Utf8 => String::from_utf8(self.0.clone()).map_err(|_| BadName::NotUtf8),
            NameForm::ModifiedUtf7 => decode_utf7(&self.0),
        }
    }
}

fn decode_utf7(octets: &[u8]) -> Result<String, BadName> {
    let mut name = String::with_capacity(octets.len());
    let mut rest = octets;
    let mut after_shift = false;
    while let Some((&first, tail)) = rest.split_first() {
        match first {
            b'&' => {
                let end = memchr::memchr(b'-', tail).ok_or(BadName::OpenShift)?;
                let (run, after) = tail.split_at(end);
                rest = after.get(1..).unwrap_or_default();
                // RFC 3501 §5.1.3: "&-" is "&" and no shift, so it may stand after one.
                if run.is_empty() {
                    name.push('&');
                    after_shift = false;
                } else if after_shift {
                    return Err(BadName::NeedlessShift);
                } else {
                    decode_run(run, &mut name)?;
                    after_shift = true;
                }
            }
            b' '..=b'~' => {
                name.push(char::from(first));
                rest = tail;
                after_shift = false;
            }
            _ => return Err(BadName::NotPrintable),
        }
    }
    Ok(name)
}

fn decode_run(run: &[u8], name: &mut String) -> Result<(), BadName> {
    let octets = BASE64.decode(run).map_err(|_| BadName::BadBase64)?;
    let (units, []) = octets.as_chunks::<2>() else { return Err(BadName::BadBase64) };
    for c in char::decode_utf16(units.iter().map(|unit| u16::from_be_bytes(*unit))) {
        match c {
            Ok(' '..='~') => return Err(BadName::NeedlessBase64),
            Ok(c) => name.push(c),
            Err(_) => return Err(BadName::LoneSurrogate),
        }
    }
    Ok(())
}

/// The octets that name the mailbox in that form, without quotes.
pub fn encode_mailbox(name: &str, form: NameForm) -> Vec<u8> {
    match form {
        NameForm::Utf8 => name.as_bytes().to_vec(),
        NameForm::ModifiedUtf7 => encode_utf7(name),
    }
}

fn encode_utf7(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut run: Vec<u8> = Vec::new();
    for c in name.chars() {
        let plain = matches!(c, ' '..='~');
        if plain && !run.is_empty() {
            encode_run(&mut run, &mut out);
        }
        match c {
            '&' => out.extend_from_slice(b"&-"),
            _ if plain => out.push(c as u8),
            _ => run.extend(c.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes())),
        }
    }
    if !run.is_empty() {
        encode_run(&mut run, &mut out);
    }
    out
}

fn encode_run(run: &mut Vec<u8>, out: &mut Vec<u8>) {
    out.push(b'&');
    out.extend_from_slice(BASE64.encode(&*run).as_bytes());
    out.push(b'-');
    run.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf7(octets: &[u8]) -> Result<String, BadName> {
        RawMailbox(octets.to_vec()).decode(NameForm::ModifiedUtf7)
    }

    // RFC 3501 §5.1.3: the examples of the text.
    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(utf7(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").unwrap(), "~peter/mail/台北/日本語");
        assert_eq!(utf7(b"&Jjo-!").unwrap(), "☺!");
        assert_eq!(utf7(b"&U,BTF2XlZyyKng-").unwrap(), "台北日本語");
        assert_eq!(utf7(b"&Jjo!"), Err(BadName::OpenShift));
        assert_eq!(utf7(b"&U,BTFw-&ZeVnLIqe-"), Err(BadName::NeedlessShift));
        assert_eq!(
            encode_mailbox("~peter/mail/台北/日本語", NameForm::ModifiedUtf7),
            b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"
        );
    }

    // guide §6.27: surrogate pairs, and a mailbox that is called "&".
    #[test]
    fn ampersands_and_emoji() {
        assert_eq!(encode_mailbox("&", NameForm::ModifiedUtf7), b"&-");
        assert_eq!(utf7(b"&-").unwrap(), "&");
        assert_eq!(utf7(b"&AOQ-&-").unwrap(), "ä&");
        assert_eq!(encode_mailbox("📥", NameForm::ModifiedUtf7), b"&2D3c5Q-");
        assert_eq!(utf7(b"&2D3c5Q-").unwrap(), "📥");
        assert_eq!(utf7(b"&2D0-"), Err(BadName::LoneSurrogate));
        assert_eq!(utf7(b"&3OU-"), Err(BadName::LoneSurrogate));
    }

    #[test]
    fn every_second_spelling_is_refused() {
        assert_eq!(utf7(b"&AGE-"), Err(BadName::NeedlessBase64)); // "a"
        assert_eq!(utf7(b"&ACY-"), Err(BadName::NeedlessBase64)); // "&"
        assert_eq!(utf7(b"&AOR-"), Err(BadName::BadBase64)); // bits left over
        assert_eq!(utf7(b"&AOQ=-"), Err(BadName::BadBase64)); // padding
        assert_eq!(utf7(b"&AO-"), Err(BadName::BadBase64)); // half a unit
        assert_eq!(utf7(b"&!-"), Err(BadName::BadBase64));
        assert_eq!(utf7("ä".as_bytes()), Err(BadName::NotPrintable));
        assert_eq!(utf7(b"a\x7f"), Err(BadName::NotPrintable));
    }

    // RFC 9755 §3, RFC 9051 §5.1: after ENABLE an ampersand is just an ampersand.
    #[test]
    fn utf8_names() {
        let raw = RawMailbox("Gesendet & ärger/%".into());
        assert_eq!(raw.decode(NameForm::Utf8).unwrap(), "Gesendet & ärger/%");
        assert_eq!(RawMailbox(b"\xff".to_vec()).decode(NameForm::Utf8), Err(BadName::NotUtf8));
        assert_eq!(encode_mailbox("ä&", NameForm::Utf8), "ä&".as_bytes());
    }

    proptest! {
        #[test]
        fn decodes_what_it_encodes(name in any::<String>()) {
            let encoded = encode_mailbox(&name, NameForm::ModifiedUtf7);
            prop_assert!(encoded.iter().all(|b| (b' '..=b'~').contains(b)));
            prop_assert_eq!(utf7(&encoded), Ok(name));
        }

        #[test]
        fn encodes_what_it_decodes(octets in "[ -~]{0,12}|(&[A-Za-z0-9+,]{0,9}-?|a){0,4}") {
            if let Ok(name) = utf7(octets.as_bytes()) {
                prop_assert_eq!(encode_mailbox(&name, NameForm::ModifiedUtf7), octets.as_bytes());
            }
        }
    }
}
