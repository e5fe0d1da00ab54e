//! The engine that answers SELECT: SQLite, for one statement at a time.
//!
//! Each statement gets an empty database in memory with the schemas of MySQL that exist here, and
//! in them copies of the tables that the statement names. So a statement sees one moment, can reach
//! no file, and leaves nothing behind. An authorizer allows reading these tables and calling known
//! functions, nothing else; limits end what takes too long.

mod functions;
mod names;
mod rewrite;
mod shift;
mod time;
mod words;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error as Sqlite};

pub(crate) use functions::Surroundings;
pub(crate) use rewrite::{Lookup, condition, quoted_text, rewritten};
pub(crate) use words::no_table;

use crate::answer::{Column, ColumnType, ResultSet};
use crate::error::{Result, SqlError};

/// The schemas of MySQL that have something here.
pub(crate) const SCHEMAS: [&str; 3] = ["information_schema", "mysql", "performance_schema"];

/// A table for one statement.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    /// Names and declared types.
    pub(crate) columns: &'static [(&'static str, &'static str)],
    pub(crate) rows: Vec<Vec<Value>>,
}

/// The database of one statement.
pub(crate) struct Engine {
    connection: Connection,
    allowed: BTreeSet<(String, String)>,
    /// The function a statement may not call.
    refused: Arc<Mutex<Option<SqlError>>>,
}

impl Engine {
    /// An engine with nothing but the schemas.
    pub(crate) fn new(around: &Surroundings) -> Result<Self> {
        let build = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_in_memory()?;
            connection.execute_batch("PRAGMA temp_store = MEMORY")?;
            for schema in SCHEMAS {
                connection.execute(&format!("ATTACH ':memory:' AS {schema}"), [])?;
            }
            functions::register(&connection, around)?;
            for (limit, most) in LIMITS {
                connection.set_limit(limit, most)?;
            }
            Ok(connection)
        };
        Ok(Self {
            connection: build().map_err(|error| internal(&error))?,
            allowed: BTreeSet::new(),
            refused: Arc::default(),
        })
    }

    /// Adds a table with its rows.
    pub(crate) fn add(&mut self, table: Table) -> Result<()> {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|(name, kind)| {
                let is_text = kind.contains("char") || kind.contains("text");
                let collation = if is_text { " COLLATE NOCASE" } else { "" };
                format!("`{name}` {kind}{collation}")
            })
            .collect();
        let full_name = format!("{}.{}", table.schema, table.name);
        let create = format!("CREATE TABLE {full_name} ({})", columns.join(", "));
        let places = vec!["?"; table.columns.len()].join(", ");
        let fill = || -> rusqlite::Result<()> {
            self.connection.execute(&create, [])?;
            let transaction = self.connection.transaction()?;
            let mut insert =
                transaction.prepare(&format!("INSERT INTO {full_name} VALUES ({places})"))?;
            for row in table.rows {
                insert.execute(rusqlite::params_from_iter(row))?;
            }
            drop(insert);
            transaction.commit()
        };
        fill().map_err(|error| internal(&error))?;
        let name = table.name.to_ascii_lowercase();
        self.allowed.insert((table.schema.to_owned(), name));
        Ok(())
    }

    /// Runs a statement of SQLite's language until `cancelled`.
    pub(crate) fn query(mut self, sql: &str, cancelled: &Arc<AtomicBool>) -> Result<ResultSet> {
        self.restrict(Arc::clone(cancelled))
            .map_err(|error| internal(&error))?;
        let refused = Arc::clone(&self.refused);
        let failed = |error: Sqlite| {
            let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
            match refused.take() {
                Some(refused) => refused,
                None if cancelled.load(Ordering::Relaxed) => SqlError::interrupted(),
                None => words::translated(&error),
            }
        };
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let mut columns: Vec<Column> = Vec::new();
        for column in statement.columns() {
            let kind = column
                .decl_type()
                .map_or(ColumnType::Null, ColumnType::declared);
            columns.push(Column::new(column.name(), kind));
        }
        let mut result = ResultSet {
            columns,
            ..ResultSet::default()
        };
        let mut rows = statement.query([]).map_err(failed)?;
        let mut size = 0;
        while let Some(row) = rows.next().map_err(failed)? {
            let mut values = Vec::with_capacity(result.columns.len());
            for (at, column) in result.columns.iter_mut().enumerate() {
                let value = row.get_ref(at).map_err(failed)?;
                column.kind = widened(column.kind, value);
                values.push(text_of(value));
            }
            size += values.iter().flatten().map(String::len).sum::<usize>() + 32 * values.len();
            if size > MOST_BYTES {
                return Err(
                    SqlError::new(1038, "The result of the statement is too large")
                        .hint("Ask for fewer rows by WHERE or LIMIT."),
                );
            }
            result.rows.push(values);
        }
        Ok(result)
    }

    /// From here on only SELECT works, and not for ever.
    fn restrict(&mut self, cancelled: Arc<AtomicBool>) -> rusqlite::Result<()> {
        let allowed = std::mem::take(&mut self.allowed);
        let refused = Arc::clone(&self.refused);
        let check = move |context: AuthContext<'_>| match context.action {
            AuthAction::Select => Authorization::Allow,
            AuthAction::Read { table_name, .. } => {
                let schema = context
                    .database_name
                    .unwrap_or_default()
                    .to_ascii_lowercase();
                // A query in FROM is a table without a schema.
                let is_derived = schema.is_empty();
                if is_derived || allowed.contains(&(schema, table_name.to_ascii_lowercase())) {
                    Authorization::Allow
                } else {
                    Authorization::Deny
                }
            }
            AuthAction::Function { function_name } => {
                if functions::is_known(function_name) {
                    return Authorization::Allow;
                }
                let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
                *refused = Some(words::no_function(function_name));
                Authorization::Deny
            }
            _ => Authorization::Deny,
        };
        self.connection.authorizer(Some(check))?;
        let begin = Instant::now();
        let mut steps = 0_u32;
        let handler = move || {
            steps += 1;
            steps > MOST_STEPS || begin.elapsed() > MOST_TIME || cancelled.load(Ordering::Relaxed)
        };
        self.connection
            .progress_handler(OPERATIONS_A_STEP, Some(handler))
    }
}

/// The type of a column without a declared one, as its values show it.
fn widened(kind: ColumnType, value: ValueRef<'_>) -> ColumnType {
    match (kind, value) {
        (ColumnType::Null, ValueRef::Integer(_)) => ColumnType::BigInt,
        (ColumnType::Null | ColumnType::BigInt, ValueRef::Real(_)) => ColumnType::Double,
        (
            ColumnType::Null | ColumnType::BigInt | ColumnType::Double,
            ValueRef::Text(_) | ValueRef::Blob(_),
        ) => ColumnType::Text,
        (kind, _) => kind,
    }
}

fn text_of(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

fn internal(error: &Sqlite) -> SqlError {
    SqlError::new(1105, format!("the engine for queries failed: {error}"))
}

/// What bounds the memory of a statement.
const LIMITS: [(Limit, i32); 9] = [
    (Limit::SQLITE_LIMIT_LENGTH, 1 << 20),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 18),
    (Limit::SQLITE_LIMIT_COLUMN, 512),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 32),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1024),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];
/// Most bytes of a result.
const MOST_BYTES: usize = 64 << 20;
const OPERATIONS_A_STEP: i32 = 1000;
/// A join of everything with everything ends after some seconds, and before it has filled memory.
const MOST_STEPS: u32 = 50_000;
const MOST_TIME: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests;
