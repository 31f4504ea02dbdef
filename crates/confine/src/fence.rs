//! Landlock: which files are reached, and that no TCP connection is begun or awaited that was not there before.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, PathFdError, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};

use crate::{ConfineError, Report, capabilities, require_one_thread, syscalls};

/// The newest interface whose every right is thought of here; a newer kernel is asked for no more.
const KNOWN: ABI = ABI::V6;
/// What every process of this program reads: random numbers, and what the C library and the allocator ask of the machine
/// when threads start.
const OF_EVERYBODY: [&str; 6] = [
    "/dev/urandom",
    "/proc/self",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
];
/// What finding an address by its name takes, and trusting a certificate.
const OF_CONNECTING: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/ssl/certs",
    "/usr/share/ca-certificates",
    "/run/systemd/resolve",
];

/// Which places a process goes on reaching.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places {
    /// Directories in which it does as it likes, but runs nothing. They must be there.
    pub write: Vec<PathBuf>,
    /// Files and directories that it reads. Those that are not there are left out.
    pub read: Vec<PathBuf>,
    /// Directories out of which it removes files: its sockets, when it ends. Those that are not there are left out.
    pub remove: Vec<PathBuf>,
    /// Whether it connects to other machines.
    pub connect: bool,
    /// Whether it speaks to Unix sockets without a file (systemd's, in some containers).
    pub abstract_sockets: bool,
}

/// What the process is about to be enclosed in. Made while it may still open everything, closed once it has become its
/// user.
#[derive(Debug)]
pub struct Fence {
    ruleset: RulesetCreated,
    connect: bool,
}

impl Fence {
    /// Opens every place.
    ///
    /// # Errors
    /// A place to write to is not there; Landlock is, and does not do as it should.
    pub fn around(places: &Places) -> Result<Self, ConfineError> {
        let failed = |error: landlock::RulesetError| filter("Landlock", &error);
        let all = AccessFs::from_all(KNOWN);
        let net: BitFlags<AccessNet> =
            if places.connect { AccessNet::BindTcp.into() } else { AccessNet::from_all(KNOWN) };
        let scope: BitFlags<Scope> =
            if places.abstract_sockets { Scope::Signal.into() } else { Scope::from_all(KNOWN) };
        let ruleset = Ruleset::default().handle_access(all).and_then(|set| set.handle_access(net));
        let mut ruleset = ruleset.and_then(|set| set.scope(scope)).and_then(Ruleset::create).map_err(failed)?;
        let devices = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
        let write = all & !(devices | AccessFs::Execute);
        for path in &places.write {
            let opened = open(path)?.ok_or_else(|| ConfineError::Place {
                path: path.clone(),
                reason: "there is nothing of that name".into(),
            })?;
            ruleset = ruleset.add_rule(PathBeneath::new(opened, write)).map_err(failed)?;
        }
        let of_connecting = OF_CONNECTING.iter().filter(|_| places.connect);
        let usual = OF_EVERYBODY.iter().chain(of_connecting).map(Path::new);
        for path in usual.chain(places.read.iter().map(PathBuf::as_path)) {
            let Some(opened) = open(path)? else { continue };
            // The right to list a directory means nothing on a file; the library leaves it out there.
            let read = AccessFs::ReadFile | AccessFs::ReadDir;
            ruleset = ruleset.add_rule(PathBeneath::new(opened, read)).map_err(failed)?;
        }
        for path in places.remove.iter() {
            let Some(opened) = open(path)? else { continue };
            ruleset = ruleset.add_rule(PathBeneath::new(opened, AccessFs::RemoveFile)).map_err(failed)?;
        }
        if let Some(null) = open(Path::new("/dev/null"))? {
            let access = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
            ruleset = ruleset.add_rule(PathBeneath::new(null, access)).map_err(failed)?;
        }
        Ok(Self { ruleset, connect: places.connect })
    }

    /// Gives up every capability, new privileges, what lies outside the fence, and the system calls that serving does not
    /// need. Every thread started from now on is confined the same way. There is no way back.
    ///
    /// # Errors
    /// There are threads already; or the kernel refuses what it says it can.
    pub fn close(self) -> Result<Report, ConfineError> {
        require_one_thread()?;
        capabilities::empty_bounding_set()?;
        capabilities::give_up()?;
        rustix::thread::set_no_new_privs(true)
            .map_err(|error| ConfineError::Refused { what: "new privileges", error: error.into() })?;
        let status = self.ruleset.restrict_self().map_err(|error| filter("Landlock", &error))?;
        let version = match (status.landlock, &status.ruleset) {
            (_, RulesetStatus::NotEnforced) => None,
            (LandlockStatus::Available { effective_abi, kernel_abi }, _) => {
                kernel_abi.and_then(|abi| u32::try_from(abi).ok()).or(Some(effective_abi as u32))
            }
            _ => None,
        };
        let network = version.is_some_and(|version| version >= ABI::V4 as u32);
        let seccomp = syscalls::restrict(self.connect)?;
        Ok(Report { landlock: version, network, seccomp })
    }
}

fn filter(what: &'static str, error: &dyn std::fmt::Display) -> ConfineError {
    ConfineError::Filter { what, reason: error.to_string() }
}

fn open(path: &Path) -> Result<Option<PathFd>, ConfineError> {
    match PathFd::new(path) {
        Ok(opened) => Ok(Some(opened)),
        Err(PathFdError::OpenCall { source, .. })
            if matches!(source.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied) =>
        {
            Ok(None)
        }
        Err(error) => Err(ConfineError::Place { path: path.to_owned(), reason: error.to_string() }),
    }
}
