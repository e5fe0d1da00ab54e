//! Cells of the database to values and back.

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::error::{Error, Result};
use crate::row::{CloneType, ProgressRow, State};

/// An unsigned number as the signed integer of its column.
pub(crate) fn signed(column: &'static str, value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::OutOfRange { column, value })
}

/// A number as an `int`; larger ones read as the largest (a speed of more than 2 GiB/s).
pub(crate) fn saturated(value: u64) -> i64 {
    i64::try_from(value)
        .unwrap_or(i64::MAX)
        .min(i64::from(i32::MAX))
}

/// Reads a row that has the columns of `clone_progress`.
pub(crate) fn progress_row(row: &Row<'_>) -> rusqlite::Result<ProgressRow> {
    Ok(ProgressRow {
        id: row.get("ID")?,
        stage: row.get("STAGE")?,
        state: row.get("STATE")?,
        begin_time: row.get("BEGIN_TIME")?,
        end_time: row.get("END_TIME")?,
        threads: row.get("THREADS")?,
        estimate: unsigned(row, "ESTIMATE")?,
        data: unsigned(row, "DATA")?,
        network: unsigned(row, "NETWORK")?,
        data_speed: row.get("DATA_SPEED")?,
        network_speed: row.get("NETWORK_SPEED")?,
    })
}

/// The columns may be null in rows this code did not write.
pub(crate) fn or_default<T: FromSql + Default>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    Ok(row.get::<_, Option<T>>(column)?.unwrap_or_default())
}

/// A number that is not negative.
pub(crate) fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let value: i64 = or_default(row, column)?;
    u64::try_from(value).map_err(|_| {
        let index = row.as_ref().column_index(column).unwrap_or_default();
        rusqlite::Error::IntegralValueOutOfRange(index, value)
    })
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}

impl FromSql for CloneType {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl ToSql for CloneType {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}
