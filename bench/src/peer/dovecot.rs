//! Dovecot 2.3 in several settings: as quick as a careful administrator makes it, and as durable as Columba, but for the
//! setting that is called default.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use super::guest::{Guest, User, certificate, fill_in, free_ports, loopback};
use super::{Addresses, Lmtp, PASSWORD, Peer, account};
use crate::Failure;
use crate::place::Place;

/// What differs between one Dovecot and another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// The store it is quickest with, every change on disk before its OK.
    Sdbox,
    /// A file per message, every change on disk before its OK.
    Maildir,
    /// sdbox with `mail_fsync = optimized`, which is what it does unless told otherwise: changes of flags are not synced.
    Default,
    /// sdbox; connections that idle are handed to one process.
    Hibernate,
    /// sdbox; passwords are hashed as Columba hashes them.
    Argon2id,
}

impl Setting {
    pub(super) const ALL: [Self; 5] = [Self::Sdbox, Self::Maildir, Self::Default, Self::Hibernate, Self::Argon2id];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sdbox => "dovecot-sdbox",
            Self::Maildir => "dovecot-maildir",
            Self::Default => "dovecot-default",
            Self::Hibernate => "dovecot-hibernate",
            Self::Argon2id => "dovecot-argon2id",
        }
    }
}

/// Dovecot, as Debian packages it.
#[derive(Debug)]
pub(crate) struct Dovecot {
    setting: Setting,
    version: String,
    user: User,
    place: Place,
    data: PathBuf,
    /// Its sockets: a path of theirs has to be short.
    sockets: TempDir,
    certificate: CertificateDer<'static>,
    running: Option<(Guest, Addresses)>,
}

impl Dovecot {
    /// Prepares it. Nothing runs yet.
    pub(crate) fn new(setting: Setting, place: Place, accounts: usize) -> Result<Self, Failure> {
        let version = Command::new(PROGRAM).arg("--version").output();
        let version = version.map_err(|error| format!("{PROGRAM}: {error}; `bench setup` installs it"))?;
        let version = String::from_utf8_lossy(&version.stdout).split_whitespace().next().unwrap_or_default().to_owned();
        if !version.starts_with("2.3.") {
            return Err(
                format!("this is Dovecot {version}; the bench has a configuration for 2.3 (Debian 12) only").into()
            );
        }
        if !Path::new(LMTP).exists() {
            return Err(format!("{LMTP} is missing; `bench setup` installs it").into());
        }
        let user = User::choose()?;
        let data = place.path().join("home");
        std::fs::create_dir_all(&data)?;
        let certificate = certificate(place.path())?;
        let scheme = if setting == Setting::Argon2id { ARGON2ID } else { PASSWORD };
        let mut lines = String::new();
        for number in 0..accounts {
            writeln!(lines, "{}:{scheme}", account(number))?;
        }
        std::fs::write(place.path().join("users"), lines)?;
        user.own(place.path())?;
        let sockets = TempDir::with_prefix("bench-")?;
        user.own(sockets.path())?;
        warn_of_inotify();
        Ok(Self {
            setting,
            version: format!("Dovecot {version}"),
            user,
            place,
            data,
            sockets,
            certificate,
            running: None,
        })
    }

    fn configuration(&self, imap: u16, imaps: u16) -> String {
        let fsync = if self.setting == Setting::Default { "optimized" } else { "always" };
        let location = if self.setting == Setting::Maildir { "maildir:~/Maildir" } else { "sdbox:~/sdbox" };
        let scheme = if self.setting == Setting::Argon2id { "ARGON2ID" } else { "PLAIN" };
        let mut text = fill_in(
            CONFIGURATION,
            &[
                ("PLACE", &self.place.path().to_string_lossy()),
                ("SOCKETS", &self.sockets.path().to_string_lossy()),
                ("USER", &self.user.name),
                ("GROUP", &self.user.group),
                ("FSYNC", fsync),
                ("LOCATION", location),
                ("SCHEME", scheme),
                ("IMAP", &imap.to_string()),
                ("IMAPS", &imaps.to_string()),
            ],
        );
        if self.setting == Setting::Hibernate {
            text.push_str("imap_hibernate_timeout = 2s\n");
        }
        if self.setting == Setting::Argon2id {
            // Else passwords are checked one after the other, in the process that answers everybody.
            text.push_str("auth_cache_size = 64M\nauth_cache_verify_password_with_worker = yes\n");
        }
        text
    }
}

impl Peer for Dovecot {
    fn name(&self) -> &'static str {
        self.setting.name()
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.stop()?;
        let [imap, imaps] = free_ports()?;
        let configuration = self.place.path().join("dovecot.conf");
        std::fs::write(&configuration, self.configuration(imap, imaps))?;
        let words = [Path::new("-F"), Path::new("-c"), &configuration];
        let log = self.place.path().join("start.log");
        let guest = Guest::start(&self.user, Path::new(PROGRAM), &words, &[], &[imap, imaps], &log)?;
        let addresses = Addresses {
            plain: loopback(imap),
            tls: loopback(imaps),
            lmtp: Lmtp::Unix(self.sockets.path().join("lmtp")),
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

/// Beyond the limit, processes that idle look for new mail every half minute instead of being told.
fn warn_of_inotify() {
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_instances");
    let limit: u64 = limit.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    if limit < 4096 {
        eprintln!(
            "bench: fs.inotify.max_user_instances is {limit}: Dovecot will poll for some idle connections; `bench setup` raises it"
        );
    }
}

const PROGRAM: &str = "/usr/sbin/dovecot";
const LMTP: &str = "/usr/lib/dovecot/lmtp";

/// [`PASSWORD`] at the cost Columba has: 19 MiB, two passes, one lane.
const ARGON2ID: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Y29sdW1iYS1iZW5jaC1zYWx0$0hypEIw8vxHM7CHGQbjAcSxENUnzhLD1NJW/JCAY2aY";

const CONFIGURATION: &str = "instance_name = columba-bench
protocols = imap lmtp
listen = 127.0.0.1
base_dir = @SOCKETS@/base
state_dir = @SOCKETS@/state
log_path = @PLACE@/log
info_log_path = /dev/null
default_internal_user = @USER@
default_internal_group = @GROUP@
default_login_user = @USER@
default_client_limit = 65536
default_process_limit = 15000
default_vsz_limit = 0
ssl = yes
ssl_cert = <@PLACE@/certificate.pem
ssl_key = <@PLACE@/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
passdb {
  driver = passwd-file
  args = scheme=@SCHEME@ @PLACE@/users
}
userdb {
  driver = static
  args = uid=@USER@ gid=@GROUP@ home=@PLACE@/home/%u
}
first_valid_uid = 1
mail_location = @LOCATION@
mail_fsync = @FSYNC@
mail_max_userip_connections = 0
namespace inbox {
  inbox = yes
  separator = /
}
protocol imap {
  mail_plugins = zlib imap_zlib
}
protocol lmtp {
  postmaster_address = postmaster@localhost
}
service anvil {
  chroot =
}
service imap-login {
  chroot =
  service_count = 0
  process_min_avail = 2
  process_limit = 4
  inet_listener imap {
    port = @IMAP@
  }
  inet_listener imaps {
    port = @IMAPS@
    ssl = yes
  }
}
service imap-urlauth-login {
  chroot =
  process_limit = 1
}
service imap {
  service_count = 1000
}
service lmtp {
  service_count = 0
  process_min_avail = 2
  process_limit = 1000
  unix_listener lmtp {
    path = @SOCKETS@/lmtp
    mode = 0666
  }
}
";
