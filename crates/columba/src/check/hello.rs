//! A TLS ClientHello made by hand, for what a modern library no longer speaks: whether TLS 1.0, 1.1 or 1.2 is offered,
//! and whether weak cipher suites are. Reads the answer as far as the server's certificate; never finishes a handshake.

use columba_types::limits::{CHECK_CERTIFICATES, CHECK_HANDSHAKE_BYTES};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::conversation::{Broken, Patience};
use super::suites;

/// Versions of TLS that are asked for by hand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub(crate) enum Version {
    #[serde(rename = "TLS 1.0")]
    Tls10,
    #[serde(rename = "TLS 1.1")]
    Tls11,
    #[serde(rename = "TLS 1.2")]
    Tls12,
    #[serde(rename = "TLS 1.3")]
    Tls13,
}

impl Version {
    const fn wire(self) -> u16 {
        match self {
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            // RFC 8446 §4.1.2: 1.3 calls itself 1.2 there.
            Self::Tls12 | Self::Tls13 => 0x0303,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        }
    }
}

/// Which suites are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Suites {
    All,
    Weak,
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    /// The server went along.
    Taken {
        version: u16,
        suite: String,
        /// The certificates it sent, end entity first.
        certificates: Vec<Vec<u8>>,
    },
    /// It refused, and how.
    Refused(String),
    /// It said nothing that could be understood.
    Unclear(String),
}

impl Reply {
    /// Whether that version was taken.
    pub(crate) fn takes(&self, asked: Version) -> bool {
        matches!(self, Self::Taken { version, .. } if *version == asked.wire())
    }
}

/// Asks for a version, and reads what comes.
pub(crate) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    version: Version,
    wanted: Suites,
    name: Option<&str>,
    patience: Patience,
) -> Reply {
    let mut random = [0; 32];
    if getrandom::fill(&mut random).is_err() {
        return Reply::Unclear("this system gives no random numbers".into());
    }
    let hello = client_hello(version, wanted, name, &random);
    let sending = async {
        stream.write_all(&hello).await?;
        stream.flush().await?;
        let mut got = Vec::new();
        let mut octets = [0; 4096];
        loop {
            let reply = read(&got);
            let room = octets.len().min(CHECK_HANDSHAKE_BYTES.saturating_sub(got.len()));
            if reply.is_some() || room == 0 {
                return Ok::<_, Broken>(reply);
            }
            match stream.read(octets.get_mut(..room).unwrap_or_default()).await {
                Ok(0) => return Ok(read_end(&got)),
                Ok(more) => got.extend_from_slice(octets.get(..more).unwrap_or_default()),
                Err(error) => return read_end(&got).map_or(Err(error.into()), |reply| Ok(Some(reply))),
            }
        }
    };
    match tokio::time::timeout(patience.next(), sending).await {
        Ok(Ok(Some(reply))) => reply,
        Ok(Ok(None)) | Ok(Err(Broken::Closed)) => Reply::Refused("it closed the connection".into()),
        Ok(Err(broken)) => Reply::Unclear(broken.words()),
        Err(_) => Reply::Unclear("it did not answer in time".into()),
    }
}

