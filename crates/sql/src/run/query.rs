//! `SELECT` on the system tables.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::types::Value;

use super::values;
use crate::access::{Identity, Privilege};
use crate::answer::{Answer, ResultSet};
use crate::engine::{Engine, Shape, translated};
use crate::error::Result;
use crate::parser::Parser;
use crate::processes::Entry;
use crate::session::Session;
use crate::tables::{self, Content, catalog};

/// Runs a query on the tables that it names.
pub(super) fn query(
    session: &Session,
    parser: &Parser<'_>,
    cancelled: &Arc<AtomicBool>,
) -> Result<Answer> {
    let query = translated(parser, session)?;
    let mut engine = Engine::new(&session.surroundings())?;
    for shape in query.tables {
        let table = tables::find(shape.schema, shape.name)?;
        if shape.schema != "information_schema" {
            session.identity.require_on(Privilege::Select, shape.name)?;
        }
        engine.add(shape, rows(session, table.content, cancelled)?)?;
    }
    engine
        .query(&query.sql, &query.kinds, cancelled)
        .map(Answer::Rows)
}

fn rows(
    session: &Session,
    content: Content,
    cancelled: &Arc<AtomicBool>,
) -> Result<Vec<Vec<Value>>> {
    let catalogue = &session.service.catalogue;
    match content {
        Content::History => tables::history(catalogue),
        Content::Status => tables::status(catalogue),
        Content::Progress => tables::progress(catalogue),
        Content::Processes => Ok(processes(session)),
        Content::Variables { global } => Ok(values::all(session, global)),
        Content::PersistedVariables => Ok(values::persisted(session)),
        Content::VariablesInfo => Ok(values::info(session)),
        Content::InstanceStatus => super::forward::status(session, cancelled),
        Content::Schemata => Ok(catalog::schemata()),
        Content::Tables => Ok(catalog::tables()),
        Content::Columns => Ok(catalog::columns()),
        Content::Statistics => Ok(catalog::statistics()),
        Content::Engines => Ok(catalog::engines()),
        Content::Plugins => Ok(catalog::plugins()),
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
    engine.add(shown(columns), rows)?;
    let condition = condition.map(|text| format!(" WHERE {text}"));
    let sql = format!("SELECT * FROM shown{}", condition.unwrap_or_default());
    engine.query(&sql, &[], cancelled)
}

/// The table that a `SHOW` filters.
pub(super) fn shown(columns: tables::Columns) -> Shape {
    Shape {
        schema: "information_schema",
        name: "shown",
        columns,
    }
}
