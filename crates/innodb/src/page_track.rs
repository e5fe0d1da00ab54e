//! The page-tracking archive: which pages were flushed since when (`arch0page.h`).
//!
//! `#ib_archive/page_group_<begin lsn>/ib_page_<i>` are files of 16 KiB blocks, whatever the page
//! size of the server: block 0 of a file is its reset block, then follow 2043 data blocks. Data
//! block `n` of a group is in file `n / 2043`.
//!
//! | offset | bytes | field |
//! |---:|---:|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 1 | 0 reset block, 1 data block |
//! | 2 | 4 | CRC-32C of the `len` bytes from 32 |
//! | 6 | 2 | `len`, bytes in use behind the header |
//! | 8 | 8 | stop LSN |
//! | 16 | 8 | reset LSN: of the start point in this block |
//! | 24 | 8 | number: of a data block in its group, of a reset block's file |
//! | 32 | … | data block: `(space id, page number)` of 4 bytes each; reset block: start points |
//!
//! Entries are in the order of the flushes, a page comes once per start point at least.

use std::fmt;

use crate::bytes::{array_at, is_zero, u16_at, u32_at, u64_at};
use crate::ids::{PageNo, SpaceId};
use crate::lsn::Lsn;

/// Bytes of a block.
pub const BLOCK_SIZE: usize = 16384;
/// Bytes of a block's header.
pub const BLOCK_HEADER: usize = 32;
/// Bytes of an entry in a data block.
pub const ENTRY: usize = 8;
/// Entries in a full data block.
pub const ENTRIES_PER_BLOCK: usize = (BLOCK_SIZE - BLOCK_HEADER) / ENTRY;
/// Data blocks in a full file, behind its reset block.
pub const DATA_BLOCKS_PER_FILE: u64 = 2043;
/// The stop LSN of a block that was filled while redo was applied, and the reset LSN of a block
/// without a start point.
pub const STOP_UNKNOWN: Lsn = Lsn::new(i64::MAX as u64);

const VERSION: u8 = 1;
const START_POINT: usize = 4;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// The start points of a file.
    Reset,
    /// Pages.
    Data,
}

impl fmt::Display for BlockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "reset",
            Self::Data => "data",
        })
    }
}

/// The header of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// Version of the format, 1.
    pub version: u8,
    /// What the block holds.
    pub kind: BlockKind,
    /// Whether the checksum holds. If not, the block is being written: read it again.
    pub crc_ok: bool,
    /// Bytes in use behind the header.
    pub len: u16,
    /// The LSN up to which flushes are in this block; [`STOP_UNKNOWN`] after a crash recovery.
    pub stop_lsn: Lsn,
    /// The LSN of the start point in this block as stored, see [`BlockHeader::start_point`].
    pub reset_lsn: Lsn,
    /// A data block's number in its group, a reset block's file number.
    pub number: u64,
}

impl BlockHeader {
    /// Reads the header of a block of 16 KiB, and says whether the block's checksum holds.
    pub fn parse(block: &[u8]) -> Result<Self, PageTrackError> {
        let short = PageTrackError::Length { found: block.len() };
        if block.len() != BLOCK_SIZE {
            return Err(short);
        }
        let (header, content) = block.split_at_checked(BLOCK_HEADER).ok_or(short)?;
        let [version, kind] = array_at(header, 0).ok_or(short)?;
        if version == 0 && is_zero(header) {
            return Err(PageTrackError::NeverWritten);
        }
        if version != VERSION {
            return Err(PageTrackError::Version { found: version });
        }
        let kind = match kind {
            0 => BlockKind::Reset,
            1 => BlockKind::Data,
            found => return Err(PageTrackError::Kind { found }),
        };
        let len = u16_at(header, 6).ok_or(short)?;
        let used = content
            .get(..len.into())
            .ok_or(PageTrackError::UsedLength { kind, len })?;
        Ok(Self {
            version,
            kind,
            crc_ok: u32_at(header, 2) == Some(crc32c::crc32c(used)),
            len,
            stop_lsn: Lsn::new(u64_at(header, 8).ok_or(short)?),
            reset_lsn: Lsn::new(u64_at(header, 16).ok_or(short)?),
            number: u64_at(header, 24).ok_or(short)?,
        })
    }

