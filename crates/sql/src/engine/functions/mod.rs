//! Functions of MySQL for the engine.
//!
//! The translator calls them by names of its own and has checked how many arguments there are.

mod calendar;
mod groups;
mod json;
pub(super) mod numbers;
mod patterns;
mod sizes;
mod text;

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};

use super::collation;

/// What functions such as `USER()` answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) version: String,
    pub(crate) schema: Option<String>,
    /// `user@host`.
    pub(crate) user: String,
    pub(crate) connection_id: u64,
}

/// Functions of SQLite itself that a translated statement may call.
const BUILT_IN: [&str; 17] = [
    "abs",
    "avg",
    "count",
    "cume_dist",
    "dense_rank",
    "first_value",
    "iif",
    "lag",
    "last_value",
    "lead",
    "max",
    "min",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// Adds the functions of MySQL and the collation; the names of all that may be called.
pub(super) fn register(
    connection: &Connection,
    around: &Surroundings,
) -> Result<BTreeSet<&'static str>> {
    connection.create_collation(super::translate::AI_CI, collation::compare)?;
    let mut add = Adding {
        connection,
        names: BUILT_IN.into(),
    };
    add.names.insert("sum");
    session(&mut add, around)?;
    choices(&mut add)?;
    calendar::clock(&mut add, Timestamp::now())?;
    calendar::add(&mut add)?;
    groups::add(&mut add)?;
    json::add(&mut add)?;
    numbers::add(&mut add)?;
    patterns::add(&mut add)?;
    sizes::add(&mut add)?;
    text::add(&mut add)?;
    Ok(add.names)
}

struct Adding<'a> {
    connection: &'a Connection,
    names: BTreeSet<&'static str>,
}

impl Adding<'_> {
    /// A function of any number of arguments that may fail.
    fn value<F>(&mut self, name: &'static str, function: F) -> Result<()>
    where
        F: Fn(&Arguments<'_, '_>) -> Result<Value> + Send + 'static,
    {
        self.names.insert(name);
        self.connection
            .create_scalar_function(name, -1, FLAGS, move |context| {
                function(&Arguments { context })
            })
    }

    /// A function that is NULL where it has no answer.
    fn text<F>(&mut self, name: &'static str, function: F) -> Result<()>
    where
        F: Fn(&Arguments<'_, '_>) -> Option<String> + Send + 'static,
    {
        self.value(name, move |arguments| Ok(function(arguments).into()))
    }

    fn number<F>(&mut self, name: &'static str, function: F) -> Result<()>
    where
        F: Fn(&Arguments<'_, '_>) -> Option<i64> + Send + 'static,
    {
        self.value(name, move |arguments| Ok(function(arguments).into()))
    }

    fn real<F>(&mut self, name: &'static str, function: F) -> Result<()>
    where
        F: Fn(&Arguments<'_, '_>) -> Option<f64> + Send + 'static,
    {
        let finite = move |arguments: &Arguments<'_, '_>| {
            let number = function(arguments).filter(|number| number.is_finite());
            Ok(number.into())
        };
        self.value(name, finite)
    }
}

/// The arguments of a call.
struct Arguments<'a, 'c> {
    context: &'a Context<'c>,
}

impl Arguments<'_, '_> {
    fn len(&self) -> usize {
        self.context.len()
    }

    fn raw(&self, at: usize) -> Value {
        if at >= self.len() {
            return Value::Null;
        }
        match self.context.get_raw(at) {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Real(number) => Value::Real(number),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Value::Text(String::from_utf8_lossy(bytes).into_owned())
            }
        }
    }

    fn is_null(&self, at: usize) -> bool {
        at >= self.len() || self.context.get_raw(at) == ValueRef::Null
    }

    fn text(&self, at: usize) -> Option<String> {
        as_text(&self.raw(at))
    }

    fn real(&self, at: usize) -> Option<f64> {
        match self.raw(at) {
            Value::Null => None,
            Value::Integer(number) => Some(number as f64),
            Value::Real(number) => Some(number),
            other => Some(numbers::leading(&as_text(&other)?)),
        }
    }

    fn whole(&self, at: usize) -> Option<i64> {
        match self.raw(at) {
            Value::Integer(number) => Some(number),
            _ => self.real(at).map(|number| number.round() as i64),
        }
    }

    fn time(&self, at: usize) -> Option<jiff::civil::DateTime> {
        super::time::parse(&self.text(at)?)
    }

    /// All of them as texts; `None` if one is NULL.
    fn texts(&self) -> Option<Vec<String>> {
        (0..self.len()).map(|at| self.text(at)).collect()
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(numbers::shown(*number)),
        Value::Text(text) => Some(text.clone()),
        Value::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// A function fails with an error of the server.
fn failed<T>(code: u16, message: &str) -> Result<T> {
    let text = format!("{}{code} {message}", super::words::OF_THE_SERVER);
    Err(rusqlite::Error::UserFunctionError(text.into()))
}

fn session(add: &mut Adding<'_>, around: &Surroundings) -> Result<()> {
    let version = around.version.clone();
    let numbers: Vec<i64> = version
        .split(['.', '-'])
        .take(3)
        .map(|part| part.parse().unwrap_or(0))
        .collect();
    for (at, name) in ["version_major", "version_minor", "version_patch"]
        .into_iter()
        .enumerate()
    {
        let number = numbers.get(at).copied();
        add.number(name, move |_| number)?;
    }
    add.text("version", move |_| Some(version.clone()))?;
    let schema = around.schema.clone();
    add.text("database", move |_| schema.clone())?;
    let user = around.user.clone();
    add.text("user", move |_| Some(user.clone()))?;
    add.text("current_role", |_| Some("NONE".to_owned()))?;
    let id = around.connection_id.cast_signed();
    add.number("connection_id", move |_| Some(id))?;
    add.number("row_count", |_| Some(-1))?;
    for name in ["found_rows", "last_insert_id"] {
        add.number(name, |_| Some(0))?;
    }
    Ok(())
}

/// One of the arguments.
fn choices(add: &mut Adding<'_>) -> Result<()> {
    add.value("first_known", |arguments| {
        let known = (0..arguments.len()).find(|at| !arguments.is_null(*at));
        Ok(known.map_or(Value::Null, |at| arguments.raw(at)))
    })?;
    add.number("isnull", |arguments| Some(i64::from(arguments.is_null(0))))?;
    for (name, wanted) in [
        ("greatest", std::cmp::Ordering::Greater),
        ("least", std::cmp::Ordering::Less),
    ] {
        add.value(name, move |arguments| {
            let mut best = arguments.raw(0);
            for at in 0..arguments.len() {
                if arguments.is_null(at) {
                    return Ok(Value::Null);
                }
                let next = arguments.raw(at);
                if order(&next, &best) == wanted {
                    best = next;
                }
            }
            Ok(best)
        })?;
    }
    Ok(())
}

/// Texts compare as such, numbers as such.
fn order(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Text(_), _) | (_, Value::Text(_)) => {
            let text = |value: &Value| as_text(value).unwrap_or_default();
            collation::compare(&text(a), &text(b))
        }
        _ => {
            let number = |value: &Value| match value {
                Value::Integer(number) => *number as f64,
                Value::Real(number) => *number,
                other => numbers::leading(&as_text(other).unwrap_or_default()),
            };
            number(a).total_cmp(&number(b))
        }
    }
}

const FLAGS: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);
