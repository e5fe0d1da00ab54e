//! Errors as a MySQL client sees them: number, SQLSTATE, message; and a hint beside them.

use std::fmt;

/// Result of a statement.
pub type Result<T, E = SqlError> = std::result::Result<T, E>;

/// A failed statement. The message is the server's own where it has one for the case; what can be
/// said beyond it is the hint, which a client finds by `SHOW WARNINGS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// MySQL's error number.
    pub code: u16,
    /// Five characters.
    pub sqlstate: String,
    /// One line, without secrets.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl SqlError {
    /// An error with the SQLSTATE that the server sends with this number.
    pub(crate) fn new(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            sqlstate: sqlstate(code).to_owned(),
            message: message.into(),
            hint: None,
        }
    }

    /// With something to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// 1064 at `near`, which is in line `line` of the statement.
    pub(crate) fn syntax(near: &str, line: usize) -> Self {
        Self::new(
            ER_PARSE_ERROR,
            format!(
                "You have an error in your SQL syntax; check the manual that corresponds to your \
                 MySQL server version for the right syntax to use near '{near}' at line {line}"
            ),
        )
    }

    /// 1227 for want of `privilege`.
    pub(crate) fn access_denied(privilege: &str) -> Self {
        Self::new(
            1227,
            format!(
                "Access denied; you need (at least one of) the {privilege} privilege(s) for this \
                 operation"
            ),
        )
    }

    /// 1235 for what the server could do and this program does not.
    pub(crate) fn unsupported(what: &str) -> Self {
        Self::new(
            1235,
            format!("This version of MySQL doesn't yet support '{what}'"),
        )
    }

    /// 3869 with what is wrong.
    pub(crate) fn configuration(what: impl fmt::Display) -> Self {
        Self::new(3869, format!("Clone system configuration: {what}"))
    }

    /// 1317: the statement was killed.
    pub(crate) fn interrupted() -> Self {
        Self::new(1317, "Query execution was interrupted")
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ERROR {} ({}): {}",
            self.code, self.sqlstate, self.message
        )
    }
}

impl std::error::Error for SqlError {}

const ER_PARSE_ERROR: u16 = 1064;

/// The SQLSTATE of an error number, as in the server's list of messages.
pub(crate) fn sqlstate(code: u16) -> &'static str {
    match code {
        1044 | 1049 | 1064 | 1065 | 1142 | 1143 | 1149 | 1227 | 1231 | 1232 | 1235 | 1305
        | 1582 => "42000",
        1045 => "28000",
        1046 => "3D000",
        1052 => "23000",
        1054 => "42S22",
        1109 | 1146 => "42S02",
        1222 => "21000",
        1292 => "22007",
        1317 => "70100",
        _ => "HY000",
    }
}
