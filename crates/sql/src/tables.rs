//! The system tables: their definitions, and their rows at this moment.

use catalogue::{CLONE_HISTORY_DDL, Catalogue, HistoryRow, STATUS_CLONES};
use rusqlite::types::Value;

use crate::engine::Table;
use crate::error::{Result, SqlError};

/// Names and declared types of columns.
pub(crate) type Columns = &'static [(&'static str, &'static str)];

/// A table that exists here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    pub(crate) columns: Columns,
    pub(crate) content: Content,
}

/// Where the rows of a table come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    History,
    Status,
    Progress,
    Processes,
    Variables { global: bool },
}

/// Every table, by schema and name.
pub(crate) const ALL: [Definition; 6] = [
    Definition {
        schema: "information_schema",
        name: "PROCESSLIST",
        columns: PROCESSLIST,
        content: Content::Processes,
    },
    Definition {
        schema: "mysql",
        name: "clone_history",
        columns: HISTORY,
        content: Content::History,
    },
    Definition {
        schema: "performance_schema",
        name: "clone_progress",
        columns: PROGRESS,
        content: Content::Progress,
    },
    Definition {
        schema: "performance_schema",
        name: "clone_status",
        columns: STATUS,
        content: Content::Status,
    },
    Definition {
        schema: "performance_schema",
        name: "global_variables",
        columns: VARIABLES,
        content: Content::Variables { global: true },
    },
    Definition {
        schema: "performance_schema",
        name: "session_variables",
        columns: VARIABLES,
        content: Content::Variables { global: false },
    },
];

/// The table of this name; a schema or table that does not exist is an error of the server.
pub(crate) fn find(schema: &str, name: &str) -> Result<&'static Definition> {
    let found = ALL.iter().find(|table| {
        table.schema.eq_ignore_ascii_case(schema) && table.name.eq_ignore_ascii_case(name)
    });
    found.ok_or_else(|| crate::engine::no_table(&format!("{schema}.{name}")))
}

impl Definition {
    /// The table with these rows.
    pub(crate) fn with(&self, rows: Vec<Vec<Value>>) -> Table {
        Table {
            schema: self.schema,
            name: self.name,
            columns: self.columns,
            rows,
        }
    }

    /// What `SHOW CREATE TABLE` shows.
    pub(crate) fn ddl(&self) -> String {
        if self.content == Content::History {
            return CLONE_HISTORY_DDL.to_owned();
        }
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, kind)| {
                let null = if kind.starts_with("timestamp") {
                    " NULL"
                } else {
                    ""
                };
                format!("  `{name}` {kind}{null} DEFAULT NULL")
            })
            .collect();
        format!(
            "CREATE TABLE `{}` (\n{}\n) ENGINE=PERFORMANCE_SCHEMA DEFAULT CHARSET=utf8mb4 \
             COLLATE=utf8mb4_0900_ai_ci",
            self.name,
            columns.join(",\n")
        )
    }

    /// The kind of table in `SHOW FULL TABLES`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.schema == "information_schema" {
            "SYSTEM VIEW"
        } else {
            "BASE TABLE"
        }
    }
}

/// The rows of `mysql.clone_history`.
pub(crate) fn history(catalogue: &Catalogue) -> Result<Vec<Vec<Value>>> {
    let rows = catalogue.history().map_err(|error| unreadable(&error))?;
    Ok(rows.into_iter().map(history_row).collect())
}

/// The rows of `performance_schema.clone_status`.
pub(crate) fn status(catalogue: &Catalogue) -> Result<Vec<Vec<Value>>> {
    let rows = catalogue.status().map_err(|error| unreadable(&error))?;
    let rows = rows.into_iter().map(|row| {
        vec![
            row.id.into(),
            row.pid.into(),
            text(row.state.as_str()),
            row.begin_time.into(),
            row.end_time.into(),
            row.source.into(),
            row.destination.into(),
            row.error_no.into(),
            row.error_message.into(),
            row.binlog_file.into(),
            number(row.binlog_position),
            row.gtid_executed.into(),
            number(row.start_lsn),
            number(row.page_track_lsn),
            number(row.end_lsn),
        ]
    });
    Ok(rows.collect())
}

