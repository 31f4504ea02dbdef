//! One SQLite file: how it is made and opened, and every statement that is ever run on it.
//!
//! It knows octet strings and their order, and neither partitions nor threads.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use columba_store::Key;
use rusqlite::{Connection, OpenFlags, Statement, params};

/// The tables as they are; `user_version` of the file.
pub(crate) const FORMAT: i64 = 1;
/// Says that a file is Columba's: "CLMB".
const APPLICATION_ID: i64 = 0x434c_4d42;
// Values are 0.1 to 8 KB. An ordinary table beside its index takes half the time and log of a WITHOUT ROWID one here,
// because that one keeps at most a quarter of a page of each value in the tree (measured, see the format's page).
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS kv (k BLOB NOT NULL PRIMARY KEY, v BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;";
/// Octets of a page of the file.
pub(crate) const PAGE_BYTES: u32 = 4096;
/// How long a connection waits for another one's lock. Ours hold none for long: only recovery and other programs do.
const BUSY: Duration = Duration::from_secs(10);

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Writer,
    Reader,
    Checkpointer,
}

/// Opens the file at `path`, which must exist: SQLite gives its log and index the mode of the file itself.
pub(crate) fn open(path: &Path, role: Role) -> rusqlite::Result<Connection> {
    let access = match role {
        Role::Writer | Role::Checkpointer => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Role::Reader => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    // Each connection stays with one thread at a time, so SQLite's own mutex would only cost.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    // The writer's cache takes one group of commits; the readers' is dropped with every commit and stays small.
    let cache_kib = if role == Role::Writer { 16 * 1024 } else { 2 * 1024 };
    connection.execute_batch(&format!(
        "PRAGMA cache_size = -{cache_kib};
         PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY;"
    ))?;
    Ok(connection)
}

/// Makes the tables of a new file, or brings one whose making was cut short to its end.
pub(crate) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES};
         PRAGMA journal_mode = WAL;
         BEGIN;
         {SCHEMA}
         PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {FORMAT};
         COMMIT;"
    ))
}

/// The format of the file; `None` if it is not one of Columba's.
pub(crate) fn format(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let ours = pragma("application_id")? == APPLICATION_ID;
    Ok(if ours { Some(pragma("user_version")?) } else { None })
}

/// Sets what a file that is in use needs: the log stays, so that it is overwritten in place, up to `log_bytes`.
pub(crate) fn use_log(connection: &Connection, log_bytes: u64) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = {log_bytes};"))
}

/// Gives back the memory of pages that were read or written; the next ones are read again.
pub(crate) fn rest(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA shrink_memory")
}

/// Whether there is any key.
pub(crate) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM kv)", [], |row| row.get(0))
}

/// The accounts that live in this file, with the epoch of their moving in.
pub(crate) fn accounts(connection: &Connection) -> rusqlite::Result<Vec<(u64, i64)>> {
    let mut statement = connection.prepare("SELECT id, epoch FROM account")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?)))?;
    rows.collect()
}

/// What SQLite's quick check finds wrong, in its words.
pub(crate) fn quick_check(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("PRAGMA quick_check")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.filter(|row| row.as_ref().map_or(true, |text| text != "ok")).collect()
}

/// How long the log is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LogState {
    /// Frames in it, each a page.
    pub(crate) frames: u64,
    /// How many of them the file has already.
    pub(crate) copied: u64,
}

impl LogState {
    pub(crate) fn waiting(self) -> u64 {
        self.frames.saturating_sub(self.copied)
    }
}

/// Copies as much of the log to the file as is possible without making anybody wait.
pub(crate) fn checkpoint(connection: &Connection) -> rusqlite::Result<LogState> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], log_state)
}

// The row says: busy, frames, copied; -1 for a file without a log.
fn log_state(row: &rusqlite::Row<'_>) -> rusqlite::Result<LogState> {
    let number = |at| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0));
    Ok(LogState { frames: number(1)?, copied: number(2)? })
}

/// The statements of the one connection that writes.
#[derive(Debug)]
pub(crate) struct Writes<'c> {
    connection: &'c Connection,
    begin: Statement<'c>,
    commit: Statement<'c>,
    value: Statement<'c>,
    put: Statement<'c>,
    delete: Statement<'c>,
    clear: Statement<'c>,
    register: Statement<'c>,
    log: Statement<'c>,
}

