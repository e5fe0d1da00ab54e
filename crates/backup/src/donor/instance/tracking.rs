//! Switching page tracking, for people.

use super::facts::Facts;
use super::session::{Session, is_unknown_function};
use super::tracked::Group;
use crate::{Error, Result};
use innodb::lsn::Lsn;
use std::path::Path;
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
        // Elsewhere than on the server's host its own answer has to do.
        let facts = Facts::ask(&mut self.session, None).ok();
        let datadir = facts.as_ref().map(|facts| facts.datadir.as_path());
        let since = self.session.tracking_start(datadir)?;
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

/// The functions of the component mysqlbackup.
impl Session {
    /// Where page tracking began; `None` while it is off, an error without the component.
    ///
    /// The files in `datadir` tell, where they can be read: after a restart of the server with more
    /// than one period of tracking, the function answers that it is off while it is on.
    pub(super) fn tracking_start(&mut self, datadir: Option<&Path>) -> Result<Option<Lsn>> {
        let told = self.signed(
            "read the state of page tracking",
            "SELECT mysqlbackup_page_track_get_start_lsn()",
        );
        let told = match told {
            Ok(lsn) => (lsn > 0).then(|| Lsn::new(lsn.unsigned_abs())),
            Err(error) if is_unknown_function(&error) => return Err(no_component()),
            Err(other) => return Err(other),
        };
        match datadir.map(Group::active) {
            Some(Ok(group)) => Ok(group.map(|group| group.begin())),
            Some(Err(error)) => Err(error),
            None => Ok(told),
        }
    }

    /// Switches page tracking on, or has it begin a new start point; the LSN an increment may
    /// start at.
    pub(in crate::donor) fn tracking_set(&mut self, on: bool) -> Result<Lsn> {
        let lsn = self.signed(
            "set page tracking",
            &format!("SELECT mysqlbackup_page_track_set({})", u8::from(on)),
        );
        match lsn {
            Ok(lsn) if lsn > 0 => Ok(Lsn::new(lsn.unsigned_abs())),
            Ok(error) => Err(Error::refused(
                error.unsigned_abs().try_into().unwrap_or(1105),
                format!(
                    "the server could not switch page tracking (error {})",
                    error.unsigned_abs()
                ),
                "See the server's error log.",
            )),
            Err(error) if is_unknown_function(&error) => Err(no_component()),
            Err(other) => Err(other),
        }
    }

    /// Entries that page tracking has recorded since `start`, those in memory included; `None`
    /// while the last checkpoint is not past `start`, when the server does not tell.
    pub(super) fn tracked_count(&mut self, start: Lsn) -> Result<Option<u64>> {
        let count = self.signed(
            "count the tracked pages",
            &format!("SELECT mysqlbackup_page_track_get_changed_page_count({start}, 0)"),
        )?;
        Ok(u64::try_from(count).ok())
    }

    /// Drops tracking data before `lsn`; the LSN really purged, `None` when there was nothing.
    pub(super) fn tracking_purge(&mut self, lsn: u64) -> Result<Option<Lsn>> {
        let purged = self.signed(
            "purge page tracking",
            &format!("SELECT mysqlbackup_page_track_purge_up_to({lsn})"),
        );
        let purged = match purged {
            Err(error) if is_unknown_function(&error) => return Err(no_component()),
            other => other?,
        };
        Ok((purged > 0 && purged != i64::MAX).then(|| Lsn::new(purged.unsigned_abs())))
    }
}

fn no_component() -> Error {
    Error::refused(
        1305,
        "page tracking needs the component mysqlbackup, which is not installed",
        "Run INSTALL COMPONENT 'file://component_mysqlbackup'.",
    )
}
