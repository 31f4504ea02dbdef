//! The servers that are measured, behind one trait: how each is set up, started, stopped and found among the processes.
//! What is measured of them is not known here.

mod columba;
mod processes;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use crate::Failure;
pub(crate) use columba::Columba;
pub(crate) use processes::{Used, rest};

/// The password of every account.
pub(crate) const PASSWORD: &str = "secret";

/// The name of an account by its number.
pub(crate) fn account(number: usize) -> String {
    format!("user{number}")
}

/// Where a running server listens. They are the same for as long as it runs, and may be others after a restart.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// IMAP without TLS; a password is taken.
    pub(crate) plain: SocketAddr,
    /// IMAP with TLS from the first octet.
    pub(crate) tls: SocketAddr,
    pub(crate) lmtp: Lmtp,
    /// What the server shows there, made out to `localhost`.
    pub(crate) certificate: CertificateDer<'static>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lmtp {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// One server in one setting. Made, it has a directory with its configuration and its accounts (`account(0)` and on, all with
/// [`PASSWORD`]) but does not run; dropped, its processes are gone, and its directory too unless it was told to keep it.
pub(crate) trait Peer: Send {
    /// How rows and reports call it, with its setting: `columba`, `dovecot-sdbox`, `cyrus`.
    fn name(&self) -> &'static str;

    /// What its program says of itself.
    fn version(&self) -> &str;

    /// Starts it, and returns when it takes connections on all of its addresses.
    fn start(&mut self) -> Result<(), Failure>;

    /// Ends it in order: what was in work is on disk, all of its processes are gone. Nothing to do where it does not run.
    fn stop(&mut self) -> Result<(), Failure>;

    /// Where it listens; fails where it does not run.
    fn addresses(&self) -> Result<Addresses, Failure>;

    /// The process everything else of it descends from, and whose session it has (`setsid`).
    fn root(&self) -> Result<u32, Failure>;

    /// Where everything it stores is.
    fn data(&self) -> &Path;

    /// What LMTP's RCPT TO has for an account, without its angle brackets.
    fn recipient(&self, number: usize) -> String {
        account(number)
    }

    /// Why it cannot do that scenario in that variant, in words for the report; nothing where it can.
    fn quirk(&self, _scenario: &str, _variant: &str) -> Option<&'static str> {
        None
    }

    /// What a mailbox of the account's own is called, in this server's name space: `INBOX.name` where that is how it has them.
    fn mailbox(&self, name: &str) -> String {
        name.to_owned()
    }

    /// All of its processes.
    fn processes(&self) -> Result<Vec<u32>, Failure> {
        processes::family(self.root()?)
    }

    /// Stops it, drops what the kernel has cached of its files, and starts it again. True where the caches are really gone.
    fn restart_cold(&mut self) -> Result<bool, Failure> {
        self.stop()?;
        let cold = processes::drop_caches(self.data())?;
        self.start()?;
        Ok(cold)
    }
}
