//! The catalogue: starting, ending and finding clones.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::cells::{history_row, signed, status_row};
use crate::error::{Error, Fault, Result};
use crate::owner::{self, Process, RunLock};
use crate::progress::STAGES;
use crate::row::{CloneType, HistoryRow, State, StatusRow};
use crate::text::{GTID_CHARS, NAME_CHARS, cut, cut_gtid_set};
use crate::{FILE_NAME, open, sql, times};

/// `ER_QUERY_INTERRUPTED`, the number a killed clone has in the server too.
const INTERRUPTED: i32 = 1317;

/// An open catalogue. Threads may share it; processes each open their own.
#[derive(Debug)]
pub struct Catalogue {
    dir: PathBuf,
    path: PathBuf,
    connection: Mutex<Connection>,
    locks: Mutex<HashMap<i64, RunLock>>,
}

/// Number of a clone in its catalogue, the column `ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloneId(i64);

impl CloneId {
    /// The value of `ID`.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl From<i64> for CloneId {
    fn from(id: i64) -> Self {
        Self(id)
    }
}

impl fmt::Display for CloneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is known of a clone when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClone {
    /// Id of the server connection the clone runs under, the argument of `KILL`.
    pub pid: i64,
    /// Full or increment.
    pub clone_type: CloneType,
    /// `LOCAL INSTANCE` or `host:port` of the donor.
    pub source: String,
    /// Directory of the backup set, absolute.
    pub destination: String,
    /// LSN the copied changes begin at; 0 for a full clone.
    pub start_lsn: u64,
}

/// What is known of a clone when it has ended. The default is "no error, nothing known".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// MySQL's error number, 0 without error.
    pub error_no: i32,
    /// The error's message, empty without error. It must hold no secrets.
    pub error_message: String,
    /// Binary log file the data is consistent with.
    pub binlog_file: String,
    /// Position in that file, in bytes.
    pub binlog_position: u64,
    /// GTID set the data holds.
    pub gtid_executed: String,
    /// LSN the copied changes begin at; 0 for a full clone.
    pub start_lsn: u64,
    /// LSN the next increment has to begin at; 0 without page tracking.
    pub page_track_lsn: u64,
    /// LSN the data is consistent at.
    pub end_lsn: u64,
    /// Identity of the sealed backup set.
    pub set_id: Option<String>,
}

/// A clone in progress and the process that runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningClone {
    /// The clone.
    pub id: CloneId,
    /// Its server connection, as in [`NewClone::pid`].
    pub pid: i64,
    /// When it began, in microseconds since the Unix epoch.
    pub begin_us: i64,
    /// The operating system's id of the process, in that process's pid namespace.
    pub process: Option<u32>,
}

