//! The rows of the three tables. Their JSON keys are the column names.

use std::fmt;
use std::str::FromStr;

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::cells::{or_default, unsigned};

/// What a clone holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CloneType {
    /// Every page.
    #[serde(rename = "full clone")]
    Full,
    /// The pages changed since `START_LSN`.
    #[serde(rename = "increment clone")]
    Increment,
}

impl CloneType {
    /// The text in `CLONE_TYPE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full clone",
            Self::Increment => "increment clone",
        }
    }
}

/// Where a clone or one of its stages stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// Not begun.
    #[serde(rename = "Not Started")]
    NotStarted,
    /// Running.
    #[serde(rename = "In Progress")]
    InProgress,
    /// Ended well.
    Completed,
    /// Ended with an error, interrupted, or abandoned by its process.
    Failed,
}

impl State {
    /// The text in `STATE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "Not Started",
            Self::InProgress => "In Progress",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }

    /// Whether the clone or stage has ended, well or not.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// A text that names no [`State`] or [`CloneType`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what}: {text}")]
pub struct UnknownName {
    what: &'static str,
    text: String,
}

impl FromStr for CloneType {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [Self::Full, Self::Increment]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownName {
                what: "clone type",
                text: text.to_owned(),
            })
    }
}

impl FromStr for State {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [
            Self::NotStarted,
            Self::InProgress,
            Self::Completed,
            Self::Failed,
        ]
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| UnknownName {
            what: "state",
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for CloneType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A row that describes a clone: the columns that the tables share, and those between them that only
/// one has.
macro_rules! row_of_a_clone {
    (
        $(#[$of_row:meta])*
        $name:ident { $($(#[$of_extra:meta])* $extra:ident: $kind:ty = $column:literal)? }
    ) => {
        $(#[$of_row])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub struct $name {
            /// Number of the clone in this catalogue.
            pub id: i64,
            /// Connection the clone runs under, the argument of `KILL`.
            pub pid: i64,
            $($(#[$of_extra])* pub $extra: $kind,)?
            /// Where the clone stands.
            pub state: State,
            /// When it began, to the millisecond.
            pub begin_time: Option<String>,
            /// When it ended, to the millisecond; none while it runs.
            pub end_time: Option<String>,
            /// `LOCAL INSTANCE` or `host:port` of the donor.
            pub source: String,
            /// Directory of the backup set.
            pub destination: String,
            /// MySQL's error number, 0 without error.
            pub error_no: i32,
            /// The error's message, empty without error.
            pub error_message: String,
            /// Binary log file the data is consistent with.
            pub binlog_file: String,
            /// Position in that file, in bytes.
            pub binlog_position: u64,
            /// GTID set the data holds. A set longer than the column is cut to a subset.
            pub gtid_executed: String,
            /// LSN the copied changes begin at; 0 for a full clone.
            pub start_lsn: u64,
            /// LSN the next increment has to begin at; 0 without page tracking.
            pub page_track_lsn: u64,
            /// LSN the data is consistent at.
            pub end_lsn: u64,
        }

        impl $name {
            /// Reads a row of the database that has these columns.
            pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
                Ok(Self {
                    id: row.get("ID")?,
                    pid: or_default(row, "PID")?,
                    $($extra: row.get($column)?,)?
                    state: row.get("STATE")?,
                    begin_time: row.get("BEGIN_TIME")?,
                    end_time: row.get("END_TIME")?,
                    source: or_default(row, "SOURCE")?,
                    destination: or_default(row, "DESTINATION")?,
                    error_no: or_default(row, "ERROR_NO")?,
                    error_message: or_default(row, "ERROR_MESSAGE")?,
                    binlog_file: or_default(row, "BINLOG_FILE")?,
                    binlog_position: unsigned(row, "BINLOG_POSITION")?,
                    gtid_executed: or_default(row, "GTID_EXECUTED")?,
                    start_lsn: unsigned(row, "START_LSN")?,
                    page_track_lsn: unsigned(row, "PAGE_TRACK_LSN")?,
                    end_lsn: unsigned(row, "END_LSN")?,
                })
            }
        }
    };
}

row_of_a_clone! {
    /// A row of `mysql.clone_history`. Times are texts in the local time zone (see the crate's
    /// page).
    HistoryRow {
        /// Full or increment.
        clone_type: CloneType = "CLONE_TYPE"
    }
}

row_of_a_clone! {
    /// A row of `performance_schema.clone_status`: [`HistoryRow`] without the type.
    StatusRow {}
}

/// A row of `performance_schema.clone_progress`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct ProgressRow {
    /// The clone.
    pub id: i64,
    /// One of [`STAGES`](crate::STAGES).
    pub stage: String,
    /// Where the stage stands.
    pub state: State,
    /// When it began, to the microsecond.
    pub begin_time: Option<String>,
    /// When it ended, to the microsecond.
    pub end_time: Option<String>,
    /// Worker threads.
    pub threads: u32,
    /// Bytes the stage is expected to copy.
    pub estimate: u64,
    /// Bytes copied.
    pub data: u64,
    /// Bytes received from the network.
    pub network: u64,
    /// Bytes copied per second, at present.
    pub data_speed: u32,
    /// Bytes received per second, at present.
    pub network_speed: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> HistoryRow {
        HistoryRow {
            id: 4,
            pid: 11,
            clone_type: CloneType::Increment,
            state: State::Completed,
            begin_time: Some("2024-06-18 10:41:47.074".to_owned()),
            end_time: None,
            source: "LOCAL INSTANCE".to_owned(),
            destination: "/data/backup/clone-incr/20240618-202406181041/".to_owned(),
            error_no: 0,
            error_message: String::new(),
            binlog_file: "binlog.000013".to_owned(),
            binlog_position: 29_832_341,
            gtid_executed: "c42c1e3e-0f41-11ef-b6bf-d08e7908bcb1:1-3270".to_owned(),
            start_lsn: 21_635_197_273,
            page_track_lsn: 21_635_197_273,
            end_lsn: 21_635_283_915,
        }
    }

    #[test]
    fn json_keys_are_the_columns_in_their_order() {
        let json = serde_json::to_string(&row()).unwrap();
        assert_eq!(
            json,
            r#"{"ID":4,"PID":11,"CLONE_TYPE":"increment clone","STATE":"Completed","#.to_owned()
                + r#""BEGIN_TIME":"2024-06-18 10:41:47.074","END_TIME":null,"#
                + r#""SOURCE":"LOCAL INSTANCE","#
                + r#""DESTINATION":"/data/backup/clone-incr/20240618-202406181041/","#
                + r#""ERROR_NO":0,"ERROR_MESSAGE":"","BINLOG_FILE":"binlog.000013","#
                + r#""BINLOG_POSITION":29832341,"#
                + r#""GTID_EXECUTED":"c42c1e3e-0f41-11ef-b6bf-d08e7908bcb1:1-3270","#
                + r#""START_LSN":21635197273,"PAGE_TRACK_LSN":21635197273,"END_LSN":21635283915}"#
        );
        assert_eq!(serde_json::from_str::<HistoryRow>(&json).unwrap(), row());
    }

    #[test]
    fn names_are_read_back() {
        for state in [
            State::NotStarted,
            State::InProgress,
            State::Completed,
            State::Failed,
        ] {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        for kind in [CloneType::Full, CloneType::Increment] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!("Done".parse::<State>().is_err());
    }
}
