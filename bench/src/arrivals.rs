//! Devices that only listen, and what the kernel says of when each octet came: on loopback that is the moment in which the
//! server wrote it. So what is measured is the server alone: the devices sleep while it works, and read when all is over.

use std::io::{IoSliceMut, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

use crate::Failure;

/// How long the devices sleep after the command that changes something was answered.
const SLEEP: Duration = Duration::from_millis(20);
/// How long a device may wait for what it has to be told before the measurement counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection without TLS or compression.
pub(crate) struct Device {
    stream: TcpStream,
    input: Vec<u8>,
}

/// When something arrived, by the kernel's clock; only differences mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrival(Duration);

impl Arrival {
    /// Microseconds since an earlier one; 0 where it was not earlier.
    pub(crate) fn micros_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0).as_micros()).unwrap_or(u64::MAX)
    }
}

impl Device {
    pub(crate) fn new(stream: TcpStream) -> Result<Self, Failure> {
        stream.set_nonblocking(true)?;
        setsockopt(&stream, sockopt::ReceiveTimestampns, &true)?;
        Ok(Self { stream, input: Vec::new() })
    }

    /// Sends a command at once.
    pub(crate) fn send(&mut self, octets: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.write_all(octets)?)
    }

    /// Reads up to a line that is `wanted`; when it arrived.
    pub(crate) fn arrival(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Result<Arrival, Failure> {
        let begun = Instant::now();
        loop {
            let Some(at) = self.read()? else {
                if begun.elapsed() > PATIENCE {
                    return Err("a device was not told".into());
                }
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            let mut found = false;
            while let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.input.drain(..end + 2).collect();
                found |= wanted(line.get(..end).unwrap_or_default());
            }
            if found {
                return Ok(at);
            }
        }
    }

    /// What has arrived, and when the last of it did; nothing where nothing has.
    fn read(&mut self) -> Result<Option<Arrival>, Failure> {
        let mut room = [0; 4096];
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut parts = [IoSliceMut::new(&mut room)];
        let fd = self.stream.as_raw_fd();
        let message = match recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), MsgFlags::empty()) {
            Ok(message) => message,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let octets = message.bytes;
        let at = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(at) => Some(Arrival(at.into())),
            _ => None,
        });
        if octets == 0 {
            return Err("the server closed a connection".into());
        }
        self.input.extend_from_slice(room.get(..octets).unwrap_or_default());
        Ok(Some(at.ok_or("the kernel does not say when octets arrived")?))
    }
}

/// Lets the server do its work.
pub(crate) fn sleep() {
    std::thread::sleep(SLEEP);
}
