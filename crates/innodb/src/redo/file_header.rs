//! The header area of a redo file.
//!
//! | offset | bytes | field |
//! |---:|---:|---|
//! | 0 | 4 | format, 6 |
//! | 4 | 4 | log uuid: the same in all files of one log |
//! | 8 | 8 | start LSN, a multiple of 512 |
//! | 16 | 32 | creator, NUL-padded: `MySQL 9.7.4` |
//! | 48 | 4 | flags |
//! | 508 | 4 | CRC-32C of 0–507 |

use super::RedoError;
use super::block::{BLOCK_SIZE, block_crc, stamp_crc, stored_crc};
use crate::bytes::{put, u32_at, u64_at};
use crate::lsn::Lsn;

/// Bytes before the first block of log in a file.
pub const HEADER_AREA: usize = 4 * BLOCK_SIZE;

const CHECKPOINT_BLOCKS: [usize; 2] = [512, 1536];
const CHECKPOINT_LSN_AT: usize = 8;

/// The first block of a redo file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedoFileHeader {
    /// Format of the log: [`RedoFileHeader::FORMAT`].
    pub format: u32,
    /// Made up when the log was created; the files of one log share it.
    pub log_uuid: u32,
    /// LSN of the first block in the file.
    pub start_lsn: Lsn,
    /// Who made the file. At most 32 bytes are stored.
    pub creator: String,
    /// A sum of the `FLAG_*` constants.
    pub flags: u32,
}

impl RedoFileHeader {
    /// The only supported format.
    pub const FORMAT: u32 = 6;
    /// Redo logging is switched off: the log says nothing about the data.
    pub const FLAG_REDO_DISABLED: u32 = 1;
    /// Redo logging was off, and the pages are not all on disk yet.
    pub const FLAG_CRASH_UNSAFE: u32 = 2;
    /// The log was not initialised yet.
    pub const FLAG_NOT_INITIALIZED: u32 = 4;
    /// The file is full: set on every file but the newest.
    pub const FLAG_FILE_FULL: u32 = 8;

    const CREATOR_AT: usize = 16;
    const CREATOR_LEN: usize = 32;

    /// Reads the first 512 bytes of a redo file. Checksum, format and alignment are verified.
    pub fn parse(bytes: &[u8]) -> Result<Self, RedoError> {
        let short = RedoError::TooShort { found: bytes.len() };
        let block = bytes.get(..BLOCK_SIZE).ok_or(short.clone())?;
        let field = |at| u32_at(block, at).ok_or(short.clone());
        // The checksum first: it is the same in older formats, and a header that is being written
        // must not pass for one of them.
        let (expected, found) = (block_crc(block), stored_crc(block));
        if expected != found {
            return Err(RedoError::Checksum { expected, found });
        }
        let format = field(0)?;
        if format != Self::FORMAT {
            return Err(RedoError::Format { found: format });
        }
        let start_lsn = Lsn::new(u64_at(block, 8).ok_or(short.clone())?);
        if start_lsn.offset_in_block() != 0 {
            return Err(RedoError::StartLsn { found: start_lsn });
        }
        let creator = block.iter().skip(Self::CREATOR_AT).take(Self::CREATOR_LEN);
        let creator: Vec<u8> = creator.copied().take_while(|b| *b != 0).collect();
        Ok(Self {
            format,
            log_uuid: field(4)?,
            start_lsn,
            creator: String::from_utf8(creator).map_err(|_| RedoError::Creator)?,
            flags: field(48)?,
        })
    }

    /// The block to write. A creator of more than 32 bytes is cut.
    pub fn to_bytes(&self) -> [u8; BLOCK_SIZE] {
        let mut creator = self.creator.as_str();
        while creator.len() > Self::CREATOR_LEN {
            let mut chars = creator.chars();
            chars.next_back();
            creator = chars.as_str();
        }
        let mut block = [0; BLOCK_SIZE];
        // All offsets are inside the block.
        let _ = put(&mut block, 0, &self.format.to_be_bytes());
        let _ = put(&mut block, 4, &self.log_uuid.to_be_bytes());
        let _ = put(&mut block, 8, &self.start_lsn.get().to_be_bytes());
        let _ = put(&mut block, Self::CREATOR_AT, creator.as_bytes());
        let _ = put(&mut block, 48, &self.flags.to_be_bytes());
        stamp_crc(&mut block);
        block
    }
}

/// The LSN in a checkpoint block; `None` when its checksum does not hold. A file that had no
/// checkpoint yet holds [`Lsn::ZERO`].
pub fn parse_checkpoint(block: &[u8]) -> Option<Lsn> {
    let block = block.get(..BLOCK_SIZE)?;
    if block_crc(block) != stored_crc(block) {
        return None;
    }
    u64_at(block, CHECKPOINT_LSN_AT).map(Lsn::new)
}

