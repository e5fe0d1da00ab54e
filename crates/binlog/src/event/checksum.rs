//! CRC32 over an event, in pieces.

use super::{EventHeader, EventType, flags};
use crate::Problem;

/// Bytes of a checksum at the end of an event.
pub const CHECKSUM_LEN: usize = 4;

/// `binlog_checksum` of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumAlgorithm {
    /// No checksums, except one on the format description.
    None,
    /// CRC32 (ISO 3309) over the whole event before it.
    Crc32,
}

impl ChecksumAlgorithm {
    /// Whether events of this type end with a checksum. Format descriptions always do.
    pub fn covers(self, kind: EventType) -> bool {
        self == Self::Crc32 || kind == EventType::FORMAT_DESCRIPTION
    }
}

/// The checksum of one event whose bytes pass by.
#[derive(Debug)]
pub struct EventDigest {
    hasher: crc32fast::Hasher,
    /// Bytes until the checksum begins.
    left: u64,
    stored: Vec<u8>,
    clear_in_use: bool,
    seen: usize,
}

impl EventDigest {
    /// For an event with this header, which has a checksum.
    ///
    /// # Errors
    /// [`Problem::Damaged`] when the event is too short to have one.
    pub fn new(header: &EventHeader) -> Result<Self, Problem> {
        let needed = super::HEADER_LEN + CHECKSUM_LEN;
        if (header.length as usize) < needed {
            let detail = format!("an event with a checksum has {} bytes", header.length);
            return Err(Problem::damaged(detail));
        }
        let in_use = header.flags & flags::IN_USE != 0;
        Ok(Self {
            hasher: crc32fast::Hasher::new(),
            left: u64::from(header.length) - CHECKSUM_LEN as u64,
            stored: Vec::with_capacity(CHECKSUM_LEN),
            // The flag is cleared when the file is closed; the checksum is the one of then.
            clear_in_use: header.kind == EventType::FORMAT_DESCRIPTION && in_use,
            seen: 0,
        })
    }

    /// Takes the next bytes of the event, header included. The first call brings the whole header.
    pub fn update(&mut self, bytes: &[u8]) {
        let count = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (covered, stored) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
        if self.clear_in_use && self.seen == 0 {
            let mut first = covered.to_vec();
            if let Some(low) = first.get_mut(FLAGS_AT) {
                *low &= !(flags::IN_USE.to_le_bytes()[0]);
            }
            self.hasher.update(&first);
        } else {
            self.hasher.update(covered);
        }
        self.seen = self.seen.saturating_add(bytes.len());
        self.left -= count as u64;
        self.stored.extend_from_slice(stored);
    }

    /// Compares with the checksum stored.
    ///
    /// # Errors
    /// [`Problem::Checksum`] when it differs, [`Problem::Damaged`] when bytes are missing.
    pub fn finish(self) -> Result<(), Problem> {
        let stored: [u8; CHECKSUM_LEN] = self
            .stored
            .try_into()
            .map_err(|_| Problem::damaged("the event ends within its checksum"))?;
        let found = u32::from_le_bytes(stored);
        let expected = self.hasher.finalize();
        if found != expected {
            return Err(Problem::Checksum { found, expected });
        }
        Ok(())
    }
}

/// Where the low byte of the flags is.
const FLAGS_AT: usize = 17;