/// RFC 5246 §7.4.1.2, RFC 6066 §3, RFC 8422 §5.1.
fn client_hello(version: Version, wanted: Suites, name: Option<&str>, random: &[u8; 32]) -> Vec<u8> {
    let mut body = version.wire().to_be_bytes().to_vec();
    body.extend_from_slice(random);
    body.push(0); // no session
    let usual = if wanted == Suites::All { suites::USUAL } else { &[] };
    let octets: Vec<u8> = usual.iter().chain(suites::WEAK).flat_map(|(suite, _)| suite.to_be_bytes()).collect();
    push_sized(&mut body, &octets);
    body.extend_from_slice(&[1, 0]); // no compression
    let mut extensions = Vec::new();
    if let Some(name) = name {
        let mut entry = vec![0];
        push_sized(&mut entry, name.as_bytes());
        let mut names = Vec::new();
        push_sized(&mut names, &entry);
        push_extension(&mut extensions, 0x0000, &names);
    }
    // secp256r1, secp384r1, secp521r1, x25519; points uncompressed.
    push_extension(&mut extensions, 0x000a, &[0, 8, 0, 0x17, 0, 0x18, 0, 0x19, 0, 0x1d]);
    push_extension(&mut extensions, 0x000b, &[1, 0]);
    if version >= Version::Tls12 {
        let schemes = [4, 3, 5, 3, 6, 3, 8, 4, 8, 5, 8, 6, 4, 1, 5, 1, 6, 1, 8, 7, 2, 1, 2, 3];
        let mut all = Vec::new();
        push_sized(&mut all, &schemes);
        push_extension(&mut extensions, 0x000d, &all);
    }
    push_extension(&mut extensions, 0xff01, &[0]); // RFC 5746
    push_sized(&mut body, &extensions);
    let size = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
    let mut handshake = vec![1];
    handshake.extend_from_slice(size.get(1..).unwrap_or_default());
    handshake.extend_from_slice(&body);
    // RFC 5246 appendix E.1: the record says 1.0, whatever is asked for.
    let mut record = vec![0x16, 3, 1];
    push_sized(&mut record, &handshake);
    record
}

fn push_sized(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend_from_slice(&u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(octets);
}

fn push_extension(out: &mut Vec<u8>, kind: u16, content: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    push_sized(out, content);
}

/// What the octets say once they say enough.
fn read(octets: &[u8]) -> Option<Reply> {
    match Seen::of(octets) {
        Ok(seen) => match (seen.hello, seen.alert) {
            (Some((version, suite)), alert) if seen.is_past_certificate || alert.is_some() => {
                Some(Reply::Taken { version, suite, certificates: seen.certificates })
            }
            (None, Some(alert)) => Some(Reply::Refused(alert)),
            _ => None,
        },
        Err(()) => Some(Reply::Unclear("it answers with something that is no TLS".into())),
    }
}

/// The same when no more comes.
fn read_end(octets: &[u8]) -> Option<Reply> {
    let seen = Seen::of(octets).ok()?;
    let (version, suite) = seen.hello?;
    Some(Reply::Taken { version, suite, certificates: seen.certificates })
}

#[derive(Default)]
struct Seen {
    hello: Option<(u16, String)>,
    certificates: Vec<Vec<u8>>,
    is_past_certificate: bool,
    alert: Option<String>,
}

impl Seen {
    /// Reads whole records, and whole handshake messages in them.
    fn of(mut octets: &[u8]) -> Result<Self, ()> {
        let mut seen = Self::default();
        let mut handshake = Vec::new();
        while let Some((kind, content, rest)) = record(octets)? {
            octets = rest;
            match kind {
                0x16 => handshake.extend_from_slice(content),
                0x15 => {
                    seen.alert = content.get(1).map(|description| alert(*description));
                    break;
                }
                _ => return Err(()),
            }
        }
        let mut messages = handshake.as_slice();
        while let Some((kind, content, rest)) = message(messages) {
            messages = rest;
            match kind {
                2 => seen.hello = Some(server_hello(content).ok_or(())?),
                11 => seen.certificates = certificates(content),
                _ => {}
            }
            // ServerHello alone is enough where no certificate follows (anonymous suites).
            seen.is_past_certificate |= kind != 2;
        }
        Ok(seen)
    }
}

/// Kind, content and what follows.
type Piece<'a> = (u8, &'a [u8], &'a [u8]);

/// The first record; `None` while it is not whole.
fn record(octets: &[u8]) -> Result<Option<Piece<'_>>, ()> {
    let Some((header, rest)) = octets.split_at_checked(5) else { return Ok(None) };
    let &[kind, major, _, high, low] = header else { return Err(()) };
    // RFC 5246 §6.2.3: 2^14 and 2048 more at most.
    let size = usize::from(u16::from_be_bytes([high, low]));
    if major != 3 || !(0x14..=0x17).contains(&kind) || size > 16 * 1024 + 2048 {
        return Err(());
    }
    Ok(rest.split_at_checked(size).map(|(content, rest)| (kind, content, rest)))
}

