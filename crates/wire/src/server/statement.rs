//! Prepared statements: a statement with `?` in it, and later the values, in binary.
//!
//! The values are put into the statement as literals, and the statement is executed like any other.

mod literal;
mod marks;

use std::collections::HashMap;

use self::literal::{put_bytes, put_value};
use self::marks::marks;
use super::answer::Refusal;
use crate::cursor::{Cursor, Malformed};

/// The prepared statements of a session.
#[derive(Debug, Default)]
pub(super) struct Statements {
    last: u32,
    prepared: HashMap<u32, Prepared>,
    /// Bytes kept for all of them.
    size: usize,
}

#[derive(Debug)]
struct Prepared {
    sql: String,
    /// Where the `?` are.
    marks: Vec<usize>,
    /// Types of the values, as told at the first execution: type and flags.
    types: Vec<[u8; 2]>,
    /// Values that came ahead, in pieces.
    long: HashMap<u16, Vec<u8>>,
    too_long: bool,
}

impl Statements {
    /// Prepares a statement; returns its number and how many values it wants.
    pub(super) fn prepare(&mut self, sql: &str) -> Result<(u32, u16), Refusal> {
        let marks = marks(sql);
        let parameters = u16::try_from(marks.len())
            .map_err(|_| Refusal::new(1390, "Prepared statement contains too many placeholders"))?;
        if self.prepared.len() >= MAX_STATEMENTS || self.size + sql.len() > MAX_SIZE {
            let message = format!(
                "Can't create more than max_prepared_stmt_count statements (current value: \
                 {MAX_STATEMENTS})"
            );
            return Err(Refusal::new(1461, message));
        }
        self.size += sql.len();
        self.last = self.last.wrapping_add(1).max(1);
        self.prepared.insert(
            self.last,
            Prepared {
                sql: sql.to_owned(),
                marks,
                types: Vec::new(),
                long: HashMap::new(),
                too_long: false,
            },
        );
        Ok((self.last, parameters))
    }

    /// The statement to execute for the payload of `COM_STMT_EXECUTE`.
    pub(super) fn bind(&mut self, payload: &[u8]) -> Result<String, Refusal> {
        let (prepared, rest) = self.find(payload, "mysqld_stmt_execute")?;
        let long = std::mem::take(&mut prepared.long);
        let freed: usize = long.values().map(Vec::len).sum();
        let too_long = std::mem::take(&mut prepared.too_long);
        let sql = if too_long {
            Err(Refusal::new(
                1153,
                "Got a packet bigger than 'max_allowed_packet' bytes",
            ))
        } else {
            prepared
                .bind(rest, &long)
                .map_err(|_| Refusal::new(1210, "Incorrect arguments to mysqld_stmt_execute"))
        };
        self.size -= freed;
        sql
    }

    /// A piece of a value that is too long for one packet.
    pub(super) fn long_data(&mut self, payload: &[u8]) {
        let size = self.size;
        let Ok((prepared, rest)) = self.find(payload, "") else {
            return;
        };
        let Some((&[a, b], piece)) = rest.split_first_chunk() else {
            return;
        };
        let parameter = u16::from_le_bytes([a, b]);
        if size + piece.len() > MAX_SIZE || usize::from(parameter) >= prepared.marks.len() {
            // There is no answer to this command: it shows at the execution.
            prepared.too_long = true;
            return;
        }
        prepared.long.entry(parameter).or_default().extend(piece);
        self.size += piece.len();
    }

    /// Forgets the values that came ahead.
    pub(super) fn reset(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        let (prepared, _) = self.find(payload, "mysqld_stmt_reset")?;
        prepared.too_long = false;
        let freed: usize = std::mem::take(&mut prepared.long)
            .values()
            .map(Vec::len)
            .sum();
        self.size -= freed;
        Ok(())
    }

    /// Forgets a statement.
    pub(super) fn close(&mut self, payload: &[u8]) {
        if let Some(id) = payload.first_chunk().copied().map(u32::from_le_bytes)
            && let Some(gone) = self.prepared.remove(&id)
        {
            let long: usize = gone.long.values().map(Vec::len).sum();
            self.size -= gone.sql.len() + long;
        }
    }

