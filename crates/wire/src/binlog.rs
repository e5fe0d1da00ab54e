//! The request for a stream of binary log events.

use crate::{Connection, Result};

/// `COM_BINLOG_DUMP`: the events of the server's binary logs from a position on.
///
/// | offset | bytes | field |
/// |---:|---:|---|
/// | 0 | 1 | command: 0x12 |
/// | 1 | 4 | position |
/// | 5 | 2 | flags: bit 0 ends the stream where the binary log ends, instead of waiting |
/// | 7 | 4 | id of the replica |
/// | 11 | … | name of the file |
///
/// The answer is a packet for each event: a zero byte, and the event. A stream that does not wait
/// ends with an end-of-rows packet (first byte 0xFE, less than 9 bytes), any stream with an error
/// packet.
#[derive(Debug, Clone, Copy)]
pub struct BinlogDump<'a> {
    /// Name of the first file, without directory.
    pub file: &'a str,
    /// Where an event begins in it; 4 is the beginning.
    pub position: u32,
    /// `server_id` of the replica that we are. The server ends an earlier stream of a replica with
    /// the same `@replica_uuid`, or, where there is none, with the same id.
    pub server_id: u32,
    /// End where the binary log ends.
    pub non_blocking: bool,
}

impl Connection {
    /// Asks for the stream; read it with [`read_piece`](Connection::read_piece).
    pub fn dump_binlog(&mut self, dump: &BinlogDump<'_>) -> Result<()> {
        let mut payload = dump.position.to_le_bytes().to_vec();
        payload.extend_from_slice(&u16::from(dump.non_blocking).to_le_bytes());
        payload.extend_from_slice(&dump.server_id.to_le_bytes());
        payload.extend_from_slice(dump.file.as_bytes());
        self.send_command(COM_BINLOG_DUMP, &payload)
    }
}

const COM_BINLOG_DUMP: u8 = 0x12;
