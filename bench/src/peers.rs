//! `bench peers`: which servers there are to measure, and whether each does on this machine what every scenario needs. It
//! measures nothing.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use clap::Args;

use crate::Failure;
use crate::peer::{Lmtp, PASSWORD, PEERS, Peer, account, open};

/// How long a server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Args, Debug)]
pub(crate) struct Peers {
    /// Start each and have it take, show, announce and deliver a message
    #[arg(long)]
    check: bool,

    /// Only these
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

impl Peers {
    /// Prints a line for each; fails where a check failed.
    pub(crate) fn show(&self, program: &Path) -> Result<(), Failure> {
        let chosen = |name: &str| self.names.is_empty() || self.names.iter().any(|wanted| wanted == name);
        if let Some(unknown) = self.names.iter().find(|name| PEERS.iter().all(|(known, _)| known != name)) {
            return Err(format!("no peer {unknown}").into());
        }
        let mut failed = false;
        for (name, about) in PEERS.iter().filter(|(name, _)| chosen(name)) {
            println!("{name:<18} {about}");
            let said = match open(name, program, None, 2) {
                Err(error) => Err(error),
                Ok(peer) if !self.check => Ok(peer.version().to_owned()),
                Ok(mut peer) => check(&mut *peer).map(|()| format!("{}: works", peer.version())),
            };
            match said {
                Ok(line) => println!("{:18} {line}", ""),
                Err(error) => {
                    failed = true;
                    println!("{:18} NOT HERE: {error}", "");
                }
            }
        }
        if failed && self.check { Err("not every peer works".into()) } else { Ok(()) }
    }
}

/// Has a server do once what the scenarios have it do often.
fn check(peer: &mut dyn Peer) -> Result<(), Failure> {
    peer.start()?;
    let addresses = peer.addresses()?;
    let mut watcher = Talk::over(TcpStream::connect(addresses.plain)?)?;
    watcher.line()?;
    watcher.ask(&format!("LOGIN {} {PASSWORD}", account(0)))?;
    let before = exists(&watcher.ask("SELECT INBOX")?)?;
    let mut writer = Talk::over(TcpStream::connect(addresses.plain)?)?;
    writer.line()?;
    writer.ask(&format!("LOGIN {} {PASSWORD}", account(0)))?;
    watcher.say("w IDLE")?;
    watcher.until("+ ")?;

    let letter = "From: a@example.org\r\nSubject: check\r\n\r\nA letter.\r\n";
    writer.ask(&format!("APPEND INBOX (\\Seen) {{{}+}}\r\n{letter}", letter.len()))?;
    watcher.until(&format!("* {} EXISTS", before + 1))?;
    match &addresses.lmtp {
        Lmtp::Tcp(address) => deliver(Talk::over(TcpStream::connect(address)?)?, &peer.recipient(0), letter)?,
        Lmtp::Unix(path) => deliver(Talk::over(UnixStream::connect(path)?)?, &peer.recipient(0), letter)?,
    }
    watcher.until(&format!("* {} EXISTS", before + 2))?;
    watcher.say("DONE")?;
    watcher.until("w OK")?;
    let fetched = watcher.ask(&format!("FETCH {} (FLAGS BODY.PEEK[TEXT])", before + 1))?;
    if !fetched.contains("\\Seen") || !fetched.contains("A letter.") {
        return Err(format!("FETCH gives {fetched}").into());
    }
    let family = peer.processes()?;
    if !family.contains(&peer.root()?) {
        return Err("its processes are not found".into());
    }
    peer.stop()?;
    match family.iter().find(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
        Some(left) => Err(format!("process {left} is left over").into()),
        None => Ok(()),
    }
}

/// One delivery.
fn deliver<S: Read + Write>(mut lmtp: Talk<S>, recipient: &str, letter: &str) -> Result<(), Failure> {
    lmtp.until("220 ")?;
    for (command, answer) in [
        ("LHLO localhost".to_owned(), "250 "),
        ("MAIL FROM:<sender@example.org>".to_owned(), "250 "),
        (format!("RCPT TO:<{recipient}>"), "250 "),
        ("DATA".to_owned(), "354 "),
        (format!("{letter}."), "250 "),
        ("QUIT".to_owned(), "221 "),
    ] {
        lmtp.say(&command)?;
        lmtp.until(answer)?;
    }
    Ok(())
}

fn exists(answer: &str) -> Result<u32, Failure> {
    let line = answer.lines().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"));
    Ok(line.ok_or("SELECT tells no EXISTS")?.parse()?)
}

/// A conversation in lines.
struct Talk<S> {
    stream: BufReader<S>,
}

trait Patient {
    fn patient(&self) -> std::io::Result<()>;
}

impl Patient for TcpStream {
    fn patient(&self) -> std::io::Result<()> {
        self.set_read_timeout(Some(PATIENCE))
    }
}

impl Patient for UnixStream {
    fn patient(&self) -> std::io::Result<()> {
        self.set_read_timeout(Some(PATIENCE))
    }
}

impl<S: Read + Write + Patient> Talk<S> {
    fn over(stream: S) -> Result<Self, Failure> {
        stream.patient()?;
        Ok(Self { stream: BufReader::new(stream) })
    }
}

impl<S: Read + Write> Talk<S> {
    fn say(&mut self, line: &str) -> Result<(), Failure> {
        Ok(self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?)
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err("the server closes the connection".into());
        }
        Ok(line)
    }

    /// Everything up to a line that begins so. A line that refuses ends it, too.
    fn until(&mut self, beginning: &str) -> Result<String, Failure> {
        let mut all = String::new();
        loop {
            let line = self.line()?;
            all.push_str(&line);
            if line.starts_with(beginning) {
                return Ok(all);
            }
            let code = line.get(..4).unwrap_or_default();
            let refused = (code.starts_with(['4', '5']) && code.ends_with(' '))
                || ["a NO", "a BAD", "* BYE"].iter().any(|no| line.starts_with(no));
            if refused {
                return Err(format!("{} instead of {beginning}", line.trim()).into());
            }
        }
    }

    fn ask(&mut self, command: &str) -> Result<String, Failure> {
        self.say(&format!("a {command}"))?;
        self.until("a OK")
    }
}
