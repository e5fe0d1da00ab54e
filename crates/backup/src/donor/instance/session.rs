//! The SQL side of the donor: one connection that holds the backup lock, and what the server says
//! of itself.

use super::process;
use crate::set::{BinlogPosition, ProcessIdentity, ServerRecord};
use crate::{Error, Result};
use innodb::flags::SpaceFlags;
use innodb::geometry::PageSize;
use innodb::ids::SpaceId;
use innodb::lsn::Lsn;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::{ConnectOptions, Connection};

/// What the server says of itself.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub uuid: String,
    pub version: String,
    pub page_size: PageSize,
    pub datadir: PathBuf,
    /// Where the files of `data_files` lie.
    pub data_home: PathBuf,
    /// `innodb_data_file_path`.
    pub data_files: String,
    pub undo_dir: PathBuf,
    pub redo_dir: PathBuf,
    /// Further directories mysqld scans for tablespaces.
    pub directories: Vec<PathBuf>,
    pub process: Option<ProcessIdentity>,
    pub variables: BTreeMap<String, String>,
}

impl Facts {
    /// For the manifest.
    pub(super) fn record(&self) -> ServerRecord {
        use std::os::unix::fs::MetadataExt;
        let owner =
            std::fs::metadata(&self.datadir).map_or((0, 0), |meta| (meta.uid(), meta.gid()));
        ServerRecord {
            uuid: self.uuid.clone(),
            version: self.version.clone(),
            process: self.process.clone(),
            datadir: self.datadir.display().to_string(),
            owner,
            variables: self.variables.clone(),
        }
    }

    /// Directories no backup may be written to.
    pub(super) fn own_directories(&self) -> Vec<PathBuf> {
        let mut all = vec![
            self.datadir.clone(),
            self.data_home.clone(),
            self.undo_dir.clone(),
            self.redo_dir.clone(),
        ];
        all.extend(self.directories.iter().cloned());
        all.retain(|path| !path.as_os_str().is_empty());
        all
    }
}

/// LSN, checkpoint, binary log position and GTID set that belong together.
#[derive(Debug, Clone)]
pub(super) struct LogStatus {
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
pub(super) struct Session {
    connection: Connection,
    account: String,
    id: u64,
    /// Seconds that a statement waits for a lock.
    patience: u64,
}

/// Variables that a server on the restored directory must share with the donor.
const VARIABLES: &[&str] = &[
    "character_set_server",
    "collation_server",
    "innodb_checksum_algorithm",
    "innodb_data_file_path",
    "innodb_page_size",
    "innodb_undo_tablespaces",
    "lower_case_table_names",
    "version_comment",
    "version_compile_machine",
    "version_compile_os",
];

impl Session {
    /// Connects and prepares the session for a job that may leave it idle for hours.
    /// No statement of it waits longer than `patience` for a lock.
    pub(super) fn open(options: &ConnectOptions, patience: Duration) -> Result<Self> {
        let connection =
            Connection::connect(options).map_err(|e| Error::server("connect to the server", e))?;
        let mut session = Self {
            connection,
            account: String::new(),
            id: 0,
            patience: 0,
        };
        let seconds = patience.as_secs().clamp(1, 31_536_000);
        session.execute(
            "prepare the session",
            &format!(
                "SET SESSION wait_timeout = 2147483, SESSION autocommit = 1, SESSION sql_mode = '', \
                 SESSION lock_wait_timeout = {seconds}"
            ),
        )?;
        session.patience = seconds;
        session.account = session.text("read the account", "SELECT CURRENT_USER()")?;
        session.id = session.number("read the connection id", "SELECT CONNECTION_ID()")?;
        Ok(session)
    }

