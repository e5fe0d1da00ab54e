//! Registration as a consumer of the redo log.

use crate::donor::connecting::connect;
use crate::{Error, Job, Result};
use innodb::lsn::Lsn;
use std::time::{Duration, Instant};
use wire::{ConnectOptions, Connection};

/// The consumer is told how far we are at least this often, so that its session stays alive.
const ADVANCE_EVERY: Duration = Duration::from_secs(1);
/// And as soon as this much has been read: the smallest log holds 8 MiB.
const ADVANCE_BYTES: u64 = 2 << 20;
/// The server drops a consumer that it has not heard of for this long: writes of the server stop
/// when a registered consumer stands still, so one must not outlive a stopped process.
const CONSUMER_TIMEOUT: u64 = 30;

/// Our registration as a consumer of the redo log: the server keeps what we have not read yet.
#[derive(Debug)]
pub(super) struct Consumer {
    connection: Connection,
    told: Lsn,
    told_at: Instant,
}

impl Consumer {
    /// Registers; `None` where the server has no such function or has a consumer already.
    pub(super) fn register(options: &ConnectOptions, job: &Job) -> Result<Option<Self>> {
        match connect(options, job)? {
            Ok(connection) => Ok(Self::over(connection)),
            Err(error) => {
                tracing::warn!(%error, "no second connection for the redo log consumer");
                Ok(None)
            }
        }
    }

    fn over(mut connection: Connection) -> Option<Self> {
        connection
            .execute(&format!("SET SESSION wait_timeout = {CONSUMER_TIMEOUT}"))
            .ok()?;
        match connection.query_value::<i64>("SELECT innodb_redo_log_consumer_register()") {
            Ok(Some(0)) => Some(Self {
                connection,
                told: Lsn::ZERO,
                told_at: Instant::now(),
            }),
            Ok(_) => {
                tracing::warn!(
                    "another redo log consumer is registered; the redo log is followed without"
                );
                None
            }
            Err(error) => {
                tracing::info!(%error, "the server has no redo log consumers; the redo log is followed without");
                None
            }
        }
    }

    pub(super) fn shutdown_handle(&self) -> Option<wire::ShutdownHandle> {
        self.connection.shutdown_handle().ok()
    }

    /// Tells the server how far the log has been read.
    pub(super) fn advance(&mut self, lsn: Lsn) -> Result<()> {
        let ahead = lsn.since(self.told).unwrap_or(0);
        if self.told_at.elapsed() < ADVANCE_EVERY && ahead < ADVANCE_BYTES {
            return Ok(());
        }
        let sql = format!("SELECT innodb_redo_log_consumer_advance({lsn})");
        let answer: Option<i64> = self
            .connection
            .query_value(&sql)
            .map_err(|e| Error::server("advance the redo log consumer", e))?;
        if answer != Some(0) && lsn > self.told {
            tracing::warn!(%lsn, "the server did not accept the progress of the redo log consumer");
        }
        self.told = lsn;
        self.told_at = Instant::now();
        Ok(())
    }
}
