//! The engine that answers SELECT: SQLite, for one statement at a time.
//!
//! Each statement gets an empty database in memory with the schemas of MySQL that exist here, and
//! in them copies of the tables that the statement names. So a statement sees one moment, can reach
//! no file, and leaves nothing behind. An authorizer allows reading these tables and calling known
//! functions, nothing else; limits end what takes too long.

mod collation;
mod functions;
mod shown;
mod time;
mod translate;
mod words;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::Value;
use rusqlite::{Connection, Error as Sqlite};

pub(crate) use functions::Surroundings;
pub(crate) use translate::{Kind, Lookup, condition, quoted_text, translated};
pub(crate) use words::no_table;

use crate::answer::{Column, ColumnType, ResultSet};
use crate::error::{Result, SqlError};

/// The schemas of MySQL that have something here.
pub(crate) const SCHEMAS: [&str; 3] = ["information_schema", "mysql", "performance_schema"];

/// What a table is called, and what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    /// Names and declared types.
    pub(crate) columns: &'static [(&'static str, &'static str)],
}

/// The database of one statement.
pub(crate) struct Engine {
    connection: Connection,
    allowed: BTreeSet<(String, String)>,
    functions: BTreeSet<&'static str>,
}

impl Engine {
    /// An engine with nothing but the schemas.
    pub(crate) fn new(around: &Surroundings) -> Result<Self> {
        let build = || -> rusqlite::Result<_> {
            let connection = Connection::open_in_memory()?;
            connection.execute_batch("PRAGMA temp_store = MEMORY")?;
            for schema in SCHEMAS {
                connection.execute(&format!("ATTACH ':memory:' AS {schema}"), [])?;
            }
            let functions = functions::register(&connection, around)?;
            for (limit, most) in LIMITS {
                connection.set_limit(limit, most)?;
            }
            Ok((connection, functions))
        };
        let (connection, functions) = build().map_err(|error| internal(&error))?;
        Ok(Self {
            connection,
            allowed: BTreeSet::new(),
            functions,
        })
    }

    /// Adds a table with its rows.
    pub(crate) fn add(&mut self, shape: Shape, rows: Vec<Vec<Value>>) -> Result<()> {
        let columns: Vec<String> = shape
            .columns
            .iter()
            .map(|(name, kind)| {
                let is_text = kind.contains("char") || kind.contains("text");
                let collation = if is_text { " COLLATE ai_ci" } else { "" };
                format!("`{name}` {kind}{collation}")
            })
            .collect();
        let full_name = format!("{}.{}", shape.schema, shape.name);
        let create = format!("CREATE TABLE {full_name} ({})", columns.join(", "));
        let places = vec!["?"; shape.columns.len()].join(", ");
        let fill = || -> rusqlite::Result<()> {
            self.connection.execute(&create, [])?;
            let transaction = self.connection.transaction()?;
            let mut insert =
                transaction.prepare(&format!("INSERT INTO {full_name} VALUES ({places})"))?;
            for row in rows {
                insert.execute(rusqlite::params_from_iter(row))?;
            }
            drop(insert);
            transaction.commit()
        };
        fill().map_err(|error| internal(&error))?;
        let name = shape.name.to_ascii_lowercase();
        self.allowed.insert((shape.schema.to_owned(), name));
        Ok(())
    }

    /// Runs a statement until `cancelled`. Of its columns `kinds` says what they hold, if it has as
    /// many.
    pub(crate) fn query(
        mut self,
        sql: &str,
        kinds: &[Kind],
        cancelled: &Arc<AtomicBool>,
    ) -> Result<ResultSet> {
        self.restrict(Arc::clone(cancelled), sql.contains("WITH RECURSIVE"))
            .map_err(|error| internal(&error))?;
        let failed = |error: Sqlite| {
            if cancelled.load(Ordering::Relaxed) {
                return SqlError::interrupted();
            }
            words::translated(&error)
        };
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let count = statement.column_count();
        let kind_at = |at: usize| {
            let kind = kinds.get(at).filter(|_| kinds.len() == count);
            kind.copied().unwrap_or(Kind::Unknown)
        };
        let mut columns: Vec<Column> = Vec::new();
        for (at, column) in statement.columns().enumerate() {
            let declared = column.decl_type().map(ColumnType::declared);
            let kind = declared.unwrap_or_else(|| shown::column_type(kind_at(at)));
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
                column.kind = shown::widened(column.kind, value);
                values.push(shown::text(kind_at(at), value)?);
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
    fn restrict(&mut self, cancelled: Arc<AtomicBool>, is_recursive: bool) -> rusqlite::Result<()> {
        let allowed = std::mem::take(&mut self.allowed);
        let functions = std::mem::take(&mut self.functions);
        let check = move |context: AuthContext<'_>| match context.action {
            AuthAction::Select | AuthAction::Recursive => Authorization::Allow,
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
            AuthAction::Function { function_name }
                if functions.contains(function_name.to_ascii_lowercase().as_str()) =>
            {
                Authorization::Allow
            }
            _ => Authorization::Deny,
        };
        self.connection.authorizer(Some(check))?;
        let begin = Instant::now();
        let mut steps = 0_u32;
        let most = if is_recursive {
            MOST_STEPS_OF_RECURSION
        } else {
            MOST_STEPS
        };
        let handler = move || {
            steps += 1;
            steps > most || begin.elapsed() > MOST_TIME || cancelled.load(Ordering::Relaxed)
        };
        self.connection
            .progress_handler(OPERATIONS_A_STEP, Some(handler))
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
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 500),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 127),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1024),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];
/// Most bytes of a result.
const MOST_BYTES: usize = 64 << 20;
const OPERATIONS_A_STEP: i32 = 1000;
/// A join of everything with everything ends after some seconds, and before it has filled memory.
const MOST_STEPS: u32 = 50_000;
/// What recurses without end fills memory sooner; the server itself ends after 1000 rounds.
const MOST_STEPS_OF_RECURSION: u32 = 2500;
const MOST_TIME: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests;
