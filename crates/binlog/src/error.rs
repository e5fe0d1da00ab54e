//! What can be wrong with a binary log.

use std::io;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A binary log that cannot be read on.
#[derive(Debug, thiserror::Error)]
#[error("{file}: at byte {offset}: {problem}")]
pub struct Error {
    /// The file, as the caller named it.
    pub file: String,
    /// Where: the beginning of the event that is wrong, in bytes from the beginning of the file.
    pub offset: u64,
    /// What is wrong.
    #[source]
    pub problem: Problem,
}

/// What is wrong at a place of a binary log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The caller's sink did not take the bytes of an event.
    #[error("cannot be passed on: {0}")]
    Write(#[source] io::Error),
    /// The first bytes are not those of a binary log.
    #[error("this is no binary log")]
    NoBinlog,
    /// The file is encrypted: only its server can read it.
    #[error(
        "this binary log is encrypted; its server sends it in plain to a replica, \
         and so to `innoclone binlog archive`"
    )]
    Encrypted,
    /// The file ends inside an event (or before the first). Ordinary at the end of a file that a
    /// server still writes, or wrote when it crashed.
    #[error("the file ends within {0}")]
    Truncated(&'static str),
    /// The checksum of an event does not fit its bytes.
    #[error("the event's checksum is {found:#010x}, and its bytes have {expected:#010x}")]
    Checksum {
        /// What is stored.
        found: u32,
        /// What the bytes have.
        expected: u32,
    },
    /// A file written by something else than the servers this is made for.
    #[error("{0}")]
    Unsupported(String),
    /// Bytes that are not what they should be.
    #[error("{0}")]
    Damaged(String),
}

impl Problem {
    pub(crate) fn damaged(detail: impl Into<String>) -> Self {
        Self::Damaged(detail.into())
    }

    /// The same problem, at a place.
    pub fn at(self, file: &str, offset: u64) -> Error {
        Error {
            file: file.to_owned(),
            offset,
            problem: self,
        }
    }
}

impl Error {
    /// Whether the file just ends too early: all before [`offset`](Error::offset) is good.
    pub fn is_truncated(&self) -> bool {
        matches!(self.problem, Problem::Truncated(_))
    }
}
