//! Files as they are looked into: what a plain one is, and what a compressed one holds.

use crate::io::{Original, drop_cache};
use crate::set::{BackupSet, StoredFile};
use crate::{Error, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where a file is to be found.
#[derive(Debug, Clone)]
pub(in super::super) struct Place<'a> {
    /// Name of the file below `root`.
    pub name: String,
    pub root: &'a Path,
    /// The set that has it, and its record there; none for a file of a data directory.
    pub of_set: Option<(&'a BackupSet, &'a StoredFile)>,
}

impl Place<'_> {
    /// Opens what is there, or what is in it.
    pub(in super::super) fn open(&self) -> Result<Bytes> {
        if let Some((set, stored)) = self.of_set
            && stored.compressed.is_some()
        {
            return Ok(Bytes::Unpacked(set.open_stored(stored)?));
        }
        Bytes::plain(&self.root.join(&self.name))
    }
}

/// An open file.
#[derive(Debug)]
pub(in super::super) enum Bytes {
    /// As it is: what is wrong with its bytes is looked for elsewhere.
    Plain(File, PathBuf),
    /// What it holds, each byte of which has been checked.
    Unpacked(Original),
}

impl Bytes {
    /// A file as it is.
    pub(in super::super) fn plain(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io("open file", path, e))?;
        Ok(Self::Plain(file, path.to_owned()))
    }

    /// Length in bytes.
    pub(in super::super) fn size(&self) -> Result<u64> {
        match self {
            Self::Plain(file, path) => {
                let meta = file.metadata();
                Ok(meta.map_err(|e| Error::io("read file", path, e))?.len())
            }
            Self::Unpacked(original) => Ok(original.size()),
        }
    }

    /// Fills `out` from `offset`.
    pub(in super::super) fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        match self {
            Self::Plain(file, path) => file
                .read_exact_at(out, offset)
                .map_err(|e| Error::io("read file", path, e)),
            Self::Unpacked(original) => original.read_at(offset, out),
        }
    }

    /// Says that these bytes will not be read again.
    pub(in super::super) fn drop_cache(&self, offset: u64, len: u64) {
        if let Self::Plain(file, _) = self {
            drop_cache(file, offset, len);
        }
    }
}
