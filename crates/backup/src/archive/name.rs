//! Names of binary logs.

use std::fmt;
use std::str::FromStr;

/// The name of a binary log without its directory: a base, a dot, and a number of six digits or
/// more. Ordered by number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogName {
    number: u64,
    base: String,
}

impl LogName {
    /// What is before the dot: the server's `log_bin_basename` without directory.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The name of the file that follows.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            base: self.base.clone(),
        }
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.base, self.number)
    }
}

impl FromStr for LogName {
    type Err = NoLogName;

    fn from_str(text: &str) -> Result<Self, NoLogName> {
        let none = || NoLogName(text.to_owned());
        let (base, digits) = text.rsplit_once('.').ok_or_else(none)?;
        let is_number = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if base.is_empty() || base.contains(['/', '\0']) || !is_number {
            return Err(none());
        }
        let name = Self {
            number: digits.parse().map_err(|_| none())?,
            base: base.to_owned(),
        };
        // `x.0000001` is no name that a server gives.
        if name.to_string() == text {
            Ok(name)
        } else {
            Err(none())
        }
    }
}

/// A text that is not the name of a binary log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the name of a binary log")]
pub struct NoLogName(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered() {
        let name: LogName = "my.bin-log.000009".parse().unwrap();
        assert_eq!(name.base(), "my.bin-log");
        assert_eq!(name.next().to_string(), "my.bin-log.000010");
        let last: LogName = "binlog.999999".parse().unwrap();
        let more: LogName = "binlog.1000000".parse().unwrap();
        assert_eq!(last.next(), more);
        assert!(last < more);
        for text in [
            "binlog",
            "binlog.index",
            ".000001",
            "binlog.00001",
            "a/b.000001",
            "binlog.0000001",
            "binlog.000001.part",
            "binlog.99999999999999999999",
        ] {
            assert!(text.parse::<LogName>().is_err(), "{text}");
        }
    }
}
