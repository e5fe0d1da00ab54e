//! TCP ports of a test's own: one for a program that it starts, and one where nobody listens.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use anyhow::Context;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

use crate::Result;
use crate::ports::Port;

/// A port of 127.0.0.1 for a program that the test starts: no other test takes it.
#[derive(Debug)]
pub struct FreePort(Port);

impl FreePort {
    /// One on which nobody listens.
    pub fn new() -> Result<Self> {
        Port::free().map(Self)
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.0.number
    }
}

/// A port of 127.0.0.1 where nobody listens as long as this lives: connections are refused.
#[derive(Debug)]
pub struct ClosedPort {
    number: u16,
    _socket: OwnedFd,
}

impl ClosedPort {
    /// Takes a port, and does not listen there.
    pub fn new() -> Result<Self> {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).context("socket")?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).context("bind")?;
        let address = getsockname(&socket).context("getsockname")?;
        let address = SocketAddrV4::try_from(address).context("an address of IPv4")?;
        Ok(Self {
            number: address.port(),
            _socket: socket,
        })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_answers_at_a_closed_port() {
        let closed = ClosedPort::new().unwrap();
        let address = (Ipv4Addr::LOCALHOST, closed.number());
        let error = std::net::TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        let taken = std::net::TcpListener::bind(address);
        assert!(taken.is_err(), "it is taken");
    }
}
