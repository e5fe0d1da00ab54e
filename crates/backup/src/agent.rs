//! What two innoclones say to each other beyond the clone protocol: an agent, which gives backups of
//! the instance on its host, and the one that takes them.
//!
//! The protocol has no place for some of what makes a backup of an instance whole: which process the
//! server is, which of the files are those of the base, what is only known at the end. It is asked
//! for by statements on the endpoint of the agent, and answered in JSON.

use crate::set::{
    BinlogPosition, LsnRecord, PagesBy, ProcessIdentity, ServerRecord, SourceIdentity,
};
use innodb::lsn::Lsn;
use serde::{Deserialize, Serialize};

/// The end of the version that an agent greets with; before it is that of its instance.
const MARK: &str = "-innoclone-agent";

/// The version that an agent of an instance of this version greets with.
pub(crate) fn greeting(version: &str) -> String {
    format!("{version}{MARK}")
}

/// Whether this is the greeting of an agent.
pub(crate) fn is_agent(greeting: &str) -> bool {
    greeting.ends_with(MARK)
}

/// What is asked of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// Which instance this is: [`InstanceTold`].
    Instance,
    /// What an increment on this base would be: [`BaseWeighed`]. The next increment with that start
    /// LSN is one on this base.
    Base(BaseTold),
    /// What the clone of this number has become: [`SnapshotTold`].
    Snapshot(u64),
}

impl Question {
    /// The statement.
    pub(crate) fn to_sql(&self) -> String {
        match self {
            Self::Instance => INSTANCE.to_owned(),
            // There are no quotes or backslashes in it: numbers, and names of our own.
            Self::Base(base) => format!("{BASE}{}{BASE_END}", json(base)),
            Self::Snapshot(clone) => format!("{SNAPSHOT}{clone})"),
        }
    }

    /// Reads a statement; `None` for any other.
    pub(crate) fn parse(sql: &str) -> Option<Self> {
        if sql == INSTANCE {
            return Some(Self::Instance);
        }
        if let Some(rest) = sql.strip_prefix(SNAPSHOT) {
            return Some(Self::Snapshot(rest.strip_suffix(')')?.parse().ok()?));
        }
        let text = sql.strip_prefix(BASE)?.strip_suffix(BASE_END)?;
        Some(Self::Base(serde_json::from_str(text).ok()?))
    }
}

/// Text of a value that has only numbers, strings and lists in it, so that it cannot fail.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

const INSTANCE: &str = "SELECT innoclone_instance()";
const BASE: &str = "SELECT innoclone_base('";
const BASE_END: &str = "')";
const SNAPSHOT: &str = "SELECT innoclone_snapshot(";

/// The instance of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstanceTold {
    /// What a manifest records of it.
    pub(crate) server: ServerRecord,
    /// `innodb_page_size` in bytes.
    pub(crate) page_size: u32,
}

/// What an agent has to know of the base of an increment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseTold {
    /// `server_uuid` of its server.
    pub(crate) uuid: String,
    /// The process that the server was.
    pub(crate) process: Option<ProcessIdentity>,
    /// `innodb_page_size` in bytes.
    pub(crate) page_size: u32,
    /// Where its redo begins.
    pub(crate) checkpoint: Lsn,
    /// Where an increment by page tracking may start; 0 if it may not.
    pub(crate) page_track: Lsn,
    /// Changed pages are to be found by their LSN.
    pub(crate) scan: bool,
    /// Its files that are made of pages.
    pub(crate) files: Vec<BaseFile>,
}

impl BaseTold {
    /// Tells it from other bases.
    pub(crate) fn digest(&self) -> String {
        blake3::hash(json(self).as_bytes()).to_hex().to_string()
    }
}

/// A file of the base: space id, number of its first page, page size in bytes, inode and birth time
/// on the host of the instance where they are known.
pub(crate) type BaseFile = (u32, u32, u32, Option<u64>, Option<i64>);

/// What an increment on a base is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BaseWeighed {
    /// Its start LSN, for the clone protocol.
    pub(crate) start: Lsn,
    /// How changed pages will be found.
    pub(crate) pages_by: PagesBy,
}

/// A clone that the agent has made whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotTold {
    /// LSNs.
    pub(crate) lsn: LsnRecord,
    /// Binary log position at the end LSN.
    pub(crate) binlog: BinlogPosition,
    /// How changed pages were found.
    pub(crate) pages_by: PagesBy,
    /// The base that its files were compared with, by [`BaseTold::digest`].
    pub(crate) base: Option<String>,
    /// Directories of the data directory, empty schemas included.
    pub(crate) directories: Vec<String>,
    /// The data files that there are in the end, by their index in the clone.
    pub(crate) files: Vec<FileTold>,
}

/// A data file of a clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileTold {
    /// Index in the clone.
    pub(crate) index: u32,
    /// All its pages were sent but those of zeros; else those that changed.
    pub(crate) whole: bool,
    /// Pages of it in PAGE COPY.
    pub(crate) pages: u64,
    /// Its length in bytes.
    pub(crate) length: u64,
    /// What tells it from another one.
    pub(crate) source: Option<SourceIdentity>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_as_they_are_asked() {
        let base = BaseTold {
            uuid: "9c6b1a2e-0000-11f0-8000-0242ac110002".into(),
            process: Some(ProcessIdentity::Proc {
                pid: 7,
                start: 8,
                boot: "b-o-o-t".into(),
            }),
            page_size: 16384,
            checkpoint: Lsn::new(20),
            page_track: Lsn::new(21),
            scan: false,
            files: vec![(0, 0, 16384, Some(1), Some(-5)), (7, 0, 8192, None, None)],
        };
        for question in [
            Question::Instance,
            Question::Base(base),
            Question::Snapshot(u64::MAX),
        ] {
            assert_eq!(Question::parse(&question.to_sql()), Some(question));
        }
        for other in [
            "",
            "SELECT 1",
            "SELECT innoclone_snapshot(x)",
            "SELECT innoclone_snapshot(1); DROP TABLE t",
            "SELECT innoclone_base('{}')",
            "SELECT innoclone_base('",
        ] {
            assert_eq!(Question::parse(other), None, "{other}");
        }
    }

    proptest::proptest! {
        /// Statements come from whoever can log in.
        #[test]
        fn no_statement_makes_the_parser_panic(
            noise in ".{0,200}", cut in 0..80usize, at in 0..80usize, put in "[0-9a-z\"{}\\[\\],:.-]{0,6}",
        ) {
            let _ = Question::parse(&noise);
            let base = BaseTold {
                uuid: "u".into(),
                process: None,
                page_size: 4096,
                checkpoint: Lsn::new(1),
                page_track: Lsn::ZERO,
                scan: true,
                files: vec![(1, 2, 4096, None, None)],
            };
            let mut sql = Question::Base(base).to_sql();
            sql.truncate(sql.len() - cut.min(sql.len()));
            sql.insert_str(at.min(sql.len()), &put);
            let _ = Question::parse(&sql);
        }
    }

    #[test]
    fn an_agent_says_so_and_which_version_its_instance_is() {
        assert!(is_agent(&greeting("9.7.4")));
        assert_eq!(greeting("8.0.32-26"), "8.0.32-26-innoclone-agent");
        assert!(!is_agent("9.7.4"));
    }
}
