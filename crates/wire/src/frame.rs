//! Packets over a byte stream: a header of three bytes length and one byte sequence number, then
//! the payload; a payload of 2^24-1 bytes or more continues in the next packet.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};

use crate::Error;

/// Reads and writes packets.
///
/// A read that fails with [`Error::Timeout`] can be repeated: what has arrived is kept.
pub(crate) struct Frames<S> {
    stream: S,
    /// Bytes read ahead are `buffer[start..end]`.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The payload of the packet under way is `payload[..filled]`.
    payload: Vec<u8>,
    filled: usize,
    chunk: Chunk,
    outgoing: Vec<u8>,
    sequence: u8,
    check_sequence: bool,
    max_packet: usize,
    read_ahead: bool,
}

#[derive(Debug, Clone, Copy)]
enum Chunk {
    Header,
    Payload { left: usize, last: bool },
}

/// Without the bytes: a login's last packet is a password.
impl<S: fmt::Debug> fmt::Debug for Frames<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames")
            .field("stream", &self.stream)
            .field("chunk", &self.chunk)
            .field("filled", &self.filled)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl<S> Frames<S> {
    pub(crate) fn new(stream: S, max_packet: usize) -> Self {
        Self {
            stream,
            buffer: vec![0; READ_AHEAD].into_boxed_slice(),
            start: 0,
            end: 0,
            payload: Vec::new(),
            filled: 0,
            chunk: Chunk::Header,
            outgoing: Vec::new(),
            sequence: 0,
            check_sequence: true,
            max_packet,
            read_ahead: true,
        }
    }

    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    pub(crate) fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    pub(crate) fn set_max_packet(&mut self, bytes: usize) {
        self.max_packet = bytes;
    }

    /// Whether more than the packet asked for may be read from the stream. A server must not before
    /// it knows whether the client goes on in TLS: clients do not wait for an answer to that.
    pub(crate) fn set_read_ahead(&mut self, read_ahead: bool) {
        self.read_ahead = read_ahead;
    }

    /// Begins an exchange: the next packet written is number 0, and the numbers of the answers are
    /// checked, or not.
    pub(crate) fn begin(&mut self, check_sequence: bool) {
        self.sequence = 0;
        self.check_sequence = check_sequence;
    }

    /// Puts the packets on another stream, made of the present one, in the middle of an exchange.
    ///
    /// Refused when the peer has sent more than was read: those bytes belong to neither stream.
    pub(crate) fn replace_stream(
        self,
        upgrade: impl FnOnce(S) -> Result<S, Error>,
    ) -> Result<Self, Error> {
        if self.start != self.end || self.filled != 0 {
            return Err(Error::protocol("data ahead of the TLS handshake"));
        }
        Ok(Self {
            stream: upgrade(self.stream)?,
            ..self
        })
    }
}

impl<S: Write> Frames<S> {
    /// Sends `head` and `body` as the payload of one packet.
    pub(crate) fn write(&mut self, head: &[u8], body: &[u8]) -> Result<(), Error> {
        let len = head.len().saturating_add(body.len());
        if len > self.max_packet {
            return Err(Error::TooLarge {
                what: TO_SEND,
                limit: self.max_packet,
            });
        }
        if body.len() >= LARGE && len < MAX_CHUNK {
            return self.write_large(head, body);
        }
        let (mut head, mut body) = (head, body);
        self.outgoing.clear();
        loop {
            let chunk = (head.len() + body.len()).min(MAX_CHUNK);
            let [a, b, c, ..] = (chunk as u32).to_le_bytes();
            self.outgoing.extend_from_slice(&[a, b, c, self.sequence]);
            let (now, later) = head.split_at(head.len().min(chunk));
            self.outgoing.extend_from_slice(now);
            head = later;
            let (now, later) = body.split_at(chunk - now.len());
            self.outgoing.extend_from_slice(now);
            body = later;
            self.sequence = self.sequence.wrapping_add(1);
            if chunk < MAX_CHUNK {
                break;
            }
        }
        let written = self
            .stream
            .write_all(&self.outgoing)
            .and_then(|()| self.stream.flush());
        written.map_err(|source| Error::io("write packet", source))
    }
}

impl<S: Write> Frames<S> {
    /// Sends a packet that is not continued, without copying its body.
    fn write_large(&mut self, head: &[u8], body: &[u8]) -> Result<(), Error> {
        let [a, b, c, ..] = ((head.len() + body.len()) as u32).to_le_bytes();
        self.outgoing.clear();
        self.outgoing.extend_from_slice(&[a, b, c, self.sequence]);
        self.outgoing.extend_from_slice(head);
        self.sequence = self.sequence.wrapping_add(1);
        let mut slices = [IoSlice::new(&self.outgoing), IoSlice::new(body)];
        let written = write_slices(&mut self.stream, &mut slices);
        let written = written.and_then(|()| self.stream.flush());
        written.map_err(|source| Error::io("write packet", source))
    }
}

