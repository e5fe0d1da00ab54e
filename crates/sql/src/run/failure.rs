//! Failures of the library in the server's words.

use std::io;
use std::path::Path;

use crate::error::{SqlError, sqlstate};
use crate::statement::Donor;

/// The error of a clone into `directory`.
pub(super) fn of_backup(error: &backup::Error, directory: &Path) -> SqlError {
    use backup::Error as E;
    let mut told = match error {
        E::Cancelled => SqlError::interrupted(),
        E::TargetExists(path) => exists(path),
        E::TargetInDataDirectory(own) => {
            let directory = directory.display();
            let message = format!("Path is within the current data directory '{directory}'");
            let detail = format!("'{}' belongs to the server.", own.display());
            return SqlError::new(3632, message).hint(with_hint(&detail, error));
        }
        E::Privilege { privilege, .. } => SqlError::access_denied(privilege),
        E::NotTracked { reason, .. } | E::NotReached { reason, .. } => {
            let message = "Tracking was not enabled for the LSN range specified";
            return SqlError::new(3803, message).hint(with_hint(&format!("{reason}."), error));
        }
        E::NoResetPoint(lsn) => {
            let message =
                "Internal error: page_archiver Can't set postion - No matching reset point.";
            let detail = format!("There is no start point of page tracking at or below {lsn}.");
            return SqlError::new(1815, message).hint(with_hint(&detail, error));
        }
        E::NoSpace { need, free } => SqlError::new(
            3873,
            format!(
                "Clone estimated database size is {need} bytes. Available space {free} bytes is \
                 not enough."
            ),
        ),
        E::Io { path, source, .. } => of_io(error.code(), path, source),
        E::NotASet { path, reason } => {
            let checkpoints = path.join("#clone/#clone_checkpoints");
            let message = if checkpoints.exists() {
                format!("Error reading file '{}' ({reason})", path.display())
            } else {
                format!(
                    "Error reading file '{}' (errno: 2 - No such file or directory)",
                    checkpoints.display()
                )
            };
            SqlError::new(1024, message)
        }
        E::Server { source, .. } => return with_own_hint(of_wire(source), error),
        E::Refused { code, message, .. } => SqlError::new(*code, message),
        other => SqlError::new(other.code(), other.to_string()),
    };
    told.hint = error.hint();
    told
}

/// The error of a clone of a remote instance: what the donor says comes with its own number inside
/// of 3862, as in the server.
pub(super) fn of_donor(error: &backup::Error, directory: &Path, donor: &Donor) -> SqlError {
    let endpoint = wire::Endpoint::Tcp {
        host: donor.host.clone(),
        port: donor.port,
    };
    let Some((code, message)) = error.of_clone_from(&endpoint) else {
        return of_backup(error, directory);
    };
    with_own_hint(SqlError::new(code, message), error)
}

/// 1007 for a directory that is there.
pub(super) fn exists(path: &Path) -> SqlError {
    SqlError::new(
        1007,
        format!(
            "Can't create database '{}'; database exists",
            path.display()
        ),
    )
}

/// The error of a connection to the instance. What it said itself stays as it is.
pub(super) fn of_wire(error: &wire::Error) -> SqlError {
    if let wire::Error::Server {
        code,
        sqlstate,
        message,
    } = error
    {
        return SqlError {
            code: *code,
            sqlstate: sqlstate.clone(),
            message: message.clone(),
            hint: None,
        };
    }
    // The numbers from 2000 on are those of a client: one that got them would take its own
    // connection for lost.
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        text = format!("{text}: {source}");
    }
    SqlError::new(1105, format!("The MySQL instance cannot be asked: {text}"))
        .hint("Is it running, and are the connection options of this program right?")
}

/// A failed operation on a file, in the words of its number.
pub(super) fn of_io(code: u16, path: &Path, source: &io::Error) -> SqlError {
    let errno = source.raw_os_error().unwrap_or(0);
    let text = source.to_string();
    // The text of the standard library has the number behind it.
    let text = text.split(" (os error").next().unwrap_or_default();
    let reason = format!("(errno: {errno} - {text})");
    let path = path.display();
    let message = match code {
        1004 => format!("Can't create file '{path}' {reason}"),
        1006 => format!("Can't create database '{path}' {reason}"),
        1016 => format!("Can't open file: '{path}' {reason}"),
        1021 => format!("Disk full ({path}) {reason}"),
        1026 => format!("Error writing file '{path}' {reason}"),
        _ => format!("Error reading file '{path}' {reason}"),
    };
    SqlError::new(code, message)
}

fn with_hint(detail: &str, error: &backup::Error) -> String {
    match error.hint() {
        Some(hint) => format!("{detail} {hint}"),
        None => detail.to_owned(),
    }
}

fn with_own_hint(mut told: SqlError, error: &backup::Error) -> SqlError {
    told.hint = error.hint().or(told.hint);
    if told.sqlstate.is_empty() {
        sqlstate(told.code).clone_into(&mut told.sqlstate);
    }
    told
}
