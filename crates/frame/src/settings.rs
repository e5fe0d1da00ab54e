//! How to compress.
//!
//! # What the chunk size means
//!
//! CLONE's `clone_file_compress_chunk_size` (65536 unless set) is read here as *the piece that is
//! compressed on its own*, as far as the algorithm gains from it:
//!
//! * lz4: the block size of the frame, one of the four that the format has: 64 KiB, 256 KiB, 1 MiB
//!   and 4 MiB, rounded up. Blocks are independent. liblz4 packs a block of 64 KiB best, for it
//!   then has twice as many places to remember matches: 1.47 instead of 1.27 with 4 MiB blocks, on
//!   tables of sysbench.
//! * zstd: nothing is gained by small pieces: frames of 64 KiB lose 3 % of ratio against frames of
//!   1 MiB, and larger ones than that gain nothing but are slower, being larger than the caches.
//!   So the chunk size acts only through the unit.
//!
//! The *unit* (one frame, one entry of the index, one piece of work for a thread) is 1 MiB, or the
//! chunk size rounded up to a power of two if that is more, at most 4 MiB. Larger values of the
//! variable have the effect of 4 MiB: memory is some units a thread, whatever is set.

use crate::{Algorithm, Error, Result};

/// How to compress. In range by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    algorithm: Algorithm,
    level: i32,
    chunk_size: u64,
}

impl Settings {
    /// Level of zstd unless another is asked for. On tables, higher levels are slower and not
    /// always better.
    pub const DEFAULT_LEVEL: i32 = 1;
    /// Chunk size in bytes unless another is asked for.
    pub const DEFAULT_CHUNK_SIZE: u64 = 65536;
    /// Compressing threads unless another number is asked for.
    pub const DEFAULT_THREADS: usize = 4;

    /// Checks the ranges of CLONE's variables: `level` 1 to 19 (lz4 has none and ignores it),
    /// `chunk_size` in bytes from 1024.
    pub fn new(algorithm: Algorithm, level: i64, chunk_size: u64) -> Result<Self> {
        let wrong = |name, range, found| Error::Setting { name, range, found };
        let level = i32::try_from(level)
            .ok()
            .filter(|level| (1..=19).contains(level))
            .ok_or_else(|| wrong("compression level", "between 1 and 19", level.into()))?;
        if chunk_size < 1024 {
            let range = "1024 bytes or more";
            return Err(wrong("compression chunk size", range, chunk_size.into()));
        }
        Ok(Self {
            algorithm,
            level,
            chunk_size,
        })
    }

    /// The default level and chunk size.
    pub fn of(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            level: Self::DEFAULT_LEVEL,
            chunk_size: Self::DEFAULT_CHUNK_SIZE,
        }
    }

    /// A number of compressing threads: 1 to 128.
    pub fn threads(count: u64) -> Result<usize> {
        let wrong = Error::Setting {
            name: "compression threads",
            range: "between 1 and 128",
            found: count.into(),
        };
        let in_range = usize::try_from(count)
            .ok()
            .filter(|n| (1..=128).contains(n));
        in_range.ok_or(wrong)
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The level of zstd.
    pub const fn level(&self) -> i32 {
        self.level
    }

    /// The chunk size as it was set, in bytes.
    pub const fn chunk_size(&self) -> u64 {
        self.chunk_size
    }

    /// Bytes of the original in a frame: a power of two from 1 to 4 MiB. Pages of every size fit.
    pub const fn unit(&self) -> u64 {
        self.piece(&[1 << 20, 2 << 20, 4 << 20])
    }

    /// Bytes of the original in a block of an lz4 frame.
    pub(crate) const fn block_size(&self) -> usize {
        self.piece(&crate::lz4_frame::BLOCK_SIZES) as usize
    }

    /// The smallest of some sizes, ascending, that a chunk fits in; else the largest.
    const fn piece(&self, sizes: &[u64]) -> u64 {
        let mut at = 0;
        while at + 1 < sizes.len() && sizes[at] < self.chunk_size {
            at += 1;
        }
        sizes[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_is_refused_with_the_range() {
        for level in [0, -1, 20, i64::MAX] {
            let error = Settings::new(Algorithm::Zstd, level, 65536).unwrap_err();
            let text = format!("compression level must be between 1 and 19, not {level}");
            assert_eq!(error.to_string(), text);
        }
        let error = Settings::new(Algorithm::Lz4, 1, 1023).unwrap_err();
        let text = "compression chunk size must be 1024 bytes or more, not 1023";
        assert_eq!(error.to_string(), text);
        for count in [0, 129, u64::MAX] {
            let error = Settings::threads(count).unwrap_err();
            assert!(error.to_string().contains("between 1 and 128"));
        }
        assert_eq!(Settings::threads(128).unwrap(), 128);
    }

    #[test]
    fn units_and_blocks_follow_the_chunk_size_between_bounds() {
        const KIB: u64 = 1024;
        for (chunk, block, unit) in [
            (1024, 64 * KIB, 1024 * KIB),
            (65536, 64 * KIB, 1024 * KIB),
            (65537, 256 * KIB, 1024 * KIB),
            (1 << 20, 1024 * KIB, 1024 * KIB),
            ((1 << 20) + 1, 4096 * KIB, 2048 * KIB),
            (3 << 20, 4096 * KIB, 4096 * KIB),
            (u64::MAX, 4096 * KIB, 4096 * KIB),
        ] {
            let settings = Settings::new(Algorithm::Lz4, 1, chunk).unwrap();
            assert_eq!(settings.block_size() as u64, block, "{chunk}");
            assert_eq!(settings.unit(), unit, "{chunk}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_variables() {
        let settings = Settings::new(
            Algorithm::Zstd,
            Settings::DEFAULT_LEVEL.into(),
            Settings::DEFAULT_CHUNK_SIZE,
        );
        assert_eq!(settings.unwrap(), Settings::of(Algorithm::Zstd));
    }
}
