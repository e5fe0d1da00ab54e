//! Restore to a point in time: binary logs are replayed into a restored directory.
//!
//! Before anything is changed the binary logs are read from the set's position to the point that is
//! wanted ([`scan`]), which gives a [`plan`]. When the set is restored, the user's own mysqld is
//! started on the result ([`mysqld`]), the transactions of the plan are handed to its replication
//! applier as relay logs that end exactly there ([`replay`]), and it is shut down. The server
//! executes every event itself, as a replica of the donor would have done.

mod commands;
mod files;
mod mysqld;
mod plan;
mod prepared;
mod progress;
mod record;
mod replay;
mod scan;
mod statement;
mod until;

pub use progress::{ReplayPhase, ReplayProgress, ReplaySample};
pub use record::ReplayReport;
pub use until::{LogPosition, Until};

pub(crate) use prepared::Prepared;

use std::path::PathBuf;

/// A point in time, and what is needed to get there.
#[derive(Debug, Clone)]
pub struct PointInTime {
    /// The point.
    pub until: Until,
    /// Binary logs: files, and directories that hold some.
    pub binlogs: Vec<PathBuf>,
    /// The mysqld that replays, of the set's version. `None`: the one in the variable `MYSQLD`, or
    /// in `PATH`.
    pub mysqld: Option<PathBuf>,
    /// An option file for it. `None`: it reads none.
    pub mysqld_defaults: Option<PathBuf>,
}

/// What a replay would have a session execute for the body of a query event, without its checksum:
/// the settings, and the statement. `None` for what is no such event. Any bytes may be given.
pub fn logged_statement(body: &[u8]) -> Option<(String, Vec<u8>)> {
    replay::words(body)
}
