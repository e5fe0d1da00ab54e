//! Blocks of log.
//!
//! | offset | bytes | field |
//! |---:|---:|---|
//! | 0 | 4 | number: `1 + (lsn / 512) mod 2^30` |
//! | 4 | 2 | bytes in use, header included; 512 when full; bit `0x8000`: encrypted |
//! | 6 | 2 | offset of the first mini-transaction that begins here, 0 for none |
//! | 8 | 4 | epoch: `1 + (lsn / 512) div 2^30` |
//! | 12 | 496 | log |
//! | 508 | 4 | CRC-32C of 0–507 |
//!
//! In an encrypted block everything from 12 on is cipher text, the checksum too. The newest block
//! is rewritten in place until it is full.

use super::RedoError;
use crate::bytes::{array_at, put, u16_at, u32_at};
use crate::lsn::{Lsn, REDO_BLOCK};

/// Bytes of a block, header and trailer included.
pub const BLOCK_SIZE: usize = 512;
/// Stored in place of the CRC by servers with `innodb_log_checksums=OFF`.
pub const NO_LOG_CHECKSUM: u32 = 0xDEAD_BEEF;

const HEADER: u16 = 12;
const FULL: u16 = 512;
/// Where the log ends and the trailer begins.
const TRAILER_AT: u16 = 508;
const ENCRYPTED: u16 = 0x8000;
/// Numbers start again at 1 after this many blocks; the epoch counts how often.
const NUMBERS: u64 = 1 << 30;

/// The first 12 bytes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// Position in the log, modulo 2^30, from 1.
    pub number: u32,
    /// How often the numbers were used up, from 1.
    pub epoch: u32,
    /// Bytes in use, header included; 512 when full.
    pub data_len: u16,
    /// Offset of the first mini-transaction that begins here, 0 for none.
    pub first_record: u16,
    /// Whether everything behind the header is cipher text.
    pub encrypted: bool,
}

impl BlockHeader {
    /// Reads the header of a block of at least 12 bytes. Nothing is checked.
    pub fn parse(block: &[u8]) -> Result<Self, RedoError> {
        let read = || {
            let length = u16_at(block, 4)?;
            Some(Self {
                number: u32_at(block, 0)?,
                epoch: u32_at(block, 8)?,
                data_len: length & !ENCRYPTED,
                first_record: u16_at(block, 6)?,
                encrypted: length & ENCRYPTED != 0,
            })
        };
        read().ok_or(RedoError::TooShort { found: block.len() })
    }

    /// Whether this is the block at `lsn`.
    fn is_at(&self, lsn: Lsn) -> bool {
        (self.number, self.epoch) == expected_for(lsn)
    }

    /// Whether the lengths are ones a log writer leaves.
    fn is_sane(&self) -> bool {
        let length = (HEADER..TRAILER_AT).contains(&self.data_len) || self.data_len == FULL;
        let first = self.first_record == 0 || (HEADER..=self.data_len).contains(&self.first_record);
        length && first
    }
}

/// Number and epoch of the block that contains `lsn`.
pub const fn expected_for(lsn: Lsn) -> (u32, u32) {
    let block = lsn.get() / REDO_BLOCK;
    (1 + (block % NUMBERS) as u32, 1 + (block / NUMBERS) as u32)
}

/// What a reader that follows the log finds at some LSN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockState {
    /// The block is full: go on with the next one.
    Full,
    /// The newest block: it will be rewritten with more log.
    Partial {
        /// Bytes in use, header included; 12 when the block is empty.
        data_len: u16,
    },
    /// Another block, or nothing, is in this place: the log has not come here yet, or the file was
    /// recycled and the log has gone on (look at the file's header to tell).
    NotYetWritten,
    /// The right block, half written: read it again.
    Torn,
}

/// Tells what `block`, read from where `block_lsn` belongs, is. Of an encrypted block only the
/// header can be checked. A slice that is not 512 bytes long is `Torn`.
pub fn classify_block(block: &[u8], block_lsn: Lsn) -> BlockState {
    let Ok(header) = BlockHeader::parse(block) else {
        return BlockState::Torn;
    };
    if block.len() != BLOCK_SIZE {
        return BlockState::Torn;
    }
    if !header.is_at(block_lsn) {
        return BlockState::NotYetWritten;
    }
    if !header.is_sane() || !(header.encrypted || checksum_holds(block)) {
        return BlockState::Torn;
    }
    match header.data_len {
        FULL => BlockState::Full,
        data_len => BlockState::Partial { data_len },
    }
}

