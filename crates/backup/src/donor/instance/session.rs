//! The SQL side of the donor: one connection that holds the backup lock, and what the server says
//! of itself.

use crate::donor::connecting::connect;
use crate::set::BinlogPosition;
use crate::{Error, Job, Result};
use innodb::flags::SpaceFlags;
use innodb::ids::SpaceId;
use innodb::lsn::Lsn;
use std::time::{Duration, Instant};
use wire::{ConnectOptions, Connection};

/// LSN, checkpoint, binary log position and GTID set that belong together.
#[derive(Debug, Clone)]
pub(in crate::donor) struct LogStatus {
    pub lsn: Lsn,
    pub binlog: BinlogPosition,
}

/// A tablespace as the server lists it.
#[derive(Debug, Clone)]
pub(super) struct ListedSpace {
    /// Relative paths are below the data directory.
    pub path: String,
    pub is_undo: bool,
    pub id: SpaceId,
    pub flags: Option<SpaceFlags>,
    /// Not discarded.
    pub has_file: bool,
}

/// The control connection.
#[derive(Debug)]
pub(in crate::donor) struct Session {
    connection: Connection,
    account: String,
    id: u64,
    /// How long a lock is waited for.
    patience: Duration,
}

/// Seconds the server waits for a lock at a time. It does not notice that a session which waits
/// has lost its client, and behind a backup lock that is waited for all DDL waits: a wait that we
/// do not live to see the end of must be short.
const LOCK_STEP: u64 = 2;

impl Session {
    /// As [`Self::open`]; a job that is cancelled does not wait for a server that does not answer.
    pub(in crate::donor) fn open_for(
        job: &Job,
        options: &ConnectOptions,
        patience: Duration,
    ) -> Result<Self> {
        Self::over(connect(options, job)?, patience)
    }

    /// Connects and prepares the session for a job that may leave it idle for hours.
    /// `patience` is how long the locks are waited for.
    pub(in crate::donor) fn open(options: &ConnectOptions, patience: Duration) -> Result<Self> {
        Self::over(Connection::connect(options), patience)
    }

    fn over(made: Result<Connection, wire::Error>, patience: Duration) -> Result<Self> {
        let connection = made.map_err(|e| Error::server("connect to the server", e))?;
        let mut session = Self {
            connection,
            account: String::new(),
            id: 0,
            patience,
        };
        let step = patience.as_secs().clamp(1, LOCK_STEP);
        session.execute(
            "prepare the session",
            &format!(
                "SET SESSION wait_timeout = 2147483, SESSION autocommit = 1, SESSION sql_mode = '', \
                 SESSION lock_wait_timeout = {step}"
            ),
        )?;
        session.account = session.text("read the account", "SELECT CURRENT_USER()")?;
        session.id = session.number("read the connection id", "SELECT CONNECTION_ID()")?;
        Ok(session)
    }

    /// The server's version, as it greeted us.
    pub(in crate::donor) fn server_version(&self) -> &str {
        self.connection.server_version()
    }

    /// The server's number of this connection.
    pub(in crate::donor) fn id(&self) -> u64 {
        self.id
    }

