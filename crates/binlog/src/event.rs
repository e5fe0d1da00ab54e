//! The events that say what a file is and where its transactions are. All other events are known
//! by their header only.

mod checksum;
mod format;
mod gtid;
mod header;
mod payload;
mod query;

pub use checksum::{CHECKSUM_LEN, ChecksumAlgorithm, EventDigest};
pub use format::FormatDescription;
pub use gtid::{GtidEvent, parse_gtid, parse_previous_gtids};
pub use header::{EventHeader, EventType, HEADER_LEN, flags};
pub use payload::{Compression, Payload, PayloadEvents};
pub use query::{Rotate, Statement, query_text, statement};

/// The first bytes of a binary log.
pub const MAGIC: [u8; 4] = *b"\xFEbin";

/// The first bytes of an encrypted binary log.
pub const MAGIC_ENCRYPTED: [u8; 4] = *b"\xFDbin";
