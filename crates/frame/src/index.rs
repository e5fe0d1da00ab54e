//! Where the frames of a file are: the last frame of the file, a skippable one.
//!
//! It is the seek table of Zstandard's "seekable format", which is a skippable frame to LZ4 as well;
//! so it is found from the end of the file. Integers are little-endian.
//!
//! | offset | bytes | field |
//! |---:|---:|---|
//! | 0 | 4 | `0x184D2A5E` |
//! | 4 | 4 | bytes that follow |
//! | 8 + 8·i | 4 | stored bytes of frame i |
//! | 12 + 8·i | 4 | bytes of the original in frame i |
//! | end-9 | 4 | number of frames |
//! | end-5 | 1 | bit 7: entries have 4 more bytes, a checksum of the original; the others are 0 |
//! | end-4 | 4 | `0x8F92EAB1` |
//!
//! We write no checksums: the frames have their own. The table has none either, but must add up to
//! the length of the file.

use crate::{Error, Result};
use std::io;
use std::ops::Range;

/// Where the frames of a file are, and what they hold: all the same number of bytes of the
/// original, the *unit*, but for the last one, which may hold less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    unit: u64,
    /// Bytes of the original.
    length: u64,
    /// Where the stored frames end.
    ends: Vec<u64>,
}

/// Where one frame is, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The frame in the stored file.
    pub stored: Range<u64>,
    /// Its content in the original.
    pub original: Range<u64>,
}

impl Index {
    /// The index of a file of `length` bytes, of which `frames` are the stored lengths of all
    /// units, in order. `unit` is a power of two from 64 KiB to 16 MiB.
    pub fn new(unit: u64, length: u64, frames: &[u32]) -> Result<Self> {
        if !is_unit(unit) {
            return Err(Error::Setting {
                name: "unit",
                range: "a power of two from 64 KiB to 16 MiB",
                found: unit.into(),
            });
        }
        if length.div_ceil(unit) != frames.len() as u64 || frames.contains(&0) {
            let detail = format!("{} frames do not hold {length} bytes", frames.len());
            return Err(Error::damaged(0, detail));
        }
        let ends = frames.iter().scan(0_u64, |end, stored| {
            *end += u64::from(*stored);
            Some(*end)
        });
        Ok(Self {
            // The file of one unit does not tell how large it might have been.
            unit: if frames.len() < 2 {
                unit_of(length)
            } else {
                unit
            },
            length,
            ends: ends.collect(),
        })
    }

    /// Bytes of the original in every frame but the last. Of a file of one frame, or none, this is
    /// the smallest unit that would do.
    pub fn unit(&self) -> u64 {
        self.unit
    }

    /// Bytes of the original.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.ends.len()
    }

    /// Where frame `number` begins in the stored file; for the number behind the last one, where
    /// the index does.
    pub fn offset(&self, number: usize) -> u64 {
        let before = number.min(self.ends.len()).checked_sub(1);
        before.map_or(0, |before| self.ends[before])
    }

    /// Where frame `number` is, and what it holds; `None` behind the last one.
    pub fn place(&self, number: usize) -> Option<Place> {
        let end = *self.ends.get(number)?;
        let begin = number as u64 * self.unit;
        Some(Place {
            stored: self.offset(number)..end,
            original: begin..(begin + self.unit).min(self.length),
        })
    }

    /// The frame that holds byte `offset` of the original; `None` behind its end.
    pub fn frame_at(&self, offset: u64) -> Option<usize> {
        (offset < self.length).then(|| (offset / self.unit) as usize)
    }

    /// Bytes of the whole stored file, the index included.
    pub fn stored_length(&self) -> u64 {
        let index = match self.ends.len() as u64 {
            0 => 0,
            frames => HEADER + frames * ENTRY + FOOTER,
        };
        self.offset(self.ends.len()) + index
    }

    /// What is stored behind the last frame; nothing for an empty original.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.ends.is_empty() {
            return out;
        }
        let table = self.ends.len() as u64 * ENTRY + FOOTER;
        out.reserve_exact((HEADER + table) as usize);
        out.extend(SEEK_TABLE.to_le_bytes());
        out.extend((table as u32).to_le_bytes());
        for place in (0..self.ends.len()).filter_map(|number| self.place(number)) {
            for range in [place.stored, place.original] {
                out.extend(((range.end - range.start) as u32).to_le_bytes());
            }
        }
        out.extend((self.ends.len() as u32).to_le_bytes());
        out.push(0);
        out.extend(SEEKABLE.to_le_bytes());
        out
    }

    /// Finds the index of a stored file of `stored_length` bytes. `read_at` fills a buffer from an
    /// offset in the file and is asked for bytes within it only.
    ///
    /// `None`: there is none, or one of a file whose frames do not all have the same unit, or too
    /// large ones; [`crate::decompress_stream`] reads such files. A table that contradicts itself
    /// or the length of the file is an error. Memory is 8 bytes for each frame, of which there are
    /// no more than fit in the file.
    pub fn read(
        stored_length: u64,
        mut read_at: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> Result<Option<Self>> {
        let mut read_at = |offset, bytes: &mut [u8]| {
            read_at(offset, bytes).map_err(|source| Error::Read { offset, source })
        };
        let Some(footer_at) = stored_length.checked_sub(FOOTER) else {
            return Ok(None);
        };
        let mut footer = [0; FOOTER as usize];
        read_at(footer_at, &mut footer)?;
        let [n0, n1, n2, n3, flags, m0, m1, m2, m3] = footer;
        if u32::from_le_bytes([m0, m1, m2, m3]) != SEEKABLE {
            return Ok(None);
        }
        if flags & RESERVED != 0 {
            let detail = format!("the index has unknown flags: {flags:#04x}");
            return Err(Error::damaged(footer_at + 4, detail));
        }
        let entry = if flags & CHECKSUMS == 0 {
            ENTRY
        } else {
            ENTRY + 4
        };
        let frames = u64::from(u32::from_le_bytes([n0, n1, n2, n3]));
        let table = frames * entry + FOOTER;
        let mut header = [0; HEADER as usize];
        let begin = stored_length.checked_sub(table + HEADER);
        if let Some(begin) = begin {
            read_at(begin, &mut header)?;
        }
        let [m0, m1, m2, m3, l0, l1, l2, l3] = header;
        let as_expected = u32::from_le_bytes([m0, m1, m2, m3]) == SEEK_TABLE
            && u64::from(u32::from_le_bytes([l0, l1, l2, l3])) == table;
        let Some(begin) = begin.filter(|_| as_expected) else {
            let detail = format!("the index is damaged: no table of {frames} frames");
            return Err(Error::damaged(footer_at, detail));
        };
        let mut entries = Entries::default();
        let mut piece = vec![0; (PIECE * entry) as usize];
        let mut at = begin + HEADER;
        while at < footer_at {
            let length = (footer_at - at).min(piece.len() as u64);
            let piece = &mut piece[..length as usize];
            read_at(at, piece)?;
            for (number, bytes) in piece.chunks_exact(entry as usize).enumerate() {
                entries
                    .add(bytes, begin)
                    .map_err(|detail| Error::damaged(at + number as u64 * entry, detail))?;
            }
            at += length;
        }
        if entries.end != begin {
            let detail = format!(
                "the index is damaged: its frames end at byte {}, not {begin}",
                entries.end
            );
            return Err(Error::damaged(begin, detail));
        }
        Ok(entries.into_index())
    }
}

