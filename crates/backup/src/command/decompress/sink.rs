//! Where the original goes: to a new file with its holes, or beside the one that is there.

use super::file::Open;
use super::target::Target;
use crate::io::{CHUNK, ChunkDigests, Digest, Layout, chunk_value, digest_of, write_fresh};
use crate::{Error, Job, Result};
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// Bytes that are written at once: a whole number of chunks.
const STEP: usize = 4 * CHUNK;

/// A hole is at least this long.
const HOLES: Layout = Layout {
    page: 4096,
    innodb: false,
};

/// What the original's bytes are, as far as it has been seen.
#[derive(Debug, Default)]
pub(super) struct Digests(Mutex<(ChunkDigests, Option<Digest>)>);

impl Digests {
    fn add(&self, offset: u64, bytes: &[u8]) {
        let mut values = Vec::new();
        for (number, chunk) in (offset / CHUNK as u64..).zip(bytes.chunks(CHUNK)) {
            values.push((number, chunk_value(number, chunk)));
        }
        let whole = (offset == 0 && bytes.len() <= CHUNK).then(|| digest_of(bytes));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, value) in values {
            known.0.set(number, value);
        }
        known.1 = known.1.or(whole);
    }

    /// The digest of an original of `length` bytes, all of which were seen, and its chunk values as
    /// they are stored.
    pub(super) fn finish(&self, length: u64) -> Option<(Digest, Vec<u8>)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if length == 0 {
            return Some((digest_of(&[]), Vec::new()));
        }
        if length <= CHUNK as u64 {
            return Some((known.1?, Vec::new()));
        }
        Some((known.0.root()?, known.0.complete()?.concat()))
    }
}

/// Takes a run of the original, in pieces of any length.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    open: &'a Open<'a>,
    job: &'a Job,
    /// Where `pending` begins in the original: a whole number of chunks.
    offset: u64,
    /// Less than a step that waits for more.
    pending: Vec<u8>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(open: &'a Open<'a>, offset: u64, job: &'a Job) -> Self {
        Self {
            open,
            job,
            offset,
            pending: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        if !self.pending.is_empty() {
            let missing = (STEP - self.pending.len()).min(bytes.len());
            let (part, rest) = bytes.split_at(missing);
            self.pending.extend(part);
            bytes = rest;
            if self.pending.len() < STEP {
                return Ok(());
            }
            let pending = std::mem::take(&mut self.pending);
            self.take(&pending)?;
            self.pending = pending;
            self.pending.clear();
        }
        let (steps, rest) = bytes.split_at(bytes.len() - bytes.len() % STEP);
        self.take(steps)?;
        self.pending.extend(rest);
        Ok(())
    }

    /// Takes what waits. Returns where the run ends.
    pub(super) fn finish(mut self) -> Result<u64> {
        let pending = std::mem::take(&mut self.pending);
        self.take(&pending)?;
        Ok(self.offset)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.job.check()?;
        let path = &self.open.found.original;
        match &self.open.target {
            Target::New { file, path } => write_fresh(file, self.offset, bytes, HOLES)
                .map_err(|e| Error::io("write file", path, e))?,
            Target::Existing { file, .. } => {
                let mut there = vec![0; bytes.len()];
                match file.read_exact_at(&mut there, self.offset) {
                    Ok(()) if there == bytes => {}
                    Err(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => {
                        return Err(Error::io("read file", path, e));
                    }
                    _ => return Err(self.open.in_the_way()),
                }
            }
            Target::Stream(file) => (&*file)
                .write_all(bytes)
                .map_err(|e| Error::io("write file", path, e))?,
        }
        if let Some(digests) = &self.open.digests {
            digests.add(self.offset, bytes);
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }
}
