//! How a backup over the network got its pages, and what the next one may build upon.
//!
//! An optional part of the manifest: a set without it is complete. Who does not know it reads past
//! it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an increment over the network had the donor leave out, and what it knew of the donor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Means {
    /// How the pages that need not travel were found.
    pub by: LeftOutBy,
    /// Bytes of files that did not travel.
    pub left_out: u64,
    /// When the donor's server was started, in seconds since 1970 by its own clock; `None` when
    /// it did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// What the server had counted; `None` when its counters cannot be relied upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<WriteCounters>,
}

impl Means {
    /// Whether a server started at this time is surely the process of then. Uptime has whole
    /// seconds, and a restart takes longer than one.
    pub fn is_same_process(&self, started_at: i64) -> bool {
        self.started_at
            .is_some_and(|then| then.abs_diff(started_at) <= 1)
    }
}

/// How the pages that need not travel were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOutBy {
    /// They were not: every page travelled.
    Nothing,
    /// Files of which the server counted no write since the parent was made.
    WriteCounters,
    /// Blocks without a page that page tracking recorded since the parent was made.
    PageList,
}

impl LeftOutBy {
    /// In words.
    pub fn label(self) -> &'static str {
        match self {
            Self::Nothing => "nothing left out",
            Self::WriteCounters => "write counters",
            Self::PageList => "page list",
        }
    }
}

/// What a server counted of its own writes, at the end of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteCounters {
    /// Writes that InnoDB counted since the server's start (`Innodb_data_writes`).
    pub writes: u64,
    /// How many more these are than those that the performance schema counted. Stays the same
    /// while the performance schema misses none.
    pub apart: i64,
    /// File operations of clones, which move `apart`.
    pub clone_operations: u64,
    /// The counters of data files, by space id, of a moment before the set's last pages were
    /// taken.
    pub files: BTreeMap<u32, FileCounter>,
}

/// What the performance schema counted of writes to one file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileCounter {
    /// The server's path of the file.
    pub path: String,
    /// Size of the file in bytes, as the donor announced it.
    pub size: u64,
    /// Writes: how many, bytes, and in picoseconds the sum, the shortest and the longest.
    pub writes: [u64; 5],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_another_process() {
        let means = |started_at| Means {
            by: LeftOutBy::Nothing,
            left_out: 0,
            started_at,
            counters: None,
        };
        assert!(means(Some(100)).is_same_process(101));
        assert!(!means(Some(100)).is_same_process(102));
        assert!(!means(None).is_same_process(100));
    }
}
