//! `key = value` lines, the form of the small text files in a backup set.

use std::str::FromStr;

/// Longer files are none of ours.
pub(crate) const MAX_TEXT: usize = 4096;
/// Keys and values beyond this are refused.
pub(crate) const MAX_WORD: usize = 50;

/// A text file that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The file is larger than any of its kind.
    #[error("text has {found} bytes, more than {most}")]
    TooLong {
        /// Bytes accepted.
        most: usize,
        /// Bytes given.
        found: usize,
    },
    /// The file is not UTF-8.
    #[error("no text: byte {at} is not UTF-8")]
    NotText {
        /// Where the text ends.
        at: usize,
    },
    /// The line is missing or not of the form it should have.
    #[error("line {line} is not: {expected}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// The same key twice.
    #[error("key occurs twice: {key}")]
    Duplicate {
        /// The key.
        key: &'static str,
    },
    /// A required key is missing.
    #[error("key is missing: {key}")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value that is no number, or too large.
    #[error("value of {key} is not a number of its size: {found:?}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        found: String,
    },
}

pub(crate) fn utf8(bytes: &[u8], most: usize) -> Result<&str, TextError> {
    if bytes.len() > most {
        return Err(TextError::TooLong {
            most,
            found: bytes.len(),
        });
    }
    std::str::from_utf8(bytes).map_err(|error| TextError::NotText {
        at: error.valid_up_to(),
    })
}

/// The pairs of a text, with the values as they are.
#[derive(Debug)]
pub(crate) struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Pairs<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, TextError> {
        let mut pairs = Vec::new();
        for (index, line) in utf8(bytes, MAX_TEXT)?.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let pair = line
                .split_once('=')
                .map(|(key, value)| (key.trim(), value.trim()));
            let fits = |word: &str| !word.is_empty() && word.len() <= MAX_WORD;
            match pair {
                Some((key, value)) if fits(key) && fits(value) => pairs.push((key, value)),
                _ => {
                    return Err(TextError::Line {
                        line: index + 1,
                        expected: "key = value",
                    });
                }
            }
        }
        Ok(Self(pairs))
    }

    /// The number under `key`, if the key is there.
    pub(crate) fn optional<T: FromStr>(&self, key: &'static str) -> Result<Option<T>, TextError> {
        let mut values = self
            .0
            .iter()
            .filter(|pair| pair.0 == key)
            .map(|pair| pair.1);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(TextError::Duplicate { key });
        }
        match number(value) {
            Some(number) => Ok(Some(number)),
            None => Err(TextError::Value {
                key,
                found: value.to_owned(),
            }),
        }
    }

    /// The number under `key`.
    pub(crate) fn required<T: FromStr>(&self, key: &'static str) -> Result<T, TextError> {
        self.optional(key)?.ok_or(TextError::Missing { key })
    }
}

/// A number of digits only: no sign, no blanks.
pub(crate) fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}
