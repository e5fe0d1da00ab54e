//! What connections carry: files in blocks.

use super::layout::Place;
use ::wire::clone::{DataDescriptor, Stage};

/// A block on its way.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) data: DataDescriptor,
    pub(crate) bytes: Vec<u8>,
}

impl Block {
    /// The bytes at `offset` of a file, of which are given the index in the stage and the size in
    /// bytes.
    pub(super) fn new(
        stage: Stage,
        (file, file_size): (u32, u64),
        place: Place,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Self {
        let data = DataDescriptor {
            stage,
            // The connection that sends it has the number.
            task: 0,
            chunk: place.chunk,
            block: place.block,
            file,
            // A mebibyte at most.
            length: bytes.len() as u32,
            offset,
            file_size,
        };
        Self { data, bytes }
    }
}
