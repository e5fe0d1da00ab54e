//! Questions to an agent.

use crate::Result;
use crate::agent::{BaseTold, BaseWeighed, InstanceTold, Question, SnapshotTold};
use crate::donor::instance::session::Session;
use crate::donor::remote::link::protocol;
use serde::de::DeserializeOwned;

/// Which instance it is the agent of.
pub(super) fn instance(session: &mut Session) -> Result<InstanceTold> {
    ask(session, &Question::Instance)
}

/// What an increment on this base would be.
pub(super) fn base(session: &mut Session, base: BaseTold) -> Result<BaseWeighed> {
    ask(session, &Question::Base(base))
}

/// What the clone of this number has become.
pub(super) fn snapshot(session: &mut Session, clone: u64) -> Result<SnapshotTold> {
    ask(session, &Question::Snapshot(clone))
}

fn ask<T: DeserializeOwned>(session: &mut Session, question: &Question) -> Result<T> {
    let rows = session.query("ask the agent", &question.to_sql())?;
    let text = rows.first().and_then(|row| row.text(0)).unwrap_or_default();
    serde_json::from_str(text)
        .map_err(|error| protocol(format!("the answer of the agent: {error}")))
}
