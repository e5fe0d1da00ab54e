//! The events that the server sends.

use crate::{Error, Job, Result};
use binlog::event::{EventHeader, HEADER_LEN};
use std::time::{Duration, Instant};
use wire::Connection;

/// How often the server gives a sign of life when nothing happens.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);
/// A server that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// How often we look up from a silent stream.
const POLL: Duration = Duration::from_millis(200);

/// A stream of events.
#[derive(Debug)]
pub(super) struct Stream {
    connection: Connection,
    /// The piece at hand; its first byte is no part of the event if it is the first of a packet.
    piece: Vec<u8>,
    /// Whether the packet ends with it.
    ended: bool,
    heard: Instant,
}

/// What came.
#[derive(Debug)]
pub(super) enum Arrived {
    /// The beginning of an event, to be read with [`Stream::read`].
    Event(EventHeader),
    /// The server has sent all there is.
    End,
    /// Nothing for a moment.
    Nothing,
}

impl Stream {
    pub(super) fn new(mut connection: Connection) -> Result<Self> {
        let limited = connection.set_read_timeout(Some(POLL));
        limited.map_err(lost)?;
        Ok(Self {
            connection,
            piece: Vec::new(),
            ended: true,
            heard: Instant::now(),
        })
    }

    /// What comes next. Waits for a moment only.
    pub(super) fn arrive(&mut self) -> Result<Arrived> {
        if !self.piece_arrives()? {
            return Ok(Arrived::Nothing);
        }
        match self.piece.as_slice() {
            [0, event @ ..] => match event.get(..HEADER_LEN).map(EventHeader::parse) {
                Some(Ok(header)) => Ok(Arrived::Event(header)),
                Some(Err(problem)) => Err(malformed(problem)),
                None => Err(malformed("a packet without an event")),
            },
            [END, ..] if self.ended && self.piece.len() < 9 => Ok(Arrived::End),
            [ERROR, ..] => match wire::Error::from_packet(&self.piece) {
                Some(error) => Err(lost(error)),
                None => Err(malformed("an error packet")),
            },
            _ => Err(malformed("a packet of no known kind")),
        }
    }

    /// Hands all bytes of the event that has arrived to `sink`, its header first.
    pub(super) fn read(
        &mut self,
        header: &EventHeader,
        job: &Job,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut left = u64::from(header.length);
        let mut skip = 1;
        loop {
            let bytes = self.piece.get(skip..).unwrap_or_default();
            left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| malformed("an event longer than it says"))?;
            sink(bytes)?;
            if self.ended {
                break;
            }
            skip = 0;
            while !self.piece_arrives()? {
                job.check()?;
            }
        }
        if left > 0 {
            return Err(malformed("an event shorter than it says"));
        }
        Ok(())
    }

    /// Whether a piece came within a moment.
    fn piece_arrives(&mut self) -> Result<bool> {
        match self.connection.read_piece(&mut self.piece) {
            Ok(ended) => {
                self.ended = ended;
                self.heard = Instant::now();
                Ok(true)
            }
            Err(wire::Error::Timeout { .. }) if self.heard.elapsed() < SILENCE => Ok(false),
            Err(error) => Err(lost(error)),
        }
    }
}

const END: u8 = 0xFE;
const ERROR: u8 = 0xFF;

/// The stream broke off.
pub(super) fn lost(error: wire::Error) -> Error {
    Error::server("read the binary log", error)
}

/// Number of the error for bytes that no server sends.
pub(super) const MALFORMED: u16 = 2027;

/// Bytes that no server sends.
pub(super) fn malformed(what: impl std::fmt::Display) -> Error {
    Error::refused(
        MALFORMED,
        format!("malformed packet in the stream of the binary log: {what}"),
        "What was archived before is good. Run the command again to continue.",
    )
}