fn message(octets: &[u8]) -> Option<Piece<'_>> {
    let (&kind, rest) = octets.split_first()?;
    let (content, rest) = sized24(rest)?;
    Some((kind, content, rest))
}

/// As many octets as the first three say.
fn sized24(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[a, b, c], rest) = octets.split_first_chunk::<3>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?)
}

/// Version and suite (RFC 5246 §7.4.1.3).
fn server_hello(content: &[u8]) -> Option<(u16, String)> {
    let (version, rest) = content.split_first_chunk::<2>()?;
    let session = usize::from(*rest.get(32)?);
    let suite = rest.get(33 + session..)?.first_chunk::<2>()?;
    Some((u16::from_be_bytes(*version), suites::name(u16::from_be_bytes(*suite))))
}

/// RFC 5246 §7.4.2.
fn certificates(content: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut rest = sized24(content).map_or(&[][..], |(list, _)| list);
    while let Some((certificate, after)) = sized24(rest) {
        rest = after;
        if all.len() == CHECK_CERTIFICATES {
            break;
        }
        all.push(certificate.to_vec());
    }
    all
}

fn alert(description: u8) -> String {
    let name = match description {
        40 => "handshake failure",
        47 => "illegal parameter",
        70 => "protocol version",
        71 => "insufficient security",
        80 => "internal error",
        86 => "inappropriate fallback",
        112 => "unrecognised name",
        _ => return format!("alert {description}"),
    };
    format!("alert {description}, {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(kind: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![kind, 3, 1];
        push_sized(&mut out, content);
        out
    }

    fn server_hello_message(version: u16, suite: u16) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.push(0);
        body.extend(suite.to_be_bytes());
        body.push(0);
        [&[2, 0, 0, u8::try_from(body.len()).unwrap()][..], &body].concat()
    }

    #[test]
    fn a_server_hello_and_certificates_are_read_in_any_cut() {
        let chain = [&[11, 0, 0, 11, 0, 0, 8, 0, 0, 1, 9, 0, 0, 1, 8][..]].concat();
        let all = [server_hello_message(0x0301, 0x000a), chain].concat();
        let (first, second) = all.split_at(20);
        let records = [framed(0x16, first), framed(0x16, second)].concat();
        for cut in 0..records.len() {
            assert_eq!(read(&records[..cut]), None, "{cut}");
        }
        let Some(Reply::Taken { version, suite, certificates }) = read(&records) else { panic!("not read") };
        assert_eq!((version, suite.as_str()), (0x0301, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"));
        assert_eq!(certificates, [vec![9], vec![8]]);
    }

    #[test]
    fn refusals_are_told() {
        assert_eq!(read(&framed(0x15, &[2, 70])), Some(Reply::Refused("alert 70, protocol version".into())));
        assert!(matches!(read(b"* OK hello"), Some(Reply::Unclear(_))));
        assert_eq!(read_end(&framed(0x15, &[2])), None);
        let lower = Reply::Taken { version: 0x0301, suite: String::new(), certificates: Vec::new() };
        assert!(lower.takes(Version::Tls10) && !lower.takes(Version::Tls12));
    }

    #[test]
    fn what_we_send_is_one_record_of_true_sizes() {
        let hello = client_hello(Version::Tls12, Suites::All, Some("mail.example.org"), &[1; 32]);
        let (kind, content, rest) = record(&hello).unwrap().unwrap();
        assert_eq!((kind, rest.len()), (0x16, 0));
        let (kind, body, rest) = message(content).unwrap();
        assert_eq!((kind, rest.len()), (1, 0));
        assert_eq!(body[..2], [3, 3]);
    }

    proptest! {
        #[test]
        fn any_answer_is_read(octets: Vec<u8>, kind in 0x14u8..0x18) {
            let _ = (read(&octets), read_end(&octets), certificates(&octets), server_hello(&octets));
            let _ = read(&framed(kind, &octets));
        }
    }
}
