//! What can go wrong.

use std::io;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of compressing or decompressing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting out of its range.
    #[error("{name} must be {range}, not {found}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// Its range, in words.
        range: &'static str,
        /// What was given.
        found: i128,
    },

    /// Stored bytes are not what they should be.
    #[error("at byte {offset}: {detail}")]
    Damaged {
        /// Where in the stored bytes.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },

    /// The stored bytes cannot be read.
    #[error("read at byte {offset}: {source}")]
    Read {
        /// Where in the stored bytes.
        offset: u64,
        /// What the operating system said.
        source: io::Error,
    },

    /// What was decompressed cannot be written.
    #[error("write the original: {0}")]
    Write(#[source] io::Error),

    /// The library does not compress, for want of memory.
    #[error("compress: {0}")]
    Compress(#[source] io::Error),
}

impl Error {
    pub(crate) fn damaged(offset: u64, detail: impl Into<String>) -> Self {
        Self::Damaged {
            offset,
            detail: detail.into(),
        }
    }

    /// The same error, its offset counted from `base` bytes before: an error in a frame becomes
    /// one in the file.
    #[must_use]
    pub fn in_file(self, base: u64) -> Self {
        match self {
            Self::Damaged { offset, detail } => Self::Damaged {
                offset: base.saturating_add(offset),
                detail,
            },
            Self::Read { offset, source } => Self::Read {
                offset: base.saturating_add(offset),
                source,
            },
            other => other,
        }
    }
}
