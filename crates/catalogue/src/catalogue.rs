//! The catalogue: recording that clones start, and finding them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::cells::signed;
use crate::clone::{CloneId, NewClone, RunningClone};
use crate::error::{Error, Fault, Result};
use crate::owner::{Process, RunLock};
use crate::progress::STAGES;
use crate::row::{HistoryRow, State, StatusRow};
use crate::text::{NAME_CHARS, cut};
use crate::{FILE_NAME, open, sql, times};

/// An open catalogue. Threads may share it; processes each open their own.
#[derive(Debug)]
pub struct Catalogue {
    pub(crate) dir: PathBuf,
    path: PathBuf,
    connection: Mutex<Connection>,
    pub(crate) locks: Mutex<HashMap<i64, RunLock>>,
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
        self.begin_at(clone, times::now_us())
    }

    /// As [`Self::begin`], of a clone that began at `begin_us` (microseconds since 1970 UTC).
    pub fn begin_at(&self, clone: &NewClone, begin_us: i64) -> Result<CloneId> {
        let (id, lock) = self.write("record a clone", |transaction| {
            let id = insert_clone(transaction, clone, begin_us)?;
            // Held before the row becomes visible, so that nobody takes the clone for abandoned.
            // A file system without locks leaves the other sign of life, the process itself.
            Ok((id, RunLock::take(&self.dir, id).ok()))
        })?;
        if let Some(lock) = lock {
            guard(&self.locks).insert(id, lock);
        }
        Ok(CloneId::from(id))
    }

    /// Every clone, by `ID`: the content of `mysql.clone_history`.
    pub fn history(&self) -> Result<Vec<HistoryRow>> {
        self.read("read the history", |connection| {
            connection
                .prepare(sql::HISTORY)?
                .query_map([], HistoryRow::read)?
                .collect()
        })
    }

    /// The last five clones: the content of `performance_schema.clone_status`.
    pub fn status(&self) -> Result<Vec<StatusRow>> {
        self.read("read the status", |connection| {
            connection
                .prepare(sql::STATUS)?
                .query_map([], StatusRow::read)?
                .collect()
        })
    }

    /// The row of one clone.
    ///
    /// # Errors
    /// [`Error::NoSuchClone`].
    pub fn row(&self, id: CloneId) -> Result<HistoryRow> {
        self.find(sql::CLONE_BY_ID, &id.get())?
            .ok_or(Error::NoSuchClone { id: id.get() })
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

    pub(crate) fn running_with_owner(&self) -> Result<Vec<(RunningClone, Option<Process>)>> {
        self.read("list running clones", |connection| {
            connection
                .prepare(sql::RUNNING)?
                .query_map([], running_row)?
                .collect()
        })
    }

    fn find(&self, query: &str, key: &dyn rusqlite::ToSql) -> Result<Option<HistoryRow>> {
        self.read("find a clone", |connection| {
            connection
                .query_row(query, [key], HistoryRow::read)
                .optional()
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
pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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

fn running_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<(RunningClone, Option<Process>)> {
    let process: Option<u32> = row.get("owner_pid")?;
    let clone = RunningClone {
        id: CloneId::from(row.get::<_, i64>("ID")?),
        pid: row.get::<_, Option<i64>>("PID")?.unwrap_or_default(),
        begin_us: row.get("begin_us")?,
        process,
    };
    let (start, boot) = (row.get("owner_start")?, row.get("owner_boot")?);
    Ok((clone, process.map(|pid| Process { pid, start, boot })))
}

#[cfg(test)]
pub(crate) mod tests;