/// The rows of `performance_schema.clone_progress`.
pub(crate) fn progress(catalogue: &Catalogue) -> Result<Vec<Vec<Value>>> {
    let rows = catalogue
        .progress(Some(STATUS_CLONES))
        .map_err(|error| unreadable(&error))?;
    let rows = rows.into_iter().map(|row| {
        vec![
            row.id.into(),
            row.stage.into(),
            text(row.state.as_str()),
            row.begin_time.into(),
            row.end_time.into(),
            row.threads.into(),
            number(row.estimate),
            number(row.data),
            number(row.network),
            row.data_speed.into(),
            row.network_speed.into(),
        ]
    });
    Ok(rows.collect())
}

fn history_row(row: HistoryRow) -> Vec<Value> {
    vec![
        row.id.into(),
        row.pid.into(),
        text(row.clone_type.as_str()),
        text(row.state.as_str()),
        row.begin_time.into(),
        row.end_time.into(),
        row.source.into(),
        row.destination.into(),
        row.error_no.into(),
        row.error_message.into(),
        row.binlog_file.into(),
        number(row.binlog_position),
        row.gtid_executed.into(),
        number(row.start_lsn),
        number(row.page_track_lsn),
        number(row.end_lsn),
    ]
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The columns are signed; what the catalogue gives out has been in such a column.
fn number(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn unreadable(error: &catalogue::Error) -> SqlError {
    let hint = error.hint();
    let error = SqlError::new(3862, format!("Clone Donor Error: clone history: {error}."));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

const HISTORY: Columns = &[
    ("ID", "int"),
    ("PID", "int"),
    ("CLONE_TYPE", "varchar(50)"),
    ("STATE", "char(16)"),
    ("BEGIN_TIME", "timestamp(3)"),
    ("END_TIME", "timestamp(3)"),
    ("SOURCE", "varchar(512)"),
    ("DESTINATION", "varchar(512)"),
    ("ERROR_NO", "int"),
    ("ERROR_MESSAGE", "varchar(512)"),
    ("BINLOG_FILE", "varchar(512)"),
    ("BINLOG_POSITION", "bigint"),
    ("GTID_EXECUTED", "varchar(4096)"),
    ("START_LSN", "bigint"),
    ("PAGE_TRACK_LSN", "bigint"),
    ("END_LSN", "bigint"),
];

const STATUS: Columns = &[
    ("ID", "int"),
    ("PID", "int"),
    ("STATE", "char(16)"),
    ("BEGIN_TIME", "timestamp(3)"),
    ("END_TIME", "timestamp(3)"),
    ("SOURCE", "varchar(512)"),
    ("DESTINATION", "varchar(512)"),
    ("ERROR_NO", "int"),
    ("ERROR_MESSAGE", "varchar(512)"),
    ("BINLOG_FILE", "varchar(512)"),
    ("BINLOG_POSITION", "bigint"),
    ("GTID_EXECUTED", "varchar(4096)"),
    ("START_LSN", "bigint"),
    ("PAGE_TRACK_LSN", "bigint"),
    ("END_LSN", "bigint"),
];

const PROGRESS: Columns = &[
    ("ID", "int"),
    ("STAGE", "char(32)"),
    ("STATE", "char(16)"),
    ("BEGIN_TIME", "timestamp(6)"),
    ("END_TIME", "timestamp(6)"),
    ("THREADS", "int"),
    ("ESTIMATE", "bigint"),
    ("DATA", "bigint"),
    ("NETWORK", "bigint"),
    ("DATA_SPEED", "int"),
    ("NETWORK_SPEED", "int"),
];

/// In `SHOW PROCESSLIST` the names are written otherwise.
const PROCESSLIST: Columns = &[
    ("ID", "bigint unsigned"),
    ("USER", "varchar(32)"),
    ("HOST", "varchar(261)"),
    ("DB", "varchar(64)"),
    ("COMMAND", "varchar(16)"),
    ("TIME", "int"),
    ("STATE", "varchar(64)"),
    ("INFO", "varchar(65535)"),
];

const VARIABLES: Columns = &[
    ("VARIABLE_NAME", "varchar(64)"),
    ("VARIABLE_VALUE", "varchar(1024)"),
];
