//! The log that is under way.

use super::directory::PART;
use super::packed;
use crate::io::{create_new, fsync_dir, fsync_file, open_rw, remove_file, rename};
use crate::{Error, Job, Result};
use binlog::event::MAGIC;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// `NAME.part`. What is written gathers in memory for a moment; it is in the file after
/// [`flush`](Part::flush), durable after [`sync`](Part::sync).
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    /// Bytes in the file; those in `buffer` follow.
    flushed: u64,
    buffer: Vec<u8>,
    dirty: bool,
    synced: Instant,
}

impl Part {
    /// A new one with nothing but the magic; one that is there is replaced.
    pub(super) fn create(directory: &Path, name: &str) -> Result<Self> {
        let path = directory.join(format!("{name}{PART}"));
        remove_file(&path)?;
        let file = create_new(&path)?;
        fsync_dir(directory)?;
        let mut part = Self::new(file, path, 0);
        part.write(&MAGIC)?;
        Ok(part)
    }

    /// One that is there, cut to its first `length` bytes.
    pub(super) fn open(path: &Path, length: u64) -> Result<Self> {
        let file = open_rw(path)?;
        let mut part = Self::new(file, path.to_owned(), u64::MAX);
        part.cut(length)?;
        Ok(part)
    }

    fn new(file: File, path: PathBuf, flushed: u64) -> Self {
        Self {
            file,
            path,
            flushed,
            buffer: Vec::new(),
            dirty: false,
            synced: Instant::now(),
        }
    }

    /// Appends.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < GATHER {
            return Ok(());
        }
        self.flush()
    }

    /// Forgets all behind the first `length` bytes: an event of which the rest did not come.
    pub(super) fn cut(&mut self, length: u64) -> Result<()> {
        if let Some(kept) = length.checked_sub(self.flushed) {
            self.buffer
                .truncate(usize::try_from(kept).unwrap_or(usize::MAX));
            return Ok(());
        }
        self.buffer.clear();
        let cut = self.file.set_len(length);
        cut.map_err(|e| Error::io("write file", &self.path, e))?;
        self.flushed = length;
        self.dirty = true;
        Ok(())
    }

    /// Puts into the file what has gathered.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all_at(&self.buffer, self.flushed);
        written.map_err(|e| Error::io("write file", &self.path, e))?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        self.dirty = true;
        Ok(())
    }

    /// Makes all of it durable, if that was not done for a second; or at once.
    pub(super) fn sync(&mut self, at_once: bool) -> Result<()> {
        if !at_once && self.synced.elapsed() < Duration::from_secs(1) {
            return Ok(());
        }
        self.flush()?;
        if self.dirty {
            let synced = self.file.sync_data();
            synced.map_err(|e| Error::io("sync file", &self.path, e))?;
            self.dirty = false;
        }
        self.synced = Instant::now();
        Ok(())
    }

    /// Gives the whole log its final name, compressed or not; durable on return.
    pub(super) fn finish(
        mut self,
        directory: &Path,
        name: &str,
        compress: bool,
        job: &Job,
    ) -> Result<()> {
        self.flush()?;
        fsync_file(&self.file, &self.path)?;
        if compress {
            packed::compress(&self.path, self.flushed, directory, name, job)?;
            remove_file(&self.path)?;
        } else {
            rename(&self.path, &directory.join(name))?;
        }
        fsync_dir(directory)
    }
}

/// Bytes that gather before they are written.
const GATHER: usize = 256 << 10;
