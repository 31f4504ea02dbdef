//! What went wrong, in words for the person who runs the server, and what it means for a commit.

use std::io;
use std::sync::Arc;

use columba_store::EngineError;
use rusqlite::ErrorCode;
use rusqlite::ffi;

const FULL: &str = "the disk is full";
const READ_ONLY: &str = "the disk or the data directory is read-only";

/// Words for an error of SQLite. `file` names the file as an administrator knows it.
pub(crate) fn sqlite_words(file: &str, error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => format!("{file}: {FULL}"),
        Some(ErrorCode::ReadOnly) => format!("{file}: {READ_ONLY}"),
        Some(ErrorCode::NotADatabase) => format!("{file}: this is not a database of Columba"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("{file}: another program holds the database")
        }
        Some(ErrorCode::SystemIoFailure) => {
            let code = error.sqlite_error().map_or(0, |e| e.extended_code);
            format!("{file}: the disk failed ({error}, code {code})")
        }
        _ => format!("{file}: {error}"),
    }
}

/// Words for an error of the file system.
pub(crate) fn io_words(file: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!("{file}: {FULL}"),
        io::ErrorKind::ReadOnlyFilesystem => format!("{file}: {READ_ONLY}"),
        _ => format!("{file}: {error}"),
    }
}

/// An error of reading keys.
pub(crate) fn sqlite_fault(file: &str, error: &rusqlite::Error) -> EngineError {
    let words: Arc<str> = sqlite_words(file, error).into();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => EngineError::Corrupt(words),
        _ => EngineError::Unavailable(words),
    }
}

/// An error of reading or writing message bytes.
pub(crate) fn io_fault(file: &str, error: &io::Error) -> EngineError {
    EngineError::Unavailable(io_words(file, error).into())
}

/// What is said when the engine has been closed.
pub(crate) fn closed() -> EngineError {
    EngineError::Unavailable("the store is closed".into())
}

/// Whether an error of COMMIT leaves open what happened.
///
/// COMMIT writes all frames, the last marked as the commit, then syncs, then tells the readers. A write that failed
/// has left the last frame unwritten or torn, which recovery takes for the end of the log: nothing happened. Any
/// other failure may come after the last frame was whole, and then a crash right now would make the commit happen.
pub(crate) fn commit_is_open(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|e| e.extended_code);
    let primary = code.map(|code| code & 0xff);
    let nothing_happened = matches!(primary, Some(ffi::SQLITE_FULL | ffi::SQLITE_READONLY | ffi::SQLITE_BUSY))
        || matches!(code, Some(ffi::SQLITE_IOERR_WRITE));
    !nothing_happened
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn only_a_failed_write_leaves_no_doubt_about_a_commit() {
        let clear = [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_READONLY, ffi::SQLITE_READONLY_DBMOVED];
        let open = [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_NOMEM, ffi::SQLITE_IOERR];
        assert!(clear.iter().all(|code| !commit_is_open(&failure(*code))));
        assert!(open.iter().all(|code| commit_is_open(&failure(*code))));
    }

    #[test]
    fn a_full_disk_is_called_that() {
        assert_eq!(sqlite_words("shards/00.sqlite", &failure(ffi::SQLITE_FULL)), "shards/00.sqlite: the disk is full");
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(io_fault("segments/00", &full), EngineError::Unavailable("segments/00: the disk is full".into()));
    }
}
