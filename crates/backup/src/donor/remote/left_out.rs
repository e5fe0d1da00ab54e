//! Which chunks of FILE COPY are asked for.

use super::base::Base;
use super::chunks::Chunks;
use super::files::{Files, RemoteFile};
use super::page_list::Pages;
use crate::Result;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use wire::clone::{MAX_INCOMPLETE, Stage as CloneStage};

/// Pages of a chunk, and of a block.
const CHUNK: u64 = 4096;
const BLOCK: u64 = 64;

/// Chunks that are not asked for, by file, and what that saves.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Chunks of which nothing is asked for, or the first blocks are not: how many, and the file.
    chunks: BTreeMap<u32, Option<(u32, u32)>>,
    /// Bytes by index of the file.
    bytes: BTreeMap<u32, u64>,
}

impl LeftOut {
    /// Leaves a whole file out.
    pub(super) fn whole(&mut self, index: u32, file: &RemoteFile) {
        for chunk in file.chunks.0..=file.chunks.1 {
            self.chunks.insert(chunk, None);
        }
        self.bytes.insert(index, file.size);
    }

    /// Leaves out everything that has none of these pages and is in the base. A donor sends a chunk
    /// from some block to its end, for so many chunks; others whole.
    pub(super) fn without(pages: &Pages, files: &Files, base: &Base, page_size: u32) -> Self {
        let page_size = u64::from(page_size);
        let (chunk_bytes, block_bytes) = (CHUNK * page_size, BLOCK * page_size);
        let mut left_out = Self::default();
        // First blocks that are not needed: how many, of which chunk, of which file.
        let mut heads = Vec::new();
        let nothing = RoaringBitmap::new();
        for (index, file) in files.live() {
            let fits = file.born == CloneStage::FileCopy && base.has(file);
            let Some(space) = file.space.filter(|_| fits) else {
                continue;
            };
            let (first, last) = file.chunks;
            if u64::from(last - first) + 1 != file.size.div_ceil(chunk_bytes).max(1) {
                continue;
            }
            let mut needed = BTreeMap::new();
            for page in pages.get(&space.id.get()).unwrap_or(&nothing) {
                let Some(page) = page.checked_sub(space.first_page) else {
                    continue;
                };
                let offset = u64::from(page) * space.geometry.physical() as u64;
                if offset < file.size {
                    let chunk = first + (offset / chunk_bytes) as u32;
                    // Pages come in order: this is the first one of the chunk.
                    needed
                        .entry(chunk)
                        .or_insert((offset % chunk_bytes / block_bytes) as u32);
                }
            }
            for chunk in first..=last {
                match needed.get(&chunk) {
                    None => {
                        let begin = u64::from(chunk - first) * chunk_bytes;
                        let bytes = chunk_bytes.min(file.size - begin);
                        left_out.chunks.insert(chunk, None);
                        *left_out.bytes.entry(index).or_default() += bytes;
                    }
                    Some(0) => {}
                    Some(blocks) => heads.push((*blocks, chunk, index)),
                }
            }
        }
        heads.sort_unstable_by(|one, other| other.cmp(one));
        for (blocks, chunk, index) in heads.into_iter().take(MAX_INCOMPLETE) {
            left_out.chunks.insert(chunk, Some((blocks, index)));
            *left_out.bytes.entry(index).or_default() += u64::from(blocks) * block_bytes;
        }
        left_out
    }

    /// Bytes that do not travel.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.values().sum()
    }

    /// How many files that concerns.
    pub(super) fn files(&self) -> usize {
        self.bytes.len()
    }

    /// What the donor is told to have been received, of a stage of `total` chunks.
    pub(super) fn into_chunks(self, files: &Files, total: u32) -> Result<Chunks> {
        let mut chunks = Chunks::new(total)?;
        for (chunk, blocks) in self.chunks {
            match blocks {
                None => chunks.complete(chunk),
                Some((blocks, file)) => chunks.begin_after(chunk, blocks, file),
            }
        }
        for (index, bytes) in self.bytes {
            files.get(index)?.found().left_out = bytes;
        }
        Ok(chunks)
    }
}
