//! How clones end: by report of their process, or by its absence.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::catalogue::{Catalogue, guard};
use crate::cells::signed;
use crate::clone::{CloneId, Outcome};
use crate::error::{Error, Fault, Result};
use crate::owner::{self, Process, RunLock};
use crate::row::State;
use crate::text::{GTID_CHARS, NAME_CHARS, cut, cut_gtid_set};
use crate::{sql, times};

/// `ER_QUERY_INTERRUPTED`, the number a killed clone has in the server too.
const INTERRUPTED: i32 = 1317;

impl Catalogue {
    /// Records that a clone ended well. Stages still running become `Completed`.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when the clone has ended before.
    pub fn complete(&self, id: CloneId, outcome: &Outcome) -> Result<()> {
        self.finish(id, State::Completed, outcome)
    }

    /// Records that a clone failed or was interrupted. A running stage becomes `Failed`.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when the clone has ended before.
    pub fn fail(&self, id: CloneId, outcome: &Outcome) -> Result<()> {
        self.finish(id, State::Failed, outcome)
    }

    fn finish(&self, id: CloneId, state: State, outcome: &Outcome) -> Result<()> {
        let ending = Ending {
            state,
            outcome,
            end_us: times::now_us(),
        };
        self.write("record the end of a clone", |transaction| {
            clone_state(transaction, id)?.must_run(id)?;
            end_clone(transaction, id, &ending)
        })?;
        let lock = guard(&self.locks).remove(&id.get());
        lock.map_or_else(|| owner::forget(&self.dir, id.get()), RunLock::release);
        Ok(())
    }

    /// Marks the clones `In Progress` whose process is gone as `Failed` and returns them. Their
    /// `END_TIME` is the time they were found, since nobody saw them end. Should the owner live
    /// after all, its own report still takes precedence.
    pub fn reap(&self) -> Result<Vec<CloneId>> {
        let mut reaped = Vec::new();
        for (clone, process) in self.running_with_owner()? {
            let id = clone.id;
            if owner::is_running(&self.dir, id.get(), process.as_ref()) {
                continue;
            }
            let message = abandoned(process.as_ref());
            let end_us = times::now_us().max(clone.begin_us);
            let marked = self.write("mark an abandoned clone", |transaction| {
                let end_time = times::timestamp3(end_us);
                let changed = transaction.execute(
                    sql::REAP_CLONE,
                    params![id.get(), end_time, INTERRUPTED, message],
                )?;
                if changed > 0 {
                    transaction.execute(sql::REAP_BOOKKEEPING, params![id.get(), end_us])?;
                    end_stages(transaction, id, State::Failed, end_us, false)?;
                }
                Ok(changed > 0)
            })?;
            if marked {
                owner::forget(&self.dir, id.get());
                reaped.push(id);
            }
        }
        Ok(reaped)
    }
}

/// What decides whether a clone may change.
pub(crate) struct CloneState {
    state: State,
    begin_us: i64,
    reaped: bool,
}

impl CloneState {
    /// A clone believed abandoned whose owner reports after all counts as running.
    pub(crate) fn must_run(&self, id: CloneId) -> Result<()> {
        if self.state == State::InProgress || self.reaped {
            return Ok(());
        }
        Err(Error::NotRunning {
            id: id.get(),
            state: self.state.to_string(),
        })
    }
}

pub(crate) fn clone_state(transaction: &Transaction<'_>, id: CloneId) -> Result<CloneState, Fault> {
    transaction
        .query_row(sql::CLONE_STATE, [id.get()], |row| {
            Ok(CloneState {
                state: row.get(0)?,
                begin_us: row.get(1)?,
                reaped: row.get(2)?,
            })
        })
        .optional()?
        .ok_or_else(|| Error::NoSuchClone { id: id.get() }.into())
}

/// How a clone ended.
pub(crate) struct Ending<'a> {
    pub(crate) state: State,
    pub(crate) outcome: &'a Outcome,
    pub(crate) end_us: i64,
}

pub(crate) fn end_clone(
    transaction: &Transaction<'_>,
    id: CloneId,
    ending: &Ending<'_>,
) -> Result<(), Fault> {
    let outcome = ending.outcome;
    // A clock set back in between must not make a clone end before it began.
    let CloneState {
        begin_us, reaped, ..
    } = clone_state(transaction, id)?;
    let end_us = ending.end_us.max(begin_us);
    transaction.execute(
        sql::FINISH_CLONE,
        params![
            id.get(),
            ending.state,
            times::timestamp3(end_us),
            outcome.error_no,
            cut(&outcome.error_message, NAME_CHARS),
            cut(&outcome.binlog_file, NAME_CHARS),
            signed("BINLOG_POSITION", outcome.binlog_position)?,
            cut_gtid_set(&outcome.gtid_executed, GTID_CHARS),
            signed("START_LSN", outcome.start_lsn)?,
            signed("PAGE_TRACK_LSN", outcome.page_track_lsn)?,
            signed("END_LSN", outcome.end_lsn)?,
        ],
    )?;
    transaction.execute(
        sql::FINISH_BOOKKEEPING,
        params![id.get(), end_us, outcome.set_id],
    )?;
    transaction.execute(sql::DELETE_IMPORTED_TWIN, params![id.get(), outcome.set_id])?;
    end_stages(transaction, id, ending.state, end_us, reaped)?;
    Ok(())
}

/// Ends the running stages; after a wrong verdict also those the reaper ended.
fn end_stages(
    transaction: &Transaction<'_>,
    id: CloneId,
    state: State,
    end_us: i64,
    was_reaped: bool,
) -> rusqlite::Result<()> {
    let end_time = times::timestamp6(end_us);
    transaction.execute(
        sql::END_RUNNING_STAGES,
        params![id.get(), state, end_time, was_reaped],
    )?;
    Ok(())
}

fn abandoned(process: Option<&Process>) -> String {
    match process {
        Some(Process { pid, .. }) => format!(
            "The process that ran this clone (pid {pid}) ended without reporting a result: it \
             was killed, or the host was restarted"
        ),
        None => "No process runs this clone".to_owned(),
    }
}