/// What the entries read so far say.
#[derive(Debug, Default)]
struct Entries {
    ends: Vec<u64>,
    end: u64,
    /// Bytes of the original in the first frame, and in the last one.
    unit: u64,
    last: u64,
    length: u64,
    irregular: bool,
}

impl Entries {
    /// Adds an entry of a table that begins at byte `begin`. An error is what is wrong.
    fn add(&mut self, entry: &[u8], begin: u64) -> Result<(), String> {
        let word = |at: usize| {
            let bytes = entry.get(at..at + 4).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes)))
        };
        let (stored, original) = (word(0), word(4));
        self.end += stored;
        if stored == 0 || self.end > begin {
            return Err(format!("the index is damaged: a frame of {stored} bytes"));
        }
        if self.ends.is_empty() {
            self.unit = original;
        }
        // Behind a frame that is not full there is none, and no frame is much larger than what it
        // holds: readers may rely on that when they make room for one.
        let follows = self.ends.is_empty() || self.last == self.unit;
        let fits = (1..=self.unit).contains(&original) && stored <= 2 * self.unit.max(UNIT_MIN);
        self.irregular |= !follows || !fits || self.unit > UNIT_MAX;
        if self.irregular {
            self.ends = Vec::new();
            return Ok(());
        }
        self.last = original;
        self.length += original;
        self.ends.push(self.end);
        Ok(())
    }

    fn into_index(self) -> Option<Index> {
        let several = self.ends.len() > 1;
        if self.irregular || self.ends.is_empty() || (several && !is_unit(self.unit)) {
            return None;
        }
        Some(Index {
            unit: if several {
                self.unit
            } else {
                unit_of(self.length)
            },
            length: self.length,
            ends: self.ends,
        })
    }
}

/// The smallest unit that holds `length` bytes.
fn unit_of(length: u64) -> u64 {
    length.next_power_of_two().clamp(UNIT_MIN, UNIT_MAX)
}

fn is_unit(unit: u64) -> bool {
    unit.is_power_of_two() && (UNIT_MIN..=UNIT_MAX).contains(&unit)
}

const UNIT_MIN: u64 = 64 << 10;
const UNIT_MAX: u64 = 16 << 20;

/// Magic of the skippable frame.
pub(crate) const SEEK_TABLE: u32 = 0x184D_2A5E;
/// Magic at its end.
pub(crate) const SEEKABLE: u32 = 0x8F92_EAB1;
const CHECKSUMS: u8 = 1 << 7;
const RESERVED: u8 = !CHECKSUMS;
const HEADER: u64 = 8;
const ENTRY: u64 = 8;
/// Number of frames, flags, magic.
pub(crate) const FOOTER: u64 = 9;
/// Entries that are read at once.
const PIECE: u64 = 4096;

#[cfg(test)]
mod tests;
