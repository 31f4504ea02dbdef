//! Where segment files are, and the ones that are open for reading.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use columba_store::EngineError;
use columba_types::limits::OPEN_SEGMENTS;

use super::record::{place_of, segment_of};
use crate::data_dir::DataDir;
use crate::fault::io_fault;

/// Whether a segment still grows, which its name tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Growing,
    Sealed,
}

impl Kind {
    fn extension(self) -> &'static str {
        match self {
            Kind::Growing => "open",
            Kind::Sealed => "seg",
        }
    }
}

#[derive(Debug, Default)]
struct Opened {
    files: HashMap<u64, (Arc<File>, u64)>,
    clock: u64,
}

/// The segment files of a data directory.
#[derive(Debug)]
pub(crate) struct Files {
    dir: Arc<DataDir>,
    opened: Mutex<Opened>,
}

impl Files {
    pub(crate) fn new(dir: Arc<DataDir>) -> Self {
        Self { dir, opened: Mutex::default() }
    }

    pub(crate) fn shards(&self) -> usize {
        self.dir.shards()
    }

    pub(crate) fn incoming(&self) -> PathBuf {
        self.dir.incoming()
    }

    /// The directory of one shard's segments, as a path and as an administrator knows it.
    pub(crate) fn dir_of(&self, shard: usize) -> (PathBuf, String) {
        let name = DataDir::segments_name(shard);
        (self.dir.at(&name), name)
    }

    pub(crate) fn path(&self, segment: u64, kind: Kind) -> PathBuf {
        self.dir.at(&Self::name(segment, kind))
    }

    /// The file as an administrator knows it.
    pub(crate) fn name(segment: u64, kind: Kind) -> String {
        let (shard, number) = place_of(segment);
        format!("{}/{number:08}.{}", DataDir::segments_name(shard), kind.extension())
    }

    /// All segments of a shard, rising.
    pub(crate) fn list(&self, shard: usize) -> io::Result<Vec<(u64, Kind)>> {
        let mut segments = Vec::new();
        for entry in std::fs::read_dir(self.dir_of(shard).0)? {
            let name = entry?.file_name();
            let parts = name.to_str().and_then(|name| name.rsplit_once('.'));
            let kind =
                parts.and_then(|(_, ext)| [Kind::Growing, Kind::Sealed].into_iter().find(|k| k.extension() == ext));
            let number = parts.and_then(|(number, _)| number.parse().ok());
            if let (Some(kind), Some(number)) = (kind, number) {
                segments.push((segment_of(shard, number), kind));
            }
        }
        segments.sort_unstable_by_key(|(segment, _)| *segment);
        Ok(segments)
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segment, if it is open: does no I/O.
    pub(crate) fn opened(&self, segment: u64) -> Option<Arc<File>> {
        let mut opened = self.lock();
        opened.clock += 1;
        let now = opened.clock;
        let (file, used) = opened.files.get_mut(&segment)?;
        *used = now;
        Some(Arc::clone(file))
    }

    /// The segment, opened if it is not.
    pub(crate) fn open(&self, segment: u64) -> Result<Arc<File>, EngineError> {
        if let Some(file) = self.opened(segment) {
            return Ok(file);
        }
        // It may be sealed, and so change its name, between two looks.
        for kind in [Kind::Sealed, Kind::Growing, Kind::Sealed] {
            match File::open(self.path(segment, kind)) {
                Ok(file) => {
                    let file = Arc::new(file);
                    self.keep(segment, Arc::clone(&file));
                    return Ok(file);
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(io_fault(&Self::name(segment, kind), &e)),
            }
        }
        Err(EngineError::Missing(format!("there is no {}", Self::name(segment, Kind::Sealed)).into()))
    }

    /// Keeps a file for later, instead of the one that was longest not asked for.
    pub(crate) fn keep(&self, segment: u64, file: Arc<File>) {
        let mut opened = self.lock();
        if opened.files.len() >= OPEN_SEGMENTS && !opened.files.contains_key(&segment) {
            let oldest = opened.files.iter().min_by_key(|(_, (_, used))| *used).map(|(segment, _)| *segment);
            oldest.map(|segment| opened.files.remove(&segment));
        }
        opened.clock += 1;
        let now = opened.clock;
        opened.files.insert(segment, (file, now));
    }

    /// Forgets a file that is about to go.
    pub(crate) fn forget(&self, segment: u64) {
        self.lock().files.remove(&segment);
    }
}
