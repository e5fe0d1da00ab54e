//! The end of one compressed file.

use super::lower;
use crate::Result;
use crate::io::CHUNK;
use crate::recipient::tree::{Key, Tree};
use frame::Index;

/// Appends to a file in whole chunks, so that their digests are known without reading them again.
#[derive(Debug)]
pub(super) struct Output {
    unit: u64,
    length: u64,
    /// Bytes written.
    offset: u64,
    /// Bytes after those, less than a chunk.
    tail: Vec<u8>,
    /// Stored bytes of each frame.
    frames: Vec<u32>,
}

impl Output {
    /// The end of an empty file that will hold `length` bytes in units of `unit` bytes.
    pub(super) fn new(unit: u64, length: u64) -> Self {
        Self {
            unit,
            length,
            offset: 0,
            tail: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// Appends a frame.
    pub(super) fn append(&mut self, tree: &Tree, key: Key, frame: &[u8]) -> Result<()> {
        self.frames.push(frame.len() as u32);
        self.put(tree, key, frame)
    }

    /// Appends the index; nothing comes after it.
    pub(super) fn finish(mut self, tree: &Tree, key: Key) -> Result<()> {
        let index = match Index::new(self.unit, self.length, &self.frames) {
            Ok(index) => index.encode(),
            Err(error) => return Err(lower(&tree.path(key)?, error)),
        };
        self.put(tree, key, &index)?;
        if self.tail.is_empty() {
            return Ok(());
        }
        tree.write(key, self.offset, &self.tail)
    }

    fn put(&mut self, tree: &Tree, key: Key, bytes: &[u8]) -> Result<()> {
        self.tail.extend_from_slice(bytes);
        let whole = self.tail.len() - self.tail.len() % CHUNK;
        if whole > 0 {
            tree.write(key, self.offset, &self.tail[..whole])?;
            self.tail.drain(..whole);
            self.offset += whole as u64;
        }
        Ok(())
    }
}
