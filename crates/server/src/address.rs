//! Where a listener listens, as people write it: `0.0.0.0:143`, `[::]:143`, `unix:/run/columba/lmtp`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// An address to listen on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Address {
    /// An IP address and a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Why a text is no address.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum InvalidAddress {
    /// An IP address without a port.
    #[error("'{0}' has no port; write '{1}'")]
    NoPort(String, String),
    /// A host name: listeners want addresses, names can change behind the server's back.
    #[error("'{0}' is no address; write an IP address and a port such as 0.0.0.0:143, [::]:143, or unix:/path")]
    Unreadable(String),
    /// A Unix socket whose path is relative or empty.
    #[error("'{0}' needs an absolute path, such as unix:/run/columba/lmtp")]
    RelativePath(String),
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(InvalidAddress::RelativePath(text.to_owned()))
            };
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        match text.trim_matches(['[', ']']).parse() {
            Ok(ip) => Err(InvalidAddress::NoPort(text.to_owned(), SocketAddr::new(ip, 143).to_string())),
            Err(_) => Err(InvalidAddress::Unreadable(text.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for text in ["0.0.0.0:143", "[::]:993", "127.0.0.1:0", "unix:/run/columba/lmtp"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn says_how_to_write_it() {
        for (text, said) in [
            ("127.0.0.1", "has no port; write '127.0.0.1:143'"),
            ("::1", "has no port; write '[::1]:143'"),
            ("localhost:143", "is no address"),
            (":143", "is no address"),
            ("unix:run/lmtp", "needs an absolute path"),
            ("unix:", "needs an absolute path"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
