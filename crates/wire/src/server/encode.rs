//! Packets of answers: OK, ERR, ends, column definitions and rows, in text and in binary.

use std::fmt::Write as _;

use super::answer::{Column, ColumnKind, Refusal, Table, Value};
use crate::cursor::{put_lenenc, put_lenenc_bytes};
use crate::handshake::UTF8MB4_GENERAL_CI;
use crate::reply;

/// How the rows of a result are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Values as text: the answer to a query.
    Text,
    /// Values in binary: the answer to a prepared statement.
    Binary,
}

/// An OK packet, or the end of rows under `CLIENT_DEPRECATE_EOF` (`header` 0xFE).
pub(super) fn ok(header: u8, affected: u64, warnings: u16, info: &str) -> Vec<u8> {
    let mut packet = vec![header];
    put_lenenc(&mut packet, affected);
    put_lenenc(&mut packet, 0); // last insert id
    packet.extend_from_slice(&AUTOCOMMIT.to_le_bytes());
    packet.extend_from_slice(&warnings.to_le_bytes());
    packet.extend_from_slice(info.as_bytes());
    packet
}

/// The end of columns or rows for clients without `CLIENT_DEPRECATE_EOF`.
pub(super) fn eof() -> Vec<u8> {
    let mut packet = vec![reply::EOF, 0, 0];
    packet.extend_from_slice(&AUTOCOMMIT.to_le_bytes());
    packet
}

/// An error packet. Before the greeting was answered the client may not understand SQLSTATE.
pub(super) fn err(refusal: &Refusal, with_state: bool) -> Vec<u8> {
    let mut packet = vec![reply::ERR];
    packet.extend_from_slice(&refusal.code.to_le_bytes());
    if with_state {
        packet.push(b'#');
        let state = refusal.sqlstate.as_bytes();
        packet.extend((0..5).map(|at| state.get(at).copied().unwrap_or(b'0')));
    }
    // As the server: a message is at most 512 bytes long.
    let mut end = refusal.message.len().min(MAX_MESSAGE);
    while !refusal.message.is_char_boundary(end) {
        end -= 1;
    }
    packet.extend_from_slice(&refusal.message.as_bytes()[..end]);
    packet
}

/// A column definition.
pub(super) fn column(column: &Column) -> Vec<u8> {
    let text = u16::from(UTF8MB4_GENERAL_CI);
    let (kind, charset, length, flags, decimals) = match column.kind {
        ColumnKind::Int => (LONG, BINARY, 11, NUM, 0),
        ColumnKind::Char(size) => (STRING, text, 4 * u32::from(size), 0, 0),
        ColumnKind::VarChar(size) => (VAR_STRING, text, 4 * u32::from(size), 0, 0),
        ColumnKind::Timestamp(digits) => {
            let point = u32::from(digits > 0);
            let length = 19 + point + u32::from(digits);
            (TIMESTAMP, BINARY, length, BINARY_FLAG, digits)
        }
        ColumnKind::Integer => (LONGLONG, BINARY, 20, NUM, 0),
        ColumnKind::Unsigned => (LONGLONG, BINARY, 20, NUM | UNSIGNED, 0),
        ColumnKind::Decimal(digits) => (NEWDECIMAL, BINARY, 67, NUM, digits),
        ColumnKind::Double => (DOUBLE, BINARY, 22, NUM, 31),
        ColumnKind::Text => (VAR_STRING, text, 65535, 0, 0),
        ColumnKind::Bytes => (VAR_STRING, BINARY, 65535, BINARY_FLAG, 0),
    };
    let mut packet = Vec::new();
    let names = [
        "def",
        &column.schema,
        &column.table,
        &column.table,
        &column.name,
        &column.name,
    ];
    for name in names {
        put_lenenc_bytes(&mut packet, name.as_bytes());
    }
    packet.push(0x0C); // length of what follows
    packet.extend_from_slice(&charset.to_le_bytes());
    packet.extend_from_slice(&u32::to_le_bytes(length));
    packet.push(kind);
    packet.extend_from_slice(&u16::to_le_bytes(flags));
    packet.push(decimals);
    packet.extend_from_slice(&[0, 0]);
    packet
}

/// One row.
pub(super) fn row(table: &Table, row: &[Value], form: Form, packet: &mut Vec<u8>) {
    packet.clear();
    match form {
        Form::Text => text_row(table.columns.len(), row, packet),
        Form::Binary => binary_row(&table.columns, row, packet),
    }
}

fn text_row(columns: usize, row: &[Value], packet: &mut Vec<u8>) {
    for at in 0..columns {
        match row.get(at) {
            None | Some(Value::Null) => packet.push(NULL),
            Some(value) => put_text(value, packet),
        }
    }
}

