//! A file to read, and what tells whether its bytes are the right ones.

use super::Body;
use super::bytes::{Bytes, Place};
use crate::Result;
use crate::io::{ChunkDigests, Digest};
use crate::set::{BackupSet, StoredFile};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What tells whether the bytes of a file are the right ones.
#[derive(Debug)]
pub(super) enum Expected {
    /// Nothing does.
    Nothing,
    /// The digest of a file that is one chunk, or whose chunk values cannot be had.
    Digest(Digest),
    /// The chunk values, read again for every worker that comes to the file: those of all files
    /// together are too many to keep.
    Chunks(Mutex<Weak<ChunkDigests>>),
}

/// A file to read.
#[derive(Debug)]
pub(super) struct Item<'a> {
    /// Name of what is stored.
    pub place: Place<'a>,
    /// Name of the file it is stored for.
    pub file: String,
    /// Bytes it should have.
    pub size: u64,
    /// Bytes it has.
    pub found: u64,
    pub body: Body,
    pub expected: Expected,
    /// The delta that is laid over this file.
    pub overlay: Option<&'a StoredFile>,
    pub doubts: Doubts,
}

/// What went wrong when a compressed file was unpacked. Most often its bytes are not the right
/// ones, and are then told instead; if they are, whoever wrote them went wrong.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    noted: Mutex<Vec<(u64, String)>>,
    /// Whether the bytes as they are stored are not the right ones.
    pub wrong_bytes: AtomicBool,
}

/// Doubts listed for one file.
const LISTED: usize = 1000;

impl Doubts {
    /// Notes what is wrong with what is at `offset` of the original.
    pub(super) fn note(&self, offset: u64, detail: String) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = noted.iter().any(|(_, other)| *other == detail);
        if !known && noted.len() < LISTED {
            noted.push((offset, detail));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.is_empty()
    }

    /// What is not explained by wrong bytes.
    pub(super) fn unexplained(&self) -> Vec<(u64, String)> {
        if self.wrong_bytes.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.clone()
    }
}

impl<'a> Item<'a> {
    /// Its path below the directory.
    pub(super) fn name(&self) -> &str {
        &self.place.name
    }

    /// The set that has it, with its record.
    pub(super) fn of_set(&self) -> Option<(&'a BackupSet, &'a StoredFile)> {
        self.place.of_set
    }

    /// Bytes that are there of those that should be.
    pub(super) fn readable(&self) -> u64 {
        self.size.min(self.found)
    }

    /// Bytes of the original, if the file is compressed.
    pub(super) fn unpacked(&self) -> Option<u64> {
        let (_, stored) = self.of_set()?;
        Some(stored.compressed?.length)
    }

    /// The file as it is stored.
    pub(super) fn open_stored(&self) -> Result<Bytes> {
        Bytes::plain(&self.place.root.join(&self.place.name))
    }

    /// The chunk values, shared with the other workers on the file.
    pub(super) fn chunk_values(&self) -> Option<Arc<ChunkDigests>> {
        let Expected::Chunks(shared) = &self.expected else {
            return None;
        };
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(values) = shared.upgrade() {
            return Some(values);
        }
        let (set, stored) = self.of_set()?;
        // They were confirmed before; a disk that fails meanwhile makes every chunk a problem.
        let values = set.chunk_values(stored).unwrap_or_default();
        *shared = Arc::downgrade(&values);
        Some(values)
    }
}
