//! Cyrus IMAP 3.6, unpacked beside the system by `bench setup` since it cannot be installed next to Dovecot.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use super::guest::{Guest, User, certificate, fill_in, free_ports, loopback};
use super::{Addresses, Lmtp, PASSWORD, Peer, account};
use crate::Failure;
use crate::place::Place;

/// Cyrus, as Debian packages it.
#[derive(Debug)]
pub(crate) struct Cyrus {
    version: String,
    /// Where its packages were unpacked.
    tree: PathBuf,
    user: User,
    place: Place,
    data: PathBuf,
    /// Its sockets: a path of theirs has to be short.
    sockets: TempDir,
    certificate: CertificateDer<'static>,
    running: Option<(Guest, Addresses)>,
}

impl Cyrus {
    /// Prepares it. Nothing runs after that.
    pub(crate) fn new(place: Place, accounts: usize) -> Result<Self, Failure> {
        let tree = std::env::var_os("COLUMBA_BENCH_CYRUS").map_or_else(|| PathBuf::from(TREE), PathBuf::from);
        let version = std::fs::read_to_string(tree.join("version"))
            .map_err(|error| format!("Cyrus in {}: {error}; `bench setup` puts it there", tree.display()))?;
        let version = format!("Cyrus {}", version.split('-').next().unwrap_or_default().trim());
        let user = User::choose()?;
        let certificate = certificate(place.path())?;
        let data = place.path().join("spool");
        std::fs::create_dir_all(&data)?;
        for name in ["db", "socket", "log", "proc", "lock", "user", "quota", "msg"] {
            std::fs::create_dir_all(place.path().join("conf").join(name))?;
        }
        let sockets = TempDir::with_prefix("bench-")?;
        user.own(sockets.path())?;
        let mut cyrus = Self { version, tree, user, place, data, sockets, certificate, running: None };
        cyrus.add_accounts(accounts)?;
        Ok(cyrus)
    }

    /// Makes the accounts that are missing: a password in sasldb, and an INBOX by the administrator, since one that Cyrus
    /// makes by itself has a quota, whose file is synced at every change. How many there are is written beside them.
    fn add_accounts(&mut self, accounts: usize) -> Result<(), Failure> {
        let count = self.place.path().join("accounts.count");
        let there: usize = std::fs::read_to_string(&count).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        if there == 0 {
            self.set_password(ADMINISTRATOR)?;
        }
        for number in there..accounts {
            self.set_password(&account(number))?;
        }
        self.user.own(self.place.path())?;
        if there >= accounts {
            return Ok(());
        }
        self.start()?;
        make_inboxes(self.addresses()?.plain, there..accounts)?;
        self.stop()?;
        Ok(std::fs::write(count, accounts.to_string())?)
    }

    fn set_password(&self, name: &str) -> Result<(), Failure> {
        let mut command = Command::new("saslpasswd2");
        command.args(["-c", "-p", "-u", REALM, "-f"]).arg(self.place.path().join("sasldb2")).arg(name);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
        let child = child.as_mut().map_err(|error| format!("saslpasswd2: {error}; `bench setup` installs it"))?;
        child.stdin.take().ok_or("no way to give a password")?.write_all(PASSWORD.as_bytes())?;
        if child.wait()?.success() { Ok(()) } else { Err(format!("saslpasswd2 makes no password for {name}").into()) }
    }
}

/// Logs in as the administrator and makes the mailboxes of these accounts.
fn make_inboxes(address: SocketAddr, accounts: std::ops::Range<usize>) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut ask = |command: String| -> Result<(), Failure> {
        stream.write_all(format!("a {command}\r\n").as_bytes())?;
        loop {
            let mut line = String::new();
            if answers.read_line(&mut line)? == 0 {
                return Err("Cyrus closes the connection of its administrator".into());
            }
            if let Some(answer) = line.strip_prefix("a ") {
                return if answer.starts_with("OK") { Ok(()) } else { Err(format!("{command}: {answer}").into()) };
            }
        }
    };
    ask(format!("LOGIN {ADMINISTRATOR} {PASSWORD}"))?;
    for number in accounts {
        ask(format!("CREATE user/{}", account(number)))?;
    }
    ask("LOGOUT".to_owned())
}

