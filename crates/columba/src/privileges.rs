//! What `serve` and `quickstart` give up between binding their sockets and serving, and what is kept for them: whom they run
//! as, which places they reach. How it is given up is crate `confine`'s matter.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use columba_confine::{ConfineError, Fence, Places, User, give_to};
use columba_store_sqlite::Claim;
use tracing::{info, warn};

use crate::admin::{AdminSocket, claim};
use crate::config::{Address, Config, Confine};
use crate::failure::Failure;

/// The user that is taken where there is one and no other is named.
const USUAL_USER: &str = "columba";

/// A data directory that is this server's, and whom it runs as.
pub(crate) struct Ground {
    pub(crate) claim: Claim,
    user: Option<User>,
}

/// Which user is taken by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Usual {
    /// The data directory's owner; else the user `columba`.
    OwnerOrColumba,
    /// The data directory's owner alone: for a server that somebody starts in a directory of theirs.
    Owner,
}

impl Ground {
    /// The first thing a server does with its data directory.
    ///
    /// # Errors
    /// Another process has it, or it is none; the user of the configuration does not exist.
    pub(crate) fn claim(config: &Config, usual: Usual) -> Result<Self, Failure> {
        let user = runs_as(config, usual)?;
        let claim = claim(config)?;
        if user.is_none() && User::may_change() {
            warn!("the server runs as root; make a user columba, or give the data directory to another user");
        }
        Ok(Self { claim, user })
    }

    /// Becomes the user and gives up all that serving does not need, once every socket is bound and every file is made that
    /// only root can make. No thread may have been started. The data directory is handed over on the way.
    ///
    /// # Errors
    /// The kernel refuses; or can't, and the configuration requires it.
    pub(crate) fn settle(self, config: &Config) -> Result<(Claim, AdminSocket), Failure> {
        let failed = |error: ConfineError| {
            Failure::new(format!("the server cannot give up its privileges: {error}"))
                .hint("[process] confine = \"off\" in the configuration runs it without")
        };
        if config.process.confine == Confine::Required && self.user.is_none() && User::may_change() {
            return Err(Failure::new("the server would run as root, and [process] confine is \"required\"")
                .hint("name a user in [process], for instance columba"));
        }
        let fence = match config.process.confine {
            Confine::Off => None,
            Confine::Auto | Confine::Required => Some(Fence::around(&places(config)).map_err(failed)?),
        };
        if let Some(user) = &self.user {
            hand_over(user, &config.data)?;
            user.become_for_good().map_err(failed)?;
            info!(user = user.name, uid = user.uid, "root was given up");
        }
        let admin = AdminSocket::bind(&config.data)?;
        let Some(fence) = fence else {
            warn!("[process] confine is off: the process is not confined");
            return Ok((self.claim, admin));
        };
        let report = fence.close().map_err(failed)?;
        if !report.is_whole() && config.process.confine == Confine::Required {
            let what = format!("[process] confine is \"required\", and this kernel cannot do all of it: {report}");
            return Err(Failure::new(what).hint("Linux 6.7 or newer with Landlock and seccomp can; or choose \"auto\""));
        }
        match report.is_whole() {
            true => info!(%report, "confined"),
            false => warn!(%report, "confined, as far as this kernel can"),
        }
        Ok((self.claim, admin))
    }
}

/// Whom to become; `None`: whoever this is already.
fn runs_as(config: &Config, usual: Usual) -> Result<Option<User>, Failure> {
    if !User::may_change() {
        return Ok(None);
    }
    let named = |name: &str| {
        User::named(name).map_err(|error| Failure::new(format!("the users of this machine cannot be read: {error}")))
    };
    if let Some(name) = &config.process.user {
        return named(name)?.map(|user| Some(user).filter(|user| !user.is_root())).ok_or_else(|| {
            Failure::new(format!("there is no user {name}, whom [process] names"))
                .hint(format!("make one: useradd --system --home-dir {} {name}", config.data.display()))
        });
    }
    if let Some(owner) = User::owner_of(&config.data).unwrap_or_default() {
        return Ok(Some(owner));
    }
    if usual == Usual::Owner { Ok(None) } else { named(USUAL_USER) }
}

/// Gives a data directory to its user, with what root may have made in it since.
pub(crate) fn hand_over(user: &User, data: &Path) -> Result<(), Failure> {
    give_to(user, data).map(drop).map_err(|error| {
        Failure::new(format!("the data directory {} cannot be given to {}: {error}", data.display(), user.name))
            .hint(format!("give it by hand: chown -R {} {}", user.name, data.display()))
    })
}

/// What the server goes on reaching.
fn places(config: &Config) -> Places {
    let files = config.tls.iter().flat_map(|tls| tls.paths());
    let abstract_sockets =
        std::env::var_os("NOTIFY_SOCKET").is_some_and(|name| name.as_encoded_bytes().starts_with(b"@"));
    let sockets = config.listeners.iter().filter_map(|listener| match &listener.address {
        Address::Unix(path) => path.parent().filter(|directory| is_own(directory)).map(Path::to_owned),
        Address::Tcp(_) => None,
    });
    Places {
        write: vec![config.data.clone()],
        read: files.flat_map(ways).chain(std::env::current_exe()).collect(),
        remove: sockets.collect(),
        connect: false,
        abstract_sockets,
    }
}

/// What has to be readable for a file to be read, also after it was renamed over or a link on the way leads elsewhere: the
/// directory it is in, and that of every link. A directory that is nobody's in particular is not opened for it: then it is
/// the file itself, and another one of its name is seen at the next start only.
fn ways(file: &Path) -> BTreeSet<PathBuf> {
    let (mut own, shared): (BTreeSet<_>, BTreeSet<_>) =
        columba_server::directories_to(file).into_iter().partition(|directory| is_own(directory));
    if !shared.is_empty() {
        own.insert(file.to_owned());
    }
    own
}

/// Whether a directory is likely to be there for one purpose: not `/`, not `/etc`, not somebody's home.
fn is_own(directory: &Path) -> bool {
    let normal = |part| if let Component::Normal(name) = part { Some(name) } else { None };
    let parts: Vec<&OsStr> = directory.components().filter_map(normal).collect();
    match parts.as_slice() {
        [] | [_] => false,
        [first, _] => *first != "home" && *first != "usr" && *first != "var",
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_for_one_purpose_are_opened_for_a_file() {
        for (directory, own) in [
            ("/etc/letsencrypt/live/mail.example.org", true),
            ("/etc/columba", true),
            ("/run/columba", true),
            ("/var/spool/postfix/private", true),
            ("/home/ann/tls", true),
            ("/home/ann", false),
            ("/var/lib", false),
            ("/etc", false),
            ("/tmp", false),
            ("/", false),
        ] {
            assert_eq!(is_own(Path::new(directory)), own, "{directory}");
        }
    }

    #[test]
    fn a_file_in_a_shared_directory_is_opened_alone() {
        assert_eq!(ways(Path::new("/certificate.pem")), BTreeSet::from(["/certificate.pem".into()]));
        assert_eq!(ways(Path::new("/etc/columba/key.pem")), BTreeSet::from(["/etc/columba".into()]));
    }
}
