//! `SET` and `RESET PERSIST`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::encryption;
use crate::access::Privilege;
use crate::engine::{Engine, quoted_text, translated};
use crate::error::{Result, SqlError};
use crate::parser::Parser;
use crate::session::{Message, Session};
use crate::statement::{Assignment, Expression, Scope};
use crate::system;
use crate::variables::Variable;

/// Makes assignments in their order, up to the first that fails.
pub(super) fn set(
    session: &mut Session,
    assignments: &[Assignment],
    cancelled: &Arc<AtomicBool>,
) -> Result<()> {
    for assignment in assignments {
        match assignment {
            Assignment::Session => {}
            Assignment::User { name, value } => {
                let value = evaluated(session, value, cancelled)?;
                session
                    .user_variables
                    .insert(name.clone(), as_literal(&value));
                if session.user_variables.len() > MOST_VARIABLES {
                    session.user_variables.clear();
                    return Err(SqlError::new(
                        1041,
                        "Too many user variables in this session",
                    ));
                }
            }
            Assignment::Variable { scope, name, value } => {
                assign(session, *scope, name, value, cancelled)?;
            }
        }
    }
    Ok(())
}

fn assign(
    session: &mut Session,
    scope: Scope,
    name: &str,
    value: &Expression,
    cancelled: &Arc<AtomicBool>,
) -> Result<()> {
    let variable = Variable::named(name);
    match (scope, variable) {
        (Scope::Session, Some(variable)) => {
            let name = variable.name();
            let message =
                format!("Variable '{name}' is a GLOBAL variable and should be set with SET GLOBAL");
            Err(SqlError::new(1229, message))
        }
        (Scope::Session, None) => {
            // Clients set what they need by habit; without a meaning here it does no harm.
            if system::initial(name).is_some() {
                let value = evaluated(session, value, cancelled)?;
                let shown = session_value(name, &value);
                session.variables.insert(name.to_owned(), shown);
            }
            Ok(())
        }
        (_, None) => Err(SqlError::new(
            1193,
            format!("Unknown system variable '{name}'"),
        )),
        (scope, Some(variable)) => {
            session.identity.require(Privilege::SystemVariablesAdmin)?;
            let value = match value {
                Expression::Other(_) => evaluated(session, value, cancelled)?,
                other => other.clone(),
            };
            if let (Variable::EncryptKeyPath, Expression::Text(path)) = (variable, &value) {
                encryption::check_path(path)?;
            }
            let warnings = session.service.variables().set(scope, variable, &value)?;
            for warning in warnings {
                session.messages.push(Message {
                    level: "Warning",
                    code: warning.code,
                    text: warning.message,
                });
            }
            let shown = session.service.variables().shown(variable);
            tracing::info!(
                session = session.id(),
                user = session.identity.user,
                variable = variable.name(),
                value = shown,
                ?scope,
                "variable set"
            );
            Ok(())
        }
    }
}

/// `RESET PERSIST`: variables leave the file, and keep their values until the next start.
pub(super) fn reset_persist(
    session: &mut Session,
    name: Option<&str>,
    if_exists: bool,
) -> Result<()> {
    session.identity.require(Privilege::SystemVariablesAdmin)?;
    let found = session.service.variables().forget(name)?;
    if found {
        return Ok(());
    }
    let name = name.unwrap_or_default();
    let text = format!("Variable {name} does not exist in persisted config file");
    if if_exists {
        session.messages.push(Message {
            level: "Warning",
            code: 3615,
            text,
        });
        return Ok(());
    }
    Err(SqlError::new(3615, text))
}

/// The value of an expression: a text or a number.
fn evaluated(
    session: &Session,
    value: &Expression,
    cancelled: &Arc<AtomicBool>,
) -> Result<Expression> {
    let Expression::Other(text) = value else {
        return Ok(value.clone());
    };
    let sql = format!("SELECT {text}");
    let parser = Parser::statements(&sql)?.into_iter().next();
    let parser = parser.ok_or_else(|| SqlError::syntax(text, 1))?;
    let query = translated(&parser, session)?;
    if !query.tables.is_empty() {
        return Err(SqlError::unsupported("SET with a query on a table"));
    }
    let engine = Engine::new(&session.surroundings())?;
    let result = engine.query(&query.sql, &query.kinds, cancelled)?;
    let is_number = result
        .columns
        .first()
        .is_some_and(|column| column.kind.is_number());
    let value = result
        .rows
        .into_iter()
        .next()
        .and_then(|row| row.into_iter().next());
    Ok(match value.flatten() {
        None => Expression::Name("NULL".to_owned()),
        Some(text) if is_number => Expression::Number(text),
        Some(text) => Expression::Text(text),
    })
}

/// As the variable is shown: switches are words.
fn session_value(name: &str, value: &Expression) -> String {
    let initial = system::initial(name).unwrap_or_default();
    let text = match value {
        Expression::Default => return initial.to_owned(),
        Expression::Name(text)
        | Expression::Text(text)
        | Expression::Number(text)
        | Expression::Other(text) => text.clone(),
    };
    match text.to_ascii_uppercase().as_str() {
        "1" | "ON" | "TRUE" if ["ON", "OFF"].contains(&initial) => "ON".to_owned(),
        "0" | "OFF" | "FALSE" if ["ON", "OFF"].contains(&initial) => "OFF".to_owned(),
        _ => text.chars().take(1024).collect(),
    }
}

fn as_literal(value: &Expression) -> String {
    match value {
        Expression::Number(text) => text.clone(),
        Expression::Name(text) if text.eq_ignore_ascii_case("NULL") => "NULL".to_owned(),
        Expression::Name(text) | Expression::Text(text) | Expression::Other(text) => {
            quoted_text(text)
        }
        Expression::Default => "NULL".to_owned(),
    }
}

const MOST_VARIABLES: usize = 100;
