//! The redo log, format 6: MySQL 8.0.30 and later (`log0types.h`, `log0constants.h`).
//!
//! Files `#innodb_redo/#ib_redoN`, each covering the LSNs after its predecessor's. A file is a
//! header area of four 512-byte blocks, then blocks of log:
//! `file offset = 2048 + (lsn - start_lsn)`.
//!
//! | offset | header block | |
//! |---:|---|---|
//! | 0 | file header | [`RedoFileHeader`] |
//! | 512 | checkpoint | [`parse_checkpoint`] |
//! | 1024 | encryption | [`crate::tablespace::EncryptionInfo`] at 1072; no checksum |
//! | 1536 | checkpoint | [`parse_checkpoint`] |
//!
//! All but the encryption block end with the CRC-32C of their first 508 bytes.

mod block;
mod builder;
mod file_header;

pub use block::{
    BLOCK_SIZE, BlockHeader, BlockState, NO_LOG_CHECKSUM, classify_block, continue_log, cut_block,
    empty_block, expected_for,
};
pub use builder::{end_file_size, redo_file_header_area};
pub use file_header::{
    HEADER_AREA, RedoFileHeader, checkpoint_block, latest_checkpoint, parse_checkpoint,
};

use crate::lsn::Lsn;

/// Redo bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedoError {
    /// Less than one block.
    #[error("redo block: needs {BLOCK_SIZE} bytes, found: {found}")]
    TooShort {
        /// Bytes given.
        found: usize,
    },
    /// The block's bytes do not give the checksum stored with them.
    #[error("redo block checksum: expected {expected:#010x}, found {found:#010x}")]
    Checksum {
        /// CRC-32C of the first 508 bytes.
        expected: u32,
        /// The last four bytes.
        found: u32,
    },
    /// A redo format other than 6.
    #[error("redo log format {found} is not supported, only 6 (MySQL 8.0.30 and later)")]
    Format {
        /// The format number found.
        found: u32,
    },
    /// A file can begin at a block boundary only.
    #[error("start LSN of redo file is not a multiple of {BLOCK_SIZE}: {found}")]
    StartLsn {
        /// The start LSN found.
        found: Lsn,
    },
    /// The creator is not text.
    #[error("creator of redo file is not text")]
    Creator,
    /// The block is one of another place in the log, or of none.
    #[error("redo block {number} of epoch {epoch} where LSN {lsn} was expected")]
    WrongBlock {
        /// The number found.
        number: u32,
        /// The epoch found.
        epoch: u32,
        /// The LSN wanted.
        lsn: Lsn,
    },
    /// A length or offset in a block header that no log writer leaves.
    #[error("redo block header: data length {data_len}, first record at {first_record}")]
    BlockHeader {
        /// Bytes in use, header included.
        data_len: u16,
        /// Offset of the first mini-transaction.
        first_record: u16,
    },
    /// The LSN lies in the header or trailer of a block, where log never ends.
    #[error("no log ends at LSN {lsn}: offset {} in its block", lsn.offset_in_block())]
    NoSuchEnd {
        /// The LSN wanted.
        lsn: Lsn,
    },
    /// The block does not reach as far as it is to be kept.
    #[error("redo block ends at offset {data_len}, before LSN {lsn}")]
    EndsBefore {
        /// Bytes in use, header included.
        data_len: u16,
        /// The LSN wanted.
        lsn: Lsn,
    },
    /// Without the key an encrypted block can only be kept whole.
    #[error("redo block is encrypted")]
    Encrypted,
}
