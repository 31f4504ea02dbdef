//! A server that is reached over TCP: its wires, and a ground that prepares mailboxes by IMAP itself, so that any
//! server can be asked the same questions. It has no way to move the clock or to end a connection from inside.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::ground::{Ground, Received, Refusal, Wire};
use super::parse::{Outside, PASSWORD, Peer};

/// How long an answer may take before the server counts as silent.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to look for something that should not come: over a socket nobody knows whether more is on its way.
const GLANCE: Duration = Duration::from_millis(2);

/// The client's end of a TCP connection.
#[derive(Debug)]
pub struct SocketWire {
    stream: TcpStream,
    glance: Duration,
}

impl SocketWire {
    /// Connects.
    ///
    /// # Errors
    /// In words.
    pub fn connect(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|e| format!("cannot connect to {address}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        Ok(Self { stream, glance: GLANCE })
    }

    /// Looks longer for what should not come.
    #[must_use]
    pub fn glancing(mut self, glance: Duration) -> Self {
        self.glance = glance;
        self
    }
}

impl Wire for SocketWire {
    fn send(&mut self, octets: &[u8]) -> Result<(), String> {
        self.stream.set_write_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
        self.stream.write_all(octets).map_err(|e| format!("cannot send: {e}"))
    }

    fn receive(&mut self, wait: bool) -> Received {
        let timeout = if wait { PATIENCE } else { self.glance };
        let mut buffer = vec![0; 16 * 1024];
        match self.stream.set_read_timeout(Some(timeout)).and_then(|()| self.stream.read(&mut buffer)) {
            Ok(0) => Received::Closed,
            Ok(read) => {
                buffer.truncate(read);
                Received::Octets(buffer)
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                Received::Idle
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => Received::Closed,
            Err(e) => Received::Stuck(e.to_string()),
        }
    }

    fn close(&mut self) {
        // An end that is already closed has nothing to shut down.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    fn stop(&mut self, _kicked: bool) -> Result<(), Refusal> {
        Err(Refusal::Cannot("a server at an address cannot be told to end a connection"))
    }
}

/// A server at an address that knows every account a script names, and whose mailboxes are empty at first.
#[derive(Debug)]
pub struct AddressGround {
    address: SocketAddr,
}

impl AddressGround {
    /// Asks the server at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    fn login(&self, account: &str) -> Result<SocketWire, String> {
        let mut wire = SocketWire::connect(self.address)?;
        answer(&mut wire, b"* OK")?;
        command(&mut wire, format!("LOGIN {account} {PASSWORD}").as_bytes())?;
        Ok(wire)
    }
}

impl Ground for AddressGround {
    fn outside(&mut self, what: &Outside, octets: &[u8]) -> Result<(), Refusal> {
        match what {
            Outside::Account { password, .. } if password == PASSWORD => Ok(()),
            Outside::Disk { .. } => Err(Refusal::Cannot("the disk of a server at an address is what it is")),
            Outside::Account { .. }
            | Outside::ConnectionsPerAccount(_)
            | Outside::MessageLimit { .. }
            | Outside::BatchSize(_)
            | Outside::MessageSize { .. }
            | Outside::Hide { .. } => Err(Refusal::Cannot("the accounts of a server at an address are what they are")),
            Outside::Mailbox { account, name } => {
                if !name.is_ascii() {
                    return Err(Refusal::Cannot("names outside of ASCII are not prepared at an address"));
                }
                let mut wire = self.login(account)?;
                Ok(command(&mut wire, format!("CREATE \"{name}\"").as_bytes())?)
            }
            Outside::Message { account, mailbox, flags, date, .. } => {
                let mut wire = self.login(account)?;
                let date = date.map_or(String::new(), |date| format!(" \"{date}\""));
                let head = format!("APPEND \"{mailbox}\" ({}){date} {{{}+}}\r\n", flags.join(" "), octets.len());
                Ok(command(&mut wire, &[head.as_bytes(), octets].concat())?)
            }
        }
    }

    fn connect(&mut self, peer: Peer) -> Result<Box<dyn Wire>, Refusal> {
        match peer {
            Peer::Trusted => Ok(Box::new(SocketWire::connect(self.address)?)),
            _ => Err(Refusal::Cannot("connections to an address are not protected")),
        }
    }

    fn advance(&mut self, _by: Duration) -> Result<(), Refusal> {
        Err(Refusal::Cannot("the clock of a server at an address cannot be moved"))
    }

    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Sends a command and waits for its OK.
fn command(wire: &mut SocketWire, command: &[u8]) -> Result<(), String> {
    wire.send(&[b"x ", command, b"\r\n"].concat())?;
    answer(wire, b"x OK")
}

/// Reads until a line begins with `wanted`; a tagged line that does not is an error.
fn answer(wire: &mut SocketWire, wanted: &[u8]) -> Result<(), String> {
    let mut all = Vec::new();
    loop {
        match wire.receive(true) {
            Received::Octets(octets) => all.extend(octets),
            other => return Err(format!("no answer: {other:?}")),
        }
        if !all.ends_with(b"\r\n") {
            continue;
        }
        for line in all.split(|o| *o == b'\n') {
            if line.starts_with(wanted) {
                return Ok(());
            }
            if line.starts_with(b"x ") {
                return Err(format!("the preparation failed: {}", String::from_utf8_lossy(line)));
            }
        }
    }
}
