//! The server's own replication applier, fed with relay logs.

use crate::io::{create_new, remove_file, rename};
use crate::pitr::mysqld::{Mysqld, RELAY};
use crate::{Error, Job, Result};
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wire::{Connection, quote_string};

/// A replication channel of our own in the server. Channels that the donor had are left alone.
#[derive(Debug)]
pub(super) struct Applier<'a> {
    server: &'a Mysqld,
    session: Connection,
    relay: PathBuf,
    begun: bool,
}

/// What the applier says of itself.
struct Status {
    running: bool,
    /// Still in our file, and behind this byte of it.
    at: Option<u64>,
    error: Option<(u16, String)>,
}

impl<'a> Applier<'a> {
    /// Prepares the channel's files in `directory`, owned by `owner` if given.
    pub(super) fn new(
        server: &'a Mysqld,
        directory: &Path,
        owner: Option<(u32, u32)>,
    ) -> Result<Self> {
        let relay = directory.join(format!("{RELAY}-{CHANNEL}.000001"));
        let index = directory.join(format!("{RELAY}-{CHANNEL}.index"));
        let mut file = create_new(&index)?;
        writeln!(file, "{}", relay.display()).map_err(|e| Error::io("write file", &index, e))?;
        if let Some((user, group)) = owner {
            chown(&index, Some(user), Some(group))
                .map_err(|e| Error::io("change owner of", &index, e))?;
        }
        Ok(Self {
            server,
            session: server.session()?,
            relay,
            begun: false,
        })
    }

    /// Applies all of a relay log of `bytes` bytes. `progress` is told how many are applied, and the
    /// commit time of the last transaction where that is known.
    pub(super) fn apply(
        &mut self,
        file: &Path,
        bytes: u64,
        job: &Job,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<()> {
        // The file before has been applied, and the applier is stopped.
        rename(file, &self.relay)?;
        self.execute(&format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'none', RELAY_LOG_FILE = {}, RELAY_LOG_POS = 4 \
             FOR CHANNEL '{CHANNEL}'",
            quote_string(&self.relay.to_string_lossy())
        ))?;
        self.begun = true;
        self.execute(&format!("START REPLICA SQL_THREAD FOR CHANNEL '{CHANNEL}'"))?;
        self.wait(bytes, job, progress)?;
        self.execute(&format!("STOP REPLICA SQL_THREAD FOR CHANNEL '{CHANNEL}'"))?;
        let status = self.status()?;
        if let Some(error) = status.error {
            return Err(self.failed(error));
        }
        if status.at.is_some_and(|at| at < bytes) {
            return Err(Error::refused(
                1105,
                format!("the applier stopped at byte {:?} of {bytes}", status.at),
                "",
            ));
        }
        progress(bytes, None);
        Ok(())
    }

    fn wait(
        &mut self,
        bytes: u64,
        job: &Job,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<()> {
        let mut pause = Duration::from_millis(2);
        let mut told = Instant::now();
        loop {
            job.check()?;
            let status = self.status()?;
            if let Some(error) = status.error {
                return Err(self.failed(error));
            }
            // Behind it the applier goes on to the server's own, empty file.
            let at = status.at.unwrap_or(bytes);
            if at >= bytes {
                return Ok(());
            }
            if !status.running {
                return Err(self.failed((1105, "the applier stopped".into())));
            }
            if told.elapsed() > Duration::from_millis(500) {
                told = Instant::now();
                let time = self.last_commit()?;
                progress(at, time);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    fn status(&mut self) -> Result<Status> {
        let rows = self
            .session
            .query(&format!("SHOW REPLICA STATUS FOR CHANNEL '{CHANNEL}'"))
            .map_err(|e| self.server.lost("ask the applier", e))?;
        let text = |name: &str| {
            let value = rows.column(name).and_then(|at| rows.first()?.text(at));
            value.unwrap_or_default().to_owned()
        };
        let number = |name: &str| text(name).parse::<u64>().ok();
        let ours = text("Relay_Log_File");
        let in_ours = self
            .relay
            .file_name()
            .is_some_and(|name| name == ours.as_str());
        let at = number("Relay_Log_Pos");
        let (Some(at), Some(code)) = (at, number("Last_SQL_Errno")) else {
            return Err(Error::refused(
                1105,
                "the applier does not tell its position",
                "",
            ));
        };
        Ok(Status {
            running: text("Replica_SQL_Running") == "Yes",
            at: in_ours.then_some(at),
            error: (code != 0)
                .then(|| (u16::try_from(code).unwrap_or(1105), text("Last_SQL_Error"))),
        })
    }

    /// When the last applied transaction was committed on the donor, microseconds since 1970.
    fn last_commit(&mut self) -> Result<Option<u64>> {
        let sql = format!(
            "SELECT CAST(UNIX_TIMESTAMP(MAX(LAST_APPLIED_TRANSACTION_IMMEDIATE_COMMIT_TIMESTAMP)) * 1000000 AS UNSIGNED) \
             FROM performance_schema.replication_applier_status_by_worker WHERE CHANNEL_NAME = '{CHANNEL}'"
        );
        let found: Option<u64> = self
            .session
            .query_value(&sql)
            .map_err(|e| self.server.lost("ask the applier", e))?;
        Ok(found.filter(|us| *us > 0))
    }

    /// The workers know more than the coordinator.
    fn failed(&mut self, (code, message): (u16, String)) -> Error {
        let sql = format!(
            "SELECT LAST_ERROR_NUMBER, LAST_ERROR_MESSAGE FROM performance_schema.replication_applier_status_by_worker \
             WHERE CHANNEL_NAME = '{CHANNEL}' AND LAST_ERROR_NUMBER <> 0 LIMIT 1"
        );
        let row = self.session.query_one(&sql).ok().flatten();
        let found = row.and_then(|row| Some((row.parse::<u16>(0).ok()?, row.text(1)?.to_owned())));
        let (code, message) = found.unwrap_or((code, message));
        Error::refused(
            code,
            format!("replay: {message}"),
            "The transaction before it is the last that can be reached; see docs/guide.md, \"Point in time\".",
        )
    }

    /// Removes the channel. Nothing of it stays.
    pub(super) fn end(mut self) -> Result<()> {
        if self.begun {
            self.execute(&format!("RESET REPLICA ALL FOR CHANNEL '{CHANNEL}'"))?;
        }
        remove_file(&self.relay)?;
        self.session.close();
        Ok(())
    }

    fn execute(&mut self, sql: &str) -> Result<()> {
        self.session
            .execute(sql)
            .map(drop)
            .map_err(|e| self.server.lost("direct the applier", e))
    }
}

/// Name of the channel.
const CHANNEL: &str = "innoclone";
