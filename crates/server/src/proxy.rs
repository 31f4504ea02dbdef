//! The header with which a proxy says for whom it speaks, versions 1 and 2 of the PROXY protocol (HAProxy's
//! proxy-protocol.txt). Which proxies are believed is not known here.
//!
//! Not an octet behind the header is read: what follows belongs to TLS or to the session. What a header says is either wholly
//! understood or the connection is over; nothing is guessed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use columba_types::limits;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How version 2 begins (§2.2); no line of any protocol does.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Octets of the longest line of version 1, with its end (§2.1).
const LINE_BYTES: usize = 107;
/// The field that tells of TLS between client and proxy, and the bit that says there is some (§2.2.6).
const TLS_FIELD: u8 = 0x20;
const CLIENT_TLS: u8 = 0x01;

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Origin {
    /// Where the client is; `None` when the proxy speaks for itself, to see whether we are there.
    pub(crate) address: Option<IpAddr>,
    /// Whether the client has TLS with the proxy.
    pub(crate) tls: bool,
}

/// Reads it. Whoever calls bounds the time.
pub(crate) async fn read_header(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Origin> {
    let mut begin = [0; SIGNATURE.len()];
    from.read_exact(&mut begin).await?;
    if begin == SIGNATURE {
        return read_binary(from).await;
    }
    let mut line = begin.to_vec();
    while !line.ends_with(b"\r\n") {
        if !line.starts_with(b"PROXY ") || line.len() >= LINE_BYTES {
            return Err(no_header("it does not begin with a header"));
        }
        line.push(from.read_u8().await?);
    }
    parse_line(&line).ok_or_else(|| no_header("its line is none of version 1"))
}

fn no_header(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// §2.1: `PROXY TCP4 source destination source-port destination-port`.
fn parse_line(line: &[u8]) -> Option<Origin> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?.strip_prefix("PROXY ")?;
    // Whatever follows is to be ignored.
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Some(Origin::default());
    }
    let words: Vec<&str> = text.split(' ').collect();
    let [family, source, destination, source_port, destination_port] = words.as_slice() else { return None };
    let (source, destination): (IpAddr, IpAddr) = (source.parse().ok()?, destination.parse().ok()?);
    for port in [source_port, destination_port] {
        let digits = port.bytes().all(|octet| octet.is_ascii_digit());
        port.parse::<u16>().ok().filter(|_| digits)?;
    }
    let fits = match *family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    fits.then_some(Origin { address: Some(source), tls: false })
}

