//! The binary log position that a server keeps in the system tablespace.
//!
//! Page 5 of the system tablespace has it, 1000 bytes before the end of the page's body:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | 873422344 when the rest has a meaning |
//! | 4 | 4 | position, high half |
//! | 8 | 4 | position, low half |
//! | 12 | 512 | name of the file, ending with a zero byte |
//!
//! The server changes it with every transaction that it commits while one of its clones runs, and
//! writes the page itself rarely. So the newest position is in the redo log: as records that write
//! four bytes or a text into this page. Their layout (`mtr0log.cc`): type, with bit `0x80` for a
//! mini-transaction of one record; space id and page number, compressed; offset in the page (2);
//! then a compressed number (type 4), or length (2) and bytes (type 30).

use crate::bytes::{put, u16_at, u32_at};
use crate::geometry::PageSize;

/// A binary log position.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordedPosition {
    /// Name of the file, as the server calls it: it may have a directory.
    pub file: String,
    /// Offset in bytes.
    pub position: u64,
}

/// Number of the page that has the position.
pub const TRX_SYS_PAGE: u32 = 5;

/// Writes a position into an image of the page, whose checksum is to be made anew then. `None`, and
/// nothing written: the image is none, or the name does not fit.
pub fn put_position(page: &mut [u8], position: &RecordedPosition) -> Option<()> {
    let name = position.file.as_bytes();
    let at = page.len().checked_sub(FROM_END)?;
    let mut text = [0; NAME];
    // The zero byte behind it must fit too.
    text[..NAME - 1]
        .get_mut(..name.len())?
        .copy_from_slice(name);
    put(page, at + 12, &text)?;
    put(page, at, &MAGIC.to_be_bytes())?;
    put(page, at + 4, &position.position.to_be_bytes())
}

/// A mini-transaction, for the log of a server with pages of this size, that writes a position into
/// the page; without one, that there is none. `None`: the name does not fit.
pub fn position_log(page_size: PageSize, position: Option<&RecordedPosition>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match position {
        Some(position) => {
            if position.file.len() >= NAME {
                return None;
            }
            bytes.extend_from_slice(&MAGIC.to_be_bytes());
            bytes.extend_from_slice(&position.position.to_be_bytes());
            bytes.extend_from_slice(position.file.as_bytes());
            bytes.push(0);
        }
        None => bytes.extend_from_slice(&[0; 4]),
    }
    let at = u16::try_from(place_of(page_size)).ok()?;
    let length = u16::try_from(bytes.len()).ok()?;
    let mut log = vec![TEXT | SINGLE, PLACE[0], PLACE[1]];
    log.extend_from_slice(&at.to_be_bytes());
    log.extend_from_slice(&length.to_be_bytes());
    log.append(&mut bytes);
    Some(log)
}

/// Offset of the position in the page.
fn place_of(page_size: PageSize) -> usize {
    page_size.bytes() - FROM_END
}

/// Follows the position through a page and the log written after it.
#[derive(Debug, Clone)]
pub struct PositionScan {
    /// Offset of the position in the page.
    at: usize,
    current: RecordedPosition,
    highest: Option<RecordedPosition>,
    /// The end of the log scanned last: a record may go on in what comes.
    rest: Vec<u8>,
}

impl PositionScan {
    /// For a server of this page size.
    pub fn new(page_size: PageSize) -> Self {
        Self {
            at: place_of(page_size),
            current: RecordedPosition::default(),
            highest: None,
            rest: Vec::new(),
        }
    }

    /// Takes the position in an image of the page.
    pub fn page(&mut self, page: &[u8]) {
        let at = self.at;
        if u32_at(page, at) != Some(MAGIC) {
            return;
        }
        let half = |at| u64::from(u32_at(page, at).unwrap_or(0));
        let name = page.get(at + 12..(at + 12 + NAME).min(page.len()));
        if let Some(file) = name.and_then(name_of) {
            self.current = RecordedPosition {
                file,
                position: half(at + 4) << 32 | half(at + 8),
            };
            self.count();
        }
    }

    /// Takes the next piece of log: the bytes of blocks without their headers and trailers.
    pub fn log(&mut self, bytes: &[u8]) {
        let mut log = std::mem::take(&mut self.rest);
        log.extend_from_slice(bytes);
        let end = log.len().saturating_sub(LONGEST);
        self.scan(&log, end);
        log.drain(..end);
        self.rest = log;
    }

    /// The highest position found. Transactions need not write theirs in the binary log's order.
    pub fn finish(mut self) -> Option<RecordedPosition> {
        let log = std::mem::take(&mut self.rest);
        self.scan(&log, log.len());
        self.highest
    }

