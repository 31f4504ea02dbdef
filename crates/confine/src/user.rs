//! The user to run as, and handing what belongs to root over to it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::{ConfineError, capabilities, require_one_thread};

/// How deep a data directory is at most; it has three levels.
const DEPTH: usize = 16;

/// A user of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The number of its own group.
    pub gid: u32,
}

impl User {
    /// The user of that name; `None` if the machine knows none.
    ///
    /// # Errors
    /// The machine's list of users cannot be read.
    pub fn named(name: &str) -> io::Result<Option<Self>> {
        let found = nix::unistd::User::from_name(name).map_err(io::Error::from)?;
        Ok(found.map(|user| Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
    }

    /// Whether it is root.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Whether this process runs as root, and could become another.
    pub fn may_change() -> bool {
        rustix::process::geteuid().is_root()
    }

    /// Becomes this user, with its own group alone, and gives up every capability. There is no way back.
    ///
    /// # Errors
    /// There are threads already, or the kernel refuses.
    pub fn become_for_good(&self) -> Result<(), ConfineError> {
        require_one_thread()?;
        let failed = |error: rustix::io::Errno| ConfineError::User { user: self.name.clone(), error: error.into() };
        capabilities::empty_bounding_set()?;
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        // The groups first: afterwards it would not be allowed.
        set_thread_groups(&[]).map_err(failed)?;
        set_thread_res_gid(Some(gid), Some(gid), Some(gid)).map_err(failed)?;
        set_thread_res_uid(Some(uid), Some(uid), Some(uid)).map_err(failed)?;
        capabilities::give_up()
    }
}

/// Hands `directory` and everything in it that belongs to root over to `user`; how many files that was. Symbolic links are
/// not followed, and a file with a second name somewhere is left alone: whoever owns the directory could have made it a name
/// of anything.
///
/// # Errors
/// Something cannot be read, or the kernel refuses.
pub fn give_to(user: &User, directory: &Path) -> io::Result<u64> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(directory, flags | OFlags::DIRECTORY, Mode::empty())?;
    give_below(user, root, 0)
}

fn give_below(user: &User, directory: OwnedFd, depth: usize) -> io::Result<u64> {
    if depth > DEPTH {
        return Ok(0);
    }
    let mut given = give_one(user, &directory)?;
    let opened =
        rustix::fs::openat(&directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for entry in Dir::read_from(&opened)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&opened, name, flags, Mode::empty()) {
            // Another process removed it meanwhile.
            Err(rustix::io::Errno::NOENT) => continue,
            file => file?,
        };
        let is_directory = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) == FileType::Directory;
        given += if is_directory { give_below(user, file, depth + 1)? } else { give_one(user, &file)? };
    }
    Ok(given)
}

/// By its descriptor, so that what is looked at is what is changed.
fn give_one(user: &User, file: &OwnedFd) -> io::Result<u64> {
    let stat = rustix::fs::fstat(file)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let plain = match kind {
        FileType::Directory => true,
        FileType::RegularFile | FileType::Socket => stat.st_nlink == 1,
        _ => false,
    };
    if !plain || stat.st_uid != 0 || user.is_root() {
        return Ok(0);
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    rustix::fs::chownat(file.as_fd(), c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    Ok(1)
}

impl User {
    /// Who owns a file or directory; `None` for root.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn owner_of(path: &Path) -> io::Result<Option<Self>> {
        let metadata = fs::symlink_metadata(path)?;
        let user = Self { name: metadata.uid().to_string(), uid: metadata.uid(), gid: metadata.gid() };
        Ok(Some(user).filter(|user| !user.is_root()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn root_is_known_and_nobody_of_that_name_is_not() {
        assert!(User::named("root").unwrap().unwrap().is_root());
        assert_eq!(User::named("no-such-user-here").unwrap(), None);
    }

    #[test]
    fn only_what_is_plainly_roots_is_handed_over() {
        if !User::may_change() {
            return;
        }
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        fs::create_dir_all(at("data/deep")).unwrap();
        for name in ["data/deep/plain", "outside", "linked"] {
            fs::write(at(name), "x").unwrap();
        }
        symlink(at("outside"), at("data/link")).unwrap();
        fs::hard_link(at("linked"), at("data/second-name")).unwrap();
        let user = User { name: "somebody".into(), uid: 54_321, gid: 54_322 };
        // The directory, the one in it, and the file.
        assert_eq!(give_to(&user, &at("data")).unwrap(), 3);
        let owner = |name: &str| User::owner_of(&at(name)).unwrap().map(|user| (user.uid, user.gid));
        for (name, expected) in [
            ("data", Some((54_321, 54_322))),
            ("data/deep/plain", Some((54_321, 54_322))),
            ("data/link", None),
            ("outside", None),
            ("linked", None),
        ] {
            assert_eq!(owner(name), expected, "{name}");
        }
        let other = User { name: "other".into(), uid: 1, gid: 1 };
        assert_eq!(give_to(&other, &at("data")).unwrap(), 0);
    }
}
