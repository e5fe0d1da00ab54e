//! What every event begins with.

use crate::Problem;
use crate::cursor::Cursor;

/// Bytes of an event's header.
pub const HEADER_LEN: usize = 19;

/// Bits of [`EventHeader::flags`].
pub mod flags {
    /// On a format description: the file was not closed.
    pub const IN_USE: u16 = 0x1;
    /// Made for a stream, in no file.
    pub const ARTIFICIAL: u16 = 0x20;
    /// Written by a replica into its relay log.
    pub const RELAY_LOG: u16 = 0x40;
}

/// The type of an event, as the header has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(pub u8);

/// The types this crate looks into, or others may want to name.
#[expect(missing_docs, reason = "the server's names")]
impl EventType {
    pub const QUERY: Self = Self(2);
    pub const STOP: Self = Self(3);
    pub const ROTATE: Self = Self(4);
    pub const INTVAR: Self = Self(5);
    pub const RAND: Self = Self(13);
    pub const USER_VAR: Self = Self(14);
    pub const FORMAT_DESCRIPTION: Self = Self(15);
    pub const XID: Self = Self(16);
    pub const BEGIN_LOAD_QUERY: Self = Self(17);
    pub const EXECUTE_LOAD_QUERY: Self = Self(18);
    pub const TABLE_MAP: Self = Self(19);
    pub const INCIDENT: Self = Self(26);
    pub const HEARTBEAT: Self = Self(27);
    pub const IGNORABLE: Self = Self(28);
    pub const ROWS_QUERY: Self = Self(29);
    pub const WRITE_ROWS: Self = Self(30);
    pub const UPDATE_ROWS: Self = Self(31);
    pub const DELETE_ROWS: Self = Self(32);
    pub const GTID: Self = Self(33);
    pub const ANONYMOUS_GTID: Self = Self(34);
    pub const PREVIOUS_GTIDS: Self = Self(35);
    pub const TRANSACTION_CONTEXT: Self = Self(36);
    pub const VIEW_CHANGE: Self = Self(37);
    pub const XA_PREPARE: Self = Self(38);
    pub const PARTIAL_UPDATE_ROWS: Self = Self(39);
    pub const TRANSACTION_PAYLOAD: Self = Self(40);
    pub const HEARTBEAT_V2: Self = Self(41);
    pub const TAGGED_GTID: Self = Self(42);

    /// Whether a transaction begins with it.
    pub fn is_gtid(self) -> bool {
        matches!(self, Self::GTID | Self::ANONYMOUS_GTID | Self::TAGGED_GTID)
    }

    /// Whether it belongs to the file and to no transaction.
    pub fn is_of_the_file(self) -> bool {
        matches!(
            self,
            Self::FORMAT_DESCRIPTION
                | Self::PREVIOUS_GTIDS
                | Self::ROTATE
                | Self::STOP
                | Self::HEARTBEAT
                | Self::HEARTBEAT_V2
        )
    }
}

/// The header of an event (`Log_event_header`).
///
/// | offset | bytes | field |
/// |---:|---:|---|
/// | 0 | 4 | time, seconds since 1970 |
/// | 4 | 1 | type |
/// | 5 | 4 | id of the server that made it |
/// | 9 | 4 | length of the whole event, header and checksum included |
/// | 13 | 4 | where the next event begins in the file, modulo 2³² |
/// | 17 | 2 | flags |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHeader {
    /// When the statement began, in seconds since 1970.
    pub timestamp: u32,
    /// The type.
    pub kind: EventType,
    /// `server_id` of the server that made it.
    pub server_id: u32,
    /// Bytes of the whole event; at least [`HEADER_LEN`].
    pub length: u32,
    /// Where the next event begins in the server's file, modulo 2³²; 0 in artificial events.
    pub next: u32,
    /// See [`flags`].
    pub flags: u16,
}

impl EventHeader {
    /// Parses a header.
    ///
    /// # Errors
    /// [`Problem::Damaged`] when there are too few bytes, or the event would be shorter than its
    /// header.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let mut cursor = Cursor::new(bytes);
        let header = Self {
            timestamp: cursor.u32("its time")?,
            kind: EventType(cursor.u8("its type")?),
            server_id: cursor.u32("its server id")?,
            length: cursor.u32("its length")?,
            next: cursor.u32("its next position")?,
            flags: cursor.u16("its flags")?,
        };
        if (header.length as usize) < HEADER_LEN {
            let detail = format!("the event would have {} bytes", header.length);
            return Err(Problem::damaged(detail));
        }
        Ok(header)
    }

    /// Whether the event was made for a stream and is in no file.
    pub fn is_artificial(&self) -> bool {
        self.flags & flags::ARTIFICIAL != 0 || self.next == 0
    }
}
