//! What an expression yields, as far as MySQL's rules depend on it.
//!
//! The engine has whole and floating numbers and texts; the server has more. A DECIMAL is a
//! floating number with digits behind the point to be shown, a time is a text in its usual form.

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing but NULL.
    Null,
    Int,
    Unsigned,
    /// With so many digits behind the point.
    Decimal(u8),
    Double,
    /// Compares without regard to case and accents.
    Text,
    /// Text that compares by its bytes.
    Binary,
    /// With so many digits of the second's fraction.
    DateTime(u8),
    Date,
    /// With so many digits of the second's fraction.
    Time(u8),
    Json,
    /// Not known here; the engine's own type shows at the end.
    Unknown,
}

impl Kind {
    /// Of a column of this declared type.
    pub(crate) fn declared(text: &str) -> Self {
        let digits = text
            .split_once('(')
            .and_then(|(_, rest)| rest.trim_end_matches(')').parse().ok());
        match text.split(['(', ' ']).next().unwrap_or_default() {
            "int" | "bigint" | "smallint" if text.ends_with("unsigned") => Self::Unsigned,
            "int" | "bigint" | "smallint" => Self::Int,
            "timestamp" | "datetime" => Self::DateTime(digits.unwrap_or(0)),
            "double" => Self::Double,
            _ => Self::Text,
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(
            self,
            Self::Int | Self::Unsigned | Self::Decimal(_) | Self::Double
        )
    }

    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Binary | Self::Json)
    }

    /// A point in time.
    pub(crate) fn is_moment(self) -> bool {
        matches!(self, Self::DateTime(_) | Self::Date)
    }

    /// Digits behind the point of a number; `None` where they are not fixed.
    pub(crate) fn scale(self) -> Option<u8> {
        match self {
            Self::Int | Self::Unsigned | Self::Null | Self::Unknown | Self::Date => Some(0),
            Self::Decimal(scale) | Self::DateTime(scale) | Self::Time(scale) => Some(scale),
            Self::Double | Self::Text | Self::Binary | Self::Json => None,
        }
    }

    /// Of a value that is one of two: of `IF`, `CASE`, `UNION`.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Null, kind) | (kind, Self::Null) => kind,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::DateTime(a), Self::DateTime(b)) => Self::DateTime(a.max(b)),
            (Self::DateTime(digits), Self::Date) | (Self::Date, Self::DateTime(digits)) => {
                Self::DateTime(digits)
            }
            (Self::Time(a), Self::Time(b)) => Self::Time(a.max(b)),
            (a, b) if a.is_number() && b.is_number() => match (a.scale(), b.scale()) {
                (Some(0), Some(0))
                    if !matches!((a, b), (Self::Decimal(_), _) | (_, Self::Decimal(_))) =>
                {
                    Self::Int
                }
                (Some(a), Some(b)) => Self::Decimal(a.max(b)),
                _ => Self::Double,
            },
            (Self::Binary, _) | (_, Self::Binary) => Self::Binary,
            _ => Self::Text,
        }
    }

    /// Of a sum, difference or remainder.
    pub(crate) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, kind) | (kind, Self::Null) if kind.is_number() => kind,
            (Self::Unknown, Self::Unknown | Self::Int) | (Self::Int, Self::Unknown) => {
                Self::Unknown
            }
            _ => match (self.scale(), other.scale()) {
                (Some(a), Some(b)) if self.has_point() || other.has_point() => {
                    Self::Decimal(a.max(b))
                }
                (Some(_), Some(_)) => Self::Int,
                _ => Self::Double,
            },
        }
    }

    /// Of a product.
    pub(crate) fn times(self, other: Self) -> Self {
        match (self.plus(other), self.scale(), other.scale()) {
            (Self::Decimal(_), Some(a), Some(b)) => Self::Decimal((a + b).min(MOST_DIGITS)),
            (kind, ..) => kind,
        }
    }

    /// Of a quotient: four digits more than the dividend has.
    pub(crate) fn divided(self, by: Self) -> Self {
        match (self.scale(), by.scale()) {
            (Some(scale), Some(_)) => Self::Decimal((scale + 4).min(MOST_DIGITS)),
            _ => Self::Double,
        }
    }

    fn has_point(self) -> bool {
        matches!(self, Self::Decimal(_)) || matches!(self, Self::DateTime(1..) | Self::Time(1..))
    }
}

/// The most digits behind the point that a DECIMAL of the server has.
pub(crate) const MOST_DIGITS: u8 = 30;