impl Peer for Cyrus {
    fn name(&self) -> &'static str {
        "cyrus"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.stop()?;
        let [imap, imaps] = free_ports()?;
        let (imapd, master) = (self.place.path().join("imapd.conf"), self.place.path().join("cyrus.conf"));
        let programs = self.tree.join("usr/lib/cyrus/bin");
        let lmtp = self.sockets.path().join("lmtp");
        let (place, sockets) = (self.place.path().to_string_lossy(), self.sockets.path().to_string_lossy());
        let values = [
            ("PLACE", place.as_ref()),
            ("SOCKETS", &sockets),
            ("USER", &self.user.name),
            ("GROUP", &self.user.group),
            ("ADMINISTRATOR", ADMINISTRATOR),
            ("REALM", REALM),
            ("PROGRAMS", &programs.to_string_lossy()),
            ("IMAP", &imap.to_string()),
            ("IMAPS", &imaps.to_string()),
        ];
        std::fs::write(&imapd, fill_in(IMAPD, &values))?;
        std::fs::write(&master, fill_in(MASTER, &values))?;
        let pid = self.place.path().join("conf/master.pid");
        let words = [Path::new("-C"), &imapd, Path::new("-M"), &master, Path::new("-p"), &pid];
        let libraries = self.libraries()?;
        let log = self.place.path().join("start.log");
        let environment = [("LD_LIBRARY_PATH", libraries.as_path())];
        let guest = Guest::start(&self.user, &programs.join("master"), &words, &environment, &[imap, imaps], &log)?;
        let addresses = Addresses {
            plain: loopback(imap),
            tls: loopback(imaps),
            lmtp: Lmtp::Unix(lmtp),
            certificate: self.certificate.clone(),
        };
        self.running = Some((guest, addresses));
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Failure> {
        self.running.take().map_or(Ok(()), |(guest, _)| guest.stop())
    }

    fn addresses(&self) -> Result<Addresses, Failure> {
        Ok(self.running.as_ref().ok_or("the server does not run")?.1.clone())
    }

    fn root(&self) -> Result<u32, Failure> {
        Ok(self.running.as_ref().ok_or("the server does not run")?.0.root())
    }

    fn data(&self) -> &Path {
        &self.data
    }
}

impl Cyrus {
    /// Where its own libraries are, below a directory that is named for the machine's architecture.
    fn libraries(&self) -> Result<PathBuf, Failure> {
        for entry in std::fs::read_dir(self.tree.join("usr/lib"))? {
            let path = entry?.path();
            if path.join("libcyrus.so.0").exists() {
                return Ok(path);
            }
        }
        Err(format!("{} has no libcyrus.so.0", self.tree.display()).into())
    }
}

/// Where `bench setup` puts it.
const TREE: &str = "/usr/local/lib/columba-bench/cyrus";
const ADMINISTRATOR: &str = "cyrus";
const REALM: &str = "localhost";

const IMAPD: &str = "configdirectory: @PLACE@/conf
partition-default: @PLACE@/spool
defaultpartition: default
proc_path: @PLACE@/conf/proc
mboxname_lockpath: @PLACE@/conf/lock
sievedir: @PLACE@/sieve
cyrus_user: @USER@
cyrus_group: @GROUP@
admins: @ADMINISTRATOR@
servername: @REALM@
unixhierarchysep: yes
altnamespace: yes
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: @PLACE@/sasldb2
sasl_mech_list: PLAIN LOGIN
tls_server_cert: @PLACE@/certificate.pem
tls_server_key: @PLACE@/key.pem
idlesocket: @SOCKETS@/idle
lmtpsocket: @SOCKETS@/lmtp
search_engine: none
duplicatesuppression: no
delete_mode: immediate
autocreate_quota: -1
syslog_prefix: columba-bench
";

const MASTER: &str = "START {
  recover cmd=\"@PROGRAMS@/ctl_cyrusdb -C @PLACE@/imapd.conf -r\"
}
DAEMON {
  idled cmd=\"@PROGRAMS@/idled -C @PLACE@/imapd.conf\"
}
SERVICES {
  imap cmd=\"@PROGRAMS@/imapd -C @PLACE@/imapd.conf -U 1000\" listen=\"127.0.0.1:@IMAP@\" prefork=4 maxchild=15000
  imaps cmd=\"@PROGRAMS@/imapd -C @PLACE@/imapd.conf -s -U 1000\" listen=\"127.0.0.1:@IMAPS@\" prefork=4 maxchild=15000
  lmtpunix cmd=\"@PROGRAMS@/lmtpd -C @PLACE@/imapd.conf -a -U 1000\" listen=\"@SOCKETS@/lmtp\" prefork=2 maxchild=1000
}
EVENTS {
  checkpoint cmd=\"@PROGRAMS@/ctl_cyrusdb -C @PLACE@/imapd.conf -c\" period=30
}
";
