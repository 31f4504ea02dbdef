//! The data directory: its lock, its format file, and where in it everything lies. It knows no file's contents.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::fault::io_words;

/// The format this program writes, and the highest it reads.
const FORMAT: u32 = 1;
/// Shards are numbered with two digits, and the number has to fit the high bits of a segment's.
const MAX_SHARDS: usize = 64;
const FORMAT_FILE: &str = "format";
const FORMAT_FILE_NEW: &str = "format.new";
const LOCK_FILE: &str = "LOCK";

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{dir} is in use by another Columba (process {holder}); only one may have it open")]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// What the holder wrote of itself: its process number, or "unknown".
        holder: String,
    },
    /// It was written by a newer program.
    #[error("{file} has format {found}, and this program knows formats up to {known}: use a newer Columba")]
    Newer {
        /// Which file says so, below the data directory.
        file: String,
        /// The format it has.
        found: u64,
        /// The newest this program knows.
        known: u64,
    },
    /// It has no format file, and is not empty either.
    #[error("{dir} is no data directory of Columba and not empty (there is {found:?} in it)")]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// Something that lies in it.
        found: String,
    },
    /// What is in it cannot be what was written.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The file system or SQLite refused.
    #[error("{0}")]
    Unavailable(String),
}

impl OpenError {
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::Unavailable(io_words(&path.display().to_string(), error))
    }
}

/// A data directory that this process has locked.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    shards: usize,
    is_new: bool,
    // The lock lasts as long as this file is open.
    _lock: File,
}

impl DataDir {
    /// Locks the directory `path`, making it if need be, and learns how many shards it has. `shards_if_new` counts
    /// when it is new; then [`DataDir::seal`] makes it a data directory once all that belongs in it is there.
    pub(crate) fn open(path: &Path, shards_if_new: usize) -> Result<Self, OpenError> {
        make_dir(path)?;
        let lock = lock(path)?;
        let format = path.join(FORMAT_FILE);
        let (shards, is_new) = match std::fs::read_to_string(&format) {
            Ok(text) => (parse_format(&text)?, false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => (shards_if_new.clamp(1, MAX_SHARDS), true),
            Err(e) => return Err(OpenError::io(&format, &e)),
        };
        let dir = Self { path: path.to_owned(), shards, is_new, _lock: lock };
        if is_new {
            dir.refuse_foreign()?;
        }
        dir.make_dirs()?;
        Ok(dir)
    }

    /// How many shards, not counting the global one.
    pub(crate) fn shards(&self) -> usize {
        self.shards
    }

    /// Whether it has no format file yet, because it is being made for the first time.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The SQLite file of shard `shard`, below the data directory.
    pub(crate) fn shard_name(shard: usize) -> String {
        format!("shards/{shard:02}.sqlite")
    }

    /// The SQLite file of what is not of one account, below the data directory.
    pub(crate) fn global_name() -> String {
        "shards/global.sqlite".into()
    }

    /// The directory of one shard's segments, below the data directory.
    pub(crate) fn segments_name(shard: usize) -> String {
        format!("segments/{shard:02}")
    }

    /// A path for what lies at `name` below the data directory.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where large messages are put together.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.path.join("incoming")
    }

    /// Writes the format file of a new directory: from now on a missing shard is damage.
    pub(crate) fn seal(&self) -> Result<(), OpenError> {
        if !self.is_new {
            return Ok(());
        }
        let new = self.path.join(FORMAT_FILE_NEW);
        let text = format!("columba-data {FORMAT}\nshards {}\n", self.shards);
        let written = private_file().write(true).create(true).truncate(true).open(&new).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            sync_dir(&self.path.join("shards"))?;
            std::fs::rename(&new, self.path.join(FORMAT_FILE))?;
            sync_dir(&self.path)
        });
        written.map_err(|e| OpenError::io(&new, &e))
    }

    // A directory whose making was cut short has these and no format file. The last ones a server puts there before it
    // opens what is stored.
    fn refuse_foreign(&self) -> Result<(), OpenError> {
        let entries = std::fs::read_dir(&self.path).map_err(|e| OpenError::io(&self.path, &e))?;
        for entry in entries {
            let name = entry.map_err(|e| OpenError::io(&self.path, &e))?.file_name();
            let name = name.to_string_lossy().into_owned();
            let ours = ["shards", "segments", "incoming", LOCK_FILE, FORMAT_FILE_NEW, "tls", "admin.sock", "lmtp"];
            if !ours.contains(&name.as_str()) {
                return Err(OpenError::Foreign { dir: self.path.clone(), found: name });
            }
        }
        Ok(())
    }

    fn make_dirs(&self) -> Result<(), OpenError> {
        make_dir(&self.at("shards"))?;
        make_dir(&self.at("segments"))?;
        make_dir(&self.incoming())?;
        (0..self.shards).try_for_each(|shard| make_dir(&self.at(&Self::segments_name(shard))))?;
        let synced = sync_dir(&self.at("segments")).and_then(|()| sync_dir(&self.path));
        synced.map_err(|e| OpenError::io(&self.path, &e))
    }
}