fn binary_row(columns: &[Column], row: &[Value], packet: &mut Vec<u8>) {
    packet.push(0);
    let nulls = packet.len();
    // Two bits are left free at the begin of the map.
    packet.resize(nulls + (columns.len() + 9) / 8, 0);
    for (at, column) in columns.iter().enumerate() {
        let value = row.get(at).unwrap_or(&Value::Null);
        let number = match (column.kind, value) {
            (_, Value::Null) => None,
            (ColumnKind::Integer | ColumnKind::Unsigned, Value::Integer(number)) => {
                Some(number.to_le_bytes())
            }
            (ColumnKind::Integer | ColumnKind::Unsigned, Value::Unsigned(number)) => {
                Some(number.to_le_bytes())
            }
            (ColumnKind::Double, Value::Double(number)) => Some(number.to_le_bytes()),
            (
                ColumnKind::Text
                | ColumnKind::Bytes
                | ColumnKind::Char(_)
                | ColumnKind::VarChar(_)
                | ColumnKind::Decimal(_),
                _,
            ) => {
                put_text(value, packet);
                continue;
            }
            (ColumnKind::Int, Value::Integer(number)) => match i32::try_from(*number) {
                Ok(number) => {
                    packet.extend_from_slice(&number.to_le_bytes());
                    continue;
                }
                Err(_) => None,
            },
            (ColumnKind::Timestamp(_), Value::Text(text)) => match binary_time(text) {
                Some(bytes) => {
                    put_short(packet, &bytes);
                    continue;
                }
                None => None,
            },
            // A value that is no number has no form in a column of numbers.
            _ => None,
        };
        match number {
            Some(bytes) => packet.extend_from_slice(&bytes),
            None => packet[nulls + (at + 2) / 8] |= 1 << ((at + 2) % 8),
        }
    }
}

/// Bytes behind a length of one byte.
fn put_short(packet: &mut Vec<u8>, bytes: &[u8]) {
    packet.push(bytes.len() as u8);
    packet.extend_from_slice(bytes);
}

/// A time of the text protocol in the form of the binary one: year, month, day, hour, minute,
/// second, microseconds.
fn binary_time(text: &str) -> Option<Vec<u8>> {
    let field = |from: usize, len: usize| text.get(from..from + len)?.parse::<u16>().ok();
    let marks = [(4, '-'), (7, '-'), (10, ' '), (13, ':'), (16, ':')];
    if !marks
        .iter()
        .all(|(at, mark)| text.chars().nth(*at) == Some(*mark))
    {
        return None;
    }
    let mut bytes = field(0, 4)?.to_le_bytes().to_vec();
    for at in [5, 8, 11, 14, 17] {
        bytes.push(u8::try_from(field(at, 2)?).ok()?);
    }
    let fraction = text.get(19..).unwrap_or_default().trim_start_matches('.');
    let micros: u32 = format!("{fraction:0<6}").parse().ok()?;
    bytes.extend_from_slice(&micros.to_le_bytes());
    Some(bytes)
}

fn put_text(value: &Value, packet: &mut Vec<u8>) {
    let mut words = String::new();
    let bytes = match value {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        Value::Null => &[],
        Value::Integer(number) => {
            // Writing to a string does not fail.
            let _ = write!(words, "{number}");
            words.as_bytes()
        }
        Value::Unsigned(number) => {
            let _ = write!(words, "{number}");
            words.as_bytes()
        }
        Value::Double(number) => {
            let _ = write!(words, "{number}");
            words.as_bytes()
        }
    };
    put_lenenc_bytes(packet, bytes);
}

/// Status of every session: autocommit.
pub(super) const AUTOCOMMIT: u16 = 2;

const NULL: u8 = 0xFB;
const MAX_MESSAGE: usize = 511;

// Types and flags of columns (field_types.h, mysql_com.h).
const LONG: u8 = 3;
const DOUBLE: u8 = 5;
const TIMESTAMP: u8 = 7;
const LONGLONG: u8 = 8;
const NEWDECIMAL: u8 = 246;
const VAR_STRING: u8 = 253;
const STRING: u8 = 254;
const UNSIGNED: u16 = 1 << 5;
const BINARY_FLAG: u16 = 1 << 7;
const NUM: u16 = 1 << 15;
const BINARY: u16 = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_binary_form() {
        let bytes = binary_time("2024-06-10 15:05:41.288").unwrap();
        assert_eq!(bytes, [232, 7, 6, 10, 15, 5, 41, 0, 101, 4, 0]);
        assert!(binary_time("2024-06-10 15:05:41").is_some());
        for text in [
            "",
            "yesterday",
            "2024-06-10",
            "2024-06-10 15:05:41.x",
            "2024-06-10T15:05:41",
        ] {
            assert_eq!(binary_time(text), None, "{text}");
        }
    }

    #[test]
    fn typed_columns_have_binary_rows_of_their_types() {
        let kinds = [
            ColumnKind::Int,
            ColumnKind::Char(16),
            ColumnKind::Timestamp(3),
        ];
        let table = Table {
            columns: kinds.map(|kind| Column::new("c", kind)).to_vec(),
            rows: Vec::new(),
        };
        let row_of = |values: &[Value]| {
            let mut packet = Vec::new();
            row(&table, values, Form::Binary, &mut packet);
            packet
        };
        let time = Value::from("2024-06-10 15:05:41");
        let packet = row_of(&[7_i64.into(), "x".into(), time]);
        assert_eq!(packet[..8], [0, 0, 7, 0, 0, 0, 1, b'x']);
        assert_eq!(packet[8..], [11, 232, 7, 6, 10, 15, 5, 41, 0, 0, 0, 0]);
        let nulls = row_of(&[i64::MAX.into(), Value::Null, "never".into()]);
        assert_eq!(nulls, [0, 0b1_1100]);
    }
}
