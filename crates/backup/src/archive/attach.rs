//! The connection to the server, and where its logs continue the archive.

use super::name::LogName;
use super::state::State;
use super::stream::{HEARTBEAT, Stream};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::{BinlogDump, ConnectOptions, Connection};

/// A server that has binary logs.
#[derive(Debug)]
pub(super) struct Source {
    connection: Connection,
    pub(super) uuid: String,
    pub(super) version: String,
    /// Its directories, on its host.
    pub(super) directories: Vec<PathBuf>,
    /// The account that we are.
    pub(super) account: String,
    /// Its logs in their order, and the lengths they have at least; not empty.
    pub(super) logs: Vec<(LogName, u64)>,
}

/// Patience with a statement that only asks for something.
const PATIENCE: Duration = Duration::from_secs(60);

impl Source {
    /// Connects, and asks what there is.
    pub(super) fn connect(options: &ConnectOptions) -> Result<Self> {
        let mut connection =
            Connection::connect(options).map_err(|e| Error::server("connect to the server", e))?;
        let limits = connection
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| connection.set_write_timeout(Some(PATIENCE)));
        limits.map_err(|e| Error::server("connect to the server", e))?;
        let sql = "SELECT @@GLOBAL.server_uuid, VERSION(), @@GLOBAL.log_bin, CURRENT_USER(), \
                   @@GLOBAL.datadir, @@GLOBAL.log_bin_basename";
        let failed = |e| Error::server("read the server's variables", e);
        let row = connection.query_one(sql).map_err(failed)?;
        let text = |column| {
            let text = row.as_ref().and_then(|row| row.text(column));
            text.unwrap_or_default().to_owned()
        };
        let (uuid, version, log_bin, account) = (text(0), text(1), text(2), text(3));
        if log_bin == "0" {
            return Err(no_logs());
        }
        let logs_in = Path::new(&text(5)).parent().map(Path::to_owned);
        let directories = [Some(PathBuf::from(text(4))), logs_in];
        let directories = directories.into_iter().flatten();
        let logs = binary_logs(&mut connection, &account)?;
        Ok(Self {
            connection,
            uuid,
            version,
            directories: directories.filter(|path| path.is_absolute()).collect(),
            account,
            logs,
        })
    }

    /// Begins a stream.
    pub(super) fn stream(mut self, from: &Start, state: &State, follow: bool) -> Result<Stream> {
        let (uuid, beat) = (&state.replica_uuid, HEARTBEAT.as_nanos());
        // Under the names of all versions. Nothing of the server changes with them.
        let sql = format!(
            "SET @source_binlog_checksum = 'CRC32', @master_binlog_checksum = 'CRC32', \
             @source_heartbeat_period = {beat}, @master_heartbeat_period = {beat}, \
             @replica_uuid = '{uuid}', @slave_uuid = '{uuid}', \
             SESSION net_write_timeout = {SLOW_DISK}"
        );
        let prepared = self.connection.execute(&sql);
        prepared.map_err(|e| Error::server("prepare the session", e))?;
        let dump = BinlogDump {
            file: &from.name.to_string(),
            position: from.position,
            server_id: state.replica_id(),
            non_blocking: !follow,
        };
        let asked = self.connection.dump_binlog(&dump);
        asked.map_err(|e| Error::server("read the binary log", e))?;
        Stream::new(self.connection)
    }
}

/// Seconds the server waits for us while we compress or sync a file.
const SLOW_DISK: u32 = 600;

fn no_logs() -> Error {
    Error::refused(
        1381,
        "you are not using binary logging: the server has no binary logs to archive",
        "Start the server with --log-bin.",
    )
}

fn binary_logs(connection: &mut Connection, account: &str) -> Result<Vec<(LogName, u64)>> {
    let action = "list the binary logs";
    let rows = match connection.query("SHOW BINARY LOGS") {
        Ok(rows) => rows,
        Err(error) if error.code() == Some(NOT_GRANTED) => {
            return Err(not_granted("REPLICATION CLIENT", account));
        }
        Err(error) => return Err(Error::server(action, error)),
    };
    let mut logs = Vec::new();
    for row in &rows {
        let name = row.parse::<LogName>(0);
        let encrypted = row.text(2) == Some("Yes");
        let header = if encrypted { ENCRYPTION_HEADER } else { 0 };
        let size = row.parse::<u64>(1).map(|size| size.saturating_sub(header));
        let log = name.and_then(|name| Ok((name, size?)));
        logs.push(log.map_err(|e| Error::server(action, e))?);
    }
    if logs.is_empty() {
        return Err(no_logs());
    }
    Ok(logs)
}

