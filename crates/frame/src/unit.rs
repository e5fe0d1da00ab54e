//! One unit of the original as one frame, and back.

use crate::{Algorithm, Result, Settings, lz4_frame, zstd_frame};
use std::fmt;

/// Makes frames. One for each thread: it keeps some hundred KiB to some MiB of memory, by level.
pub struct Compressor(Engine);

enum Engine {
    Zstd(zstd::bulk::Compressor<'static>),
    Lz4 { block_size: usize },
}

impl Compressor {
    /// A compressor with these settings.
    pub fn new(settings: &Settings) -> Result<Self> {
        Ok(Self(match settings.algorithm() {
            Algorithm::Zstd => Engine::Zstd(zstd_frame::compressor(settings)?),
            Algorithm::Lz4 => Engine::Lz4 {
                block_size: settings.block_size(),
            },
        }))
    }

    /// Appends to `out` one standard frame that holds `original`: one unit, or the shorter last
    /// one of a file. The frame tells the length of the original and ends with its checksum. The
    /// same bytes with the same settings give the same frame.
    ///
    /// A unit of zeros takes some 50 bytes with zstd, and 1/255 of its length with lz4, which
    /// cannot say "zero" any shorter.
    pub fn compress(&mut self, original: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match &mut self.0 {
            Engine::Zstd(engine) => zstd_frame::compress(engine, original, out),
            Engine::Lz4 { block_size } => {
                lz4_frame::compress(*block_size, original, out);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = match self.0 {
            Engine::Zstd(_) => Algorithm::Zstd,
            Engine::Lz4 { .. } => Algorithm::Lz4,
        };
        f.debug_tuple("Compressor").field(&algorithm).finish()
    }
}

/// Reads frames. One for each thread.
pub struct Decompressor {
    algorithm: Algorithm,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Decompressor {
    /// A decompressor of frames of this algorithm.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            zstd: None,
        }
    }

    /// Reads `frame`, which must be exactly one frame with exactly `out.len()` bytes of the
    /// original, and fit its checksum. After an error, in which the offset is counted from the
    /// start of the frame, `out` holds anything.
    pub fn decompress_unit(&mut self, frame: &[u8], out: &mut [u8]) -> Result<()> {
        match self.algorithm {
            Algorithm::Zstd => {
                let engine = self.zstd.get_or_insert_default();
                zstd_frame::decompress(engine, frame, out)
            }
            Algorithm::Lz4 => lz4_frame::decompress(frame, out),
        }
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decompressor")
            .field(&self.algorithm)
            .finish()
    }
}
