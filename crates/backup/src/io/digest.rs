//! BLAKE3 digests of stored files that are written in pieces, by several threads, in any order.
//!
//! BLAKE3 is a tree hash: the value of every aligned [`CHUNK`] can be computed on its own, and the
//! values merge into the digest of the whole file, the one `b3sum` prints. Keeping the chunk
//! values beside a set also lets a reader check any chunk it reads without reading the rest.

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root,
};

/// Bytes of a chunk: a power of two, as subtrees of BLAKE3 need. Small enough that a restore can
/// hold one of every delta of a long chain for every worker; the values take 1/8192 of the data.
pub(crate) const CHUNK: usize = 256 << 10;

/// A BLAKE3 digest.
pub(crate) type Digest = [u8; 32];

/// The digest of bytes in memory.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    *blake3::hash(bytes).as_bytes()
}

/// The chaining value of the chunk with number `index`; `bytes` is a whole chunk, or the shorter
/// last one, never empty.
pub(crate) fn chunk_value(index: u64, bytes: &[u8]) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(index * CHUNK as u64);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

/// The chunk values of one file, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChunkDigests {
    values: Vec<Option<ChainingValue>>,
}

impl ChunkDigests {
    /// From stored values.
    pub(crate) fn from_values(values: &[ChainingValue]) -> Self {
        Self {
            values: values.iter().copied().map(Some).collect(),
        }
    }

    /// Records the value of chunk `index`.
    pub(crate) fn set(&mut self, index: u64, value: ChainingValue) {
        let index = index as usize;
        if self.values.len() <= index {
            self.values.resize(index + 1, None);
        }
        self.values[index] = Some(value);
    }

    /// Forgets the values of the chunks that `range` (bytes) touches.
    pub(crate) fn forget(&mut self, offset: u64, len: u64) {
        let first = (offset / CHUNK as u64) as usize;
        let last = (offset + len).div_ceil(CHUNK as u64) as usize;
        for value in self.values.iter_mut().take(last).skip(first) {
            *value = None;
        }
    }

    /// The value of chunk `index`, if known.
    pub(crate) fn get(&self, index: u64) -> Option<ChainingValue> {
        self.values.get(index as usize).copied().flatten()
    }

    /// The chunks of a file of `len` bytes that are not known.
    pub(crate) fn unknown(&self, len: u64) -> Vec<u64> {
        (0..len.div_ceil(CHUNK as u64))
            .filter(|index| self.get(*index).is_none())
            .collect()
    }

    /// Drops what lies beyond `len` bytes; the chunk that `len` cuts is forgotten by the caller.
    pub(crate) fn truncate(&mut self, len: u64) {
        self.values.truncate(len.div_ceil(CHUNK as u64) as usize);
    }

    /// The digest of a file of more than one chunk; `None` while a chunk is unknown. A file of
    /// one chunk has no chunk value: its digest is that of its bytes.
    pub(crate) fn root(&self) -> Option<Digest> {
        let values: Option<Vec<_>> = self.values.iter().copied().collect();
        let values = values?;
        if values.len() < 2 {
            return None;
        }
        let (left, right) = values.split_at(left_len(values.len()));
        Some(*merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes())
    }

    /// All values; `None` while one is unknown.
    pub(crate) fn complete(&self) -> Option<Vec<ChainingValue>> {
        self.values.iter().copied().collect()
    }
}

/// The chunk values of a file in memory, as they are stored: none for a file of one chunk.
pub(crate) fn values_of(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() <= CHUNK {
        return Vec::new();
    }
    let chunks = (0..).zip(bytes.chunks(CHUNK));
    chunks
        .flat_map(|(index, chunk)| chunk_value(index, chunk))
        .collect()
}

/// Chunks in the left subtree: the largest power of two below `len`.
fn left_len(len: usize) -> usize {
    1 << (len - 1).ilog2()
}

fn subtree(values: &[ChainingValue]) -> ChainingValue {
    if let [value] = values {
        return *value;
    }
    let (left, right) = values.split_at(left_len(values.len()));
    merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_values_merge_into_the_plain_digest() {
        for len in [
            CHUNK + 1,
            2 * CHUNK,
            3 * CHUNK,
            5 * CHUNK + 12345,
            9 * CHUNK - 1,
        ] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + i / 251) as u8).collect();
            let mut chunks = ChunkDigests::default();
            for (index, chunk) in bytes.chunks(CHUNK).enumerate().rev() {
                chunks.set(index as u64, chunk_value(index as u64, chunk));
            }
            assert_eq!(chunks.root(), Some(digest_of(&bytes)), "{len}");
        }
    }

    #[test]
    fn forgetting_a_range_forgets_the_chunks_it_touches() {
        let mut chunks = ChunkDigests::default();
        for index in 0..4 {
            chunks.set(index, [0; 32]);
        }
        chunks.forget(CHUNK as u64 - 1, 2);
        assert_eq!(chunks.unknown(4 * CHUNK as u64), [0, 1]);
        assert_eq!(chunks.root(), None);
    }
}
