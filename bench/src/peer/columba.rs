//! Columba: one process, a data directory of its own.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Addresses, Lmtp, PASSWORD, Peer, account};
use crate::Failure;
use crate::place::Place;

/// Columba, with room for everybody.
#[derive(Debug)]
pub(crate) struct Columba {
    program: PathBuf,
    version: String,
    place: Place,
    data: PathBuf,
    running: Option<(Child, Addresses)>,
}

impl Columba {
    /// Prepares `program` with that many accounts (and those that are there already). Nothing runs yet.
    pub(crate) fn new(program: &Path, place: Place, accounts: usize) -> Result<Self, Failure> {
        let version = Command::new(program)
            .arg("--version")
            .output()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        let path = |name: &str| place.path().join(name);
        if !path("key.pem").exists() {
            let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
            std::fs::write(path("certificate.pem"), cert.pem())?;
            std::fs::write(path("key.pem"), signing_key.serialize_pem())?;
        }
        std::fs::write(path("columba.toml"), CONFIGURATION)?;
        let data = path("data");
        let columba = Self { program: program.to_owned(), version, place, data, running: None };
        columba.add_accounts(accounts)?;
        Ok(columba)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.place.path().join("columba.toml")).args(["--log", "warn"]).args(words);
        command.stdin(Stdio::null());
        command
    }

    /// Makes the accounts that are missing. How many there are is written beside them.
    fn add_accounts(&self, accounts: usize) -> Result<(), Failure> {
        let count = self.place.path().join("accounts.count");
        let there: usize = std::fs::read_to_string(&count).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        if there >= accounts {
            return Ok(());
        }
        let mut lines = String::new();
        for number in there..accounts {
            writeln!(lines, "{}:{{PLAIN}}{PASSWORD}", account(number))?;
        }
        let list = self.place.path().join("accounts");
        std::fs::write(&list, lines)?;
        let made = self.command(&["account", "import"]).arg(&list).output()?;
        if !made.status.success() {
            return Err(format!("no accounts: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        Ok(std::fs::write(count, accounts.to_string())?)
    }
}

impl Peer for Columba {
    fn name(&self) -> &'static str {
        "columba"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.stop()?;
        let mut child = self.command(&["serve", "--json"]).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let ready = std::fs::read(self.place.path().join("certificate.pem"))
            .map_err(Failure::from)
            .and_then(|pem| Ok(CertificateDer::from_pem_slice(&pem)?))
            .and_then(|certificate| listeners(output, certificate));
        match ready {
            Ok(addresses) => self.running = Some((child, addresses)),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Failure> {
        let Some((mut child, _)) = self.running.take() else { return Ok(()) };
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        child.wait()?;
        Ok(())
    }

    fn addresses(&self) -> Result<Addresses, Failure> {
        Ok(self.running.as_ref().ok_or("the server does not run")?.1.clone())
    }

    fn root(&self) -> Result<u32, Failure> {
        Ok(self.running.as_ref().ok_or("the server does not run")?.0.id())
    }

    fn data(&self) -> &Path {
        &self.data
    }
}

impl Drop for Columba {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.running {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// What the server says when it is ready.
fn listeners(output: impl std::io::Read, certificate: CertificateDer<'static>) -> Result<Addresses, Failure> {
    let mut ready = String::new();
    BufReader::new(output).read_line(&mut ready)?;
    let ready: serde_json::Value = serde_json::from_str(&ready).map_err(|_| "the server does not become ready")?;
    let address = |protocol: &str, tls: &str| -> Result<SocketAddr, Failure> {
        let listeners = ready["listeners"].as_array().ok_or("the server names no listeners")?;
        let found = listeners.iter().find(|l| l["protocol"] == protocol && (tls.is_empty() || l["tls"] == tls));
        Ok(found.and_then(|l| l["address"].as_str()).ok_or("no such listener")?.parse()?)
    };
    Ok(Addresses {
        plain: address("imap", "none")?,
        tls: address("imap", "implicit")?,
        lmtp: Lmtp::Tcp(address("lmtp", "")?),
        certificate,
    })
}

const CONFIGURATION: &str = r#"version = 1
data = "data"
[[listener]]
protocol = "imap"
address = "127.0.0.1:0"
tls = "none"
[[listener]]
protocol = "imap"
address = "127.0.0.1:0"
tls = "implicit"
[[listener]]
protocol = "lmtp"
address = "127.0.0.1:0"
[tls]
certificate = "certificate.pem"
key = "key.pem"
[auth]
plaintext_networks = ["127.0.0.0/8"]
[limits]
connections = 1000000
connections_per_account = 100000
connections_per_address = 100000
"#;