    /// The LSN of the start point in this block, if there is one.
    pub fn start_point(&self) -> Option<Lsn> {
        (self.reset_lsn != Lsn::ZERO && self.reset_lsn != STOP_UNKNOWN).then_some(self.reset_lsn)
    }

    /// Refuses what [`BlockHeader::parse`] reports but lets through.
    fn check(self, kind: BlockKind) -> Result<Self, PageTrackError> {
        if self.kind != kind {
            return Err(PageTrackError::WrongKind { expected: kind });
        }
        if !self.crc_ok {
            return Err(PageTrackError::Torn {
                kind,
                number: self.number,
            });
        }
        Ok(self)
    }
}

/// Where data block `number` of a group is: the file's index, and the byte offset in it.
pub const fn data_block_place(number: u64) -> (u64, u64) {
    let in_file = 1 + number % DATA_BLOCKS_PER_FILE;
    (number / DATA_BLOCKS_PER_FILE, in_file * BLOCK_SIZE as u64)
}

/// A block of entries.
#[derive(Debug, Clone, Copy)]
pub struct DataBlock<'a> {
    header: BlockHeader,
    entries: &'a [u8],
}

impl<'a> DataBlock<'a> {
    /// Reads a data block; one whose checksum does not hold is refused.
    pub fn parse(block: &'a [u8]) -> Result<Self, PageTrackError> {
        let header = BlockHeader::parse(block)?.check(BlockKind::Data)?;
        let bad = PageTrackError::UsedLength {
            kind: header.kind,
            len: header.len,
        };
        let end = BLOCK_HEADER + usize::from(header.len);
        let entries = block.get(BLOCK_HEADER..end).ok_or(bad)?;
        if !entries.len().is_multiple_of(ENTRY) {
            return Err(bad);
        }
        Ok(Self { header, entries })
    }

    /// The header of the block.
    pub fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// All entries, in the order of the flushes.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (SpaceId, PageNo)> + use<'a> {
        pairs(self.entries)
    }

    /// The entries from a start point on: `offset` is that of [`ResetPoint::offset`], in bytes from
    /// the beginning of the block. An offset between two entries, or outside of them, is refused.
    pub fn entries_from(
        &self,
        offset: u16,
    ) -> Result<impl ExactSizeIterator<Item = (SpaceId, PageNo)> + use<'a>, PageTrackError> {
        usize::from(offset)
            .checked_sub(BLOCK_HEADER)
            .filter(|skip| skip.is_multiple_of(ENTRY))
            .and_then(|skip| self.entries.get(skip..))
            .map(pairs)
            .ok_or(PageTrackError::Offset {
                offset,
                number: self.header.number,
            })
    }
}

fn pairs(entries: &[u8]) -> impl ExactSizeIterator<Item = (SpaceId, PageNo)> + use<'_> {
    entries.chunks_exact(ENTRY).map(|entry| {
        let field = |at| u32_at(entry, at).unwrap_or_default();
        (SpaceId::new(field(0)), PageNo::new(field(4)))
    })
}

/// A point from which changed pages can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetPoint {
    /// Its LSN. Stored for the first point of a file only; that of the others is
    /// [`BlockHeader::start_point`] of their data block.
    pub lsn: Option<Lsn>,
    /// The number of its data block in the group.
    pub block: u64,
    /// Where its entries begin, in bytes from the beginning of that block.
    pub offset: u16,
}

/// The first block of a file: its start points.
///
/// | offset | bytes | field |
/// |---:|---:|---|
/// | 32 | 8 | LSN of the first start point |
/// | 40 + 4i | 2 | low 16 bits of the number of the start point's data block |
/// | 42 + 4i | 2 | offset in that block |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetBlock {
    header: BlockHeader,
    points: Vec<ResetPoint>,
}

