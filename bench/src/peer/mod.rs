//! The servers that are measured, behind one trait: how each is set up, started, stopped and found among the processes.
//! What is measured of them is not known here.

mod columba;
mod cyrus;
mod dovecot;
mod guest;
mod processes;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use crate::Failure;
use crate::place::Place;
pub(crate) use columba::Columba;
use cyrus::Cyrus;
use dovecot::{Dovecot, Setting};
pub(crate) use processes::{Gauge, Used, rest};

/// The password of every account.
pub(crate) const PASSWORD: &str = "secret";

/// The name of an account by its number.
pub(crate) fn account(number: usize) -> String {
    format!("user{number}")
}

/// Every server in every setting, by name, with a line about it. `dovecot` alone is `dovecot-sdbox`.
pub(crate) const PEERS: [(&str, &str); 7] = [
    ("columba", "the program that --server names"),
    ("dovecot-sdbox", "sdbox, its quickest store; every change is on disk before its OK (mail_fsync = always)"),
    ("dovecot-maildir", "a file per message; every change is on disk before its OK"),
    ("dovecot-default", "sdbox as it comes (mail_fsync = optimized): changes of flags are not synced"),
    ("dovecot-hibernate", "sdbox; connections that idle for two seconds are handed to one process"),
    ("dovecot-argon2id", "sdbox; passwords are hashed at Columba's cost"),
    ("cyrus", "twoskip databases; every change is on disk before its OK, as it always is"),
];

/// Prepares a server by its name in [`PEERS`], with that many accounts, below `keep` or in a directory that will be gone.
/// `program` is Columba's.
pub(crate) fn open(name: &str, program: &Path, keep: Option<&Path>, accounts: usize) -> Result<Box<dyn Peer>, Failure> {
    let name = if name == "dovecot" { "dovecot-sdbox" } else { name };
    let place = || Place::new(keep, name);
    if name == "columba" {
        return Ok(Box::new(Columba::new(program, place()?, accounts)?));
    }
    if name == "cyrus" {
        return Ok(Box::new(Cyrus::new(place()?, accounts)?));
    }
    match Setting::ALL.into_iter().find(|setting| setting.name() == name) {
        Some(setting) => Ok(Box::new(Dovecot::new(setting, place()?, accounts)?)),
        None => {
            let known: Vec<&str> = PEERS.iter().map(|(name, _)| *name).collect();
            Err(format!("no peer {name}; there are {}", known.join(", ")).into())
        }
    }
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
