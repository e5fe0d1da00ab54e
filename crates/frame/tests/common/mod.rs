//! Bytes to compress, and files made of them.

#![allow(dead_code, reason = "every test file uses its own part")]

use frame::{Compressor, Index, Settings};

/// A small generator of pseudo-random numbers; the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Bytes like those of a table: pages of 16 KiB, some zero, some noise, most of them rows of words
/// and digits.
pub(crate) fn pages(count: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let mut bytes = Vec::new();
    for number in 0..count {
        match number % 7 {
            2 => bytes.resize(bytes.len() + 16384, 0),
            5 => bytes.extend((0..16384 / 8).flat_map(|_| random.next().to_le_bytes())),
            _ => {
                let end = bytes.len() + 16384;
                while bytes.len() < end {
                    let row = random.next() % 1_000_000;
                    bytes.extend(format!("\u{1}\0row-{row:09}-infimum-{}", row % 97).bytes());
                }
                bytes.truncate(end);
            }
        }
    }
    bytes
}

/// A compressed file, and the index at its end.
pub(crate) fn file_of(original: &[u8], settings: &Settings) -> (Vec<u8>, Index) {
    let mut compressor = Compressor::new(settings).unwrap();
    let mut file = Vec::new();
    let mut frames = Vec::new();
    for unit in original.chunks(settings.unit() as usize) {
        let start = file.len();
        compressor.compress(unit, &mut file).unwrap();
        frames.push((file.len() - start) as u32);
    }
    let index = Index::new(settings.unit(), original.len() as u64, &frames).unwrap();
    file.extend(index.encode());
    (file, index)
}