    pub(in crate::donor) fn execute(&mut self, action: &'static str, sql: &str) -> Result<()> {
        match self.connection.execute(sql) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(action, error)),
        }
    }

    pub(in crate::donor) fn query(
        &mut self,
        action: &'static str,
        sql: &str,
    ) -> Result<wire::Rows> {
        match self.connection.query(sql) {
            Ok(rows) => Ok(rows),
            Err(error) => Err(self.error(action, error)),
        }
    }

    fn text(&mut self, action: &'static str, sql: &str) -> Result<String> {
        let rows = self.query(action, sql)?;
        let value = rows.first().and_then(|row| row.text(0));
        Ok(value.unwrap_or_default().to_owned())
    }

    pub(in crate::donor) fn number(&mut self, action: &'static str, sql: &str) -> Result<u64> {
        let text = self.text(action, sql)?;
        text.parse().map_err(|_| {
            Error::refused(1105, format!("{action}: the server answered {text:?}"), "")
        })
    }

    /// A value that may be negative (the page tracking functions report errors so).
    pub(in crate::donor) fn signed(&mut self, action: &'static str, sql: &str) -> Result<i64> {
        let text = self.text(action, sql)?;
        text.parse().map_err(|_| {
            Error::refused(1105, format!("{action}: the server answered {text:?}"), "")
        })
    }

    /// A server's refusal for want of a privilege becomes one that says how to grant it.
    fn error(&self, action: &'static str, error: wire::Error) -> Error {
        let privilege = match &error {
            wire::Error::Server {
                code: 1227 | 1142 | 1044 | 1143,
                message,
                ..
            } => [
                "BACKUP_ADMIN",
                "PROCESS",
                "RELOAD",
                "SYSTEM_VARIABLES_ADMIN",
            ]
            .into_iter()
            .find(|privilege| message.contains(privilege))
            .or(message.contains("log_status").then_some("SELECT")),
            _ => None,
        };
        let Some(privilege) = privilege else {
            return Error::server(action, error);
        };
        let account = quote_account(&self.account);
        let grant = format!(
            "GRANT BACKUP_ADMIN, PROCESS, RELOAD ON *.* TO {account}; \
             GRANT SELECT ON performance_schema.log_status TO {account};"
        );
        Error::Privilege { privilege, grant }
    }

    /// Tries everything that needs a privilege, so that a want of one is known before hours of
    /// copying, not after.
    pub(super) fn check_privileges(&mut self) -> Result<()> {
        self.log_status()?;
        self.flush_logs()?;
        self.tablespaces()?;
        let enabled = self.text(
            "read the state of the redo log",
            "SELECT VARIABLE_VALUE FROM performance_schema.global_status \
             WHERE VARIABLE_NAME = 'Innodb_redo_log_enabled'",
        )?;
        if enabled != "ON" {
            return Err(Error::refused(
                3983,
                "redo logging is disabled on the server; a copy of its files could not be made consistent",
                "Run ALTER INSTANCE ENABLE INNODB REDO_LOG, then take the backup.",
            ));
        }
        Ok(())
    }

    /// LSN, binary log position and GTID set of one moment.
    pub(in crate::donor) fn log_status(&mut self) -> Result<LogStatus> {
        let rows = self.query(
            "read performance_schema.log_status",
            "SELECT LOCAL, STORAGE_ENGINES FROM performance_schema.log_status",
        )?;
        let row = rows.first();
        let json = |column: usize| -> serde_json::Value {
            row.and_then(|row| row.text(column))
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default()
        };
        let (local, engines) = (json(0), json(1));
        let lsn = engines["InnoDB"]["LSN"].as_u64().ok_or_else(|| {
            Error::refused(1105, "performance_schema.log_status has no InnoDB LSN", "")
        })?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().replace('\n', "");
        Ok(LogStatus {
            lsn: Lsn::new(lsn),
            binlog: BinlogPosition {
                file: text(&local["binary_log_file"]),
                position: local["binary_log_position"].as_u64().unwrap_or(0),
                gtid_executed: text(&local["gtid_executed"]),
            },
        })
    }

    /// Has the log writer write what is in the log buffer.
    pub(super) fn flush_logs(&mut self) -> Result<()> {
        self.execute("flush the redo log", "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS")
    }

    /// All tablespaces the server knows, but for the system tablespace. Not asked of
    /// `information_schema.FILES`, which waits for DDL in progress.
    pub(super) fn tablespaces(&mut self) -> Result<Vec<ListedSpace>> {
        let rows = self.query(
            "list the tablespaces",
            "SELECT T.SPACE, T.FLAG, T.SPACE_TYPE, T.STATE, T.NAME, D.PATH \
             FROM information_schema.INNODB_TABLESPACES T \
             LEFT JOIN information_schema.INNODB_DATAFILES D ON D.SPACE = T.SPACE \
             WHERE T.SPACE_TYPE <> 'System'",
        )?;
        let space = |row: &wire::Row| {
            let name = row.text(4)?;
            // The dictionary's own file is where it always is.
            let path = row
                .text(5)
                .map_or_else(|| format!("{name}.ibd"), str::to_owned);
            Some(ListedSpace {
                path,
                id: SpaceId::new(row.parse(0).ok()?),
                flags: row
                    .parse(1)
                    .ok()
                    .and_then(|flags| SpaceFlags::new(flags).ok()),
                is_undo: row.text(2)? == "Undo",
                has_file: row.text(3) != Some("discarded"),
            })
        };
        Ok(rows.iter().filter_map(space).collect())
    }

    /// Takes the backup lock: no DDL from here on, DML goes on.
    pub(super) fn lock(&mut self) -> Result<()> {
        let blocker = "a DDL statement kept the backup lock";
        self.wait_for_lock("take the backup lock", "LOCK INSTANCE FOR BACKUP", blocker)
    }

    /// Runs a statement that waits for a lock, again and again until it has it. In between, what
    /// waits behind it goes on.
    fn wait_for_lock(&mut self, action: &'static str, sql: &str, blocker: &str) -> Result<()> {
        let begin = Instant::now();
        loop {
            match self.execute(action, sql) {
                Err(Error::Server { source, .. }) if source.code() == Some(1205) => {}
                other => return other,
            }
            if begin.elapsed() >= self.patience {
                let seconds = self.patience.as_secs();
                return Err(Error::refused(
                    1205,
                    format!("lock wait timeout exceeded: {blocker} for {seconds} seconds"),
                    "Wait for the statement to end (SHOW PROCESSLIST), or allow more time by --lock-wait-timeout.",
                ));
            }
        }
    }

    /// Gives the backup lock back, and fails unless this session has held it all the time: the
    /// lock ends with its session, and `UNLOCK INSTANCE` alone succeeds without one.
    pub(super) fn unlock(&mut self) -> Result<()> {
        let id = self.number("check the session", "SELECT CONNECTION_ID()")?;
        if id != self.id {
            return Err(Error::refused(
                2013,
                "the session that held the backup lock was lost",
                "",
            ));
        }
        self.execute("release the backup lock", "UNLOCK INSTANCE")
    }

    /// Stops writes to tables that are not InnoDB's.
    pub(super) fn lock_tables(&mut self) -> Result<()> {
        self.wait_for_lock(
            "lock the non-InnoDB tables",
            "FLUSH NO_WRITE_TO_BINLOG TABLES WITH READ LOCK",
            "statements kept tables open",
        )
    }

    /// Ends [`Self::lock_tables`].
    pub(super) fn unlock_tables(&mut self) -> Result<()> {
        self.execute("unlock the non-InnoDB tables", "UNLOCK TABLES")
    }

    /// Number of the server's process, where the connection tells.
    pub(super) fn peer_pid(&self) -> Option<u32> {
        self.connection.peer_pid()
    }

    /// What wakes a statement of this session that waits.
    pub(super) fn shutdown_handle(&self) -> Result<wire::ShutdownHandle> {
        self.connection
            .shutdown_handle()
            .map_err(|e| Error::server("connect to the server", e))
    }

    /// Fails when the connection is gone.
    pub(super) fn ping(&mut self) -> Result<()> {
        self.connection
            .ping()
            .map_err(|e| Error::server("check the connection", e))
    }

    /// Asks for a checkpoint at the current LSN; `false` where the server has no such function.
    pub(in crate::donor) fn sharp_checkpoint(&mut self) -> Result<bool> {
        match self.number(
            "request a checkpoint",
            "SELECT innodb_redo_log_sharp_checkpoint()",
        ) {
            Ok(_) => Ok(true),
            Err(error) if is_unknown_function(&error) => Ok(false),
            Err(other) => Err(other),
        }
    }
}

/// Whether a statement failed for want of a function. Of a name that is no function it knows, a
/// server takes the schema to be missing when the session has none.
pub(super) fn is_unknown_function(error: &Error) -> bool {
    matches!(error, Error::Server { source, .. } if matches!(source.code(), Some(1305 | 1046)))
}

fn quote_account(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    format!("{}@{}", wire::quote_string(user), wire::quote_string(host))
}
