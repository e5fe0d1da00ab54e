//! Statements that the local instance answers. Only these go there, and each is put together here:
//! no text of a client does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::types::Value;
use wire::{Connection, Rows, ShutdownHandle, quote_string};

use super::failure;
use crate::access::Privilege;
use crate::answer::{Answer, Column, ColumnType, ResultSet};
use crate::error::{Result, SqlError};
use crate::session::Session;
use crate::statement::PageTrackCall;

/// The only component that has to do with clones.
const COMPONENT: &str = "file://component_mysqlbackup";

/// `INSTALL COMPONENT`, `UNINSTALL COMPONENT`.
pub(super) fn component(
    session: &Session,
    install: bool,
    urns: &[String],
    cancelled: &Arc<AtomicBool>,
) -> Result<()> {
    session
        .identity
        .require_on(Privilege::Insert, "component")?;
    if let Some(other) = urns.iter().find(|urn| *urn != COMPONENT) {
        return Err(SqlError::unsupported(other)
            .hint(format!("Only '{COMPONENT}' is handed on to the instance.")));
    }
    let verb = if install { "INSTALL" } else { "UNINSTALL" };
    let urns: Vec<String> = urns.iter().map(|urn| quote_string(urn)).collect();
    let sql = format!("{verb} COMPONENT {}", urns.join(", "));
    ask(session, &sql, cancelled).map(drop)
}

/// One of the functions about page tracking.
pub(super) fn page_track(
    session: &Session,
    call: &PageTrackCall,
    cancelled: &Arc<AtomicBool>,
) -> Result<Answer> {
    session.identity.require(Privilege::BackupAdmin)?;
    let arguments = call.arguments.join(", ");
    let rows = ask(
        session,
        &format!("SELECT {}({arguments})", call.function),
        cancelled,
    )?;
    Ok(Answer::Rows(ResultSet {
        columns: vec![Column::new(&call.column, ColumnType::BigInt)],
        rows: texts(&rows),
        warnings: 0,
    }))
}

/// The LSNs in the status of the instance. GreatSQL has each under two names.
pub(super) fn status(session: &Session, cancelled: &Arc<AtomicBool>) -> Result<Vec<Vec<Value>>> {
    let rows = ask(session, "SHOW GLOBAL STATUS LIKE 'Innodb%lsn%'", cancelled)?;
    let mut all: Vec<(String, String)> = Vec::new();
    for row in &rows {
        let cell = |at| row.text(at).unwrap_or_default().to_owned();
        all.push((cell(0), cell(1)));
    }
    for (alias, name) in LSN_ALIASES {
        let has = |name: &str| {
            all.iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        if let (None, Some((_, value))) = (has(alias), has(name)) {
            let value = value.clone();
            all.push((alias.to_owned(), value));
        }
    }
    Ok(all
        .into_iter()
        .map(|(name, value)| vec![name.into(), value.into()])
        .collect())
}

/// `SHOW BINARY LOG STATUS`, under the name it has in the instance's version.
pub(super) fn binary_log_status(
    session: &Session,
    cancelled: &Arc<AtomicBool>,
) -> Result<ResultSet> {
    session.identity.require(Privilege::ReplicationClient)?;
    let mut connection = connect(session)?;
    let sql = if is_renamed(connection.server_version()) {
        "SHOW BINARY LOG STATUS"
    } else {
        "SHOW MASTER STATUS"
    };
    let rows = ask_over(&mut connection, sql, cancelled)?;
    let kinds = [
        ("File", ColumnType::VarChar(512)),
        ("Position", ColumnType::BigInt),
        ("Binlog_Do_DB", ColumnType::VarChar(512)),
        ("Binlog_Ignore_DB", ColumnType::VarChar(512)),
        ("Executed_Gtid_Set", ColumnType::Text),
    ];
    Ok(typed(&rows, &kinds))
}

/// `SHOW BINARY LOGS`.
pub(super) fn binary_logs(session: &Session, cancelled: &Arc<AtomicBool>) -> Result<ResultSet> {
    session.identity.require(Privilege::ReplicationClient)?;
    let rows = ask(session, "SHOW BINARY LOGS", cancelled)?;
    let kinds = [
        ("Log_name", ColumnType::VarChar(512)),
        ("File_size", ColumnType::BigInt),
        ("Encrypted", ColumnType::VarChar(3)),
    ];
    Ok(typed(&rows, &kinds))
}

/// The old name is gone since 8.4; the new one came with 8.2.
fn is_renamed(version: &str) -> bool {
    let mut numbers = version
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (8, 2)
}

fn typed(rows: &Rows, kinds: &[(&str, ColumnType)]) -> ResultSet {
    let column = |name: &String| {
        let known = kinds
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        Column::new(name, known.map_or(ColumnType::Text, |(_, kind)| *kind))
    };
    ResultSet {
        columns: rows.columns.iter().map(column).collect(),
        rows: texts(rows),
        warnings: 0,
    }
}

fn texts(rows: &Rows) -> Vec<Vec<Option<String>>> {
    let cell = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let row = |row: &wire::Row| (0..row.len()).map(|at| row.get(at).map(cell)).collect();
    rows.iter().map(row).collect()
}

fn connect(session: &Session) -> Result<Connection> {
    Connection::connect(&session.service.options.local).map_err(|error| failure::of_wire(&error))
}

fn ask(session: &Session, sql: &str, cancelled: &Arc<AtomicBool>) -> Result<Rows> {
    ask_over(&mut connect(session)?, sql, cancelled)
}

/// Runs a statement until it is done or cancelled.
fn ask_over(connection: &mut Connection, sql: &str, cancelled: &Arc<AtomicBool>) -> Result<Rows> {
    let handle = connection
        .shutdown_handle()
        .map_err(|error| failure::of_wire(&error))?;
    let done = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| watch(&handle, &done, cancelled));
        let result = connection.query(sql);
        done.store(true, Ordering::Relaxed);
        result
    });
    result.map_err(|error| {
        if cancelled.load(Ordering::Relaxed) {
            return SqlError::interrupted();
        }
        failure::of_wire(&error)
    })
}

/// Cuts the connection when the statement is cancelled.
fn watch(handle: &ShutdownHandle, done: &AtomicBool, cancelled: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        if cancelled.load(Ordering::Relaxed) {
            return handle.shutdown();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// GreatSQL's further names of LSNs.
const LSN_ALIASES: [(&str, &str); 3] = [
    ("Innodb_lsn_current", "Innodb_redo_log_current_lsn"),
    ("Innodb_lsn_flushed", "Innodb_redo_log_flushed_to_disk_lsn"),
    (
        "Innodb_lsn_last_checkpoint",
        "Innodb_redo_log_checkpoint_lsn",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_the_binary_log_has_a_new_name_since_8_2() {
        assert!(is_renamed("9.7.4") && is_renamed("8.4.3-x") && is_renamed("8.2.0"));
        assert!(!is_renamed("8.0.32-26") && !is_renamed("x"));
    }
}
