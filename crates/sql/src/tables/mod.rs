//! The system tables: their definitions, and their rows at this moment.

pub(crate) mod catalog;
mod columns;
mod rows;

use catalogue::CLONE_HISTORY_DDL;
use rusqlite::types::Value;

pub(crate) use columns::Columns;
pub(crate) use rows::{history, progress, status};

use crate::engine::{SCHEMAS, Shape};
use crate::error::{Result, SqlError};

/// A table that exists here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) shape: Shape,
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
    PersistedVariables,
    VariablesInfo,
    InstanceStatus,
    Schemata,
    Tables,
    Columns,
    Statistics,
    Engines,
    Plugins,
}

const fn table(
    schema: &'static str,
    name: &'static str,
    columns: Columns,
    content: Content,
) -> Definition {
    Definition {
        shape: Shape {
            schema,
            name,
            columns,
        },
        content,
    }
}

const IS: &str = "information_schema";
const PS: &str = "performance_schema";

/// Every table, by schema and name.
pub(crate) const ALL: [Definition; 17] = [
    table(IS, "COLUMNS", columns::COLUMNS, Content::Columns),
    table(IS, "ENGINES", columns::ENGINES, Content::Engines),
    table(IS, "PLUGINS", columns::PLUGINS, Content::Plugins),
    table(IS, "PROCESSLIST", columns::PROCESSLIST, Content::Processes),
    table(IS, "SCHEMATA", columns::SCHEMATA, Content::Schemata),
    table(IS, "STATISTICS", columns::STATISTICS, Content::Statistics),
    table(IS, "TABLES", columns::TABLES, Content::Tables),
    table("mysql", "clone_history", columns::HISTORY, Content::History),
    table(PS, "clone_progress", columns::PROGRESS, Content::Progress),
    table(PS, "clone_status", columns::STATUS, Content::Status),
    table(
        PS,
        "global_status",
        columns::VARIABLES,
        Content::InstanceStatus,
    ),
    table(
        PS,
        "global_variables",
        columns::VARIABLES,
        Content::Variables { global: true },
    ),
    table(
        PS,
        "persisted_variables",
        columns::PERSISTED,
        Content::PersistedVariables,
    ),
    table(PS, "processlist", columns::PROCESSLIST, Content::Processes),
    table(
        PS,
        "session_status",
        columns::VARIABLES,
        Content::InstanceStatus,
    ),
    table(
        PS,
        "session_variables",
        columns::VARIABLES,
        Content::Variables { global: false },
    ),
    table(
        PS,
        "variables_info",
        columns::VARIABLES_INFO,
        Content::VariablesInfo,
    ),
];

/// The table of this name; a schema or table that does not exist is an error of the server.
pub(crate) fn find(schema: &str, name: &str) -> Result<&'static Definition> {
    let found = ALL.iter().find(|table| {
        let shape = table.shape;
        shape.schema.eq_ignore_ascii_case(schema) && shape.name.eq_ignore_ascii_case(name)
    });
    found.ok_or_else(|| crate::engine::no_table(&format!("{schema}.{name}")))
}

/// The table that a session means which has `default` as its schema. Without one a name that only
/// one table has is enough.
pub(crate) fn meant(
    schema: Option<&str>,
    default: Option<&str>,
    name: &str,
) -> Result<&'static Definition> {
    if let Some(schema) = schema.or(default) {
        return find(schema, name);
    }
    let mut named = ALL
        .iter()
        .filter(|table| table.shape.name.eq_ignore_ascii_case(name));
    match (named.next(), named.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(SqlError::new(1046, "No database selected")),
    }
}

/// The schema as it is written here.
pub(crate) fn schema(name: &str) -> Result<&'static str> {
    let known = SCHEMAS
        .into_iter()
        .find(|schema| schema.eq_ignore_ascii_case(name));
    known.ok_or_else(|| SqlError::new(1049, format!("Unknown database '{name}'")))
}

/// A column as `DESC` has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    /// `YES` or `NO`.
    pub(crate) null: &'static str,
    pub(crate) key: &'static str,
    pub(crate) default: Option<&'static str>,
    pub(crate) extra: &'static str,
}

impl Definition {
    /// A column, by its place.
    pub(crate) fn described(&self, at: usize) -> Described {
        let (name, kind) = self.shape.columns[at];
        let is_history = self.content == Content::History;
        let is_key = is_history && name == "ID";
        Described {
            name,
            kind,
            null: if is_key { "NO" } else { "YES" },
            key: if is_key { "PRI" } else { "" },
            default: (is_history && name == "PID").then_some("0"),
            extra: if is_key { "auto_increment" } else { "" },
        }
    }

    /// What `SHOW CREATE TABLE` shows.
    pub(crate) fn ddl(&self) -> String {
        if self.content == Content::History {
            return CLONE_HISTORY_DDL.to_owned();
        }
        let column = |(name, kind): &(&str, &str)| {
            let is_time = kind.starts_with("timestamp");
            let null = if is_time { " NULL" } else { "" };
            format!("  `{name}` {kind}{null} DEFAULT NULL")
        };
        let columns: Vec<String> = self.shape.columns.iter().map(column).collect();
        format!(
            "CREATE TABLE `{}` (\n{}\n) ENGINE=PERFORMANCE_SCHEMA DEFAULT CHARSET=utf8mb4 \
             COLLATE={}",
            self.shape.name,
            columns.join(",\n"),
            catalog::COLLATION
        )
    }

    /// The kind of table in `SHOW FULL TABLES`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.shape.schema == IS {
            "SYSTEM VIEW"
        } else {
            "BASE TABLE"
        }
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
