//! A clone as the engine describes it: at its start, at its end, while it runs.

use std::fmt;

use crate::row::CloneType;

/// Number of a clone in its catalogue, the column `ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloneId(i64);

impl CloneId {
    /// The value of `ID`.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl From<i64> for CloneId {
    fn from(id: i64) -> Self {
        Self(id)
    }
}

impl fmt::Display for CloneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is known of a clone when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClone {
    /// Id of the server connection the clone runs under, the argument of `KILL`.
    pub pid: i64,
    /// Full or increment.
    pub clone_type: CloneType,
    /// `LOCAL INSTANCE` or `host:port` of the donor.
    pub source: String,
    /// Directory of the backup set, absolute.
    pub destination: String,
    /// LSN the copied changes begin at; 0 for a full clone.
    pub start_lsn: u64,
}

/// What is known of a clone when it has ended. The default is "no error, nothing known".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// MySQL's error number, 0 without error.
    pub error_no: i32,
    /// The error's message, empty without error. It must hold no secrets.
    pub error_message: String,
    /// Binary log file the data is consistent with.
    pub binlog_file: String,
    /// Position in that file, in bytes.
    pub binlog_position: u64,
    /// GTID set the data holds.
    pub gtid_executed: String,
    /// LSN the copied changes begin at; 0 for a full clone.
    pub start_lsn: u64,
    /// LSN the next increment has to begin at; 0 without page tracking.
    pub page_track_lsn: u64,
    /// LSN the data is consistent at.
    pub end_lsn: u64,
    /// Identity of the sealed backup set.
    pub set_id: Option<String>,
}

/// A clone in progress and the process that runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningClone {
    /// The clone.
    pub id: CloneId,
    /// Its server connection, as in [`NewClone::pid`].
    pub pid: i64,
    /// When it began, in microseconds since the Unix epoch.
    pub begin_us: i64,
    /// The operating system's id of the process, in that process's pid namespace.
    pub process: Option<u32>,
}
