//! `SELECT` on the system tables.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::types::Value;

use super::values;
use crate::access::{Identity, Privilege};
use crate::answer::{Answer, ResultSet};
use crate::engine::{Engine, rewritten};
use crate::error::Result;
use crate::lexer::Kind;
use crate::parser::Parser;
use crate::processes::Entry;
use crate::session::Session;
use crate::tables::{self, Content, Definition};

/// Runs a query on the tables that it names.
pub(super) fn query(
    session: &Session,
    parser: &Parser<'_>,
    cancelled: &Arc<AtomicBool>,
) -> Result<Answer> {
    let sql = rewritten(parser, session)?;
    let mut engine = Engine::new(&session.surroundings())?;
    for table in named(parser) {
        if table.schema != "information_schema" {
            session.identity.require_on(Privilege::Select, table.name)?;
        }
        engine.add(table.with(rows(session, table.content)?))?;
    }
    engine.query(&sql, cancelled).map(Answer::Rows)
}

/// The tables whose names are in the statement: at least those that it reads.
fn named(parser: &Parser<'_>) -> impl Iterator<Item = &'static Definition> {
    tables::ALL.iter().filter(|table| {
        parser.tokens().iter().any(|token| {
            matches!(token.kind, Kind::Word | Kind::Quoted)
                && token.text.eq_ignore_ascii_case(table.name)
        })
    })
}

fn rows(session: &Session, content: Content) -> Result<Vec<Vec<Value>>> {
    let catalogue = &session.service.catalogue;
    match content {
        Content::History => tables::history(catalogue),
        Content::Status => tables::status(catalogue),
        Content::Progress => tables::progress(catalogue),
        Content::Processes => Ok(processes(session)),
        Content::Variables { global } => Ok(values::all(session, global)),
    }
}

/// The sessions that this one may see.
pub(super) fn processes(session: &Session) -> Vec<Vec<Value>> {
    let entries = session
        .service
        .processes
        .entries(own_only(&session.identity));
    entries.into_iter().map(process_row).collect()
}

fn own_only(identity: &Identity) -> Option<&str> {
    let sees_all = identity.has(Privilege::Process) || identity.has(Privilege::ConnectionAdmin);
    (!sees_all).then_some(identity.user.as_str())
}

fn process_row(entry: Entry) -> Vec<Value> {
    let Entry {
        id,
        user,
        host,
        schema,
        command,
        seconds,
        state,
        info,
    } = entry;
    vec![
        id.cast_signed().into(),
        user.into(),
        host.into(),
        schema.into(),
        tables::text(command),
        i64::try_from(seconds).unwrap_or(i64::MAX).into(),
        state.into(),
        info.into(),
    ]
}

/// A result of rows that are at hand, as far as a condition of the engine's language holds.
pub(super) fn filtered(
    session: &Session,
    columns: tables::Columns,
    rows: Vec<Vec<Value>>,
    condition: Option<&str>,
    cancelled: &Arc<AtomicBool>,
) -> Result<ResultSet> {
    let mut engine = Engine::new(&session.surroundings())?;
    let table = Definition {
        schema: "information_schema",
        name: "shown",
        columns,
        content: Content::Processes,
    };
    engine.add(table.with(rows))?;
    let condition = condition.map(|text| format!(" WHERE {text}"));
    let sql = format!("SELECT * FROM shown{}", condition.unwrap_or_default());
    engine.query(&sql, cancelled)
}
