//! The rows of the tables of clones at this moment.

use catalogue::{Catalogue, STATUS_CLONES};
use rusqlite::types::Value;

use super::text;
use crate::error::{Result, SqlError};

/// The cells of a row that describes a clone; the type is in the history only.
macro_rules! cells {
    ($row:ident $(, $clone_type:expr)?) => {
        vec![
            $row.id.into(),
            $row.pid.into(),
            $($clone_type,)?
            text($row.state.as_str()),
            $row.begin_time.into(),
            $row.end_time.into(),
            $row.source.into(),
            $row.destination.into(),
            $row.error_no.into(),
            $row.error_message.into(),
            $row.binlog_file.into(),
            number($row.binlog_position),
            $row.gtid_executed.into(),
            number($row.start_lsn),
            number($row.page_track_lsn),
            number($row.end_lsn),
        ]
    };
}

/// The rows of `mysql.clone_history`.
pub(crate) fn history(catalogue: &Catalogue) -> Result<Vec<Vec<Value>>> {
    let rows = catalogue.history().map_err(|error| unreadable(&error))?;
    let rows = rows
        .into_iter()
        .map(|row| cells!(row, text(row.clone_type.as_str())));
    Ok(rows.collect())
}

/// The rows of `performance_schema.clone_status`.
pub(crate) fn status(catalogue: &Catalogue) -> Result<Vec<Vec<Value>>> {
    let rows = catalogue.status().map_err(|error| unreadable(&error))?;
    let rows = rows.into_iter().map(|row| cells!(row));
    Ok(rows.collect())
}

/// The rows of `performance_schema.clone_progress`.
pub(crate) fn progress(catalogue: &Catalogue) -> Result<Vec<Vec<Value>>> {
    let rows = catalogue
        .progress(Some(STATUS_CLONES))
        .map_err(|error| unreadable(&error))?;
    let rows = rows.into_iter().map(|row| {
        vec![
            row.id.into(),
            row.stage.into(),
            text(row.state.as_str()),
            row.begin_time.into(),
            row.end_time.into(),
            row.threads.into(),
            number(row.estimate),
            number(row.data),
            number(row.network),
            row.data_speed.into(),
            row.network_speed.into(),
        ]
    });
    Ok(rows.collect())
}

/// The columns are signed; what the catalogue gives out has been in such a column.
fn number(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn unreadable(error: &catalogue::Error) -> SqlError {
    let hint = error.hint();
    let error = SqlError::new(3862, format!("Clone Donor Error: clone history: {error}."));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
