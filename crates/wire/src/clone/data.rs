//! What the bytes of the next packet are.

use super::Stage;
use super::numbers::Put as _;
use crate::cursor::{Cursor, Malformed};

/// Place of a block of data; the packet after it has the bytes.
///
/// | offset | bytes | |
/// |---|---|---|
/// | 12 | 4 | stage |
/// | 16 | 4 | task |
/// | 20 | 4 | chunk |
/// | 24 | 4 | block |
/// | 28 | 4 | index of the file |
/// | 32 | 4 | length of the data |
/// | 36 | 8 | offset in the file |
/// | 44 | 8 | size of the file |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataDescriptor {
    /// The stage.
    pub stage: Stage,
    /// The donor's task.
    pub task: u32,
    /// The chunk, numbered from 1.
    pub chunk: u32,
    /// The block within the chunk, numbered from 1: as many blocks of it are received with this
    /// one.
    pub block: u32,
    /// Index of the file.
    pub file: u32,
    /// Length of the data in bytes.
    pub length: u32,
    /// Offset in the file in bytes.
    pub offset: u64,
    /// Size of the file in bytes. With page 0 in PAGE COPY: what the page says, if that is more.
    /// Without meaning for redo.
    pub file_size: u64,
}

impl DataDescriptor {
    pub(super) fn decode_body(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            stage: cursor.stage()?,
            task: cursor.be32("task of data")?,
            chunk: cursor.be32("chunk of data")?,
            block: cursor.be32("block of data")?,
            file: cursor.be32("file of data")?,
            length: cursor.be32("length of data")?,
            offset: cursor.be64("offset of data")?,
            file_size: cursor.be64("file size of data")?,
        })
    }

    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put32(self.stage.number().into());
        out.put32(self.task);
        out.put32(self.chunk);
        out.put32(self.block);
        out.put32(self.file);
        out.put32(self.length);
        out.put64(self.offset);
        out.put64(self.file_size);
    }
}
