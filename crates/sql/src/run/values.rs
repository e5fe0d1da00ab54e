//! Values of variables for the engine, and lists of all variables.

use rusqlite::types::Value as Cell;

use crate::engine::{Lookup, Shape, quoted_text};
use crate::error::{Result, SqlError};
use crate::session::Session;
use crate::system;
use crate::tables;
use crate::variables::{Domain, Value, Variable};

impl Lookup for Session {
    fn system(&self, scope: Option<&str>, name: &str) -> Result<String> {
        if let Some(variable) = Variable::named(name) {
            if matches!(scope, Some("session" | "local")) {
                let message = format!("Variable '{name}' is a GLOBAL variable");
                return Err(SqlError::new(1238, message));
            }
            return Ok(literal(&self.service.variables(), variable));
        }
        let initial = system::initial(name);
        let own = self.variables.get(name).map(String::as_str);
        let own = own.filter(|_| scope != Some("global"));
        match own.or(initial) {
            Some("ON") => Ok("1".to_owned()),
            Some("OFF") => Ok("0".to_owned()),
            Some(text) if text.parse::<i64>().is_ok() => Ok(text.to_owned()),
            Some(text) => Ok(quoted_text(text)),
            None => Err(SqlError::new(
                1193,
                format!("Unknown system variable '{name}'"),
            )),
        }
    }

    fn user(&self, name: &str) -> String {
        let value = self.user_variables.get(name);
        value.map_or_else(|| "NULL".to_owned(), Clone::clone)
    }

    fn table(&self, schema: Option<&str>, name: &str) -> Result<Shape> {
        tables::meant(schema, self.schema.as_deref(), name).map(|table| table.shape)
    }
}

/// As `SELECT @@name` has it.
fn literal(variables: &crate::variables::Variables, variable: Variable) -> String {
    match variables.get(variable) {
        Value::Number(number) => match i64::try_from(number) {
            Ok(number) => number.to_string(),
            // SQLite has no larger whole numbers.
            Err(_) => quoted_text(&number.to_string()),
        },
        Value::Switch(on) => u8::from(on).to_string(),
        Value::Text(None) => "NULL".to_owned(),
        Value::Word(_) | Value::Text(Some(_)) => quoted_text(&variables.shown(variable)),
    }
}

/// Every variable with its value, by name, for `SHOW VARIABLES`.
pub(super) fn all(session: &Session, global: bool) -> Vec<Vec<Cell>> {
    let variables = session.service.variables();
    let clone = Variable::all().map(|variable| {
        let value = variables.shown(variable);
        (variable.name(), value)
    });
    let system = system::all().map(|(name, initial)| {
        let own = session.variables.get(name).filter(|_| !global);
        (name, own.cloned().unwrap_or_else(|| initial.to_owned()))
    });
    let mut all: Vec<(&str, String)> = clone.chain(system).collect();
    all.sort();
    let row = |(name, value): (&str, String)| vec![Cell::Text(name.to_owned()), Cell::Text(value)];
    all.into_iter().map(row).collect()
}

/// What outlives the process, for `performance_schema.persisted_variables`.
pub(super) fn persisted(session: &Session) -> Vec<Vec<Cell>> {
    let variables = session.service.variables();
    let row = |(name, value): (&str, &str)| {
        vec![Cell::Text(name.to_owned()), Cell::Text(value.to_owned())]
    };
    variables.persisted().map(row).collect()
}

/// Where the values of the variables come from, for `performance_schema.variables_info`.
pub(super) fn info(session: &Session) -> Vec<Vec<Cell>> {
    let variables = session.service.variables();
    let row = |variable: Variable| {
        let (source, path) = variables.source(variable);
        let (least, most) = match variable.definition().domain {
            Domain::Number { least, most, .. } => (least, most),
            _ => (0, 0),
        };
        let texts = [variable.name().to_owned(), source.to_owned(), path];
        let numbers = [least, most].map(|number| number.to_string());
        texts.into_iter().chain(numbers).map(Cell::Text).collect()
    };
    Variable::all().map(row).collect()
}
