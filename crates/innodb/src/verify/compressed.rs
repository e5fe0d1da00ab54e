//! Transparent page compression: page type 14 (`os0file.cc`).
//!
//! | offset | bytes | field |
//! |---:|---:|---|
//! | 26 | 1 | version, 1 or 2 |
//! | 27 | 1 | algorithm: 1 zlib, 2 LZ4 block |
//! | 28 | 2 | page type before compression |
//! | 30 | 2 | length of the content before compression: page size - 38 |
//! | 32 | 2 | length of the compressed content, which begins at 38 |
//!
//! The rest of the page is a hole in the file. The checksum is the one the page had before.

use flate2::{Decompress, FlushDecompress, Status};

use crate::bytes::{put, u16_at};
use crate::page::{HEADER_LEN, PageType};

const ZLIB: u8 = 1;
const LZ4: u8 = 2;

/// Why a compressed page cannot be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadCompressed {
    /// A version of the control information this crate does not know.
    #[error("unknown version: {found}")]
    Version {
        /// Byte 26 of the page.
        found: u8,
    },
    /// Neither zlib nor LZ4.
    #[error("unknown algorithm: {found}")]
    Algorithm {
        /// Byte 27 of the page.
        found: u8,
    },
    /// The type before compression cannot have been compressed.
    #[error("original page type: {found}")]
    OriginalType {
        /// Bytes 28–29 of the page.
        found: PageType,
    },
    /// The content would not fill the page.
    #[error("original length: expected {expected}, found {found}")]
    OriginalLength {
        /// Page size less the header.
        expected: usize,
        /// Bytes 30–31 of the page.
        found: usize,
    },
    /// The compressed content would reach past the page.
    #[error("compressed length: at most {most}, found {found}")]
    CompressedLength {
        /// Page size less the header.
        most: usize,
        /// Bytes 32–33 of the page.
        found: usize,
    },
    /// The content does not decompress to the original length.
    #[error("content does not decompress to {expected} bytes")]
    Content {
        /// The original length.
        expected: usize,
    },
}

/// The control information, checked to fit the page it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Control {
    algorithm: u8,
    original_type: PageType,
    original_len: usize,
    compressed_len: usize,
}

impl Control {
    pub(super) fn read(page: &[u8]) -> Result<Self, BadCompressed> {
        let room = page.len().saturating_sub(HEADER_LEN);
        let [version, algorithm] = u16_at(page, 26).unwrap_or_default().to_be_bytes();
        let length_at = |at| usize::from(u16_at(page, at).unwrap_or_default());
        let control = Self {
            algorithm,
            original_type: PageType::new(u16_at(page, 28).unwrap_or_default()),
            original_len: length_at(30),
            compressed_len: length_at(32),
        };
        if !matches!(version, 1 | 2) {
            return Err(BadCompressed::Version { found: version });
        }
        if !matches!(algorithm, ZLIB | LZ4) {
            return Err(BadCompressed::Algorithm { found: algorithm });
        }
        if control.original_type.is_encrypted() || control.original_type == PageType::COMPRESSED {
            return Err(BadCompressed::OriginalType {
                found: control.original_type,
            });
        }
        if control.original_len != room {
            let found = control.original_len;
            return Err(BadCompressed::OriginalLength {
                expected: room,
                found,
            });
        }
        if control.compressed_len > room {
            let found = control.compressed_len;
            return Err(BadCompressed::CompressedLength { most: room, found });
        }
        Ok(control)
    }
}

/// The page as it was before compression, trailer included.
pub(super) fn restore(page: &[u8]) -> Result<Vec<u8>, BadCompressed> {
    let control = Control::read(page)?;
    let failed = BadCompressed::Content {
        expected: control.original_len,
    };
    let mut original = vec![0; page.len()];
    let (header, content) = original.split_at_mut_checked(HEADER_LEN).ok_or(failed)?;
    header.copy_from_slice(page.get(..HEADER_LEN).ok_or(failed)?);
    put(header, 24, &control.original_type.get().to_be_bytes()).ok_or(failed)?;

    let end = HEADER_LEN + control.compressed_len;
    let payload = page.get(HEADER_LEN..end).ok_or(failed)?;
    let complete = match control.algorithm {
        ZLIB => {
            let mut zlib = Decompress::new(true);
            let status = zlib.decompress(payload, content, FlushDecompress::Finish);
            matches!(status, Ok(Status::StreamEnd))
                && usize::try_from(zlib.total_out()) == Ok(content.len())
        }
        _ => {
            lz4_flex::block::decompress_into(payload, content).is_ok_and(|len| len == content.len())
        }
    };
    if complete { Ok(original) } else { Err(failed) }
}
