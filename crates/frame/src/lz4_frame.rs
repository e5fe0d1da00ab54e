//! Frames of LZ4, as its frame format 1.6 has them. Integers are little-endian.
//!
//! | offset | bytes | field |
//! |---:|---:|---|
//! | 0 | 4 | `0x184D2204` |
//! | 4 | 1 | flags: bits 6-7 version 01, 5 independent blocks, 4 block checksums, 3 content size, 2 content checksum, 1 reserved, 0 dictionary |
//! | 5 | 1 | bits 4-6: 4 to 7 for blocks of at most 64 KiB, 256 KiB, 1 MiB, 4 MiB; others reserved |
//! | 6 | 0 or 8 | content size |
//! | … | 1 | second byte of XXH32 of the flags and what follows them |
//! | … | … | blocks: 4 bytes of length (bit 31: stored as it is), the bytes, 0 or 4 of XXH32 of them |
//! | … | 4 | 0: no more blocks |
//! | … | 0 or 4 | XXH32 of the content |
//!
//! Frames that we write have independent blocks, content size and content checksum.

mod header;
mod read;
mod write;

pub(crate) use header::{BLOCK_SIZES, MAGIC};
pub(crate) use read::{Reader, decompress};
pub(crate) use write::compress;