/// Makes the log end at `end`, which lies in `block`: later log is zeroed, length, first record and
/// checksum are set. To end a log exactly on a block boundary no cut is needed.
pub fn cut_block(block: &mut [u8; BLOCK_SIZE], end: Lsn) -> Result<(), RedoError> {
    let header = BlockHeader::parse(block)?;
    let BlockHeader {
        number,
        epoch,
        data_len,
        first_record,
        encrypted,
    } = header;
    if !header.is_at(end) {
        return Err(RedoError::WrongBlock {
            number,
            epoch,
            lsn: end,
        });
    }
    if encrypted {
        return Err(RedoError::Encrypted);
    }
    if !header.is_sane() {
        return Err(RedoError::BlockHeader {
            data_len,
            first_record,
        });
    }
    if !checksum_holds(block) {
        let (expected, found) = (block_crc(block), stored_crc(block));
        return Err(RedoError::Checksum { expected, found });
    }
    let keep = u16::try_from(end.offset_in_block())
        .ok()
        .filter(|keep| (HEADER..TRAILER_AT).contains(keep))
        .ok_or(RedoError::NoSuchEnd { lsn: end })?;
    if data_len < keep {
        return Err(RedoError::EndsBefore { data_len, lsn: end });
    }
    // An empty block says that the next record begins right here, as the server's own do.
    let first = if keep == HEADER {
        HEADER
    } else {
        first_record.min(keep)
    };
    let _ = put(block, 4, &keep.to_be_bytes());
    let _ = put(block, 6, &first.to_be_bytes());
    if let Some(tail) = block.get_mut(usize::from(keep)..) {
        tail.fill(0);
    }
    stamp_crc(block);
    Ok(())
}

/// Goes on with a log that ends at `end`, in `block`, by the mini-transactions in `log`. Gives the
/// blocks from that one on; the last one has room.
pub fn continue_log(
    block: &[u8; BLOCK_SIZE],
    end: Lsn,
    mut log: &[u8],
) -> Result<Vec<u8>, RedoError> {
    let header = BlockHeader::parse(block)?;
    let (data_len, first_record) = (header.data_len, header.first_record);
    if header.encrypted {
        return Err(RedoError::Encrypted);
    }
    if !header.is_at(end) {
        let (number, epoch) = (header.number, header.epoch);
        return Err(RedoError::WrongBlock {
            number,
            epoch,
            lsn: end,
        });
    }
    if !header.is_sane() || u32::from(data_len) != end.offset_in_block() || data_len == FULL {
        return Err(RedoError::BlockHeader {
            data_len,
            first_record,
        });
    }
    if !checksum_holds(block) {
        let (expected, found) = (block_crc(block), stored_crc(block));
        return Err(RedoError::Checksum { expected, found });
    }
    let (mut block, mut lsn, mut at) = (*block, end.block_start(), data_len);
    let mut first = match first_record {
        0 => at,
        known => known,
    };
    let mut blocks = Vec::new();
    loop {
        let room = TRAILER_AT.saturating_sub(at);
        let taken = u16::try_from(log.len()).unwrap_or(room).min(room);
        let (now, later) = log.split_at(taken.into());
        let _ = put(&mut block, at.into(), now);
        log = later;
        at += taken;
        let full = at == TRAILER_AT;
        let length = if full { FULL } else { at };
        // A block in which none begins names the place where the next one will.
        let begins = if first == 0 && !full { at } else { first };
        let _ = put(&mut block, 4, &length.to_be_bytes());
        let _ = put(&mut block, 6, &begins.to_be_bytes());
        stamp_crc(&mut block);
        blocks.extend_from_slice(&block);
        if !full {
            return Ok(blocks);
        }
        lsn = lsn
            .checked_add(REDO_BLOCK)
            .ok_or(RedoError::NoSuchEnd { lsn })?;
        block = empty_block(lsn);
        at = HEADER;
        first = if log.is_empty() { at } else { 0 };
    }
}

