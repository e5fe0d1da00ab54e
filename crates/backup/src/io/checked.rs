//! Reading a stored file so that no byte is used that is not the byte that was written.

use super::{CHUNK, ChunkDigests, Digest, chunk_value, digest_of, drop_cache};
use crate::{Error, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A stored file with the chunk values it must have. Each reader has its own window.
#[derive(Debug)]
pub(crate) struct CheckedFile {
    file: Arc<File>,
    path: PathBuf,
    size: u64,
    digest: Digest,
    chunks: Arc<ChunkDigests>,
    window: Vec<u8>,
    /// Number of the chunk in `window`.
    held: Option<u64>,
}

impl CheckedFile {
    /// `chunks` must merge into `digest` when the file has more than one chunk; the caller has
    /// checked that, and that the file has `size` bytes.
    pub(crate) fn new(
        file: Arc<File>,
        path: &Path,
        size: u64,
        digest: Digest,
        chunks: Arc<ChunkDigests>,
    ) -> Self {
        Self {
            file,
            path: path.to_owned(),
            size,
            digest,
            chunks,
            window: Vec::new(),
            held: None,
        }
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `out.len()` bytes at `offset`, which must lie within the file. Whole chunks are read
    /// into `out` directly, the chunks of which a part is wanted through the window.
    pub(crate) fn read_at(&mut self, mut offset: u64, mut out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        if offset
            .checked_add(out.len() as u64)
            .is_none_or(|end| end > self.size)
        {
            return Err(Error::damaged(
                &self.path,
                format!("ends before byte {offset}"),
            ));
        }
        while !out.is_empty() {
            let (index, within) = (offset / CHUNK as u64, (offset % CHUNK as u64) as usize);
            let len = self.chunk_len(index);
            let take = (len - within).min(out.len());
            let (part, rest) = out.split_at_mut(take);
            if take == len && self.held != Some(index) {
                self.fill(index, part)?;
            } else {
                self.hold(index)?;
                part.copy_from_slice(&self.window[within..within + take]);
            }
            offset += take as u64;
            out = rest;
        }
        Ok(())
    }

    fn chunk_len(&self, index: u64) -> usize {
        (self.size - index * CHUNK as u64).min(CHUNK as u64) as usize
    }

    fn hold(&mut self, index: u64) -> Result<()> {
        if self.held == Some(index) {
            return Ok(());
        }
        self.held = None;
        let mut window = std::mem::take(&mut self.window);
        window.resize(self.chunk_len(index), 0);
        let filled = self.fill(index, &mut window);
        self.window = window;
        filled?;
        self.held = Some(index);
        Ok(())
    }

    fn fill(&self, index: u64, out: &mut [u8]) -> Result<()> {
        let offset = index * CHUNK as u64;
        self.file
            .read_exact_at(out, offset)
            .map_err(|e| Error::io("read file", &self.path, e))?;
        drop_cache(&self.file, offset, out.len() as u64);
        let sound = if self.size <= CHUNK as u64 {
            digest_of(out) == self.digest
        } else {
            self.chunks.get(index) == Some(chunk_value(index, out))
        };
        if sound {
            return Ok(());
        }
        let end = offset + out.len() as u64;
        Err(Error::damaged(
            &self.path,
            format!("bytes {offset} to {end} are not the bytes that were backed up"),
        ))
    }
}
