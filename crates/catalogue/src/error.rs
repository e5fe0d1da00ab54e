//! What can go wrong with the catalogue.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode as SqliteCode;

/// Result of a catalogue operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the catalogue; every variant that concerns the file names it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory or the file could not be created or opened.
    #[error("cannot use catalogue {path}")]
    Unusable {
        /// The directory or file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is damaged or is no database.
    #[error("catalogue {path} is damaged: {detail}")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// The first thing found wrong.
        detail: String,
    },
    /// The file is a database of something else.
    #[error("{path} is a database, but not a catalogue")]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// The file was written by a newer release.
    #[error("catalogue {path} has schema version {found}, this release knows {supported}")]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Version of the file.
        found: i64,
        /// Newest version this release knows.
        supported: i64,
    },
    /// Another process held the file for too long.
    #[error("catalogue {path} stays locked by another process")]
    Busy {
        /// The database file.
        path: PathBuf,
    },
    /// SQLite refused an operation for another reason (disk full, read-only file system, …).
    #[error("cannot {action} in catalogue {path}")]
    Database {
        /// The database file.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// No clone has this id.
    #[error("no clone with id {id} in the catalogue")]
    NoSuchClone {
        /// The id asked for.
        id: i64,
    },
    /// The clone has ended and can no longer change.
    #[error("clone {id} is not in progress: {state}")]
    NotRunning {
        /// The clone.
        id: i64,
        /// Its state.
        state: String,
    },
    /// There is no such stage.
    #[error("no clone stage of this name: {name}")]
    UnknownStage {
        /// The name given.
        name: String,
    },
    /// A number does not fit its column.
    #[error("value out of range for column {column}: {value}")]
    OutOfRange {
        /// The column.
        column: &'static str,
        /// The number.
        value: u64,
    },
    /// A time is not of the form `YYYY-MM-DD HH:MM:SS[.ffffff]`.
    #[error("not a time in column {column}: {value}")]
    BadTime {
        /// The column.
        column: &'static str,
        /// The text.
        value: String,
    },
    /// Only the records of ended clones can be imported.
    #[error("cannot import a clone that has not ended: {destination}")]
    Unfinished {
        /// Where the clone was written.
        destination: String,
    },
}

impl Error {
    /// A stable name of the kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unusable { .. } => "catalogue-unusable",
            Self::Damaged { .. } => "catalogue-damaged",
            Self::Foreign { .. } => "catalogue-foreign",
            Self::Newer { .. } => "catalogue-newer",
            Self::Busy { .. } => "catalogue-busy",
            Self::Database { .. } => "catalogue-database",
            Self::NoSuchClone { .. } => "no-such-clone",
            Self::NotRunning { .. } => "clone-not-running",
            Self::UnknownStage { .. } => "unknown-stage",
            Self::OutOfRange { .. } => "value-out-of-range",
            Self::BadTime { .. } => "bad-time",
            Self::Unfinished { .. } => "clone-unfinished",
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Damaged { path, .. } => Some(format!(
                "The backup sets are not affected: each holds its own record. Move {0}, {0}-wal \
                 and {0}-shm away and rebuild the history from the sets.",
                path.display()
            )),
            Self::Foreign { .. } => Some("Choose another directory for the catalogue.".to_owned()),
            Self::Newer { .. } => {
                Some("Use the newer release, or another directory for the catalogue.".to_owned())
            }
            Self::Busy { .. } => {
                Some("Look for a stopped or hanging process that has the file open.".to_owned())
            }
            _ => None,
        }
    }

    pub(crate) fn unusable(path: &Path, source: std::io::Error) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            source,
        }
    }

    /// Gives SQLite's error a name and the file it concerns.
    pub(crate) fn database(path: &Path, action: &'static str, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(SqliteCode::DatabaseCorrupt | SqliteCode::NotADatabase) => Self::Damaged {
                path,
                detail: source.to_string(),
            },
            Some(SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked) => Self::Busy { path },
            _ if is_foreign_value(&source) => Self::Damaged {
                path,
                detail: source.to_string(),
            },
            _ => Self::Database {
                path,
                action,
                source,
            },
        }
    }
}

/// Whether a row held what this code never writes.
fn is_foreign_value(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::InvalidColumnName(..)
    )
}

/// An error inside a transaction, before the file's name is added.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite's own.
    Sqlite(rusqlite::Error),
    /// One of ours.
    Named(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Named(error)
    }
}

impl Fault {
    /// Adds the file and what was attempted.
    pub(crate) fn at(self, path: &Path, action: &'static str) -> Error {
        match self {
            Self::Sqlite(source) => Error::database(path, action, source),
            Self::Named(error) => error,
        }
    }
}