/// A block without log, for a log that ends at the start of the block `lsn` lies in.
pub fn empty_block(lsn: Lsn) -> [u8; BLOCK_SIZE] {
    let (number, epoch) = expected_for(lsn);
    let mut block = [0; BLOCK_SIZE];
    let _ = put(&mut block, 0, &number.to_be_bytes());
    let _ = put(&mut block, 4, &HEADER.to_be_bytes());
    let _ = put(&mut block, 6, &HEADER.to_be_bytes());
    let _ = put(&mut block, 8, &epoch.to_be_bytes());
    stamp_crc(&mut block);
    block
}

fn checksum_holds(block: &[u8]) -> bool {
    let stored = stored_crc(block);
    stored == block_crc(block) || stored == NO_LOG_CHECKSUM
}

/// CRC-32C of a block's first 508 bytes.
pub(super) fn block_crc(block: &[u8]) -> u32 {
    let covered: Option<[u8; TRAILER_AT as usize]> = array_at(block, 0);
    covered.map_or(0, |covered| crc32c::crc32c(&covered))
}

/// The checksum in a block's last four bytes.
pub(super) fn stored_crc(block: &[u8]) -> u32 {
    u32_at(block, TRAILER_AT.into()).unwrap_or_default()
}

/// Sets the checksum of a block.
pub(super) fn stamp_crc(block: &mut [u8; BLOCK_SIZE]) {
    let crc = block_crc(block);
    let _ = put(block, TRAILER_AT.into(), &crc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A block at `lsn` with `data_len` bytes of log that are all `fill`.
    fn block(lsn: Lsn, data_len: u16, first: u16, fill: u8) -> [u8; 512] {
        let mut block = empty_block(lsn);
        block[4..6].copy_from_slice(&data_len.to_be_bytes());
        block[6..8].copy_from_slice(&first.to_be_bytes());
        block[12..usize::from(data_len.min(508))].fill(fill);
        stamp_crc(&mut block);
        block
    }

    #[test]
    fn numbers_wrap_into_the_next_epoch() {
        assert_eq!(expected_for(Lsn::ZERO), (1, 1));
        assert_eq!(expected_for(Lsn::new(511)), (1, 1));
        assert_eq!(expected_for(Lsn::new(512)), (2, 1));
        assert_eq!(expected_for(Lsn::new(512 << 30)), (1, 2));
        assert_eq!(expected_for(Lsn::MAX), (1 << 30, 1 << 25));
    }

    #[test]
    fn states_of_the_newest_block() {
        let lsn = Lsn::new(512 * 77);
        assert_eq!(
            classify_block(&block(lsn, 512, 12, 1), lsn),
            BlockState::Full
        );
        let partial = BlockState::Partial { data_len: 100 };
        assert_eq!(classify_block(&block(lsn, 100, 0, 1), lsn), partial);
        let empty = BlockState::Partial { data_len: 12 };
        assert_eq!(classify_block(&empty_block(lsn), lsn), empty);
        assert_eq!(classify_block(&[0; 512], lsn), BlockState::NotYetWritten);
        let older = block(Lsn::new(512 * 7), 512, 12, 1);
        assert_eq!(classify_block(&older, lsn), BlockState::NotYetWritten);
        let mut torn = block(lsn, 512, 12, 1);
        torn[300] = 0;
        assert_eq!(classify_block(&torn, lsn), BlockState::Torn);
        assert_eq!(classify_block(&torn[..511], lsn), BlockState::Torn);
        assert_eq!(
            classify_block(&block(lsn, 510, 12, 1), lsn),
            BlockState::Torn
        );
    }

    #[test]
    fn a_log_without_checksums_is_followed() {
        let mut block = block(Lsn::new(512), 512, 12, 1);
        block[508..].copy_from_slice(&NO_LOG_CHECKSUM.to_be_bytes());
        assert_eq!(classify_block(&block, Lsn::new(512)), BlockState::Full);
    }

    #[test]
    fn an_encrypted_block_is_followed_but_not_cut() {
        let mut block = block(Lsn::new(512), 512, 12, 1);
        block[4] |= 0x80;
        block[400] = 99;
        assert_eq!(classify_block(&block, Lsn::new(512)), BlockState::Full);
        assert_eq!(
            cut_block(&mut block, Lsn::new(600)),
            Err(RedoError::Encrypted)
        );
    }

    #[test]
    fn a_cut_where_no_log_can_end_is_refused() {
        let whole = block(Lsn::new(512), 512, 12, 1);
        for end in [512, 523, 1020, 1023] {
            let lsn = Lsn::new(end);
            assert_eq!(
                cut_block(&mut whole.clone(), lsn),
                Err(RedoError::NoSuchEnd { lsn })
            );
        }
        let lsn = Lsn::new(1024 + 12);
        let wrong = Err(RedoError::WrongBlock {
            number: 2,
            epoch: 1,
            lsn,
        });
        assert_eq!(cut_block(&mut whole.clone(), lsn), wrong);
        let lsn = Lsn::new(512 + 101);
        let mut short = block(Lsn::new(512), 100, 12, 1);
        assert_eq!(
            cut_block(&mut short, lsn),
            Err(RedoError::EndsBefore { data_len: 100, lsn })
        );
    }

    proptest! {
        #[test]
        fn a_cut_block_is_the_block_a_server_stopped_at(
            number in 0u64..1 << 40, first in 12u16..508, keep in 12u16..508, fill: u8,
        ) {
            let lsn = Lsn::new(number * 512);
            let end = lsn.checked_add(keep.into()).unwrap();
            let whole = block(lsn, 512, first, fill);
            let mut cut = whole;
            prop_assert_eq!(cut_block(&mut cut, end), Ok(()));
            prop_assert_eq!(classify_block(&cut, lsn), BlockState::Partial { data_len: keep });
            let at = usize::from(keep);
            prop_assert_eq!(&cut[12..at], &whole[12..at]);
            prop_assert!(cut[at..508].iter().all(|b| *b == 0));
            prop_assert!(BlockHeader::parse(&cut).unwrap().first_record <= keep);
            let mut again = cut;
            prop_assert_eq!(cut_block(&mut again, end), Ok(()));
            prop_assert_eq!(again, cut);
        }

        #[test]
        fn a_log_that_goes_on_is_the_log_before_it_and_what_was_added(
            number in 0u64..1 << 40, keep in 12u16..508, first in 12u16..508, fill: u8,
            log in proptest::collection::vec(any::<u8>(), 1..1500),
        ) {
            let lsn = Lsn::new(number * 512);
            let end = lsn.checked_add(keep.into()).unwrap();
            let before = block(lsn, keep, first.min(keep), fill);
            let blocks = continue_log(&before, end, &log).unwrap();
            let (mut found, mut at) = (Vec::new(), lsn);
            for block in blocks.chunks_exact(BLOCK_SIZE) {
                let length = match classify_block(block, at) {
                    BlockState::Full => 508,
                    BlockState::Partial { data_len } => data_len.into(),
                    other => panic!("{other:?}"),
                };
                found.extend_from_slice(&block[12..length]);
                at = at.checked_add(512).unwrap();
            }
            prop_assert_eq!(&found[..usize::from(keep) - 12], &before[12..keep.into()]);
            prop_assert_eq!(&found[usize::from(keep) - 12..], &log[..]);
            let last = BlockHeader::parse(&blocks[blocks.len() - BLOCK_SIZE..]).unwrap();
            prop_assert!(last.data_len < 508 && last.first_record >= 12);
            // And what was added can be cut off again.
            let mut cut = *blocks.first_chunk().unwrap();
            prop_assert_eq!(cut_block(&mut cut, end), Ok(()));
            prop_assert_eq!(&cut[12..], &before[12..]);
        }

        #[test]
        fn a_log_that_ends_elsewhere_is_not_gone_on_with(keep in 13u16..508, other in 12u16..512) {
            let lsn = Lsn::new(512 * 9);
            let ends = block(lsn, keep, 12, 7);
            let end = lsn.checked_add(other.into()).unwrap();
            prop_assert_eq!(continue_log(&ends, end, &[1]).is_ok(), keep == other);
        }

        #[test]
        fn any_flipped_bit_of_a_plain_block_is_noticed(bit in 0usize..4096) {
            let lsn = Lsn::new(512 * 1234);
            let mut block = block(lsn, 512, 12, 0xA5);
            block[bit / 8] ^= 1 << (bit % 8);
            let state = classify_block(&block, lsn);
            // The encryption mark is the one bit that cannot be checked without the key.
            prop_assert!(state == BlockState::Torn || state == BlockState::NotYetWritten || bit == 39);
        }
    }
}
