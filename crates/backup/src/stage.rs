//! The stages of a clone, with the labels of `performance_schema.clone_progress`.

use std::fmt;

/// A stage of a clone, in the order in which stages run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Prepare the destination.
    DropData,
    /// Copy every tablespace file while the donor changes them.
    FileCopy,
    /// Copy the pages that changed, under the backup lock where the donor has one.
    PageCopy,
    /// Copy the redo that makes the pages consistent.
    RedoCopy,
    /// Make everything durable.
    FileSync,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 5] = [
        Self::DropData,
        Self::FileCopy,
        Self::PageCopy,
        Self::RedoCopy,
        Self::FileSync,
    ];

    /// The label in `clone_progress.STAGE`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::DropData => "DROP DATA",
            Self::FileCopy => "FILE COPY",
            Self::PageCopy => "PAGE COPY",
            Self::RedoCopy => "REDO COPY",
            Self::FileSync => "FILE SYNC",
        }
    }

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
