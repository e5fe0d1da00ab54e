//! Which chunks of a stage have been received.

use super::link::protocol;
use crate::Result;
use roaring::RoaringBitmap;
use std::collections::HashMap;
use wire::clone::Received;

/// The chunks of one stage.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    total: u32,
    complete: RoaringBitmap,
    /// Blocks received of chunks that are not complete, and the file of the last one.
    partial: HashMap<u32, (u32, u32)>,
    /// Blocks received.
    blocks: u64,
    /// Blocks that came although they had been received.
    again: u64,
    /// Whether a connection was lost: a donor may then send again what it cannot know we have.
    resumed: bool,
}

impl Chunks {
    /// Nothing of a stage of `total` chunks.
    pub(super) fn new(total: u32) -> Result<Self> {
        if total > MAX_CHUNKS {
            return Err(protocol(format!("a stage of {total} chunks")));
        }
        Ok(Self {
            total,
            ..Self::default()
        })
    }

    /// How many chunks the stage has.
    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// Takes note of a block; whether it is one that is still needed. `gaps`: blocks may be left
    /// out between those of one file and those of the next.
    pub(super) fn accept(&mut self, chunk: u32, block: u32, file: u32, gaps: bool) -> Result<bool> {
        if chunk == 0 || chunk > self.total || block == 0 || block > MAX_BLOCKS {
            return Err(protocol(format!(
                "block {block} of chunk {chunk}, in a stage of {} chunks",
                self.total
            )));
        }
        let (done, before) = match self.partial.get(&chunk) {
            Some((done, before)) => (*done, Some(*before)),
            None => (0, None),
        };
        if self.complete.contains(chunk) || block <= done {
            self.again += 1;
            if !self.resumed || self.again > MOST_AGAIN {
                return Err(protocol(format!(
                    "block {block} of chunk {chunk} came again"
                )));
            }
            return Ok(false);
        }
        if block != done + 1 && !(gaps && before != Some(file)) {
            return Err(protocol(format!(
                "block {block} of chunk {chunk} came after block {done}"
            )));
        }
        self.partial.insert(chunk, (block, file));
        self.blocks += 1;
        Ok(true)
    }

    /// Nothing more of this chunk comes.
    pub(super) fn complete(&mut self, chunk: u32) {
        if (1..=self.total).contains(&chunk) {
            self.partial.remove(&chunk);
            self.complete.insert(chunk);
        }
    }

    /// Only the blocks of a chunk of `file` after these are wanted.
    pub(super) fn begin_after(&mut self, chunk: u32, blocks: u32, file: u32) {
        if (1..=self.total).contains(&chunk) {
            self.partial.insert(chunk, (blocks, file));
        }
    }

    /// Blocks received so far, each counted once.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The stage has ended.
    pub(super) fn complete_all(&mut self) {
        self.partial.clear();
        self.complete.insert_range(1..=self.total);
    }

    /// The connection was lost.
    pub(super) fn resume(&mut self) {
        self.resumed = true;
    }

    /// For the donor: what need not be sent.
    pub(super) fn received(&self) -> Received {
        let mut received = Received::none(self.total);
        for chunk in &self.complete {
            received.complete(chunk);
        }
        for (chunk, (blocks, _)) in &self.partial {
            received.partial(*chunk, *blocks);
        }
        received
    }
}

/// Two exbibytes in chunks of 64 MiB.
const MAX_CHUNKS: u32 = 1 << 25;
/// A block has at least one page; a chunk has 4096.
const MAX_BLOCKS: u32 = 4096;
/// As many blocks as 256 chunks can have.
const MOST_AGAIN: u64 = 256 * 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_in_order_and_once() {
        let mut chunks = Chunks::new(2).unwrap();
        assert!(chunks.accept(1, 1, 5, false).unwrap() && chunks.accept(1, 2, 5, false).unwrap());
        for (chunk, block) in [(1, 2), (1, 4), (0, 1), (3, 1), (2, 0), (2, 5000)] {
            assert!(
                chunks.accept(chunk, block, 5, false).is_err(),
                "{chunk} {block}"
            );
        }
        // Between two files some may be missing, in a stage that has such gaps.
        assert!(chunks.accept(1, 9, 5, true).is_err());
        assert!(chunks.accept(1, 9, 6, true).unwrap());
        assert_eq!(chunks.blocks(), 3);
        assert!(Chunks::new(u32::MAX).is_err());
    }

    #[test]
    fn after_a_cut_what_comes_again_is_passed_over() {
        let mut chunks = Chunks::new(40).unwrap();
        for block in 1..=3 {
            chunks.accept(7, block, 5, false).unwrap();
        }
        chunks.accept(9, 1, 5, false).unwrap();
        chunks.complete(9);
        chunks.resume();
        let received = chunks.received();
        let blocks = [7, 8, 9].map(|chunk| received.blocks(chunk));
        assert_eq!(blocks, [Some(3), Some(0), None]);
        assert!(!chunks.accept(9, 1, 5, false).unwrap() && !chunks.accept(7, 3, 5, false).unwrap());
        assert!(chunks.accept(7, 4, 5, false).unwrap());
    }
}
