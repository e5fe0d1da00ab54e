//! One identifier and its parts.

use super::MAX_GNO;
use super::parse::BadGtid;
use std::fmt;
use std::str::FromStr;

/// The uuid of a server or a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// From its bytes, in the order in which they are written.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, in the order in which they are written.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = BadGtid;

    /// With its four dashes, or without any, as the server reads it.
    fn from_str(text: &str) -> Result<Self, BadGtid> {
        let bad = || BadGtid::new(format!("'{text}' is no uuid"));
        let dashes = [8, 13, 18, 23];
        let dashed = text.len() == 36;
        let mut digits = Vec::with_capacity(32);
        for (at, byte) in text.bytes().enumerate() {
            if dashed && dashes.contains(&at) {
                if byte != b'-' {
                    return Err(bad());
                }
                continue;
            }
            let digit = char::from(byte).to_digit(16).ok_or_else(bad)?;
            digits.push(u8::try_from(digit).map_err(|_| bad())?);
        }
        let digits: [u8; 32] = digits.try_into().map_err(|_| bad())?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |sum, digit| sum << 4 | digit);
        }
        Ok(Self(bytes))
    }
}

/// The tag of a GTID: none (empty), or up to 32 letters, digits and underscores that begin with no
/// digit. Always in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tag(String);

impl Tag {
    /// A tag's most characters.
    pub const MAX: usize = 32;

    /// From its text, which may be empty.
    pub fn new(text: &str) -> Result<Self, BadGtid> {
        let good = |(at, byte): (usize, u8)| {
            byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit())
        };
        if text.len() > Self::MAX || !text.bytes().enumerate().all(good) {
            return Err(BadGtid::new(format!("'{text}' is no tag of a GTID")));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Its text; empty for none.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The identifier of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtid {
    /// The server or group it comes from.
    pub uuid: Uuid,
    /// Its tag, or none.
    pub tag: Tag,
    /// Its number, from 1 to [`MAX_GNO`].
    pub gno: u64,
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uuid, tag, gno } = self;
        if tag.is_empty() {
            write!(f, "{uuid}:{gno}")
        } else {
            write!(f, "{uuid}:{}:{gno}", tag.as_str())
        }
    }
}

impl FromStr for Gtid {
    type Err = BadGtid;

    /// `uuid:number` or `uuid:tag:number`.
    fn from_str(text: &str) -> Result<Self, BadGtid> {
        let bad = || BadGtid::new(format!("'{text}' is no GTID"));
        let mut parts = text.split(':').map(str::trim);
        let uuid = parts.next().ok_or_else(bad)?.parse()?;
        let mut last = parts.next().ok_or_else(bad)?;
        let mut tag = Tag::default();
        if let Some(number) = parts.next() {
            tag = Tag::new(last)?;
            last = number;
        }
        let gno = number(last).ok_or_else(bad)?;
        if parts.next().is_some() {
            return Err(bad());
        }
        Ok(Self { uuid, tag, gno })
    }
}

/// A transaction number as text.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.filter(|number| (1..=MAX_GNO).contains(number))
}
