//! A connection in the hands of a handler that speaks its own protocol.

use std::time::Duration;

use super::answer::Refusal;
use super::encode;
use super::watch::Watch;
use crate::frame::Frames;
use crate::stream::Stream;
use crate::{Error, reply};

/// The packets of a connection, for a command that answers in a protocol of its own.
#[derive(Debug)]
pub struct Raw<'a> {
    frames: &'a mut Frames<Stream>,
    watch: &'a Watch,
}

impl<'a> Raw<'a> {
    pub(super) fn new(frames: &'a mut Frames<Stream>, watch: &'a Watch) -> Self {
        Self { frames, watch }
    }

    /// Whether the connection has TLS.
    pub fn is_tls(&self) -> bool {
        self.frames.stream().is_tls()
    }

    /// Whether to stop.
    pub fn watch(&self) -> &Watch {
        self.watch
    }

    /// Reads a packet, whatever its number, into memory that is reused. [`Error::Timeout`] is
    /// harmless: the call can be repeated.
    pub fn read(&mut self, packet: &mut Vec<u8>) -> Result<(), Error> {
        self.frames.begin(false);
        self.frames.read(packet)
    }

    /// Writes a packet, `head` and `body` in one, with the number 0.
    pub fn write(&mut self, head: &[u8], body: &[u8]) -> Result<(), Error> {
        self.frames.begin(false);
        self.frames.write(head, body)
    }

    /// Answers OK to the command that is being executed.
    pub fn write_ok(&mut self) -> Result<(), Error> {
        self.frames.write(&encode::ok(reply::OK, 0, 0, ""), &[])
    }

    /// Answers the command that is being executed with an error.
    pub fn write_error(&mut self, refusal: &Refusal) -> Result<(), Error> {
        self.frames.write(&encode::err(refusal, true), &[])
    }

    /// Limits each wait for the client's bytes; `None` waits for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        let timeout = timeout.map(|limit| limit.max(Duration::from_millis(1)));
        let socket = self.frames.stream().socket();
        socket
            .set_read_timeout(timeout)
            .map_err(|source| Error::io("set time limit", source))
    }

    /// Ends the connection when the other host has not confirmed what it was sent for so long. Over
    /// a unix socket there is no other host.
    pub fn set_peer_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        let set = self.frames.stream().socket().set_peer_timeout(timeout);
        set.map_err(|source| Error::io("set time limit", source))
    }

    /// Limits each wait for the client to take bytes.
    pub fn set_write_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        let socket = self.frames.stream().socket();
        socket
            .set_write_timeout(Some(timeout.max(Duration::from_millis(1))))
            .map_err(|source| Error::io("set time limit", source))
    }
}