impl ResetBlock {
    /// Reads a reset block; one whose checksum does not hold is refused.
    pub fn parse(block: &[u8]) -> Result<Self, PageTrackError> {
        let header = BlockHeader::parse(block)?.check(BlockKind::Reset)?;
        let bad = PageTrackError::UsedLength {
            kind: header.kind,
            len: header.len,
        };
        let end = BLOCK_HEADER + usize::from(header.len);
        let content = block.get(BLOCK_HEADER..end).ok_or(bad)?;
        if content.is_empty() {
            return Ok(Self {
                header,
                points: Vec::new(),
            });
        }
        let (lsn, positions) = content.split_at_checked(size_of::<u64>()).ok_or(bad)?;
        if !positions.len().is_multiple_of(START_POINT) {
            return Err(bad);
        }
        let mut first = u64_at(lsn, 0).map(Lsn::new);
        let points = positions.chunks_exact(START_POINT).map(|position| {
            let low = u16_at(position, 0).ok_or(bad)?;
            let block = resolve(low, header.number).ok_or(PageTrackError::BlockNumber {
                low,
                file: header.number,
            })?;
            Ok(ResetPoint {
                lsn: first.take(),
                block,
                offset: u16_at(position, 2).ok_or(bad)?,
            })
        });
        Ok(Self {
            header,
            points: points.collect::<Result<_, _>>()?,
        })
    }

    /// The header of the block.
    pub fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// The start points, oldest first.
    pub fn points(&self) -> &[ResetPoint] {
        &self.points
    }
}

/// The data block of file `file` whose number has the low 16 bits `low`. A file has fewer than
/// 65536 blocks, so there is at most one.
fn resolve(low: u16, file: u64) -> Option<u64> {
    let first = file.checked_mul(DATA_BLOCKS_PER_FILE)?;
    let distance = (u64::from(low).wrapping_sub(first)) & 0xFFFF;
    (distance < DATA_BLOCKS_PER_FILE).then(|| first.checked_add(distance))?
}

/// A block that is not one of the archive, or is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageTrackError {
    /// Not one block.
    #[error("page tracking block: expected {BLOCK_SIZE} bytes, found: {found}")]
    Length {
        /// Bytes given.
        found: usize,
    },
    /// All zeros: the archive has not come this far.
    #[error("page tracking block was never written")]
    NeverWritten,
    /// A version this crate does not know.
    #[error("page tracking block of version: {found}")]
    Version {
        /// Byte 0.
        found: u8,
    },
    /// Neither a reset nor a data block.
    #[error("page tracking block of kind: {found}")]
    Kind {
        /// Byte 1.
        found: u8,
    },
    /// A reset block where a data block belongs, or the other way round.
    #[error("page tracking block is no {expected} block")]
    WrongKind {
        /// The kind wanted.
        expected: BlockKind,
    },
    /// More bytes than a block has, or not a whole number of entries.
    #[error("page tracking {kind} block with length in use: {len}")]
    UsedLength {
        /// The kind of the block.
        kind: BlockKind,
        /// The length found.
        len: u16,
    },
    /// The checksum does not hold: the block is being written, or is damaged.
    #[error("page tracking {kind} block {number} is torn")]
    Torn {
        /// The kind of the block.
        kind: BlockKind,
        /// Its number.
        number: u64,
    },
    /// A start point in a block that the file does not have.
    #[error("start point in block {low} (mod 65536), which is not in file {file}")]
    BlockNumber {
        /// The 16 bits found.
        low: u16,
        /// The file of the reset block.
        file: u64,
    },
    /// A start point that is at no entry.
    #[error("no entry at offset {offset} of page tracking block {number}")]
    Offset {
        /// The offset found.
        offset: u16,
        /// The data block.
        number: u64,
    },
}

#[cfg(test)]
mod tests;
