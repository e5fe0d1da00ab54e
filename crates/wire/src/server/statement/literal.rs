//! Values in the binary form of the protocol, as literals of SQL.

use std::fmt::Write as _;

use crate::cursor::{Cursor, Malformed};
use crate::quote_string;

/// Reads a value of type `kind` and writes it as a literal.
pub(super) fn put_value(
    sql: &mut String,
    kind: u8,
    unsigned: bool,
    cursor: &mut Cursor<'_>,
) -> Result<(), Malformed> {
    let number = match kind {
        NULL => {
            sql.push_str("NULL");
            return Ok(());
        }
        TINY => i64::from(cursor.u8("number")?.cast_signed()),
        SHORT | YEAR => i64::from(cursor.u16("number")?.cast_signed()),
        LONG | INT24 => i64::from(cursor.u32("number")?.cast_signed()),
        LONGLONG => i64::from_le_bytes(cursor.array("number")?),
        FLOAT => {
            let number = f32::from_le_bytes(cursor.array("number")?);
            return put_float(sql, f64::from(number), cursor.position());
        }
        DOUBLE => {
            let number = f64::from_le_bytes(cursor.array("number")?);
            return put_float(sql, number, cursor.position());
        }
        DATE | DATETIME | TIMESTAMP => return put_datetime(sql, cursor),
        TIME => return put_time(sql, cursor),
        DECIMAL | VARCHAR | BIT | JSON | NEWDECIMAL..=GEOMETRY => {
            put_bytes(sql, cursor.lenenc_bytes("value")?);
            return Ok(());
        }
        _ => {
            let at = cursor.position();
            return Err(Malformed {
                what: "type of a value",
                at,
            });
        }
    };
    // Writing to a string does not fail.
    let _ = if unsigned {
        let bits = match kind {
            TINY => 8,
            SHORT | YEAR => 16,
            LONG | INT24 => 32,
            _ => 64,
        };
        write!(
            sql,
            "{}",
            number.cast_unsigned() & (u64::MAX >> (64 - bits))
        )
    } else {
        write!(sql, "{number}")
    };
    Ok(())
}

fn put_float(sql: &mut String, number: f64, at: usize) -> Result<(), Malformed> {
    if !number.is_finite() {
        return Err(Malformed { what: "number", at });
    }
    let _ = write!(sql, "{number:e}");
    Ok(())
}

fn put_datetime(sql: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    let len = cursor.u8("length of a time")?;
    let mut fields = Cursor::new(cursor.take(usize::from(len), "time")?);
    let (mut date, mut time, mut micros) = ((0, 0, 0), (0, 0, 0), 0);
    if len > 0 {
        date = (fields.u16("year")?, fields.u8("month")?, fields.u8("day")?);
    }
    if len > 4 {
        time = (
            fields.u8("hour")?,
            fields.u8("minute")?,
            fields.u8("second")?,
        );
    }
    if len > 7 {
        micros = fields.u32("microseconds")?;
    }
    let ((y, mo, d), (h, mi, s)) = (date, time);
    let _ = write!(
        sql,
        "'{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}.{micros:06}'"
    );
    Ok(())
}

fn put_time(sql: &mut String, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    let len = cursor.u8("length of a time")?;
    let mut fields = Cursor::new(cursor.take(usize::from(len), "time")?);
    let (mut sign, mut hours, mut rest, mut micros) = ("", 0, (0, 0), 0);
    if len > 0 {
        sign = if fields.u8("sign")? == 0 { "" } else { "-" };
        let days = u64::from(fields.u32("days")?);
        hours = days * 24 + u64::from(fields.u8("hours")?);
        rest = (fields.u8("minutes")?, fields.u8("seconds")?);
    }
    if len > 8 {
        micros = fields.u32("microseconds")?;
    }
    let (mi, s) = rest;
    let _ = write!(sql, "'{sign}{hours:02}:{mi:02}:{s:02}.{micros:06}'");
    Ok(())
}

/// Text as a quoted literal; bytes that are no text in hexadecimal.
pub(super) fn put_bytes(sql: &mut String, value: &[u8]) {
    if let Ok(text) = std::str::from_utf8(value) {
        sql.push_str(&quote_string(text));
        return;
    }
    sql.push_str("x'");
    for byte in value {
        let _ = write!(sql, "{byte:02x}");
    }
    sql.push('\'');
}

// Types of values (field_types.h).
const DECIMAL: u8 = 0;
pub(super) const TINY: u8 = 1;
const SHORT: u8 = 2;
pub(super) const LONG: u8 = 3;
const FLOAT: u8 = 4;
const DOUBLE: u8 = 5;
const NULL: u8 = 6;
const TIMESTAMP: u8 = 7;
pub(super) const LONGLONG: u8 = 8;
const INT24: u8 = 9;
const DATE: u8 = 10;
const TIME: u8 = 11;
pub(super) const DATETIME: u8 = 12;
const YEAR: u8 = 13;
const VARCHAR: u8 = 15;
const BIT: u8 = 16;
const JSON: u8 = 245;
const NEWDECIMAL: u8 = 246;
const GEOMETRY: u8 = 255;
