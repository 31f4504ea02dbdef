//! Puts back into the segments what a crash left only in a shard's log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{Files, Kind};
use super::record::{RecordHeader, place_of};
use crate::data_dir::private_file;

/// A record as the log of a shard has it, with the header that binds it to its place.
#[derive(Debug)]
pub(crate) struct LoggedRecord {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) record: Vec<u8>,
}

/// Writes the records to their places in the segments of `shard`, and makes them durable there. They are written whether
/// or not they seem to be there: what is read may be in memory only. Those whose segment is gone were given back with it.
pub(crate) fn restore(files: &Files, shard: usize, logged: &[LoggedRecord]) -> io::Result<()> {
    let mut opened: BTreeMap<u64, Option<File>> = BTreeMap::new();
    for LoggedRecord { segment, offset, record } in logged {
        if place_of(*segment).0 != shard || RecordHeader::decode(record, *segment, *offset).is_err() {
            let name = Files::name(*segment, Kind::Sealed);
            tracing::error!(segment = name, offset, "a message in the shard's log is damaged, and was not restored");
            continue;
        }
        let file = match opened.entry(*segment) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(open(files, *segment)?),
        };
        if let Some(file) = file {
            file.write_all_at(record, *offset)?;
        }
    }
    opened.into_values().flatten().try_for_each(|file| file.sync_all())
}

fn open(files: &Files, segment: u64) -> io::Result<Option<File>> {
    for kind in [Kind::Growing, Kind::Sealed] {
        match private_file().write(true).open(files.path(segment, kind)) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