impl<'c> Writes<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            commit: connection.prepare("COMMIT")?,
            value: connection.prepare("SELECT v FROM kv WHERE k = ?1")?,
            put: connection.prepare("INSERT INTO kv (k, v) VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = ?2")?,
            delete: connection.prepare("DELETE FROM kv WHERE k = ?1")?,
            clear: connection.prepare("DELETE FROM kv WHERE k >= ?1 AND k < ?2")?,
            register: connection.prepare("INSERT OR IGNORE INTO account (id, epoch) VALUES (?1, 0)")?,
            log: connection.prepare("PRAGMA wal_checkpoint(NOOP)")?,
        })
    }

    pub(crate) fn begin(&mut self) -> rusqlite::Result<()> {
        self.begin.execute([]).map(drop)
    }

    pub(crate) fn commit(&mut self) -> rusqlite::Result<()> {
        self.commit.execute([]).map(drop)
    }

    /// Ends a transaction that failed, if SQLite has not ended it itself.
    pub(crate) fn roll_back(&mut self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.execute_batch("ROLLBACK")
    }

    /// What `look` makes of the value of `key`.
    pub(crate) fn look<T>(&mut self, key: &[u8], look: impl FnOnce(Option<&[u8]>) -> T) -> rusqlite::Result<T> {
        let mut rows = self.value.query([key])?;
        match rows.next()? {
            Some(row) => Ok(look(Some(row.get_ref(0)?.as_blob()?))),
            None => Ok(look(None)),
        }
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> rusqlite::Result<()> {
        self.put.execute(params![key, value]).map(drop)
    }

    pub(crate) fn delete(&mut self, key: &[u8]) -> rusqlite::Result<()> {
        self.delete.execute([key]).map(drop)
    }

    pub(crate) fn clear(&mut self, from: &[u8], to: &[u8]) -> rusqlite::Result<()> {
        self.clear.execute([from, to]).map(drop)
    }

    /// Says that the account lives in this file.
    pub(crate) fn register(&mut self, account: u64) -> rusqlite::Result<()> {
        self.register.execute([account.cast_signed()]).map(drop)
    }

    pub(crate) fn log(&mut self) -> rusqlite::Result<LogState> {
        self.log.query_row([], log_state)
    }

    /// See [`checkpoint`].
    pub(crate) fn checkpoint(&mut self) -> rusqlite::Result<LogState> {
        checkpoint(self.connection)
    }
}

/// The statements of a connection that reads.
#[derive(Debug)]
pub(crate) struct Reads<'c> {
    connection: &'c Connection,
    begin: Statement<'c>,
    end: Statement<'c>,
    value: Statement<'c>,
    scan: Statement<'c>,
    next_key: Statement<'c>,
}

impl<'c> Reads<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            begin: connection.prepare("BEGIN")?,
            end: connection.prepare("COMMIT")?,
            value: connection.prepare("SELECT v FROM kv WHERE k = ?1")?,
            scan: connection.prepare("SELECT k, v FROM kv WHERE k >= ?1 AND k < ?2 ORDER BY k LIMIT ?3")?,
            next_key: connection.prepare("SELECT k FROM kv WHERE k >= ?1 ORDER BY k LIMIT 1")?,
        })
    }

    /// The values of all keys, from one state.
    pub(crate) fn values(&mut self, keys: &[Vec<u8>]) -> rusqlite::Result<Vec<Option<Bytes>>> {
        if let [key] = keys {
            return Ok(vec![self.value(key)?]);
        }
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.begin.execute([])?;
        let values = keys.iter().map(|key| self.value(key)).collect();
        // A transaction that only read holds nothing but its place in the log, and COMMIT gives that back.
        self.end.execute([])?;
        values
    }

    fn value(&mut self, key: &[u8]) -> rusqlite::Result<Option<Bytes>> {
        let mut rows = self.value.query([key])?;
        match rows.next()? {
            Some(row) => Ok(Some(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?))),
            None => Ok(None),
        }
    }

    /// The first `limit` keys from `from` to before `to`, without their first `prefix` octets, and their values.
    pub(crate) fn scan(
        &mut self,
        from: &[u8],
        to: &[u8],
        limit: usize,
        prefix: usize,
    ) -> rusqlite::Result<Vec<(Key, Bytes)>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = self.scan.query(params![from, to, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_blob()?.get(prefix..).unwrap_or_default().to_vec();
            found.push((Key(key), Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?)));
        }
        Ok(found)
    }

    /// The first key that is not below `from`.
    pub(crate) fn next_key(&mut self, from: &[u8]) -> rusqlite::Result<Option<Vec<u8>>> {
        let mut rows = self.next_key.query([from])?;
        match rows.next()? {
            Some(row) => Ok(Some(row.get_ref(0)?.as_blob()?.to_vec())),
            None => Ok(None),
        }
    }
}
