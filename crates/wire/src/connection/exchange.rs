//! Exchanges that the caller conducts, packet by packet: the clone protocol and the binary log.

use super::{Connection, State};
use crate::{Error, Result};

impl Connection {
    /// Sends a command of the protocol; the caller reads the answer with
    /// [`read_packet`](Connection::read_packet), to its end.
    pub fn send_command(&mut self, command: u8, payload: &[u8]) -> Result<()> {
        if self.state == State::Over {
            return Err(Error::Closed);
        }
        self.state = State::Raw;
        self.frames.begin(false);
        self.frames.write(&[command], payload).inspect_err(|error| {
            if !matches!(error, Error::TooLarge { .. }) {
                self.state = State::Over;
            }
        })
    }

    /// The next packet of an answer, as it is: errors of the server too, see
    /// [`Error::from_packet`]. Sequence numbers are not checked, for the clone protocol restarts
    /// them in every packet.
    ///
    /// After [`Error::Timeout`] the call can be repeated, and nothing is lost.
    pub fn read_packet(&mut self) -> Result<Vec<u8>> {
        let mut packet = Vec::new();
        self.read_packet_into(&mut packet)?;
        Ok(packet)
    }

    /// As [`read_packet`](Connection::read_packet), into memory that is reused. What `packet` held
    /// is replaced.
    pub fn read_packet_into(&mut self, packet: &mut Vec<u8>) -> Result<()> {
        if self.state == State::Over {
            return Err(Error::Closed);
        }
        self.frames.read(packet).inspect_err(|error| {
            if !matches!(error, Error::Timeout { .. }) {
                self.state = State::Over;
            }
        })
    }

    /// The next piece of an answer's packet: all that is left of it, or some MiB. Returns whether
    /// the packet has ended with it. So packets of any length are read with little memory. What
    /// `piece` held is replaced.
    ///
    /// After [`Error::Timeout`] the call can be repeated, and nothing is lost.
    pub fn read_piece(&mut self, piece: &mut Vec<u8>) -> Result<bool> {
        if self.state == State::Over {
            return Err(Error::Closed);
        }
        self.frames.read_piece(piece).inspect_err(|error| {
            if !matches!(error, Error::Timeout { .. }) {
                self.state = State::Over;
            }
        })
    }
}
