//! Values of a result as the text protocol has them.

use rusqlite::types::ValueRef;

use super::functions::numbers::{shown, with_scale};
use super::time::{self, Clock};
use super::translate::Kind;
use crate::answer::ColumnType;
use crate::error::{Result, SqlError};

/// The type of a column that is no column of a table.
pub(super) fn column_type(kind: Kind) -> ColumnType {
    match kind {
        Kind::Int => ColumnType::BigInt,
        Kind::Unsigned => ColumnType::UnsignedBigInt,
        Kind::Decimal(scale) => ColumnType::Decimal(scale),
        Kind::Double => ColumnType::Double,
        Kind::Text | Kind::Binary | Kind::Json | Kind::Date | Kind::Time(_) => ColumnType::Text,
        Kind::DateTime(digits) => ColumnType::Timestamp(digits),
        Kind::Null | Kind::Unknown => ColumnType::Null,
    }
}

/// The type of a column of which nothing is known, as its values show it.
pub(super) fn widened(kind: ColumnType, value: ValueRef<'_>) -> ColumnType {
    match (kind, value) {
        (ColumnType::Null, ValueRef::Integer(_)) => ColumnType::BigInt,
        (ColumnType::Null | ColumnType::BigInt, ValueRef::Real(_)) => ColumnType::Double,
        (
            ColumnType::Null
            | ColumnType::BigInt
            | ColumnType::UnsignedBigInt
            | ColumnType::Decimal(_)
            | ColumnType::Double,
            ValueRef::Text(_) | ValueRef::Blob(_),
        ) => ColumnType::Text,
        (kind, _) => kind,
    }
}

/// A value of a column of this kind.
pub(super) fn text(kind: Kind, value: ValueRef<'_>) -> Result<Option<String>> {
    let text = match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        ValueRef::Integer(number) => match kind {
            Kind::Decimal(scale) if scale > 0 => {
                format!("{number}.{:0<1$}", "", usize::from(scale))
            }
            Kind::Unsigned => number.cast_unsigned().to_string(),
            _ => number.to_string(),
        },
        ValueRef::Real(number) => match kind {
            Kind::Int | Kind::Unsigned => {
                return Err(SqlError::new(1690, "BIGINT value is out of range"));
            }
            Kind::Decimal(scale) => with_scale(number, scale.into()),
            _ => shown(number),
        },
    };
    let of_kind = match kind {
        Kind::DateTime(digits) => time::parse(&text).map(|time| time::with_digits(time, digits)),
        Kind::Time(digits) => Clock::parse(&text).map(|clock| clock.written(digits)),
        _ => None,
    };
    Ok(Some(of_kind.unwrap_or(text)))
}