    /// Applies the records that begin before `end`.
    fn scan(&mut self, log: &[u8], end: usize) {
        for at in 0..end {
            if log.get(at + 1..at + 3) != Some(&PLACE) {
                continue;
            }
            let (Some(kind), Some(offset)) = (log.get(at), u16_at(log, at + 3)) else {
                continue;
            };
            let Some(field) = usize::from(offset).checked_sub(self.at) else {
                continue;
            };
            let body = log.get(at + 5..).unwrap_or_default();
            match (kind & !SINGLE, field) {
                (FOUR_BYTES, 4) => {
                    if let Some(high) = compressed(body) {
                        let low = self.current.position & 0xFFFF_FFFF;
                        self.current.position = u64::from(high) << 32 | low;
                    }
                }
                (FOUR_BYTES, 8) => {
                    if let Some(low) = compressed(body) {
                        let high = self.current.position >> 32 << 32;
                        self.current.position = high | u64::from(low);
                        self.count();
                    }
                }
                (TEXT, 12) => {
                    let length = usize::from(u16_at(body, 0).unwrap_or(0));
                    let text = body.get(2..2 + length.min(NAME));
                    if let Some(file) = text.and_then(name_of)
                        && file != self.current.file
                    {
                        // The position follows.
                        self.current.file = file;
                    }
                }
                _ => {}
            }
        }
    }

    fn count(&mut self) {
        // The server names the same file with its directory when its clone asks it to write the
        // position, and without when a transaction does.
        let order = |position: &RecordedPosition| {
            let name = position.file.rsplit('/').next().unwrap_or_default();
            (name.len(), name.to_owned(), position.position)
        };
        let newer = self
            .highest
            .as_ref()
            .is_none_or(|highest| order(&self.current) > order(highest));
        if newer && !self.current.file.is_empty() {
            self.highest = Some(self.current.clone());
        }
    }
}

/// The text before a zero byte or the end, if it is one.
fn name_of(bytes: &[u8]) -> Option<String> {
    let name = bytes.split(|byte| *byte == 0).next()?;
    let name = std::str::from_utf8(name).ok()?;
    let printable = !name.is_empty() && !name.chars().any(char::is_control);
    printable.then(|| name.to_owned())
}

/// A number in one to five bytes: how many is in the first one.
fn compressed(bytes: &[u8]) -> Option<u32> {
    let first = *bytes.first()?;
    let two = || u16_at(bytes, 0).map(u32::from);
    match first {
        0..0x80 => Some(first.into()),
        0x80..0xC0 => Some(two()? & 0x3FFF),
        0xC0..0xE0 => {
            let [a, b, c] = *bytes.first_chunk::<3>()?;
            Some(u32::from_be_bytes([0, a & 0x1F, b, c]))
        }
        0xE0..0xF0 => Some(u32_at(bytes, 0)? & 0x0FFF_FFFF),
        0xF0..0xF8 => u32_at(bytes, 1),
        // Numbers close to 2^32, with fewer bytes.
        0xF8..0xFC => {
            let value = two()? & 0x03FF;
            Some(0xFFFF_FC00 | value)
        }
        0xFC..0xFE => {
            let [a, b, c] = *bytes.first_chunk::<3>()?;
            Some(u32::from_be_bytes([0xFF, 0xFE | a & 1, b, c]))
        }
        _ => {
            let value = u32_at(bytes, 0)? & 0x00FF_FFFF;
            Some(0xFF00_0000 | value)
        }
    }
}

