//! What the beginning of a file says.

use crate::event::{EventType, flags, parse_previous_gtids};
use crate::gtid::GtidSet;
use crate::{Reader, Result};
use std::io::Read;

/// What the first events of a file say. No event names the server: its uuid is known from the
/// GTIDs of its own transactions only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// The server's version, for example `8.4.3`.
    pub server_version: String,
    /// The version as a number, for example 80403.
    pub version_number: u32,
    /// `server_id` of the server that wrote the file.
    pub server_id: u32,
    /// When the file was begun, seconds since 1970.
    pub begun: u32,
    /// When the server was started, seconds since 1970, if this is its first file since.
    pub server_start: Option<u32>,
    /// Whether events have checksums.
    pub checksums: bool,
    /// Whether the file was not closed: its server writes it, or died. It may end anywhere.
    pub in_use: bool,
    /// All transactions in the files before this one; `None` if the file does not say.
    pub previous_gtids: Option<GtidSet>,
    /// Where the first event behind these facts begins.
    pub first_event: u64,
}

impl FileFacts {
    /// Reads the facts from a fresh reader, which then stands behind them.
    ///
    /// # Errors
    /// As [`Reader::next_event`]. A file that ends behind its format description is no error.
    pub fn read<R: Read + std::io::Seek>(reader: &mut Reader<R>) -> Result<Self> {
        let begin = reader.offset();
        let format = reader.format().clone();
        let header = *reader.format_header();
        let mut facts = Self {
            version_number: format.version_number(),
            server_version: format.server_version,
            server_id: header.server_id,
            begun: header.timestamp,
            server_start: Some(format.server_start).filter(|time| *time != 0),
            checksums: format.checksum == crate::event::ChecksumAlgorithm::Crc32,
            in_use: header.flags & flags::IN_USE != 0,
            previous_gtids: None,
            first_event: begin,
        };
        let event = match reader.next_event() {
            Ok(event) => event,
            Err(error) if error.is_truncated() => None,
            Err(error) => return Err(error),
        };
        if let Some(event) = event.filter(|event| event.header.kind == EventType::PREVIOUS_GTIDS) {
            let end = event.end;
            let set = event.whole_body().and_then(parse_previous_gtids);
            facts.previous_gtids = Some(set.map_err(|problem| reader.error(problem, begin))?);
            facts.first_event = end;
        } else {
            reader.seek(begin)?;
        }
        Ok(facts)
    }
}
