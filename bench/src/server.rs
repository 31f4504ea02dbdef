//! The server that is measured: a process of its own with a data directory of its own, gone when the measurement is.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Failure;

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Where it speaks IMAP without TLS, and with.
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) certificate: CertificateDer<'static>,
    _directory: TempDir,
}

/// The password of every account.
pub(crate) const PASSWORD: &str = "secret";

/// The name of an account by its number.
pub(crate) fn account(number: usize) -> String {
    format!("user{number}")
}

impl Server {
    /// Starts `program` with as many accounts, and room for everybody.
    pub(crate) async fn start(program: &Path, accounts: usize) -> Result<Self, Failure> {
        let directory = TempDir::with_prefix("columba-bench-")?;
        let path = |name: &str| directory.path().join(name);
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
        std::fs::write(path("certificate.pem"), cert.pem())?;
        std::fs::write(path("key.pem"), signing_key.serialize_pem())?;
        std::fs::write(path("columba.toml"), CONFIGURATION)?;
        let mut lines = String::new();
        for number in 0..accounts {
            writeln!(lines, "{}:{{PLAIN}}{PASSWORD}", account(number))?;
        }
        std::fs::write(path("accounts"), lines)?;
        let columba = |words: &[&str]| {
            let mut command = Command::new(program);
            command.arg("--config").arg(path("columba.toml")).args(["--log", "warn"]).args(words);
            command.stdin(Stdio::null()).kill_on_drop(true);
            command
        };
        let made = columba(&["account", "import"]).arg(path("accounts")).output().await?;
        if !made.status.success() {
            return Err(format!("no accounts: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let mut child = columba(&["serve", "--json"]).stdout(Stdio::piped()).spawn()?;
        let mut ready = String::new();
        let output = child.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut ready).await?;
        let ready: serde_json::Value = serde_json::from_str(&ready).map_err(|_| "the server does not become ready")?;
        let address = |tls: &str| -> Result<SocketAddr, Failure> {
            let listeners = ready["listeners"].as_array().ok_or("the server names no listeners")?;
            let found = listeners.iter().find(|l| l["protocol"] == "imap" && l["tls"] == tls);
            Ok(found.and_then(|l| l["address"].as_str()).ok_or("no such listener")?.parse()?)
        };
        let (plain, tls) = (address("none")?, address("implicit")?);
        Ok(Self { child, plain, tls, certificate: cert.der().clone(), _directory: directory })
    }

    /// Octets of memory that the process has to itself, or its part of what it shares.
    pub(crate) fn memory(&self) -> Result<u64, Failure> {
        let pid = self.child.id().ok_or("the server has ended")?;
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss in smaps_rollup")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// The memory once it has stopped changing: the same within a hundredth for a few seconds, or after a minute.
    pub(crate) async fn memory_at_rest(&self) -> Result<u64, Failure> {
        const LOOKS: u32 = 30;
        const ALIKE: u32 = 3;
        let (mut before, mut alike) = (self.memory()?, 0);
        for _ in 0..LOOKS {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            let now = self.memory()?;
            alike = if now.abs_diff(before) <= before / 100 { alike + 1 } else { 0 };
            before = now;
            if alike >= ALIKE {
                break;
            }
        }
        Ok(before)
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }
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
