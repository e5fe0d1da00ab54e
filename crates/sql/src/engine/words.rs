//! SQLite's errors in MySQL's words.

use rusqlite::{Error, ErrorCode};

use crate::error::SqlError;

/// The error of the server for the same mistake.
pub(super) fn translated(error: &Error) -> SqlError {
    if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
        return SqlError::new(
            3024,
            "Query execution was interrupted, maximum statement execution time exceeded",
        );
    }
    let own = error.to_string();
    let text = match error {
        Error::UserFunctionError(_) => own.as_str(),
        Error::SqliteFailure(_, Some(text)) => text.as_str(),
        Error::SqlInputError { msg, .. } => msg.as_str(),
        Error::MultipleStatement => return SqlError::syntax("", 1),
        _ => "",
    };
    let behind = |head: &str| text.strip_prefix(head);
    if let Some((code, message)) = behind(OF_THE_SERVER).and_then(|rest| rest.split_once(' ')) {
        return SqlError::new(code.parse().unwrap_or(1105), message);
    }
    if let Some(name) = behind("no such table: ") {
        return no_table(name);
    }
    if let Some(name) = behind("no such column: ") {
        let message = format!("Unknown column '{name}' in 'field list'");
        return SqlError::new(1054, message);
    }
    if let Some(name) = behind("ambiguous column name: ") {
        let message = format!("Column '{name}' in field list is ambiguous");
        return SqlError::new(1052, message);
    }
    if let Some(rest) = behind("near \"") {
        let near = rest.rsplit_once('"').map_or(rest, |(near, _)| near);
        return SqlError::syntax(near, 1);
    }
    if text == "incomplete input" {
        return SqlError::syntax("", 1);
    }
    if text.contains("prohibited") || text.contains("not authorized") {
        return SqlError::new(1142, "command denied for this statement")
            .hint("Only reading statements on the tables of CLONE are answered.");
    }
    if text.contains("do not have the same number of result columns") {
        return SqlError::new(
            1222,
            "The used SELECT statements have a different number of columns",
        );
    }
    if error.sqlite_error_code() == Some(ErrorCode::TooBig) {
        return SqlError::new(1038, "The statement needs more memory than it may have");
    }
    SqlError::new(
        1064,
        format!("You have an error in your SQL syntax: {text}"),
    )
    .hint("Queries are answered by an embedded engine that knows the usual forms of SELECT.")
}

/// 1146, or 1049 where the schema does not exist either.
pub(crate) fn no_table(name: &str) -> SqlError {
    if let Some((schema, _)) = name.split_once('.')
        && !super::SCHEMAS.contains(&schema.to_ascii_lowercase().as_str())
    {
        return SqlError::new(1049, format!("Unknown database '{schema}'"));
    }
    SqlError::new(1146, format!("Table '{name}' doesn't exist"))
}

/// What an error begins with that a function of ours gives: a number and a message follow.
pub(super) const OF_THE_SERVER: &str = "of the server: ";
