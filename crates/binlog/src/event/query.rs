//! Statements that begin or end a group of events, and the event that ends a file.

use crate::Problem;
use crate::cursor::Cursor;

/// What a query event does to the group it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// `BEGIN` or `XA START`: more follows.
    Begin,
    /// `COMMIT`, or `ROLLBACK` of the whole: the group ends.
    End,
    /// Any other. It is the group if the group was not begun.
    Other,
}

/// The statement of a query event (type 2): its body without checksum, or the beginning of it.
///
/// | offset | bytes | field |
/// |---:|---:|---|
/// | 0 | 4 | id of the session |
/// | 4 | 4 | seconds it took |
/// | 8 | 1 | length of the schema's name |
/// | 9 | 2 | error number |
/// | 11 | 2 | length of the status variables |
/// | 13 | … | status variables, schema, zero byte, statement |
///
/// # Errors
/// [`Problem::Damaged`] when the event ends before the statement.
pub fn query_text(body: &[u8]) -> Result<&[u8], Problem> {
    let mut cursor = Cursor::new(body);
    cursor.take(8, "the session")?;
    let schema = cursor.u8("the length of the schema's name")?;
    cursor.u16("the error number")?;
    let variables = cursor.u16("the length of status variables")?;
    cursor.take(variables.into(), "status variables")?;
    cursor.take(usize::from(schema) + 1, "the schema's name")?;
    Ok(cursor.rest())
}

/// What the statement of a query event does to its group. The server writes these itself, in this
/// form (`Query_log_event::ends_group`, `starts_group`).
pub fn statement(text: &[u8]) -> Statement {
    if text == b"BEGIN" || text.starts_with(b"XA START") {
        Statement::Begin
    } else if text == b"COMMIT" || text == b"ROLLBACK" {
        Statement::End
    } else {
        Statement::Other
    }
}

/// A rotate event (type 4): the file that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    /// Where the events go on in that file: 4.
    pub position: u64,
    /// The file's name without its directory.
    pub file: String,
}

impl Rotate {
    /// Parses the event's body without its checksum.
    ///
    /// # Errors
    /// [`Problem::Damaged`] when the name is empty or no name of a file.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let mut cursor = Cursor::new(body);
        let position = cursor.u64("the position in the next file")?;
        let file = std::str::from_utf8(cursor.rest()).ok();
        let is_name = |name: &&str| {
            !name.is_empty() && *name != "." && *name != ".." && !name.contains(['/', '\\', '\0'])
        };
        let file = file.filter(is_name);
        let file = file.ok_or_else(|| Problem::damaged("the next file has no proper name"))?;
        Ok(Self {
            position,
            file: file.to_owned(),
        })
    }
}
