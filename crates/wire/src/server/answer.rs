//! What a statement is answered.

/// The answer to a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is done and has no rows.
    Done {
        /// Rows changed.
        affected: u64,
        /// Warnings to be had from `SHOW WARNINGS`.
        warnings: u16,
        /// Words for the client's user; may be empty.
        info: String,
    },
    /// Rows.
    Rows(Table),
    /// It failed.
    Refused(Refusal),
}

impl Answer {
    /// Done, nothing to say.
    pub fn done() -> Self {
        Self::Done {
            affected: 0,
            warnings: 0,
            info: String::new(),
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An error for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({sqlstate}): {message}")]
pub struct Refusal {
    /// MySQL's number of the error.
    pub code: u16,
    /// Five characters.
    pub sqlstate: String,
    /// The words.
    pub message: String,
}

impl Refusal {
    /// An error with the SQLSTATE that belongs to `code`.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            sqlstate: sqlstate(code).to_owned(),
            message: message.into(),
        }
    }

    /// 1047 `Unknown command`.
    pub fn unknown_command() -> Self {
        Self::new(1047, "Unknown command")
    }

    /// 1317 `Query execution was interrupted`: the answer to a statement that was killed.
    pub fn interrupted() -> Self {
        Self::new(1317, "Query execution was interrupted")
    }

    /// 1227: `privilege` is needed.
    pub fn privilege(privilege: &str) -> Self {
        Self::new(
            1227,
            format!(
                "Access denied; you need (at least one of) the {privilege} privilege(s) for this \
                 operation"
            ),
        )
    }
}

/// The SQLSTATE of an error of the server, for the errors that an endpoint gives.
fn sqlstate(code: u16) -> &'static str {
    match code {
        1040 => "08004",
        1043 | 1047 | 1153 | 1156..=1161 | 1835 => "08S01",
        1044 | 1049 | 1054 | 1064 | 1065 | 1102 | 1142 | 1146 | 1149 | 1227 | 1231 | 1461 => {
            "42000"
        }
        1045 => "28000",
        1317 => "70100",
        _ => "HY000",
    }
}

/// Rows of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The rows, each with as many values as there are columns; a value that is missing is NULL.
    pub rows: Vec<Vec<Value>>,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Schema of the table it comes from; may be empty.
    pub schema: String,
    /// Table it comes from; may be empty.
    pub table: String,
    /// Its type.
    pub kind: ColumnKind,
}

impl Column {
    /// A column of no table.
    pub fn new(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self {
            name: name.into(),
            schema: String::new(),
            table: String::new(),
            kind,
        }
    }
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// `INT`; in binary a value that does not fit is NULL.
    Int,
    /// `CHAR(n)` of so many characters.
    Char(u16),
    /// `VARCHAR(n)` of so many characters.
    VarChar(u16),
    /// `TIMESTAMP(n)` with so many digits of the second's fraction; values are texts in the
    /// server's form, `2024-06-10 15:05:41.288`.
    Timestamp(u8),
    /// `BIGINT`.
    Integer,
    /// `BIGINT UNSIGNED`.
    Unsigned,
    /// `DECIMAL` with so many digits behind the point; values are texts.
    Decimal(u8),
    /// `DOUBLE`.
    Double,
    /// `VARCHAR`; also for times, which are sent in words.
    Text,
    /// `VARBINARY`.
    Bytes,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// A number that may be negative.
    Integer(i64),
    /// A number that is not.
    Unsigned(u64),
    /// A floating point number.
    Double(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Unsigned(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
