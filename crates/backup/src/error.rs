//! What can go wrong, with MySQL's error number where it has one and what to do about it.

use innodb::lsn::Lsn;
use std::io;
use std::path::{Path, PathBuf};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a backup, restore, apply or verify.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The job was cancelled by the user (`KILL`, SIGINT, SIGTERM).
    #[error("query execution was interrupted")]
    Cancelled,

    /// A file operation failed.
    #[error("{action} '{path}': {source}")]
    Io {
        /// What was tried, as "verb object".
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// The server refused or lost a statement.
    #[error("{action}: {source}")]
    Server {
        /// What was tried, as "verb object".
        action: &'static str,
        /// What the connection said.
        source: wire::Error,
    },

    /// The donor of a clone over the network says that it fails.
    #[error("the donor reports: {message}")]
    Donor {
        /// The donor's number.
        code: u16,
        /// The donor's words.
        message: String,
        /// What to do next.
        hint: &'static str,
    },

    /// The donor does not speak the clone protocol.
    #[error("plugin 'clone' is not loaded on the donor")]
    NoClonePlugin,

    /// The account lacks a privilege.
    #[error(
        "access denied; you need (at least one of) the {privilege} privilege(s) for this operation"
    )]
    Privilege {
        /// The privilege's name.
        privilege: &'static str,
        /// The statement that grants it.
        grant: String,
    },

    /// A page did not verify, however often it was read.
    #[error("page {page} of '{path}' is damaged: {detail}")]
    BadPage {
        /// The file.
        path: PathBuf,
        /// Page number within the tablespace.
        page: u32,
        /// What does not verify.
        detail: String,
    },

    /// A file does not hold what it should.
    #[error("'{path}' is damaged: {detail}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        detail: String,
    },

    /// The destination exists and is not empty.
    #[error("can't create database '{0}'; database exists")]
    TargetExists(PathBuf),

    /// The destination lies in a directory of the running server.
    #[error("path is within the current data directory '{0}'")]
    TargetInDataDirectory(PathBuf),

    /// The destination of a restore and a backup set lie one in the other.
    #[error("path is within the backup set '{0}', or the set within it")]
    TargetInSet(PathBuf),

    /// The file system of the destination is too small.
    #[error(
        "clone estimated database size is {need} bytes; available space {free} bytes is not enough"
    )]
    NoSpace {
        /// Bytes needed.
        need: u64,
        /// Bytes free.
        free: u64,
    },

    /// The directory given is not a sealed backup set.
    #[error("'{path}' is not a complete backup set: {reason}")]
    NotASet {
        /// The directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },

    /// Sets do not form the chain asked for.
    #[error("broken chain: {message}")]
    BrokenChain {
        /// Where it breaks, and why.
        message: String,
        /// What to do next.
        hint: &'static str,
    },

    /// Page tracking does not cover the range an increment needs.
    #[error("tracking was not enabled for the LSN range specified: from {start} ({reason})")]
    NotTracked {
        /// The increment's start.
        start: Lsn,
        /// Why the range is not covered.
        reason: String,
    },

    /// An increment is to start where the server has not come yet.
    #[error("tracking was not enabled for the LSN range specified: from {start} ({reason})")]
    NotReached {
        /// The increment's start.
        start: Lsn,
        /// Where the server is.
        reason: String,
    },

    /// There is no start point at or below the start LSN.
    #[error(
        "internal error: page_archiver can't set position - no matching reset point for LSN {0}"
    )]
    NoResetPoint(Lsn),

    /// Redo was overwritten before it could be copied.
    #[error(
        "redo log was overwritten before it was copied: needed LSN {needed}, the oldest file begins at {oldest}"
    )]
    RedoLost {
        /// The LSN that was to be read next.
        needed: Lsn,
        /// The oldest LSN still there.
        oldest: Lsn,
    },

    /// The catalogue cannot be used.
    #[error("clone history: {0}")]
    History(#[source] catalogue::Error),

    /// Anything else that stops a job before or while it runs.
    #[error("{message}")]
    Refused {
        /// MySQL's error number, or 1105 (unknown error).
        code: u16,
        /// The whole message.
        message: String,
        /// What to do next.
        hint: &'static str,
    },
}

impl Error {
    /// A failed file operation.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// A failed statement; a missing privilege becomes [`Error::Privilege`].
    pub(crate) fn server(action: &'static str, source: wire::Error) -> Self {
        Self::Server { action, source }
    }

    /// A refusal with a message of its own.
    pub(crate) fn refused(code: u16, message: impl Into<String>, hint: &'static str) -> Self {
        Self::Refused {
            code,
            message: message.into(),
            hint,
        }
    }