impl Catalogue {
    /// Opens the catalogue in `dir`, creating both where they do not exist (mode 0700), and marks
    /// the clones of vanished processes as failed.
    ///
    /// # Errors
    /// [`Error::Unusable`], [`Error::Damaged`], [`Error::Foreign`], [`Error::Newer`],
    /// [`Error::Busy`]; a foreign, newer or damaged file is not changed.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE_NAME);
        let connection = Mutex::new(open::open(dir, &path)?);
        let catalogue = Self {
            dir: dir.to_owned(),
            path,
            connection,
            locks: Mutex::new(HashMap::new()),
        };
        catalogue.reap()?;
        Ok(catalogue)
    }

    /// The database file, for a SQL face to attach.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Records that a clone starts in this process: a row `In Progress` with its seven stages.
    pub fn begin(&self, clone: &NewClone) -> Result<CloneId> {
        let now = times::now_us();
        let (id, lock) = self.write("record a clone", |transaction| {
            let id = insert_clone(transaction, clone, now)?;
            // Held before the row becomes visible, so that nobody takes the clone for abandoned.
            // A file system without locks leaves the other sign of life, the process itself.
            Ok((id, RunLock::take(&self.dir, id).ok()))
        })?;
        if let Some(lock) = lock {
            guard(&self.locks).insert(id, lock);
        }
        Ok(CloneId(id))
    }

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
        let lock = guard(&self.locks).remove(&id.0);
        lock.map_or_else(|| owner::forget(&self.dir, id.0), RunLock::release);
        Ok(())
    }

    /// Marks the clones `In Progress` whose process is gone as `Failed` and returns them. Their
    /// `END_TIME` is the time they were found, since nobody saw them end. Should the owner live
    /// after all, its own report still takes precedence.
    pub fn reap(&self) -> Result<Vec<CloneId>> {
        let mut reaped = Vec::new();
        for (clone, process) in self.running_with_owner()? {
            let id = clone.id;
            if owner::is_running(&self.dir, id.0, process.as_ref()) {
                continue;
            }
            let message = abandoned(process.as_ref());
            let end_us = times::now_us().max(clone.begin_us);
            let marked = self.write("mark an abandoned clone", |transaction| {
                let end_time = times::timestamp3(end_us);
                let changed = transaction.execute(
                    sql::REAP_CLONE,
                    params![id.0, end_time, INTERRUPTED, message],
                )?;
                if changed > 0 {
                    transaction.execute(sql::REAP_BOOKKEEPING, params![id.0, end_us])?;
                    end_stages(transaction, id, State::Failed, end_us, false)?;
                }
                Ok(changed > 0)
            })?;
            if marked {
                owner::forget(&self.dir, id.0);
                reaped.push(id);
            }
        }
        Ok(reaped)
    }

    /// Every clone, by `ID`: the content of `mysql.clone_history`.
    pub fn history(&self) -> Result<Vec<HistoryRow>> {
        self.read("read the history", |connection| {
            connection
                .prepare(sql::HISTORY)?
                .query_map([], history_row)?
                .collect()
        })
    }

    /// The last five clones: the content of `performance_schema.clone_status`.
    pub fn status(&self) -> Result<Vec<StatusRow>> {
        self.read("read the status", |connection| {
            connection
                .prepare(sql::STATUS)?
                .query_map([], status_row)?
                .collect()
        })
    }

    /// The row of one clone.
    ///
    /// # Errors
    /// [`Error::NoSuchClone`].
    pub fn row(&self, id: CloneId) -> Result<HistoryRow> {
        self.find(sql::CLONE_BY_ID, &id.0)?
            .ok_or(Error::NoSuchClone { id: id.0 })
    }

    /// The newest clone into a directory, ended or not; a slash at the end makes no difference.
    pub fn find_by_destination(&self, destination: &Path) -> Result<Option<HistoryRow>> {
        let destination = destination.to_string_lossy();
        self.find(sql::CLONE_BY_DESTINATION, &cut(&destination, NAME_CHARS))
    }

    /// The clone that made a backup set.
    pub fn find_by_set(&self, set_id: &str) -> Result<Option<HistoryRow>> {
        self.find(sql::CLONE_BY_SET, &set_id)
    }

    /// The clones in progress, in any process.
    pub fn running(&self) -> Result<Vec<RunningClone>> {
        Ok(self
            .running_with_owner()?
            .into_iter()
            .map(|(clone, _)| clone)
            .collect())
    }

    /// Whether a clone runs under this server connection, in any process.
    pub fn is_running(&self, pid: i64) -> Result<bool> {
        Ok(self.running()?.iter().any(|clone| clone.pid == pid))
    }

    fn running_with_owner(&self) -> Result<Vec<(RunningClone, Option<Process>)>> {
        self.read("list running clones", |connection| {
            connection
                .prepare(sql::RUNNING)?
                .query_map([], running_row)?
                .collect()
        })
    }

    fn find(&self, query: &str, key: &dyn rusqlite::ToSql) -> Result<Option<HistoryRow>> {
        self.read("find a clone", |connection| {
            connection.query_row(query, [key], history_row).optional()
        })
    }

    pub(crate) fn read<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        query(&guard(&self.connection)).map_err(|e| Error::database(&self.path, action, e))
    }

    /// Runs `change` in a transaction that has the write lock from its first statement: one that
    /// asks for it later fails at once when another process has written in between.
    pub(crate) fn write<T>(
        &self,
        action: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T> {
        let mut connection = guard(&self.connection);
        let attempt = || -> Result<T, Fault> {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = change(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        attempt().map_err(|fault| fault.at(&self.path, action))
    }
}

/// A panic elsewhere leaves the connection usable: its transaction was rolled back.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn insert_clone(transaction: &Transaction<'_>, clone: &NewClone, now: i64) -> Result<i64, Fault> {
    transaction.execute(
        sql::INSERT_CLONE,
        params![
            None::<i64>,
            clone.pid,
            clone.clone_type,
            State::InProgress,
            times::timestamp3(now),
            None::<String>,
            cut(&clone.source, NAME_CHARS),
            cut(&clone.destination, NAME_CHARS),
            0,
            "",
            "",
            0,
            "",
            signed("START_LSN", clone.start_lsn)?,
            0,
            0,
        ],
    )?;
    let id = transaction.last_insert_rowid();
    let owner = Process::current();
    transaction.execute(
        sql::INSERT_BOOKKEEPING,
        params![
            id,
            None::<String>,
            now,
            None::<i64>,
            owner.pid,
            owner.start,
            owner.boot
        ],
    )?;
    for (ordinal, stage) in (1_i64..).zip(STAGES) {
        transaction.execute(sql::INSERT_STAGE, params![id, ordinal, stage])?;
    }
    Ok(id)
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
            id: id.0,
            state: self.state.to_string(),
        })
    }
}

pub(crate) fn clone_state(transaction: &Transaction<'_>, id: CloneId) -> Result<CloneState, Fault> {
    transaction
        .query_row(sql::CLONE_STATE, [id.0], |row| {
            Ok(CloneState {
                state: row.get(0)?,
                begin_us: row.get(1)?,
                reaped: row.get(2)?,
            })
        })
        .optional()?
        .ok_or_else(|| Error::NoSuchClone { id: id.0 }.into())
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
            id.0,
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
        params![id.0, end_us, outcome.set_id],
    )?;
    transaction.execute(sql::DELETE_IMPORTED_TWIN, params![id.0, outcome.set_id])?;
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
        params![id.0, state, end_time, was_reaped],
    )?;
    Ok(())
}

fn running_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<(RunningClone, Option<Process>)> {
    let process: Option<u32> = row.get("owner_pid")?;
    let clone = RunningClone {
        id: CloneId(row.get("ID")?),
        pid: row.get::<_, Option<i64>>("PID")?.unwrap_or_default(),
        begin_us: row.get("begin_us")?,
        process,
    };
    let (start, boot) = (row.get("owner_start")?, row.get("owner_boot")?);
    Ok((clone, process.map(|pid| Process { pid, start, boot })))
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

#[cfg(test)]
pub(crate) mod tests;
