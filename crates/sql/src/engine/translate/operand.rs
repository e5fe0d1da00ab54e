//! A translated expression, and its conversions between kinds.

use super::kind::Kind;

/// An expression in the engine's language. `sql` binds as tight as a name does.
#[derive(Debug, Clone)]
pub(crate) struct Operand {
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    /// The literal's own text, of a string or number that stands in the statement.
    pub(crate) literal: Option<String>,
    /// As text, of `0x…` and its like: those are numbers among numbers.
    pub(crate) as_text: Option<String>,
    /// A column as it stands in a table: it has a collation and a type of its own.
    pub(crate) is_column: bool,
}

impl Operand {
    pub(crate) fn new(sql: impl Into<String>, kind: Kind) -> Self {
        Self {
            sql: sql.into(),
            kind,
            literal: None,
            as_text: None,
            is_column: false,
        }
    }

    /// `1`, or `'a'`: with its text.
    pub(crate) fn literal(sql: impl Into<String>, kind: Kind, text: impl Into<String>) -> Self {
        Self {
            literal: Some(text.into()),
            ..Self::new(sql, kind)
        }
    }

    /// As a number.
    pub(crate) fn number(&self) -> String {
        match self.kind {
            Kind::Text | Kind::Binary | Kind::Json if self.as_text.is_none() => {
                format!("number({})", self.sql)
            }
            Kind::DateTime(_) | Kind::Date | Kind::Time(_) => format!("time_number({})", self.sql),
            _ => self.sql.clone(),
        }
    }

    /// As a text.
    pub(crate) fn text(&self) -> String {
        if let Some(text) = &self.as_text {
            return text.clone();
        }
        match self.kind {
            Kind::Decimal(scale) => format!("decimal_text({}, {scale})", self.sql),
            Kind::Double => format!("double_text({})", self.sql),
            Kind::Unsigned => format!("unsigned_text({})", self.sql),
            Kind::DateTime(digits) if !self.is_column => {
                format!("datetime_text({}, {digits})", self.sql)
            }
            _ => self.sql.clone(),
        }
    }

    /// As a value of `kind`, which this and others were made to agree on.
    pub(crate) fn as_kind(&self, kind: Kind) -> String {
        match kind {
            Kind::Text | Kind::Binary if self.kind != kind => self.text(),
            Kind::Int | Kind::Decimal(_) | Kind::Double if !self.kind.is_number() => self.number(),
            _ => self.sql.clone(),
        }
    }

    /// As an item of a list that is sorted, grouped or made distinct: texts say how they compare.
    pub(crate) fn sorted(&self) -> String {
        match self.kind {
            Kind::Text if !self.is_column => format!("{} COLLATE {AI_CI}", self.sql),
            Kind::Binary => format!("{} COLLATE BINARY", self.sql),
            _ => self.sql.clone(),
        }
    }

    /// What a column of the result holds.
    pub(crate) fn shown(&self) -> String {
        match &self.as_text {
            Some(text) => text.clone(),
            None => self.sorted(),
        }
    }
}

/// How two operands compare: both as the engine is to compare them, and the collation.
pub(crate) fn comparable(a: &Operand, b: &Operand) -> (String, String) {
    let (a_kind, b_kind) = (a.kind, b.kind);
    let either = |is: fn(Kind) -> bool| is(a_kind) || is(b_kind);
    if either(Kind::is_moment)
        && (a_kind.is_moment() || a_kind.is_text())
        && (b_kind.is_moment() || b_kind.is_text())
    {
        let key = |operand: &Operand| format!("moment({})", operand.text());
        return (key(a), key(b));
    }
    if either(Kind::is_number) && (either(Kind::is_text) || either(Kind::is_moment)) {
        return (a.number(), b.number());
    }
    let collation = if a_kind == Kind::Binary || b_kind == Kind::Binary {
        "BINARY"
    } else {
        AI_CI
    };
    let is_numeric = |kind: Kind| kind.is_number() || kind == Kind::Null;
    if is_numeric(a_kind) && is_numeric(b_kind) {
        return (a.sql.clone(), b.sql.clone());
    }
    let (a, b) = if a_kind.is_text() || b_kind.is_text() {
        (a.text(), b.text())
    } else {
        (a.sql.clone(), b.sql.clone())
    };
    (format!("{a} COLLATE {collation}"), b)
}

/// The name of the collation that stands for `utf8mb4_0900_ai_ci`.
pub(crate) const AI_CI: &str = "ai_ci";

/// A string of SQLite.
pub(crate) fn quoted_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name of SQLite. Not in `"`: a name that is unknown would be a string then.
pub(crate) fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
