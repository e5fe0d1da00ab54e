//! Statements, executed.

mod clone;
mod encryption;
mod failure;
mod forward;
mod kill;
mod lists;
mod query;
mod set;
mod show;
mod values;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::answer::Answer;
use crate::error::Result;
use crate::parser::Parser;
use crate::session::Session;
use crate::statement::Statement;
use crate::tables;

/// The answer to a statement. `parser` has its text.
pub(crate) fn statement(
    session: &mut Session,
    parser: &Parser<'_>,
    statement: &Statement,
    cancelled: &Arc<AtomicBool>,
) -> Result<Answer> {
    match statement {
        Statement::Clone(clone) => clone::clone(session, clone, cancelled)?,
        Statement::Set(assignments) => set::set(session, assignments, cancelled)?,
        Statement::ResetPersist { name, if_exists } => {
            set::reset_persist(session, name.as_deref(), *if_exists)?;
        }
        Statement::Kill { id, what } => kill::kill(session, *id, *what)?,
        Statement::Component { install, urns } => {
            forward::component(session, *install, urns, cancelled)?;
        }
        Statement::Use(name) => use_schema(session, name)?,
        Statement::Nothing => {}
        Statement::Show(show) => return show::show(session, parser, show, cancelled),
        Statement::PageTrack(call) => return forward::page_track(session, call, cancelled),
        Statement::Query => return query::query(session, parser, cancelled),
    }
    Ok(done(session))
}

/// `USE name`.
pub(crate) fn use_schema(session: &mut Session, name: &str) -> Result<()> {
    let known = tables::schema(name)?;
    session.schema = Some(known.to_owned());
    session.process.set_schema(session.schema.clone());
    Ok(())
}

fn done(session: &Session) -> Answer {
    Answer::Done {
        warnings: u16::try_from(session.messages.len()).unwrap_or(u16::MAX),
    }
}