/// A checkpoint block for `lsn`.
pub fn checkpoint_block(lsn: Lsn) -> [u8; BLOCK_SIZE] {
    let mut block = [0; BLOCK_SIZE];
    let _ = put(&mut block, CHECKPOINT_LSN_AT, &lsn.get().to_be_bytes());
    stamp_crc(&mut block);
    block
}

/// The checkpoint of a log: the largest LSN in any valid checkpoint block that lies inside the file
/// it is stored in. Takes the header area and the size in bytes of each file, gives the LSN and
/// the index of its file. Files whose own header does not verify are passed over.
pub fn latest_checkpoint<'a>(
    files: impl IntoIterator<Item = (&'a [u8; HEADER_AREA], u64)>,
) -> Option<(Lsn, usize)> {
    let mut latest: Option<(Lsn, usize)> = None;
    for (index, (area, size)) in files.into_iter().enumerate() {
        let Ok(header) = RedoFileHeader::parse(area) else {
            continue;
        };
        let log_bytes = size.saturating_sub(HEADER_AREA as u64);
        for at in CHECKPOINT_BLOCKS {
            let Some(lsn) = area.get(at..).and_then(parse_checkpoint) else {
                continue;
            };
            let inside = lsn
                .since(header.start_lsn)
                .is_some_and(|offset| offset < log_bytes);
            let newer = latest.is_none_or(|(best, _)| lsn > best);
            if lsn != Lsn::ZERO && inside && newer {
                latest = Some((lsn, index));
            }
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    use super::super::redo_file_header_area;
    use super::*;

    fn header(start: u64) -> RedoFileHeader {
        RedoFileHeader {
            format: 6,
            log_uuid: 0xCAFE_BABE,
            start_lsn: Lsn::new(start),
            creator: "MySQL 9.7.4".to_owned(),
            flags: RedoFileHeader::FLAG_FILE_FULL,
        }
    }

    #[test]
    fn a_header_survives_the_way_there_and_back() {
        let bytes = header(8192).to_bytes();
        assert_eq!(RedoFileHeader::parse(&bytes), Ok(header(8192)));
        assert_eq!(&bytes[16..28], b"MySQL 9.7.4\0");
    }

    #[test]
    fn a_long_creator_is_cut_between_characters() {
        let long = RedoFileHeader {
            creator: "é".repeat(40),
            ..header(0)
        };
        let back = RedoFileHeader::parse(&long.to_bytes()).unwrap();
        assert_eq!(back.creator, "é".repeat(16));
    }

    #[test]
    fn damage_is_refused() {
        for at in 0..512 {
            let mut bytes = header(8192).to_bytes();
            bytes[at] ^= 1;
            let error = RedoFileHeader::parse(&bytes);
            assert!(
                matches!(error, Err(RedoError::Checksum { .. })),
                "byte {at}"
            );
        }
        let old = RedoFileHeader {
            format: 5,
            ..header(0)
        };
        let error = RedoError::Format { found: 5 };
        assert_eq!(RedoFileHeader::parse(&old.to_bytes()), Err(error));
        let odd = RedoFileHeader::parse(&header(8193).to_bytes());
        assert_eq!(
            odd,
            Err(RedoError::StartLsn {
                found: Lsn::new(8193)
            })
        );
        let short = RedoFileHeader::parse(&header(0).to_bytes()[..511]);
        assert_eq!(short, Err(RedoError::TooShort { found: 511 }));
    }

    #[test]
    fn the_latest_checkpoint_is_the_largest_one_inside_its_own_file() {
        let size = 65536;
        let log = size - 2048;
        let area = |start, lsn| redo_file_header_area(&header(start), Lsn::new(lsn), None);
        let (first, second) = (area(0, 4000), area(log, log + 100));
        let outside = area(2 * log, 99);
        let none = area(3 * log, 0);
        let files = [&first, &second, &outside, &none].map(|area| (area, size));
        assert_eq!(latest_checkpoint(files), Some((Lsn::new(log + 100), 1)));
        // The end of a file belongs to the next file.
        let at_end = area(0, log);
        assert_eq!(latest_checkpoint([(&at_end, size)]), None);
        assert_eq!(latest_checkpoint([]), None);
    }

    #[test]
    fn the_older_checkpoint_counts_when_the_newer_block_is_torn() {
        let mut area = redo_file_header_area(&header(0), Lsn::new(4000), None);
        area[1536..].copy_from_slice(&checkpoint_block(Lsn::new(5000)));
        assert_eq!(
            latest_checkpoint([(&area, 65536)]),
            Some((Lsn::new(5000), 0))
        );
        area[1600] ^= 1;
        assert_eq!(
            latest_checkpoint([(&area, 65536)]),
            Some((Lsn::new(4000), 0))
        );
    }
}