    fn find<'p>(
        &mut self,
        payload: &'p [u8],
        command: &str,
    ) -> Result<(&mut Prepared, &'p [u8]), Refusal> {
        let (id, rest) = payload.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let id = u32::from_le_bytes(*id);
        let unknown = || {
            let message = format!("Unknown prepared statement handler ({id}) given to {command}");
            Refusal::new(1243, message)
        };
        Ok((self.prepared.get_mut(&id).ok_or_else(unknown)?, rest))
    }
}

impl Prepared {
    fn bind(&mut self, payload: &[u8], long: &HashMap<u16, Vec<u8>>) -> Result<String, Malformed> {
        let mut cursor = Cursor::new(payload);
        cursor.take(1 + 4, "flags and repetitions")?;
        let count = self.marks.len();
        if count == 0 {
            return Ok(self.sql.clone());
        }
        let nulls = cursor.take(count.div_ceil(8), "map of NULLs")?;
        if cursor.u8("new types")? == 1 {
            let read = |_| cursor.array("type of a value");
            self.types = (0..count).map(read).collect::<Result<_, _>>()?;
        }
        let mut sql = String::with_capacity(self.sql.len());
        let mut copied = 0;
        for (at, mark) in self.marks.iter().enumerate() {
            sql.push_str(&self.sql[copied..*mark]);
            copied = mark + 1;
            let [kind, flags] = *self.types.get(at).ok_or(Malformed { what: "type", at })?;
            let ahead = u16::try_from(at).ok().and_then(|at| long.get(&at));
            if let Some(value) = ahead {
                put_bytes(&mut sql, value);
            } else if nulls[at / 8] & (1 << (at % 8)) != 0 {
                sql.push_str("NULL");
            } else {
                put_value(&mut sql, kind, flags & 0x80 != 0, &mut cursor)?;
            }
        }
        sql.push_str(&self.sql[copied..]);
        Ok(sql)
    }
}

const MAX_STATEMENTS: usize = 1024;
/// For all statements of a session and the values that come ahead, in bytes.
const MAX_SIZE: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::literal::{DATETIME, LONG, LONGLONG, TINY};
    use super::*;

    #[test]
    fn values_become_literals() {
        let mut statements = Statements::default();
        let (id, count) = statements.prepare("SELECT ?, ?, ?, ?, ?").unwrap();
        assert_eq!(count, 5);
        let mut packet = id.to_le_bytes().to_vec();
        packet.extend_from_slice(&[0, 1, 0, 0, 0, 0b00010, 1]);
        packet.extend_from_slice(&[LONGLONG, 0, LONG, 0, TINY, 0x80, 253, 0, DATETIME, 0]);
        packet.extend_from_slice(&(-5i64).to_le_bytes());
        packet.push(200);
        packet.extend_from_slice(b"\x04it's");
        packet.extend_from_slice(&[4, 0xE8, 7, 2, 3]);
        assert_eq!(
            statements.bind(&packet).unwrap(),
            "SELECT -5, NULL, 200, 'it''s', '2024-02-03 00:00:00.000000'"
        );
        for len in 0..packet.len() {
            assert!(statements.bind(&packet[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn values_that_come_ahead_are_used_once_and_bounded() {
        let mut statements = Statements::default();
        let (id, _) = statements.prepare("SELECT ?").unwrap();
        let id = id.to_le_bytes();
        let piece = |text: &[u8]| [&id, &[0, 0][..], text].concat();
        let execute = [&id, &[0, 1, 0, 0, 0, 0, 1, 252, 0][..]].concat();
        statements.long_data(&piece(b"ab"));
        statements.long_data(&piece(b"c"));
        assert_eq!(statements.bind(&execute).unwrap(), "SELECT 'abc'");
        assert!(statements.bind(&execute).is_err());
        for _ in 0..3 {
            statements.long_data(&piece(&vec![b'x'; 30 << 20]));
        }
        assert_eq!(statements.bind(&execute).unwrap_err().code, 1153);
        statements.long_data(&piece(b"z"));
        statements.close(&id);
        assert_eq!((statements.size, statements.prepared.len()), (0, 0));
    }
}
