//! From tokens to statements, by recursive descent.
//!
//! The grammar of CLONE is that of GreatSQL: the clauses behind the SSL clause come as one tail,
//! `START_LSN` and `INCREMENT BASED DIRECTORY` exclude each other, and the latter needs
//! `ENABLE PAGE TRACK`.

mod clone;
mod page_track;
mod set;
mod show;

use crate::error::{Result, SqlError};
use crate::lexer::Kind;
use crate::parser::Parser;
use crate::statement::{Killed, Statement};

/// Reads one statement.
pub(crate) fn parse(parser: &Parser<'_>) -> Result<Statement> {
    let mut parser = parser.clone();
    let Some(first) = parser.peek().cloned() else {
        return Err(SqlError::new(1065, "Query was empty"));
    };
    let verb = match first.kind {
        Kind::Word => first.text.to_ascii_uppercase(),
        _ if first.is_symbol("(") => return Ok(Statement::Query),
        _ => return Err(parser.error()),
    };
    match verb.as_str() {
        "SELECT" => Ok(page_track::call(&parser)?.map_or(Statement::Query, Statement::PageTrack)),
        "WITH" | "TABLE" => Ok(Statement::Query),
        "CLONE" => clone::statement(&mut parser).map(Statement::Clone),
        "SET" => set::statement(&mut parser).map(Statement::Set),
        "RESET" => set::reset(&mut parser),
        "SHOW" => show::statement(&mut parser).map(Statement::Show),
        "DESC" | "DESCRIBE" | "EXPLAIN" => show::describe(&mut parser).map(Statement::Show),
        "KILL" => kill(&mut parser),
        "INSTALL" | "UNINSTALL" => component(&mut parser, verb == "INSTALL"),
        "USE" => {
            parser.expect("USE")?;
            let name = parser.name()?;
            parser.end()?;
            Ok(Statement::Use(name))
        }
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" => transaction(&mut parser),
        _ if ELSEWHERE.contains(&verb.as_str()) => Err(SqlError::unsupported(&verb).hint(
            "innoclone takes the statements of CLONE and answers from its history. Connect to the \
             MySQL instance itself for this one.",
        )),
        _ => Err(parser.error()),
    }
}

fn kill(parser: &mut Parser<'_>) -> Result<Statement> {
    parser.expect("KILL")?;
    let what = if parser.accept("QUERY") {
        Killed::Query
    } else {
        parser.accept("CONNECTION");
        Killed::Connection
    };
    let id = parser.number()?;
    parser.end()?;
    Ok(Statement::Kill { id, what })
}

fn component(parser: &mut Parser<'_>, install: bool) -> Result<Statement> {
    parser.next();
    parser.expect("COMPONENT")?;
    let mut urns = vec![parser.string()?];
    while parser.accept_symbol(",") {
        urns.push(parser.string()?);
    }
    parser.end()?;
    Ok(Statement::Component { install, urns })
}

/// Clients begin and end transactions without being asked to.
fn transaction(parser: &mut Parser<'_>) -> Result<Statement> {
    if parser.accept("START TRANSACTION") {
        while parser.next().is_some() {}
    } else if parser.accept("BEGIN") || parser.accept("COMMIT") || parser.accept("ROLLBACK") {
        parser.accept("WORK");
    }
    parser.end()?;
    Ok(Statement::Nothing)
}

/// Verbs of MySQL that only an instance can serve.
const ELSEWHERE: [&str; 30] = [
    "ALTER", "ANALYZE", "BINLOG", "CALL", "CHANGE", "CHECK", "CHECKSUM", "CREATE", "DELETE", "DO",
    "DROP", "FLUSH", "GRANT", "HANDLER", "IMPORT", "INSERT", "LOAD", "LOCK", "OPTIMIZE", "PURGE",
    "RENAME", "REPAIR", "REPLACE", "RESTART", "REVOKE", "SHUTDOWN", "STOP", "TRUNCATE", "UNLOCK",
    "UPDATE",
];

#[cfg(test)]
mod tests;
