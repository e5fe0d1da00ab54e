//! What a statement answers.

/// The answer to one statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Something was done.
    Done {
        /// Number of warnings, to be had by `SHOW WARNINGS`.
        warnings: u16,
    },
    /// Something was asked.
    Rows(ResultSet),
}

/// Rows of a result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResultSet {
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// One value for each column, as the text protocol writes it; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Number of warnings, to be had by `SHOW WARNINGS`.
    pub warnings: u16,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, as the client shows it.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
}

/// The types a column can have here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `int`
    Int,
    /// `bigint`
    BigInt,
    /// `bigint unsigned`
    UnsignedBigInt,
    /// `decimal`, with so many digits behind the point.
    Decimal(u8),
    /// `double`
    Double,
    /// `char(n)`, of `n` characters.
    Char(u16),
    /// `varchar(n)`, of `n` characters.
    VarChar(u16),
    /// `longtext`
    Text,
    /// `timestamp(n)`, with `n` digits of the second's fraction.
    Timestamp(u8),
    /// A column of which nothing is known but NULL.
    Null,
}

impl ColumnType {
    /// Whether a client aligns the values to the right.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Self::Int | Self::BigInt | Self::UnsignedBigInt | Self::Decimal(_) | Self::Double
        )
    }

    /// The type a table's definition names: `int`, `bigint`, `char(16)`, `timestamp(3)`, ….
    pub(crate) fn declared(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let (name, size) = match lower.split_once('(') {
            Some((name, rest)) => (name, rest.split(')').next().unwrap_or_default()),
            None => (lower.as_str(), ""),
        };
        match name.split_whitespace().next().unwrap_or_default() {
            "int" | "integer" => Self::Int,
            "bigint" if lower.ends_with("unsigned") => Self::UnsignedBigInt,
            "bigint" => Self::BigInt,
            "char" => Self::Char(size.parse().unwrap_or(255)),
            "varchar" => Self::VarChar(size.parse().unwrap_or(u16::MAX)),
            "timestamp" => Self::Timestamp(size.parse().unwrap_or(0)),
            "double" => Self::Double,
            _ => Self::Text,
        }
    }
}

impl Column {
    /// A column of this name and type.
    pub(crate) fn new(name: impl Into<String>, kind: ColumnType) -> Self {
        Self {
            name: name.into(),
            kind,
        }
    }
}

impl ResultSet {
    /// An empty result with columns of these names and declared types.
    pub(crate) fn with_columns(columns: &[(&str, &str)]) -> Self {
        let columns = columns.iter();
        let columns = columns.map(|(name, kind)| Column::new(*name, ColumnType::declared(kind)));
        Self {
            columns: columns.collect(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_are_read() {
        for (text, expected) in [
            ("int", ColumnType::Int),
            ("INTEGER", ColumnType::Int),
            ("bigint", ColumnType::BigInt),
            ("bigint unsigned", ColumnType::UnsignedBigInt),
            ("char(16)", ColumnType::Char(16)),
            ("varchar(4096)", ColumnType::VarChar(4096)),
            ("timestamp(6)", ColumnType::Timestamp(6)),
            ("text", ColumnType::Text),
        ] {
            assert_eq!(ColumnType::declared(text), expected, "{text}");
        }
    }
}