    /// Sets that do not form a chain.
    pub(crate) fn broken_chain(message: impl Into<String>, hint: &'static str) -> Self {
        Self::BrokenChain {
            message: message.into(),
            hint,
        }
    }

    /// A file that does not hold what it should.
    pub(crate) fn damaged(path: &Path, detail: impl std::fmt::Display) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            detail: detail.to_string(),
        }
    }

    /// MySQL's number for the error; 1105 (unknown error) where it has none.
    pub fn code(&self) -> u16 {
        match self {
            Self::Cancelled => 1317,
            Self::Io { action, source, .. } => io_code(action, source),
            Self::Server { source, .. } => source.code().unwrap_or(2013),
            Self::Privilege { .. } => 1227,
            Self::BadPage { .. } | Self::Damaged { .. } => 1712,
            Self::TargetExists(_) => 1007,
            Self::TargetInDataDirectory(_) | Self::TargetInSet(_) => 3632,
            Self::NoSpace { .. } => 3873,
            Self::NotASet { .. } => 1024,
            Self::NotTracked { .. } | Self::NotReached { .. } => 3803,
            Self::NoResetPoint(_) => 1815,
            Self::Refused { code, .. } | Self::Donor { code, .. } => *code,
            Self::NoClonePlugin => 1524,
            Self::History(_) => 3862,
            Self::BrokenChain { .. } | Self::RedoLost { .. } => 1105,
        }
    }

    /// Whether it is found out before a clone begins: it leaves no row in the history.
    pub(crate) fn is_before_begin(&self) -> bool {
        matches!(
            self,
            Self::TargetExists(_)
                | Self::TargetInDataDirectory(_)
                | Self::NotASet { .. }
                | Self::BrokenChain { .. }
        )
    }

    /// What to do next, where that can be said.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Privilege { grant, .. } => {
                return Some(format!("Run as an administrator: {grant}"));
            }
            Self::History(error) => return error.hint(),
            Self::Refused { hint, .. }
            | Self::Donor { hint, .. }
            | Self::BrokenChain { hint, .. } => hint,
            Self::NoClonePlugin => {
                "Run on the donor: INSTALL PLUGIN clone SONAME 'mysql_clone.so';"
            }
            Self::BadPage { .. } => {
                "Check the table (CHECK TABLE) and the disk below it; nothing usable was left behind."
            }
            Self::Damaged { .. } => {
                "Run 'innoclone verify' on the directory to see everything that is damaged, and use another copy."
            }
            Self::TargetExists(_) => "Give a directory that does not exist or is empty.",
            Self::TargetInDataDirectory(_) => {
                "Give a directory outside the server's own directories."
            }
            Self::TargetInSet(_) => "Give a directory outside the backup sets.",
            Self::NoSpace { .. } => "Free some space or give a directory on a larger file system.",
            Self::NotASet { .. } => {
                "Only directories that a backup has completed can be used; 'innoclone history' lists them."
            }
            Self::NotTracked { .. } | Self::NoResetPoint(_) => {
                "Add --scan to find the changed pages by reading every page's LSN, or take a full backup with --page-track."
            }
            Self::NotReached { .. } => {
                "Is the LSN that of a set of this server? Name the set by --based-on, or take a full backup."
            }
            Self::RedoLost { .. } => {
                "Enlarge innodb_redo_log_capacity or run the backup at a quieter time."
            }
            Self::Io { action, .. } if action.starts_with("change owner") => {
                "Name an owner that this user may give files to by --owner."
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "Run as root, or as a user who may read the source and write the target. The files of a server are read by its group."
            }
            Self::Server { source, .. } if source.is_connection_lost() => {
                "See the server's error log; what was copied so far is marked incomplete."
            }
            _ => return None,
        };
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// MySQL's numbers for failed file operations.
fn io_code(action: &str, source: &io::Error) -> u16 {
    match action.split(' ').next() {
        _ if source.kind() == io::ErrorKind::StorageFull => 1021,
        Some("create") if action.ends_with("directory") => 1006,
        Some("create") => 1004,
        Some("open") => 1016,
        Some("write" | "sync" | "rename" | "remove" | "extend") => 1026,
        _ => 1024,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_server() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Error::io("write file", Path::new("/x"), full).code(), 1021);
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(
            Error::io("create directory", Path::new("/x"), denied()).code(),
            1006
        );
        assert_eq!(
            Error::io("write file", Path::new("/x"), denied()).code(),
            1026
        );
        assert_eq!(Error::Cancelled.code(), 1317);
        assert_eq!(Error::TargetExists("/x".into()).code(), 1007);
    }
}
