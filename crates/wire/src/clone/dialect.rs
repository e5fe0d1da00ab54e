//! Which of two protocols of the same name a server speaks.
//!
//! GreatSQL 8.0.32-26 and later give increments by CLONE. What they say more lies between MySQL's
//! fields, under the same version numbers, so that nothing in a packet tells the two apart: who
//! speaks which shows in the handshake. The layouts are those that its source has, and were not
//! compared with what such a server says.

use super::numbers::Put as _;
use crate::cursor::{Cursor, Malformed};

/// What a server takes the clone protocol to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// MySQL's own: full clones.
    #[default]
    Stock,
    /// GreatSQL's, which innoclone's agents speak too: full clones and increments.
    GreatSql,
}

/// What a client asks for beyond MySQL's protocol, in INIT, ATTACH and REINIT. Little-endian.
///
/// | bytes | |
/// |---|---|
/// | 4 | not 0: have page tracking on, for increments to come |
/// | 8 | an increment: of what changed since this LSN; 0: a full clone |
/// | 4 | how the client compresses files: 0 not, 1 lz4, 2 zstd |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Wish {
    /// Have page tracking on.
    pub page_track: bool,
    /// LSN an increment starts at; 0 for a full clone.
    pub start_lsn: u64,
    /// How the client compresses files; the donor then cuts chunks so that a file comes in order.
    pub compression: u32,
}

impl Wish {
    pub(super) fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            page_track: cursor.u32("wish for page tracking")? != 0,
            start_lsn: u64::from_le_bytes(cursor.array("start LSN")?),
            compression: cursor.u32("compression of the client")?,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&u32::from(self.page_track).to_le_bytes());
        out.extend_from_slice(&self.start_lsn.to_le_bytes());
        out.extend_from_slice(&self.compression.to_le_bytes());
    }
}

/// What the begin and the end of a stage say of an increment. Big-endian.
///
/// | offset | bytes | |
/// |---|---|---|
/// | 48 | 8 | LSN the increment starts at; 0: a full clone |
/// | 56 | 8 | LSN the next increment may start at; 0 without page tracking |
/// | 64 | 8 | LSN of the snapshot, once it is known |
/// | 72 | 8 | how the client compresses files |
///
/// The number of data files, at offset 28 and in four bytes, belongs to it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StageExtra {
    /// PAGE COPY: data files that the clone has.
    pub data_files: u32,
    /// LSN an increment starts at; 0 for a full clone.
    pub start_lsn: u64,
    /// LSN the next increment may start at; 0 without page tracking.
    pub page_track_lsn: u64,
    /// LSN of the snapshot; 0 while it is not known.
    pub end_lsn: u64,
    /// How the client compresses files.
    pub compression: u64,
}

impl StageExtra {
    /// The fields from offset 48 on.
    pub(super) fn decode(data_files: u32, cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            data_files,
            start_lsn: cursor.be64("start LSN")?,
            page_track_lsn: cursor.be64("page track LSN")?,
            end_lsn: cursor.be64("end LSN")?,
            compression: cursor.be64("compression of the client")?,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put64(self.start_lsn);
        out.put64(self.page_track_lsn);
        out.put64(self.end_lsn);
        out.put64(self.compression);
    }
}
