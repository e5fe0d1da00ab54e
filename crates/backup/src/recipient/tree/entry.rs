//! The stored files of a tree.

use crate::io::{CHUNK, ChunkDigests, Digest, Layout, chunk_value};
use crate::{FileDesc, FileId, FileKind};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which of the stored files of a snapshot's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::recipient) enum Part {
    /// The file itself.
    Main,
    /// Its changed pages.
    Delta,
    /// Its page size, id and flags.
    Meta,
    /// What is compressed into one of the others when it is complete. Gone by then.
    Raw,
}

/// A stored file.
pub(in crate::recipient) type Key = (FileId, Part);

/// What the bytes of a snapshot's file are made of.
pub(in crate::recipient) fn layout_of(desc: &FileDesc) -> Layout {
    Layout {
        page: desc.page_size(),
        innodb: desc.kind != FileKind::Plain && desc.space.is_some(),
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub layout: Layout,
    /// Whether the file gets a digest.
    pub digesting: bool,
    pub state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub name: String,
    pub length: u64,
    pub digests: ChunkDigests,
    /// Bytes written since the file was last handed to write-back.
    pub dirty: u64,
    pub digest: Option<Digest>,
}

impl Entry {
    /// The chunk values that follow from these bytes alone.
    pub(super) fn values(&self, offset: u64, bytes: &[u8]) -> Vec<(u64, [u8; 32])> {
        if !self.digesting || !offset.is_multiple_of(CHUNK as u64) {
            return Vec::new();
        }
        let first = offset / CHUNK as u64;
        let chunks = (first..).zip(bytes.chunks(CHUNK));
        chunks
            .map(|(index, chunk)| (index, chunk_value(index, chunk)))
            .collect()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
