//! Sockets that listen, from /proc/net/tcp and /proc/net/tcp6.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use columba_types::limits::CHECK_SYSTEM_BYTES;
use serde::Serialize;

use super::processes::user_name;
use crate::check::shown::Shown;

/// The state LISTEN in these files (include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// A socket that listens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    /// The user that made the socket.
    pub(crate) user: Shown,
    #[serde(skip)]
    pub(crate) inode: u64,
}

/// Who listens on one of these ports.
pub(super) fn listening(ports: &[u16]) -> io::Result<Vec<Listener>> {
    let mut found = parse(&read("/proc/net/tcp")?);
    // A kernel without IPv6 has no such file.
    found.extend(read("/proc/net/tcp6").map(|text| parse(&text)).unwrap_or_default());
    found.retain(|(address, _, _)| ports.contains(&address.port()));
    found.sort_by_key(|(address, _, _)| (address.port(), address.ip()));
    let named = |(address, user, inode)| Listener { address, user: user_name(user), inode };
    Ok(found.into_iter().map(named).collect())
}

fn read(path: &str) -> io::Result<String> {
    let mut octets = Vec::new();
    File::open(path)?.take(CHECK_SYSTEM_BYTES).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

/// Address, user id and inode of each listening socket.
fn parse(text: &str) -> Vec<(SocketAddr, u32, u64)> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let word = |at: usize| words.get(at).copied();
        (word(3)? == LISTEN).then_some(())?;
        Some((address(word(1)?)?, word(7)?.parse().ok()?, word(9)?.parse().ok()?))
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// `0100007F:008F`: words of 32 bits as the machine has them in memory, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let octets: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_both_files_are_read() {
        let four = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:008F 00000000:0000 0A 00000000:00000000 00:00000000 00000000   110        0 4242 1 0 100 0\n   \
             1: 0100007F:008F 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0\n";
        assert_eq!(parse(four), [("127.0.0.1:143".parse().unwrap(), 110, 4242)]);
        let six = "sl\n   0: 00000000000000000000000001000000:03E1 00000000000000000000000000000000:0000 0A \
            00000000:00000000 00:00000000 00000000     0        0 7 1 0 100 0\n";
        assert_eq!(parse(six), [("[::1]:993".parse().unwrap(), 0, 7)]);
    }

    #[test]
    fn a_socket_of_this_test_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = listening(&[address.port()]).unwrap();
        assert_eq!(found.iter().map(|l| l.address).collect::<Vec<_>>(), [address]);
        let holders = super::super::processes::holders(&[found[0].inode]);
        let own: Vec<u32> = holders[&found[0].inode].iter().map(|process| process.id).collect();
        assert_eq!(own, [std::process::id()]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text: String, field in "[0-9A-Fé:]{0,40}") {
            let _ = (parse(&text), address(&field));
        }
    }
}