/// Bytes in front of an encrypted log, which are not sent.
const ENCRYPTION_HEADER: u64 = 512;

/// The server's error where a privilege is missing.
pub(super) const NOT_GRANTED: u16 = 1227;

/// The same, with what to do.
pub(super) fn not_granted(privilege: &'static str, account: &str) -> Error {
    let (name, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    let account = format!("{}@{}", wire::quote_string(name), wire::quote_string(host));
    Error::Privilege {
        privilege,
        grant: format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {account};"),
    }
}

/// Where a stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) name: LogName,
    pub(super) position: u32,
}

/// What the archive ends with.
#[derive(Debug, Clone, Copy)]
pub(super) struct End<'a> {
    pub(super) name: &'a LogName,
    /// Where the stream has to begin in that log.
    pub(super) start: u32,
    /// Whether the log is whole.
    pub(super) whole: bool,
}

/// Where a stream begins that continues the archive.
///
/// # Errors
/// When logs that were not archived are gone, and when the server's logs are none that continue
/// the archive's.
pub(super) fn start(logs: &[(LogName, u64)], end: Option<End<'_>>) -> Result<Start> {
    let (Some((first, _)), Some((last, _))) = (logs.first(), logs.last()) else {
        return Err(no_logs());
    };
    let Some(end) = end else {
        return Ok(Start {
            name: first.clone(),
            position: BEGIN,
        });
    };
    let has = |name: &LogName| logs.iter().any(|(log, _)| log == name);
    if has(end.name) {
        return Ok(Start {
            name: end.name.clone(),
            position: end.start,
        });
    }
    if last.base() != end.name.base() {
        return Err(Error::refused(
            1236,
            format!(
                "the server's binary logs are named {}, and the archive ends with {}",
                last, end.name
            ),
            "Begin a new archive in another directory.",
        ));
    }
    if last < end.name {
        return Err(other_history(format!(
            "the archive ends with {}, and the server's last binary log is {last}",
            end.name
        )));
    }
    let next = end.name.next();
    if end.whole && has(&next) {
        return Ok(Start {
            name: next,
            position: BEGIN,
        });
    }
    let from = if end.whole { &next } else { end.name };
    Err(Error::refused(
        1236,
        format!(
            "the server has purged binary logs that were not archived: it begins with {first}, \
             and the archive needs {from}"
        ),
        "Nothing was added to the archive: there would be a gap. Begin a new archive in another \
         directory, and take a new full backup; this one remains good up to its end.",
    ))
}

/// Where the first event of a file begins.
const BEGIN: u32 = 4;

/// The server's logs are not those that were archived.
pub(super) fn other_history(detail: impl std::fmt::Display) -> Error {
    Error::refused(
        1236,
        format!("the server's binary logs do not continue the archive: {detail}"),
        "They were reset (RESET BINARY LOGS AND GTIDS), or the server was restored or lost its \
         last events. Nothing was added to the archive. Begin a new one in another directory.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(numbers: std::ops::RangeInclusive<u32>) -> Vec<(LogName, u64)> {
        let name = |number| format!("binlog.{number:06}").parse().unwrap();
        numbers.map(|number| (name(number), 1000)).collect()
    }

    fn begins(
        numbers: std::ops::RangeInclusive<u32>,
        name: &str,
        whole: bool,
    ) -> Result<(String, u32), String> {
        let name = name.parse().unwrap();
        let end = End {
            name: &name,
            start: 700,
            whole,
        };
        let start = start(&logs(numbers), Some(end)).map_err(|error| error.to_string())?;
        Ok((start.name.to_string(), start.position))
    }

    #[test]
    fn a_stream_begins_with_the_last_event_of_the_archive() {
        let tail = |name: &str| Ok((name.to_owned(), 700));
        assert_eq!(begins(3..=5, "binlog.000004", false), tail("binlog.000004"));
        assert_eq!(begins(3..=5, "binlog.000005", true), tail("binlog.000005"));
        let next = Ok(("binlog.000003".to_owned(), 4));
        assert_eq!(begins(3..=5, "binlog.000002", true), next);
        assert_eq!(start(&logs(3..=5), None).unwrap().position, 4);
    }

    #[test]
    fn gaps_and_other_histories_are_refused() {
        for (name, whole, text) in [
            ("binlog.000002", false, "needs binlog.000002"),
            ("binlog.000001", true, "needs binlog.000002"),
            ("binlog.000006", false, "last binary log is binlog.000005"),
            ("other.000004", false, "are named binlog.000005"),
        ] {
            let error = begins(3..=5, name, whole).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
