//! The rows of `information_schema`: what the tables are, for clients that look around.

use rusqlite::types::Value;

use super::{ALL, Content, Definition, text};
use crate::answer::ColumnType;
use crate::engine::SCHEMAS;

const NULL: Value = Value::Null;

/// The rows of `SCHEMATA`.
pub(crate) fn schemata() -> Vec<Vec<Value>> {
    let row = |schema: &str| {
        let (charset, collation) = if schema == "information_schema" {
            ("utf8mb3", "utf8mb3_general_ci")
        } else {
            ("utf8mb4", "utf8mb4_0900_ai_ci")
        };
        vec![
            text("def"),
            text(schema),
            text(charset),
            text(collation),
            NULL,
            text("NO"),
        ]
    };
    SCHEMAS.iter().map(|schema| row(schema)).collect()
}

/// The rows of `TABLES`.
pub(crate) fn tables() -> Vec<Vec<Value>> {
    ALL.iter().map(table).collect()
}

fn table(table: &Definition) -> Vec<Value> {
    let engine = match table.shape.schema {
        "information_schema" => NULL,
        "performance_schema" => text("PERFORMANCE_SCHEMA"),
        _ => text("InnoDB"),
    };
    let is_history = table.content == Content::History;
    let mut row = vec![
        text("def"),
        text(table.shape.schema),
        text(table.shape.name),
        text(table.kind()),
        engine,
        Value::Integer(10),
        text("Dynamic"),
    ];
    row.resize(17, NULL);
    row.push(text(COLLATION));
    row.push(NULL);
    row.push(text(if is_history { "stats_persistent=0" } else { "" }));
    row.push(text(if is_history { "Clone history" } else { "" }));
    row
}

/// The rows of `COLUMNS`.
pub(crate) fn columns() -> Vec<Vec<Value>> {
    let all = ALL.iter();
    all.flat_map(|table| (0..table.shape.columns.len()).map(move |at| column(table, at)))
        .collect()
}

fn column(table: &Definition, at: usize) -> Vec<Value> {
    let described = table.described(at);
    let kind = ColumnType::declared(described.kind);
    let characters = match kind {
        ColumnType::Char(size) | ColumnType::VarChar(size) => Some(i64::from(size)),
        ColumnType::Text => Some(i64::from(u32::MAX)),
        _ => None,
    };
    let (precision, digits) = match kind {
        ColumnType::Int => (Some(10), None),
        ColumnType::BigInt => (Some(19), None),
        ColumnType::UnsignedBigInt => (Some(20), None),
        ColumnType::Timestamp(digits) => (None, Some(i64::from(digits))),
        _ => (None, None),
    };
    let only_text = |name: &str| characters.map_or(NULL, |_| text(name));
    let name = described.kind.split(['(', ' ']).next().unwrap_or_default();
    vec![
        text("def"),
        text(table.shape.schema),
        text(table.shape.name),
        text(described.name),
        Value::Integer(i64::try_from(at).unwrap_or(0) + 1),
        described.default.map_or(NULL, text),
        text(described.null),
        text(name),
        characters.into(),
        characters
            .map(|count| (4 * count).min(i64::from(u32::MAX)))
            .into(),
        precision.into(),
        precision.map(|_| 0_i64).into(),
        digits.into(),
        only_text("utf8mb4"),
        only_text(COLLATION),
        text(described.kind),
        text(described.key),
        text(described.extra),
        text("select"),
        text(""),
        text(""),
        NULL,
    ]
}

/// The rows of `STATISTICS`: the only index.
pub(crate) fn statistics() -> Vec<Vec<Value>> {
    vec![vec![
        text("def"),
        text("mysql"),
        text("clone_history"),
        Value::Integer(0),
        text("mysql"),
        text("PRIMARY"),
        Value::Integer(1),
        text("ID"),
        text("A"),
        NULL,
        NULL,
        NULL,
        text(""),
        text("BTREE"),
        text(""),
        text(""),
        text("YES"),
        NULL,
    ]]
}

/// The rows of `ENGINES`: what the tables of clones say they are in.
pub(crate) fn engines() -> Vec<Vec<Value>> {
    let row = |texts: [&str; 6]| texts.map(text).to_vec();
    vec![
        row([
            "InnoDB",
            "DEFAULT",
            "Supports transactions, row-level locking, and foreign keys",
            "YES",
            "YES",
            "YES",
        ]),
        row([
            "PERFORMANCE_SCHEMA",
            "YES",
            "Performance Schema",
            "NO",
            "NO",
            "NO",
        ]),
    ]
}

/// The rows of `PLUGINS`: what `CLONE` needs.
pub(crate) fn plugins() -> Vec<Vec<Value>> {
    let row = ["clone", "1.0", "ACTIVE", "CLONE"].map(text);
    let mut row = row.to_vec();
    row.extend([NULL, text(env!("CARGO_PKG_LICENSE")), text("ON")]);
    vec![row]
}

/// The collation of all texts.
pub(crate) const COLLATION: &str = "utf8mb4_0900_ai_ci";