    /// The server's number of this connection.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn execute(&mut self, action: &'static str, sql: &str) -> Result<()> {
        match self.connection.execute(sql) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(action, error)),
        }
    }

    fn query(&mut self, action: &'static str, sql: &str) -> Result<wire::Rows> {
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

    pub(super) fn number(&mut self, action: &'static str, sql: &str) -> Result<u64> {
        let text = self.text(action, sql)?;
        text.parse().map_err(|_| {
            Error::refused(1105, format!("{action}: the server answered {text:?}"), "")
        })
    }

    /// A value that may be negative (the page tracking functions report errors so).
    fn signed(&mut self, action: &'static str, sql: &str) -> Result<i64> {
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

    /// Asks the server what it is, and whether this host has its data directory.
    pub(super) fn facts(&mut self, datadir: Option<&Path>) -> Result<Facts> {
        let rows = self.query(
            "read the server's variables",
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'version', 'datadir', \
             'innodb_page_size', 'innodb_data_home_dir', 'innodb_data_file_path', \
             'innodb_undo_directory', 'innodb_log_group_home_dir', 'innodb_directories', \
             'pid_file', 'character_set_server', 'collation_server', 'innodb_checksum_algorithm', \
             'innodb_undo_tablespaces', 'lower_case_table_names', 'version_comment', \
             'version_compile_machine', 'version_compile_os', 'innodb_read_only')",
        )?;
        let all: BTreeMap<String, String> = rows
            .iter()
            .map(|row| {
                (
                    row.text(0).unwrap_or_default().to_owned(),
                    row.text(1).unwrap_or_default().to_owned(),
                )
            })
            .collect();
        let get = |name: &str| all.get(name).cloned().unwrap_or_default();
        let version = get("version");
        if !is_supported(&version) {
            return Err(Error::refused(
                1105,
                format!(
                    "server version {version} is not supported: its redo log is not of format 6"
                ),
                "innoclone works with MySQL 8.0.30 and later, and servers made from it.",
            ));
        }
        let datadir = datadir.map_or_else(|| PathBuf::from(get("datadir")), Path::to_owned);
        check_datadir(&datadir, &get("server_uuid"))?;
        let below = |name: &str| match get(name) {
            text if text.is_empty() => datadir.clone(),
            text => normal(&datadir.join(text)),
        };
        let page_size = get("innodb_page_size")
            .parse()
            .ok()
            .and_then(|n| PageSize::new(n).ok());
        let page_size = page_size.ok_or_else(|| {
            Error::refused(
                1105,
                format!("innodb_page_size is {:?}", get("innodb_page_size")),
                "",
            )
        })?;
        let uptime = self.number(
            "read the uptime",
            "SELECT CAST(UNIX_TIMESTAMP() - VARIABLE_VALUE AS SIGNED) FROM \
             performance_schema.global_status WHERE VARIABLE_NAME = 'UPTIME'",
        );
        let pid_file = datadir.join(get("pid_file"));
        let process = process::identify(self.connection.peer_pid(), &pid_file, &datadir).or(uptime
            .ok()
            .map(|at| ProcessIdentity::Started {
                at: at.cast_signed(),
            }));
        Ok(Facts {
            uuid: get("server_uuid"),
            version,
            page_size,
            data_home: below("innodb_data_home_dir"),
            data_files: get("innodb_data_file_path"),
            undo_dir: below("innodb_undo_directory"),
            redo_dir: below("innodb_log_group_home_dir").join("#innodb_redo"),
            directories: get("innodb_directories")
                .split(';')
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(|text| normal(&datadir.join(text)))
                .collect(),
            process,
            variables: VARIABLES
                .iter()
                .map(|name| ((*name).to_owned(), get(name)))
                .collect(),
            datadir,
        })
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
    pub(super) fn log_status(&mut self) -> Result<LogStatus> {
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
        let seconds = self.patience;
        match self.execute("take the backup lock", "LOCK INSTANCE FOR BACKUP") {
            Err(Error::Server { source, .. }) if source.code() == Some(1205) => {
                Err(Error::refused(
                    1205,
                    format!(
                        "lock wait timeout exceeded: a DDL statement kept the backup lock for {seconds} seconds"
                    ),
                    "Wait for the statement to end (SHOW PROCESSLIST), or allow more time by --lock-wait-timeout.",
                ))
            }
            other => other,
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
        self.execute(
            "lock the non-InnoDB tables",
            "FLUSH NO_WRITE_TO_BINLOG TABLES WITH READ LOCK",
        )
    }

    /// Ends [`Self::lock_tables`].
    pub(super) fn unlock_tables(&mut self) -> Result<()> {
        self.execute("unlock the non-InnoDB tables", "UNLOCK TABLES")
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

    /// Where page tracking began; `None` while it is off, an error without the component.
    pub(super) fn tracking_start(&mut self) -> Result<Option<Lsn>> {
        let lsn = self.signed(
            "read the state of page tracking",
            "SELECT mysqlbackup_page_track_get_start_lsn()",
        );
        match lsn {
            Ok(lsn) => Ok((lsn > 0).then(|| Lsn::new(lsn.unsigned_abs()))),
            Err(Error::Server { source, .. }) if source.code() == Some(1305) => Err(no_component()),
            Err(other) => Err(other),
        }
    }

    /// Switches page tracking on, or has it begin a new start point; the LSN an increment may
    /// start at.
    pub(super) fn tracking_set(&mut self, on: bool) -> Result<Lsn> {
        let lsn = self.signed(
            "set page tracking",
            &format!("SELECT mysqlbackup_page_track_set({})", u8::from(on)),
        );
        match lsn {
            Ok(lsn) if lsn > 0 => Ok(Lsn::new(lsn.unsigned_abs())),
            Ok(error) => Err(Error::refused(
                error.unsigned_abs().try_into().unwrap_or(1105),
                format!(
                    "the server could not switch page tracking (error {})",
                    error.unsigned_abs()
                ),
                "See the server's error log.",
            )),
            Err(Error::Server { source, .. }) if source.code() == Some(1305) => Err(no_component()),
            Err(other) => Err(other),
        }
    }

    /// Entries that page tracking has recorded since `start`, those in memory included; `None`
    /// while the last checkpoint is not past `start`, when the server does not tell.
    pub(super) fn tracked_count(&mut self, start: Lsn) -> Result<Option<u64>> {
        let count = self.signed(
            "count the tracked pages",
            &format!("SELECT mysqlbackup_page_track_get_changed_page_count({start}, 0)"),
        )?;
        Ok(u64::try_from(count).ok())
    }

    /// Drops tracking data before `lsn`; the LSN really purged, `None` when there was nothing.
    pub(super) fn tracking_purge(&mut self, lsn: u64) -> Result<Option<Lsn>> {
        let purged = self.signed(
            "purge page tracking",
            &format!("SELECT mysqlbackup_page_track_purge_up_to({lsn})"),
        )?;
        Ok((purged > 0 && purged != i64::MAX).then(|| Lsn::new(purged.unsigned_abs())))
    }

    /// Asks for a checkpoint at the current LSN; `false` where the server has no such function.
    pub(super) fn sharp_checkpoint(&mut self) -> Result<bool> {
        match self.number(
            "request a checkpoint",
            "SELECT innodb_redo_log_sharp_checkpoint()",
        ) {
            Ok(_) => Ok(true),
            Err(Error::Server { source, .. }) if source.code() == Some(1305) => Ok(false),
            Err(other) => Err(other),
        }
    }
}

fn no_component() -> Error {
    Error::refused(
        1305,
        "page tracking needs the component mysqlbackup, which is not installed",
        "Run INSTALL COMPONENT 'file://component_mysqlbackup'.",
    )
}

fn quote_account(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    format!("{}@{}", wire::quote_string(user), wire::quote_string(host))
}

/// 8.0.30 brought the redo log format that is known here.
fn is_supported(version: &str) -> bool {
    let mut numbers = version
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next()) >= (8, 0, 30) && !version.contains("MariaDB")
}

/// The directory must be the one of the server we talk to, and not one of the same name on another
/// host or in another container.
fn check_datadir(datadir: &Path, uuid: &str) -> Result<()> {
    let path = datadir.join("auto.cnf");
    let text = std::fs::read_to_string(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::refused(
            1105,
            format!("'{}' is not the data directory of a server: there is no auto.cnf", datadir.display()),
            "Run innoclone on the database host; name the directory by --datadir if it is mounted elsewhere.",
        ),
        _ => Error::io("open file", &path, e),
    })?;
    let found = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("server-uuid="));
    if found.map(str::trim) == Some(uuid) {
        return Ok(());
    }
    Err(Error::refused(
        1105,
        format!(
            "'{}' belongs to another server ({}), not to {uuid}",
            datadir.display(),
            found.unwrap_or("unknown")
        ),
        "Run innoclone on the database host; name the directory by --datadir if it is mounted elsewhere.",
    ))
}

/// Without `.` parts; keeps `..` and links, which only the file system can resolve.
fn normal(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != std::path::Component::CurDir)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_the_known_redo_format_are_refused() {
        for version in ["8.0.30", "8.0.32-26", "8.4.4", "9.7.4-2"] {
            assert!(is_supported(version), "{version}");
        }
        for version in ["8.0.29", "5.7.44", "11.4.2-MariaDB", ""] {
            assert!(!is_supported(version), "{version}");
        }
    }

    #[test]
    fn another_servers_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(check_datadir(dir.path(), "a").is_err());
        std::fs::write(dir.path().join("auto.cnf"), "[auto]\nserver-uuid=a\n").unwrap();
        check_datadir(dir.path(), "a").unwrap();
        assert!(check_datadir(dir.path(), "b").is_err());
    }
}