/// Options for a file that only its owner may read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Makes what happened to the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn make_dir(path: &Path) -> Result<(), OpenError> {
    match DirBuilder::new().mode(0o700).recursive(true).create(path) {
        Ok(()) => Ok(()),
        Err(e) => Err(OpenError::io(path, &e)),
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK_FILE);
    let open = private_file().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(|e| OpenError::io(&path, &e))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let holder = match (&mut file).take(32).read_to_string(&mut text) {
                Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
                _ => "unknown".to_owned(),
            };
            return Err(OpenError::InUse { dir: dir.to_owned(), holder });
        }
        Err(e) => return Err(OpenError::io(&path, &e.into())),
    }
    let note = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    note.map_err(|e| OpenError::io(&path, &e))?;
    Ok(file)
}

fn parse_format(text: &str) -> Result<usize, OpenError> {
    let damaged = || OpenError::Damaged(format!("the file {FORMAT_FILE:?} reads {text:?}"));
    let mut lines = text.lines();
    let format = lines.next().and_then(|line| line.strip_prefix("columba-data ")).ok_or_else(damaged)?;
    let format: u32 = format.parse().map_err(|_| damaged())?;
    // The first line never changes its shape; the others belong to the format it names.
    if format > FORMAT {
        let file = FORMAT_FILE.into();
        return Err(OpenError::Newer { file, found: format.into(), known: FORMAT.into() });
    }
    let shards = lines.next().and_then(|line| line.strip_prefix("shards ")).and_then(|n| n.parse().ok());
    shards.filter(|n| (1..=MAX_SHARDS).contains(n)).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_one_may_have_it_and_the_other_is_told_who() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path(), 4).unwrap();
        let refused = DataDir::open(dir.path(), 4).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        DataDir::open(dir.path(), 4).unwrap();
    }

    #[test]
    fn the_number_of_shards_is_fixed_when_it_is_made() {
        let dir = tempfile::tempdir().unwrap();
        DataDir::open(dir.path(), 3).unwrap().seal().unwrap();
        let again = DataDir::open(dir.path(), 8).unwrap();
        assert_eq!((again.shards(), again.is_new()), (3, false));
        assert_eq!(std::fs::read_to_string(dir.path().join("format")).unwrap(), "columba-data 1\nshards 3\n");
    }

    #[test]
    fn nobody_else_may_look() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/data");
        DataDir::open(&path, 1).unwrap().seal().unwrap();
        let mode = |name: &str| std::fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("shards"), mode("segments/00"), mode("incoming")), (0o700, 0o700, 0o700, 0o700));
        assert_eq!((mode("LOCK"), mode("format")), (0o600, 0o600));
    }

    #[test]
    fn a_newer_a_foreign_and_a_broken_directory_are_refused() {
        let refused = |file: &str, text: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(file), text).unwrap();
            DataDir::open(dir.path(), 4).unwrap_err()
        };
        assert!(matches!(refused("format", "columba-data 2\nwhat ever\n"), OpenError::Newer { found: 2, .. }));
        assert!(matches!(refused("format", "columba-data 1\nshards 0\n"), OpenError::Damaged(_)));
        assert!(matches!(refused("format", "hello"), OpenError::Damaged(_)));
        assert!(matches!(refused("thesis.txt", "x"), OpenError::Foreign { .. }));
    }
}