/// Space 0, page 5, as records name them.
const PLACE: [u8; 2] = [0, 5];
/// 1000 bytes, counted from behind the page's header.
const FROM_END: usize = 1000 - 38;
const MAGIC: u32 = 873_422_344;
/// Bytes for the name of the file.
const NAME: usize = 512;
/// A record of the longest name.
const LONGEST: usize = 5 + 2 + NAME;
const FOUR_BYTES: u8 = 4;
const TEXT: u8 = 30;
const SINGLE: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, field: u16, body: &[u8]) -> Vec<u8> {
        let offset = (16384 - 1000 + 38 + field).to_be_bytes();
        [&[kind, 0, 5], &offset[..], body].concat()
    }

    fn text(name: &str) -> Vec<u8> {
        let length = u16::try_from(name.len() + 1).unwrap().to_be_bytes();
        record(TEXT, 12, &[&length, name.as_bytes(), b"\0"].concat())
    }

    fn scan(pieces: &[&[u8]]) -> Option<RecordedPosition> {
        let mut scan = PositionScan::new(PageSize::DEFAULT);
        for piece in pieces {
            scan.log(piece);
        }
        scan.finish()
    }

    #[test]
    fn a_directory_makes_no_other_file() {
        let mut log = Vec::new();
        for (name, position) in [
            ("binlog.000001", 1),
            ("./binlog.000001", 2),
            ("binlog.000001", 3),
        ] {
            log.extend(text(name));
            log.extend(record(FOUR_BYTES, 8, &[position]));
        }
        assert_eq!(scan(&[&log]).unwrap().position, 3);
    }

    #[test]
    fn the_highest_position_counts_wherever_the_log_is_cut() {
        let log = [
            b"something else \0\x05".to_vec(),
            text("./binlog.000009"),
            record(FOUR_BYTES, 4, &[1]),
            record(FOUR_BYTES | SINGLE, 8, &[0xF0, 0xFF, 0xFF, 0, 1]),
            text("./binlog.000010"),
            record(FOUR_BYTES, 4, &[0]),
            record(FOUR_BYTES, 8, &[0x80 | 0x12, 0x34]),
            record(FOUR_BYTES, 8, &[0x44]),
        ]
        .concat();
        let expected = RecordedPosition {
            file: "./binlog.000010".into(),
            position: 0x1234,
        };
        for cut in 0..log.len() {
            let (first, second) = log.split_at(cut);
            assert_eq!(scan(&[first, second]).as_ref(), Some(&expected), "{cut}");
        }
        let bytes: Vec<&[u8]> = log.chunks(1).collect();
        assert_eq!(scan(&bytes), Some(expected));
    }

    #[test]
    fn the_page_counts_until_the_log_says_more() {
        let mut page = vec![0; 16384];
        let at = 16384 - 1000 + 38;
        page[at..at + 4].copy_from_slice(&MAGIC.to_be_bytes());
        page[at + 8..at + 12].copy_from_slice(&157u32.to_be_bytes());
        page[at + 12..at + 17].copy_from_slice(b"log.1");
        let mut scan = PositionScan::new(PageSize::DEFAULT);
        scan.page(&page);
        let mut later = scan.clone();
        let found = |position| {
            let file = "log.1".to_owned();
            Some(RecordedPosition { file, position })
        };
        assert_eq!(scan.finish(), found(157));
        later.log(&record(FOUR_BYTES, 8, &[0x81, 0]));
        assert_eq!(later.finish(), found(256));
    }

    #[test]
    fn a_position_for_the_log_is_a_text_over_the_whole_place() {
        let position = RecordedPosition {
            file: "binlog.000010".into(),
            position: 0x1_0000_0002,
        };
        for (bytes, at) in [(4096, 3134u16), (16384, 15422), (65536, 64574)] {
            let size = PageSize::new(bytes).unwrap();
            let log = position_log(size, Some(&position)).unwrap();
            assert_eq!(log[..3], [TEXT | SINGLE, 0, 5]);
            assert_eq!(log[3..5], at.to_be_bytes());
            assert_eq!(usize::from(u16_at(&log, 5).unwrap()), log.len() - 7);
            let mut page = vec![0; size.bytes()];
            page[at.into()..usize::from(at) + log.len() - 7].copy_from_slice(&log[7..]);
            let mut other = vec![0; size.bytes()];
            put_position(&mut other, &position).unwrap();
            assert_eq!(page, other);
        }
        let none = position_log(PageSize::DEFAULT, None).unwrap();
        assert_eq!(none[5..], [0, 4, 0, 0, 0, 0]);
        let long = RecordedPosition {
            file: "b".repeat(NAME),
            position: 4,
        };
        assert_eq!(position_log(PageSize::DEFAULT, Some(&long)), None);
    }

    #[test]
    fn numbers_of_every_length() {
        for (bytes, number) in [
            (&[0x7F][..], 0x7F),
            (&[0xBF, 0xFF], 0x3FFF),
            (&[0xDF, 0xFF, 0xFF], 0x1F_FFFF),
            (&[0xEF, 0xFF, 0xFF, 0xFF], 0x0FFF_FFFF),
            (&[0xF0, 0x12, 0x34, 0x56, 0x78], 0x1234_5678),
            (&[0xFB, 0xFF], 0xFFFF_FFFF),
        ] {
            assert_eq!(compressed(bytes), Some(number));
            assert_eq!(compressed(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn a_log_without_positions_has_none() {
        assert_eq!(scan(&[&[0; 4000], &[4, 0, 5]]), None);
        assert_eq!(scan(&[&record(FOUR_BYTES, 8, &[7])]), None);
    }
}