fn write_slices(stream: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match stream.write_vectored(slices) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl<S: Read> Frames<S> {
    /// Reads the next packet into `packet`, whose memory is reused.
    pub(crate) fn read(&mut self, packet: &mut Vec<u8>) -> Result<(), Error> {
        self.collect(packet, usize::MAX).map(drop)
    }

    /// Reads the next piece of a packet into `piece`, whose memory is reused: all that is left of
    /// the packet, or [`PIECE`] bytes or a few more of it. Returns whether the packet has ended. The limit for packets
    /// is one for each 16 MiB of them.
    pub(crate) fn read_piece(&mut self, piece: &mut Vec<u8>) -> Result<bool, Error> {
        self.collect(piece, PIECE)
    }

    /// Reads on until the packet has ended, or `enough` bytes of it are there.
    fn collect(&mut self, into: &mut Vec<u8>, enough: usize) -> Result<bool, Error> {
        let ended = loop {
            match self.chunk {
                Chunk::Header => self.read_header()?,
                Chunk::Payload {
                    left: 0,
                    last: false,
                } => self.chunk = Chunk::Header,
                Chunk::Payload {
                    left: 0,
                    last: true,
                } => {
                    self.chunk = Chunk::Header;
                    break true;
                }
                Chunk::Payload { .. } if self.filled >= enough => break false,
                Chunk::Payload { left, last } => {
                    let read = self.read_payload(left)?;
                    self.chunk = Chunk::Payload {
                        left: left - read,
                        last,
                    };
                }
            }
        };
        self.payload.truncate(self.filled);
        self.filled = 0;
        std::mem::swap(into, &mut self.payload);
        Ok(ended)
    }

    fn read_header(&mut self) -> Result<(), Error> {
        while self.end - self.start < HEADER {
            self.fill()?;
        }
        let header = self.buffer.get(self.start..self.start + HEADER);
        let Some(&[a, b, c, sequence]) = header else {
            return Err(Error::protocol("packet header"));
        };
        if self.check_sequence && sequence != self.sequence {
            let expected = self.sequence;
            return Err(Error::protocol(format!(
                "packet number {sequence}, expected {expected}"
            )));
        }
        let len = u32::from_le_bytes([a, b, c, 0]) as usize;
        // Also when it is refused: the refusal is the next packet.
        self.sequence = sequence.wrapping_add(1);
        if self.filled + len > self.max_packet {
            return Err(Error::TooLarge {
                what: "packet received",
                limit: self.max_packet,
            });
        }
        self.start += HEADER;
        self.chunk = Chunk::Payload {
            left: len,
            last: len < MAX_CHUNK,
        };
        Ok(())
    }

    /// Moves up to `left` bytes of the present chunk to the payload; returns how many, at least 1.
    fn read_payload(&mut self, left: usize) -> Result<usize, Error> {
        if self.read_ahead && self.start == self.end && left < self.buffer.len() {
            self.fill()?;
        }
        // Memory grows with what has arrived, not with what a header announces.
        let step = left.min(GROWTH);
        if self.payload.len() < self.filled + step {
            self.payload.resize(self.filled + step, 0);
        }
        let target = &mut self.payload[self.filled..self.filled + step];
        let read = if self.start < self.end {
            let read = step.min(self.end - self.start);
            target[..read].copy_from_slice(&self.buffer[self.start..self.start + read]);
            self.start += read;
            read
        } else {
            read_some(&mut self.stream, target)?
        };
        self.filled += read;
        Ok(read)
    }

    /// Reads ahead, at least one byte. Called with less than a header in the buffer.
    fn fill(&mut self) -> Result<(), Error> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let limit = if self.read_ahead {
            self.buffer.len()
        } else {
            HEADER
        };
        self.end += read_some(&mut self.stream, &mut self.buffer[self.end..limit])?;
        Ok(())
    }
}

fn read_some(stream: &mut impl Read, target: &mut [u8]) -> Result<usize, Error> {
    loop {
        match stream.read(target) {
            Ok(0) => return Err(Error::Closed),
            Ok(read) => return Ok(read),
            Err(source) if source.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::io("read packet", source)),
        }
    }
}

/// What is too large when a packet is refused before anything was sent.
pub(crate) const TO_SEND: &str = "packet to send";

const HEADER: usize = 4;
/// Longest payload of one packet; a payload of this length or more is continued.
const MAX_CHUNK: usize = 0xFF_FFFF;
/// Bodies from here on are not copied to stand behind their header.
const LARGE: usize = 16 << 10;
const READ_AHEAD: usize = 16 << 10;
const GROWTH: usize = 1 << 20;
/// Bytes of a packet that are enough for a piece.
pub(crate) const PIECE: usize = 1 << 20;

#[cfg(test)]
mod tests;
