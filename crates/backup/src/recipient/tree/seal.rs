//! Making a tree durable, and saying what is stored in it.

use super::Tree;
use super::entry::{Entry, Key};
use crate::io::{
    BUFFER, CHUNK, chunk_value, digest_of, drop_cache, fsync_dir, fsync_file, sync_filesystem,
    syncs_as_a_whole,
};
use crate::set::StoredFile;
use crate::{Error, Job, Result, Stage};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Syncing more files than this one by one waits for as many journal commits; the whole file system
/// is synced instead, where that is the same.
const MANY_FILES: usize = 16;

impl Tree {
    /// Makes all files and directories durable and, where the tree digests, all digests known.
    pub(in crate::recipient) fn sync(&self, job: &Job) -> Result<()> {
        let keys = self.keys();
        let whole = self.opened.get().filter(|_| keys.len() > MANY_FILES);
        let whole = whole.filter(|_| syncs_as_a_whole(&self.root));
        let next = AtomicUsize::new(0);
        let finish = || -> Result<()> {
            let mut buffer = vec![0; BUFFER];
            while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                job.check()?;
                let length = self.finish(*key, whole.is_none(), &mut buffer)?;
                job.progress.advance(Stage::FileSync, length);
            }
            Ok(())
        };
        job.in_parallel(finish)?;
        self.handles.clear();
        if let Some(root) = whole {
            sync_filesystem(root, &self.root)?;
            self.forget_cached(&keys)?;
        }
        for directory in self
            .directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            fsync_dir(directory)?;
        }
        fsync_dir(&self.root)?;
        if self.writeback.has_failed() {
            let lost = std::io::Error::other("the disk refused data written earlier");
            return Err(Error::io("write file", &self.root, lost));
        }
        Ok(())
    }

    fn finish(&self, key: Key, durable: bool, buffer: &mut [u8]) -> Result<u64> {
        let entry = self.entry(key)?;
        let path = self.path_of(&entry);
        let file = self.file(key, &entry)?;
        let length = entry.state().length;
        if entry.digesting {
            self.digest_missing(&entry, &file, length, buffer)?;
        }
        if durable {
            fsync_file(&file, &path)?;
        }
        drop_cache(&file, 0, 0);
        Ok(length)
    }

    /// Files large enough to matter do not stay in the page cache.
    fn forget_cached(&self, keys: &[Key]) -> Result<()> {
        for key in keys {
            let entry = self.entry(*key)?;
            if entry.state().length >= BUFFER as u64 {
                drop_cache(&*self.file(*key, &entry)?, 0, 0);
            }
        }
        self.handles.clear();
        Ok(())
    }

    /// Computes what could not be computed while writing: chunks written in parts or over, and
    /// files of one chunk.
    fn digest_missing(
        &self,
        entry: &Entry,
        file: &File,
        length: u64,
        buffer: &mut [u8],
    ) -> Result<()> {
        let mut read = |index: u64| -> Result<Vec<u8>> {
            let offset = index * CHUNK as u64;
            let part = &mut buffer[..(length - offset).min(CHUNK as u64) as usize];
            file.read_exact_at(part, offset)
                .map_err(|e| Error::io("read file", &self.path_of(entry), e))?;
            Ok(part.to_vec())
        };
        if length <= CHUNK as u64 {
            let bytes = if length == 0 { Vec::new() } else { read(0)? };
            entry.state().digest = Some(digest_of(&bytes));
            return Ok(());
        }
        let unknown = entry.state().digests.unknown(length);
        for index in unknown {
            let value = chunk_value(index, &read(index)?);
            entry.state().digests.set(index, value);
        }
        let mut state = entry.state();
        state.digest = state.digests.root();
        Ok(())
    }

    /// A file as stored; after [`Self::sync`].
    pub(in crate::recipient) fn stored(&self, key: Key) -> Result<StoredFile> {
        let entry = self.entry(key)?;
        let state = entry.state();
        let digest = state.digest.ok_or_else(|| {
            Error::damaged(
                &self.root.join(&state.name),
                "has no digest; it was not synced",
            )
        })?;
        let blake3 = blake3::Hash::from_bytes(digest).to_hex().to_string();
        Ok(StoredFile {
            name: state.name.clone(),
            size: state.length,
            blake3,
            compressed: None,
        })
    }

    /// The chunk values of a file as bytes; empty for a file of one chunk.
    pub(in crate::recipient) fn chunk_bytes(&self, key: Key) -> Result<Vec<u8>> {
        let entry = self.entry(key)?;
        let state = entry.state();
        if state.length <= CHUNK as u64 {
            return Ok(Vec::new());
        }
        let values = state.digests.complete().ok_or_else(|| {
            Error::damaged(
                &self.root.join(&state.name),
                "has no chunk values; it was not synced",
            )
        })?;
        Ok(values.concat())
    }
}
