//! TCP ports for servers.
//!
//! A server that is killed and started again has to find its port free. The kernel gives ports of
//! its own range to whoever connects somewhere or asks for any port; these are others, and each is
//! a locked file, so that no other test takes it meanwhile.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;

use crate::Result;
use crate::limiter::folder;

/// A port of 127.0.0.1; others may have it when this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    _lock: Option<File>,
}

/// How many ports are used.
const COUNT: u16 = 2000;

impl Port {
    /// One on which nobody listens.
    pub(crate) fn free() -> Result<Self> {
        let folder = folder()?;
        let first = first();
        let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
        for at in 0..COUNT {
            let number = first + (start + at) % COUNT;
            let lock = File::create(folder.join(format!("port-{number}")))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self {
                    number,
                    _lock: Some(lock),
                });
            }
        }
        // Whatever there is.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
        Ok(Self {
            number: listener.local_addr()?.port(),
            _lock: None,
        })
    }
}

/// The first of [`COUNT`] ports below those that the kernel gives away; above them, where there are
/// none below.
fn first() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let range = range.unwrap_or_default();
    let mut ends = range.split_whitespace().map(|end| end.parse::<u16>().ok());
    match (ends.next().flatten(), ends.next().flatten()) {
        (Some(low), _) if low >= 2048 + COUNT => low - COUNT,
        (Some(_), Some(high)) if high < u16::MAX - COUNT => high + 1,
        _ => 30_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_one_servers_until_it_is_dropped() {
        let one = Port::free().unwrap();
        let two = Port::free().unwrap();
        assert_ne!(one.number, two.number);
        for port in [&one, &two] {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port.number)).unwrap();
        }
    }
}
