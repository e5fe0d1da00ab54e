//! Switching page tracking, for people.

use super::session::Session;
use crate::Result;
use innodb::lsn::Lsn;
use std::time::Duration;
use wire::ConnectOptions;

/// How long a statement waits for a lock.
const PATIENCE: Duration = Duration::from_secs(60);

/// The state of page tracking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackingState {
    /// Where it began; `None` while it is off.
    pub since: Option<Lsn>,
    /// The server's current LSN.
    pub current: Lsn,
}

/// Page tracking of a server.
#[derive(Debug)]
pub struct PageTracking {
    session: Session,
}

impl PageTracking {
    /// Connects.
    pub fn open(connect: &ConnectOptions) -> Result<Self> {
        Ok(Self {
            session: Session::open(connect, PATIENCE)?,
        })
    }

    /// Whether it is on, and since when.
    pub fn state(&mut self) -> Result<TrackingState> {
        let since = self.session.tracking_start()?;
        Ok(TrackingState {
            since,
            current: self.session.log_status()?.lsn,
        })
    }

    /// Switches it on, or off; the LSN it begins or ends at.
    pub fn set(&mut self, on: bool) -> Result<Lsn> {
        self.session.tracking_set(on)
    }

    /// Drops what was recorded before `lsn`; the LSN really purged to, `None` when nothing was.
    pub fn purge(&mut self, lsn: Lsn) -> Result<Option<Lsn>> {
        self.session.tracking_purge(lsn.get())
    }
}
