//! A directory for a server: gone in the end, or kept for the next run.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Failure;

/// Where a server has its configuration and its mail.
#[derive(Debug)]
pub(crate) enum Place {
    Kept(PathBuf),
    Passing(TempDir),
}

impl Place {
    /// `name` below the directory that is kept; without one, a new directory that goes when this is dropped.
    pub(crate) fn new(keep: Option<&Path>, name: &str) -> Result<Self, Failure> {
        let Some(keep) = keep else { return Ok(Self::Passing(TempDir::with_prefix(format!("bench-{name}-"))?)) };
        let path = keep.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self::Kept(path.canonicalize()?))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Passing(directory) => directory.path(),
        }
    }
}
