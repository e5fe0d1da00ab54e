//! The redo file of a backup.
//!
//! `#innodb_redo/#ib_redo0` begins at the block of the checkpoint and ends at the backup's end LSN:
//! the header area made here, the blocks as they were followed, the last of them cut.

use super::block::BLOCK_SIZE;
use super::file_header::{HEADER_AREA, RedoFileHeader, checkpoint_block};
use crate::geometry::PageSize;
use crate::lsn::Lsn;

/// The server refuses to start with redo files whose size is not a multiple of its page size, or
/// that are smaller than this.
const SMALLEST_FILE: u64 = 64 * 1024;
/// Recovery writes a little log of its own.
const SLACK: u64 = 1 << 20;

/// The four header blocks of a redo file.
///
/// `header` is written as it is: for a backup its format, uuid and creator are those of the live
/// log (a creator of "MySQL Clone" would switch parts of recovery off), `start_lsn` is the block
/// of the checkpoint for the first file, and `flags` is 0. Both checkpoint blocks get
/// `checkpoint`. `encryption` is block 2 of the live file that holds the checkpoint, passed
/// through as it is: the server needs it to read encrypted log.
pub fn redo_file_header_area(
    header: &RedoFileHeader,
    checkpoint: Lsn,
    encryption: Option<&[u8; BLOCK_SIZE]>,
) -> [u8; HEADER_AREA] {
    let checkpoint = checkpoint_block(checkpoint);
    let blocks = [
        &header.to_bytes(),
        &checkpoint,
        encryption.unwrap_or(&[0; BLOCK_SIZE]),
        &checkpoint,
    ];
    let mut area = [0; HEADER_AREA];
    for (place, block) in area.chunks_exact_mut(BLOCK_SIZE).zip(blocks) {
        place.copy_from_slice(block);
    }
    area
}

/// The size to give a redo file whose data, header area included, ends at byte `data_end`: a
/// multiple of the page size and of 64 KiB, with at least 1 MiB of zeros behind the data.
pub fn end_file_size(data_end: u64, page_size: PageSize) -> u64 {
    let unit = SMALLEST_FILE.max(u64::from(page_size.get()));
    // No file is within a unit of 2^64 bytes long.
    data_end
        .div_ceil(unit)
        .saturating_mul(unit)
        .saturating_add(SLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_in_its_place() {
        let header = RedoFileHeader {
            format: 6,
            log_uuid: 1,
            start_lsn: Lsn::new(1024),
            creator: "MySQL 8.4.0".to_owned(),
            flags: 0,
        };
        let area = redo_file_header_area(&header, Lsn::new(1100), Some(&[7; 512]));
        assert_eq!(RedoFileHeader::parse(&area), Ok(header));
        assert_eq!(area[512..1024], checkpoint_block(Lsn::new(1100)));
        assert_eq!(area[1024..1536], [7; 512]);
        assert_eq!(area[1536..], checkpoint_block(Lsn::new(1100)));
    }

    #[test]
    fn sizes_are_accepted_by_the_server() {
        for page_size in [4096, 8192, 16384, 32768, 65536] {
            let size = PageSize::new(page_size).unwrap();
            for end in [0, 2048, 2560, 65536, 65537, 1 << 30] {
                let file = end_file_size(end, size);
                assert!(file.is_multiple_of(65536) && file.is_multiple_of(u64::from(page_size)));
                assert!(file >= end + SLACK && file < end + SLACK + 65536);
            }
        }
    }
}
