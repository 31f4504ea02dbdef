//! One TCP connection, and what its outcome says of the port, in the words port scanners use: open, closed, filtered.
//! Sends nothing.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::net::TcpStream;

use crate::output::seconds;

/// What is known of a port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Someone accepts connections.
    Open,
    /// The host answered that nobody listens.
    Closed,
    /// Nothing came back, or a firewall's refusal.
    Filtered,
    /// No packet left this machine.
    #[default]
    Unreachable,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Filtered => "filtered",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A try to connect.
#[derive(Debug)]
pub(crate) struct Connected {
    /// The connection, while the port is open.
    pub(crate) stream: Option<TcpStream>,
    pub(crate) state: State,
    /// How that was told.
    pub(crate) how: String,
    pub(crate) took: Duration,
}

/// Connects to `address`, for at most `patience`.
pub(crate) async fn connect(address: SocketAddr, patience: Duration) -> Connected {
    let started = Instant::now();
    let tried = tokio::time::timeout(patience, TcpStream::connect(address)).await;
    let took = started.elapsed();
    let (stream, state, how) = match tried {
        Ok(Ok(stream)) => {
            let _ = stream.set_nodelay(true);
            (Some(stream), State::Open, "it accepted the connection".to_owned())
        }
        Ok(Err(error)) => {
            let (state, how) = of(&error);
            (None, state, how)
        }
        Err(_) => (None, State::Filtered, format!("no answer in {}", seconds(patience))),
    };
    Connected { stream, state, how, took }
}

/// What a refusal says. The kernel tells of ICMP messages by its error numbers.
fn of(error: &io::Error) -> (State, String) {
    let said = |state, how: &str| (state, how.to_owned());
    match error.kind() {
        io::ErrorKind::ConnectionRefused => said(State::Closed, "it refused the connection (RST)"),
        io::ErrorKind::TimedOut => said(State::Filtered, "no answer"),
        io::ErrorKind::HostUnreachable => {
            said(State::Filtered, "the host, or a router, said it cannot be reached (ICMP)")
        }
        io::ErrorKind::NetworkUnreachable => said(State::Unreachable, "this machine has no route to that network"),
        io::ErrorKind::AddrNotAvailable => said(State::Unreachable, "this machine has no address to reach it from"),
        io::ErrorKind::PermissionDenied => said(State::Unreachable, "this machine's own firewall forbids it"),
        io::ErrorKind::ConnectionReset => said(State::Filtered, "something between reset the connection"),
        _ => (State::Unreachable, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn open_and_closed_are_told_apart() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = connect(address, Duration::from_secs(20)).await;
        assert_eq!((open.state, open.stream.is_some()), (State::Open, true));
        drop(listener);
        let closed = connect(address, Duration::from_secs(20)).await;
        assert_eq!((closed.state, closed.stream.is_some()), (State::Closed, false));
    }

    #[tokio::test]
    async fn no_answer_is_filtered() {
        // A backlog that is full: the kernel drops further SYNs and says nothing, as a firewall would.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut kept = Vec::new();
        let silent = loop {
            let tried = connect(address, Duration::from_millis(300)).await;
            if tried.state != State::Open {
                break tried;
            }
            kept.push(tried);
            assert!(kept.len() < 100, "the backlog never filled");
        };
        assert_eq!((silent.state, silent.how.as_str()), (State::Filtered, "no answer in 0.30 s"));
    }

    #[test]
    fn errors_have_their_state() {
        let state = |kind| of(&io::Error::from(kind)).0;
        assert_eq!(state(io::ErrorKind::HostUnreachable), State::Filtered);
        assert_eq!(state(io::ErrorKind::NetworkUnreachable), State::Unreachable);
        assert_eq!(state(io::ErrorKind::PermissionDenied), State::Unreachable);
        assert_eq!(state(io::ErrorKind::Other), State::Unreachable);
    }
}
