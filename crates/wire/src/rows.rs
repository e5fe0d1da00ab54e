//! Results of queries in the text protocol.

use std::any::type_name;
use std::str::FromStr;

use crate::Error;
use crate::cursor::{Cursor, Malformed};
use crate::reply::text;

/// The rows of one result, and the names of their columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Names of the columns, in order; empty for a statement without a result.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Rows {
    /// Position of the column named `name`, in any case.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|column| column.eq_ignore_ascii_case(name))
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The first row.
    pub fn first(&self) -> Option<&Row> {
        self.rows.first()
    }

    /// The rows, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Row> {
        self.rows.iter()
    }
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = std::vec::IntoIter<Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = &'a Row;
    type IntoIter = std::slice::Iter<'a, Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One row: its values as the server wrote them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    bytes: Box<[u8]>,
    /// Where each value lies in `bytes`; `None` is NULL.
    values: Box<[Option<(u32, u32)>]>,
}

impl Row {
    pub(crate) fn from_packet(packet: &[u8], columns: usize) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(packet);
        // Every value takes a byte at least: a false count asks for no memory.
        let mut values = Vec::with_capacity(columns.min(packet.len()));
        for _ in 0..columns {
            if cursor.peek() == Some(NULL) {
                cursor.u8("NULL")?;
                values.push(None);
            } else {
                let len = cursor.lenenc_bytes("value")?.len();
                let end = cursor.position();
                let bound = |at| u32::try_from(at).map_err(|_| Malformed { what: "value", at });
                values.push(Some((bound(end - len)?, bound(end)?)));
            }
        }
        if !cursor.is_empty() {
            return Err(Malformed {
                what: "bytes behind the row",
                at: cursor.position(),
            });
        }
        Ok(Self {
            bytes: packet.into(),
            values: values.into(),
        })
    }

    /// Memory the row takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + size_of_val(&*self.values)
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value in `column`, from 0; `None` for NULL and beyond the last column.
    pub fn get(&self, column: usize) -> Option<&[u8]> {
        let (start, end) = (*self.values.get(column)?)?;
        self.bytes.get(start as usize..end as usize)
    }

    /// The value in `column` as text; `None` for NULL, beyond the last column, and for a value
    /// that is not UTF-8.
    pub fn text(&self, column: usize) -> Option<&str> {
        std::str::from_utf8(self.get(column)?).ok()
    }

    /// The value in `column` read as a `T`. NULL, and a value that is no `T`, is an
    /// [`Error::Value`].
    pub fn parse<T: FromStr>(&self, column: usize) -> Result<T, Error> {
        self.text(column)
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| self.unexpected(column, type_name::<T>()))
    }

    /// As [`parse`](Row::parse), with NULL as `None`.
    pub fn parse_nullable<T: FromStr>(&self, column: usize) -> Result<Option<T>, Error> {
        match self.values.get(column) {
            Some(None) => Ok(None),
            _ => self.parse(column).map(Some),
        }
    }

    fn unexpected(&self, column: usize, expected: &'static str) -> Error {
        let found = match (self.values.get(column), self.get(column)) {
            (None, _) => "nothing".to_owned(),
            (_, None) => "NULL".to_owned(),
            (_, Some(value)) => text(value.get(..SHOWN).unwrap_or(value)),
        };
        Error::Value {
            column,
            expected,
            found,
        }
    }
}

/// The name of the column that a column definition packet describes.
pub(crate) fn column_name(packet: &[u8]) -> Result<String, Malformed> {
    let mut cursor = Cursor::new(packet);
    for what in ["catalog", "schema", "table alias", "table"] {
        cursor.lenenc_bytes(what)?;
    }
    Ok(text(cursor.lenenc_bytes("column name")?))
}

/// Marks NULL in the place of a value's length.
const NULL: u8 = 0xFB;
/// How much of a value an error message shows, in bytes.
const SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_text_bytes_numbers_and_null() {
        let row = Row::from_packet(b"\x02ab\xfb\x0242\x01\xff\x00", 5).unwrap();
        assert_eq!(row.len(), 5);
        assert_eq!(row.text(0), Some("ab"));
        assert_eq!(row.get(1), None);
        assert_eq!(row.parse::<u64>(2).unwrap(), 42);
        assert_eq!((row.get(3), row.text(3)), (Some(&[0xff][..]), None));
        assert_eq!(row.text(4), Some(""));
        assert_eq!(row.parse_nullable::<u64>(1).unwrap(), None);
    }

    #[test]
    fn a_value_of_another_type_is_an_error_that_shows_it() {
        let row = Row::from_packet(b"\x02ab\xfb", 2).unwrap();
        let message = |column| row.parse::<u64>(column).unwrap_err().to_string();
        assert_eq!(message(0), "column 0 of the result: expected u64, found ab");
        assert_eq!(
            message(1),
            "column 1 of the result: expected u64, found NULL"
        );
        assert_eq!(
            message(2),
            "column 2 of the result: expected u64, found nothing"
        );
    }

    #[test]
    fn a_row_with_too_few_or_too_many_values_is_refused() {
        assert!(Row::from_packet(b"\x01a", 2).is_err());
        assert!(Row::from_packet(b"\x01a\x01b", 1).is_err());
        assert!(Row::from_packet(b"\x05a", 1).is_err());
    }

    proptest! {
        #[test]
        fn no_packet_makes_the_parsers_panic(packet: Vec<u8>, columns in 0usize..9) {
            if let Ok(row) = Row::from_packet(&packet, columns) {
                prop_assert!((0..columns).all(|column| row.get(column).is_none_or(|v| v.len() <= packet.len())));
            }
            let _ = column_name(&packet);
            let _ = crate::reply::parse_ok(&packet);
            let _ = crate::reply::parse_eof(&packet);
            let _ = crate::reply::parse_error(&packet);
        }
    }
}
