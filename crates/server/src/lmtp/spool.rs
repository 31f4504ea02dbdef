//! A message while it arrives: in memory, or, when it is large, in a file that has no name. Written once, read once for
//! every account it goes to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use columba_types::limits::{MESSAGE_CHUNK_BYTES, MESSAGE_IN_MEMORY_BYTES};

/// A message that is being written.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    /// All of it, or what is not yet in the file.
    memory: Vec<u8>,
    file: Option<Arc<File>>,
    in_file: u64,
}

/// A message that is complete.
#[derive(Clone, Debug)]
pub(crate) enum Spooled {
    Memory(Bytes),
    File(Arc<File>, u64),
}

impl Spool {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), memory: Vec::new(), file: None, in_file: 0 }
    }

    /// Takes the next octets.
    ///
    /// # Errors
    /// When the disk does not; the message is lost then.
    pub(crate) async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.memory.extend_from_slice(octets);
        let bound = if self.file.is_some() { MESSAGE_CHUNK_BYTES } else { MESSAGE_IN_MEMORY_BYTES };
        if self.memory.len() > bound { self.spill().await } else { Ok(()) }
    }

    /// # Errors
    /// When the disk does not take the rest.
    pub(crate) async fn finish(mut self) -> io::Result<Spooled> {
        if self.file.is_some() {
            self.spill().await?;
        }
        Ok(match self.file {
            Some(file) => Spooled::File(file, self.in_file),
            None => Spooled::Memory(self.memory.into()),
        })
    }

    async fn spill(&mut self) -> io::Result<()> {
        let octets = std::mem::take(&mut self.memory);
        let (file, directory) = (self.file.clone(), self.directory.clone());
        let len = octets.len() as u64;
        self.file = Some(
            off_thread(move || {
                let file = match file {
                    Some(file) => file,
                    None => Arc::new(nameless_file(&directory)?),
                };
                (&*file).write_all(&octets)?;
                Ok(file)
            })
            .await?,
        );
        self.in_file += len;
        Ok(())
    }
}

impl Spooled {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(octets) => octets.len() as u64,
            Self::File(_, len) => *len,
        }
    }

    /// The octets from `at` on, a chunk of them; empty at the end.
    ///
    /// # Errors
    /// When the disk does not give them back.
    pub(crate) async fn chunk(&self, at: u64) -> io::Result<Bytes> {
        let left = usize::try_from(self.len().saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = left.min(MESSAGE_CHUNK_BYTES);
        match self {
            _ if wanted == 0 => Ok(Bytes::new()),
            Self::Memory(octets) => {
                let from = octets.len() - left;
                Ok(octets.slice(from..from + wanted))
            }
            Self::File(file, _) => {
                let file = Arc::clone(file);
                off_thread(move || {
                    let mut octets = vec![0; wanted];
                    file.read_exact_at(&mut octets, at)?;
                    Ok(octets.into())
                })
                .await
            }
        }
    }
}

/// A file for reading and writing that is gone when it is closed, also by a crash.
fn nameless_file(directory: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("incoming-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = directory.join(name);
    let open = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
    let file = match open(&path) {
        // Left by a process of that number which died between two lines of this function.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&path)?;
            open(&path)?
        }
        opened => opened?,
    };
    fs::remove_file(&path)?;
    Ok(file)
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|gone| Err(io::Error::other(gone)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn through(octets: &[u8], piece: usize, directory: &Path) -> (Vec<u8>, bool) {
        let mut spool = Spool::new(directory);
        for piece in octets.chunks(piece) {
            spool.write(piece).await.unwrap();
        }
        let spooled = spool.finish().await.unwrap();
        let (mut out, mut at) = (Vec::new(), 0);
        loop {
            let chunk = spooled.chunk(at).await.unwrap();
            if chunk.is_empty() {
                break;
            }
            at += chunk.len() as u64;
            out.extend_from_slice(&chunk);
        }
        assert_eq!(spooled.len(), out.len() as u64);
        (out, matches!(spooled, Spooled::File(..)))
    }

    #[tokio::test]
    async fn small_ones_stay_in_memory_and_large_ones_go_to_a_file_without_a_name() {
        let base = tempfile::tempdir().unwrap();
        for (len, in_file) in [
            (0, false),
            (10, false),
            (MESSAGE_IN_MEMORY_BYTES, false),
            (MESSAGE_IN_MEMORY_BYTES + 1, true),
            (3 * MESSAGE_IN_MEMORY_BYTES + 7, true),
        ] {
            let octets: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            assert_eq!(through(&octets, 16_000, base.path()).await, (octets, in_file), "{len}");
        }
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_disk_that_is_not_there_is_an_error() {
        let mut spool = Spool::new(Path::new("/nonexistent"));
        assert!(spool.write(&vec![0; MESSAGE_IN_MEMORY_BYTES + 1]).await.is_err());
    }
}
