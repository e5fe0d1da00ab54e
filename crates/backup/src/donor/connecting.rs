//! Connecting to a server, which a cancelled job does not wait for.

use crate::{Error, Job, Result};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use wire::{ConnectOptions, Connection};

/// How often the wait looks whether the job is cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// Connects and logs in. The outer error is [`Error::Cancelled`]: a host that does not answer is
/// then left to a thread, which gives up by the time limit of the options.
pub(super) fn connect(
    options: &ConnectOptions,
    job: &Job,
) -> Result<Result<Connection, wire::Error>> {
    job.check()?;
    let (made, waiting) = sync_channel(1);
    let own = options.clone();
    let thread = std::thread::Builder::new().name("connect".into());
    let spawned = thread.spawn(move || {
        // Nobody may be there any more: then the connection is closed.
        let _ = made.send(Connection::connect(&own));
    });
    if spawned.is_err() {
        return Ok(Connection::connect(options));
    }
    loop {
        match waiting.recv_timeout(LOOK) {
            Ok(made) => return Ok(made),
            Err(RecvTimeoutError::Timeout) => job.check()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::refused(
                    1105,
                    "the login ended unexpectedly",
                    "This is a bug.",
                ));
            }
        }
    }
}
