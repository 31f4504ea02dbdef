//! What Dovecot and Cyrus have in common as guests of the bench: many processes that run as an unprivileged user, in a session
//! of their own, on ports that were free. It knows neither of them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::processes;
use crate::Failure;

/// How long a server may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long processes may live on that have lost the one they came from.
const LINGER: Duration = Duration::from_secs(3);

/// Whom a server runs as: nobody where the bench is root (neither Dovecot nor Cyrus keeps mail as root), else who started the
/// bench.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) group: String,
    change_to: Option<(u32, u32)>,
}

impl User {
    pub(super) fn choose() -> Result<Self, Failure> {
        if geteuid().is_root() {
            let number = |database: &str, name: &str| -> Result<u32, Failure> {
                let file = std::fs::read_to_string(database)?;
                let line = file.lines().find(|line| line.split(':').next() == Some(name));
                let field =
                    line.and_then(|line| line.split(':').nth(2)).ok_or_else(|| format!("{database} has no {name}"))?;
                Ok(field.parse()?)
            };
            let change_to = Some((number("/etc/passwd", "nobody")?, number("/etc/group", "nogroup")?));
            return Ok(Self { name: "nobody".to_owned(), group: "nogroup".to_owned(), change_to });
        }
        let said = |option: &str| -> Result<String, Failure> {
            let output = Command::new("id").arg(option).output()?;
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        Ok(Self { name: said("-un")?, group: said("-gn")?, change_to: None })
    }

    /// A command that will run as this user.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        if let Some((user, group)) = self.change_to {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes a directory and everything in it the user's own.
    pub(super) fn own(&self, path: &Path) -> Result<(), Failure> {
        let Some((user, group)) = self.change_to else { return Ok(()) };
        chown(path, Some(user), Some(group))?;
        if path.is_dir() && !path.is_symlink() {
            for entry in std::fs::read_dir(path)? {
                self.own(&entry?.path())?;
            }
        }
        Ok(())
    }
}

/// A running guest. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Guest {
    child: Child,
}

impl Guest {
    /// Starts `program`, which must stay in the foreground, as the head of a session of its own, and waits until it takes
    /// connections on all `ports`.
    pub(super) fn start(
        user: &User,
        program: &Path,
        arguments: &[&Path],
        environment: &[(&str, &Path)],
        ports: &[u16],
        log: &Path,
    ) -> Result<Self, Failure> {
        // A child that was just made leads no process group, so setsid becomes the program without forking again.
        let mut command = user.command(Path::new("setsid"));
        command.arg(program).args(arguments).envs(environment.iter().copied());
        command.stdout(Stdio::null()).stderr(std::fs::File::create(log)?);
        let mut guest = Self { child: command.spawn()? };
        let begun = Instant::now();
        for port in ports {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_err() {
                if let Some(status) = guest.child.try_wait()? {
                    let said = std::fs::read_to_string(log).unwrap_or_default();
                    return Err(format!("{} ends at once ({status}): {}", program.display(), said.trim()).into());
                }
                if begun.elapsed() > PATIENCE {
                    return Err(format!("{} does not listen on port {port}", program.display()).into());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(guest)
    }

    pub(super) fn root(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in order, and with force what has not ended by then.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Failure> {
        let root = self.child.id();
        let tell = |pids: Vec<u32>, signal: Signal| {
            for pid in pids.into_iter().filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
                // It may have ended in between.
                _ = kill_process(pid, signal);
            }
        };
        if self.child.try_wait()?.is_none() {
            tell(vec![root], Signal::TERM);
        }
        let begun = Instant::now();
        loop {
            let ended = self.child.try_wait()?.is_some();
            let left = processes::family(root)?;
            if ended && left.is_empty() {
                return Ok(());
            }
            // What outlives the first process waits for clients that are still connected, and has nothing to write any more.
            if ended && begun.elapsed() > LINGER || begun.elapsed() > PATIENCE {
                tell(left, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        _ = self.end();
    }
}

/// Ports of the loopback address that nobody listens on now.
pub(super) fn free_ports<const N: usize>() -> Result<[u16; N], Failure> {
    let mut ports = [0; N];
    // All are held until all are chosen, so that none comes twice.
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// `certificate.pem` and `key.pem` in a directory, made if they are missing.
pub(super) fn certificate(directory: &Path) -> Result<CertificateDer<'static>, Failure> {
    let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
    if !key.exists() {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
        std::fs::write(&certificate, cert.pem())?;
        std::fs::write(&key, signing_key.serialize_pem())?;
    }
    Ok(CertificateDer::from_pem_slice(&std::fs::read(certificate)?)?)
}

/// Replaces `@NAME@` in a template, for each name and value.
pub(super) fn fill_in(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value))
}