/// §2.2: version and command, family, length, addresses, fields.
async fn read_binary(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Origin> {
    let (command, family, length) = (from.read_u8().await?, from.read_u8().await?, from.read_u16().await?);
    let length = usize::from(length);
    if length > limits::PROXY_HEADER_BYTES {
        return Err(no_header("its header is too long"));
    }
    let mut rest = vec![0; length];
    from.read_exact(&mut rest).await?;
    parse_binary(command, family, &rest).ok_or_else(|| no_header("its header is none of version 2"))
}

fn parse_binary(command: u8, family: u8, rest: &[u8]) -> Option<Origin> {
    match command {
        // LOCAL: the proxy for itself, whatever else is there.
        0x20 => return Some(Origin::default()),
        // PROXY.
        0x21 => {}
        _ => return None,
    }
    // The high half is the family of the addresses, the low one says stream or datagram; a stream is what this is.
    let (address, fields) = match family {
        0x11 => (Some(Ipv4Addr::from(*rest.first_chunk::<4>()?).into()), rest.get(12..)?),
        0x21 => (Some(Ipv6Addr::from(*rest.first_chunk::<16>()?).into()), rest.get(36..)?),
        // A client on the proxy's own machine, or of a kind the proxy does not know.
        0x31 => (None, rest.get(216..)?),
        0x00 => (None, &[][..]),
        _ => return None,
    };
    Some(Origin { address, tls: tells_of_tls(fields)? })
}

/// Goes through the fields, each a kind, a length and so many octets; `None` if they don't end where the header does.
fn tells_of_tls(mut fields: &[u8]) -> Option<bool> {
    let mut tls = false;
    while let [kind, high, low, rest @ ..] = fields {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, next) = rest.split_at_checked(length)?;
        if *kind == TLS_FIELD {
            tls = value.first()? & CLIENT_TLS != 0;
        }
        fields = next;
    }
    fields.is_empty().then_some(tls)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is made of these octets, and which of them are left.
    fn read(octets: &[u8]) -> (io::Result<Origin>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut from = octets;
        let origin = runtime.block_on(read_header(&mut from));
        (origin, from.to_vec())
    }

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    fn origin(address: &str, tls: bool) -> Origin {
        Origin { address: Some(address.parse().unwrap()), tls }
    }

    const V4: [u8; 12] = [203, 0, 113, 9, 192, 0, 2, 1, 0, 99, 0, 143];

    #[test]
    fn what_a_proxy_says_is_heard_and_what_follows_is_left() {
        let v6 = [&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..], &[0; 20]].concat();
        let tls = |bits: u8| [&V4[..], &[0x04, 0, 1, 9, 0x20, 0, 6, bits, 0, 0, 0, 0, 1]].concat();
        for (octets, expected) in [
            (b"PROXY TCP4 203.0.113.9 192.0.2.1 99 143\r\n".to_vec(), origin("203.0.113.9", false)),
            (b"PROXY TCP6 2001:db8::7 ::1 99 143\r\n".to_vec(), origin("2001:db8::7", false)),
            (b"PROXY UNKNOWN\r\n".to_vec(), Origin::default()),
            (b"PROXY UNKNOWN whatever it may be\r\n".to_vec(), Origin::default()),
            (binary(0x21, 0x11, &V4), origin("203.0.113.9", false)),
            (binary(0x21, 0x21, &v6), origin("2001:db8::7", false)),
            (binary(0x21, 0x11, &tls(1)), origin("203.0.113.9", true)),
            (binary(0x21, 0x11, &tls(6)), origin("203.0.113.9", false)),
            (binary(0x21, 0x31, &[0; 216]), Origin::default()),
            (binary(0x21, 0x00, b"x"), Origin::default()),
            (binary(0x20, 0x00, b""), Origin::default()),
            (binary(0x20, 0x11, &V4), Origin::default()),
        ] {
            let (read, left) = read(&[&octets[..], b"a NOOP\r\n"].concat());
            assert_eq!(read.unwrap(), expected, "{}", octets.escape_ascii());
            assert_eq!(left, b"a NOOP\r\n");
        }
    }

    #[test]
    fn what_is_no_header_ends_the_connection() {
        let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 200], b"\r\n"].concat();
        let cut_field = [&V4[..], &[0x04, 0, 9, 1]].concat();
        let empty_tls = [&V4[..], &[0x20, 0, 0]].concat();
        let too_long = binary(0x21, 0x00, &vec![0; limits::PROXY_HEADER_BYTES + 1]);
        for octets in [
            b"a LOGIN ann secret\r\n".to_vec(),
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0\0".to_vec(),
            b"PROXY TCP4 203.0.113.9 192.0.2.1 99\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 192.0.2.1 99 143 5\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::7 192.0.2.1 99 143\r\n".to_vec(),
            b"PROXY TCP6 203.0.113.9 ::1 99 143\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 192.0.2.1 99 65536\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 192.0.2.1 +9 143\r\n".to_vec(),
            b"PROXY TCP4  203.0.113.9 192.0.2.1 99 143\r\n".to_vec(),
            b"PROXY UDP4 203.0.113.9 192.0.2.1 99 143\r\n".to_vec(),
            b"PROXY UNKNOWNS\r\n".to_vec(),
            b"PROXY \xff\xff\xff\xff\xff\xff\xff\r\n".to_vec(),
            b"PROXY UNK".to_vec(),
            long,
            too_long,
            binary(0x11, 0x11, &V4),
            binary(0x22, 0x11, &V4),
            binary(0x21, 0x12, &V4),
            binary(0x21, 0x41, &V4),
            binary(0x21, 0x11, &V4[..11]),
            binary(0x21, 0x21, &V4),
            binary(0x21, 0x11, &cut_field),
            binary(0x21, 0x11, &empty_tls),
            SIGNATURE.to_vec(),
        ] {
            assert!(read(&octets).0.is_err(), "{}", octets.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..300), version in 0u8..3) {
            let begin: &[u8] = match version {
                1 => b"PROXY ",
                2 => &SIGNATURE,
                _ => b"",
            };
            let all = [begin, &octets].concat();
            let (_, left) = read(&all);
            prop_assert!(all.ends_with(&left));
        }
    }
}
