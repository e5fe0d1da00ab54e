//! Log sequence numbers: positions in the redo log, and the version of every page.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes in one redo block. An LSN counts all of them, its header and trailer included.
pub const REDO_BLOCK: u64 = 512;

/// A position in the redo log, in bytes.
///
/// ```
/// use innoclone_innodb::lsn::Lsn;
/// let lsn: Lsn = "20471".parse()?;
/// assert_eq!(lsn.block_start(), Lsn::new(19968));
/// assert_eq!(lsn.offset_in_block(), 503);
/// # Ok::<(), std::num::ParseIntError>(())
/// ```
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Lsn(u64);

impl Lsn {
    /// "No LSN": a page that was never changed, a full backup's start.
    pub const ZERO: Self = Self(0);
    /// The largest value the field can hold.
    pub const MAX: Self = Self(u64::MAX);

    /// Wraps a raw position.
    pub const fn new(lsn: u64) -> Self {
        Self(lsn)
    }

    /// The raw position.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position of the 512-byte redo block this LSN lies in.
    #[must_use]
    pub const fn block_start(self) -> Self {
        Self(self.0 - self.0 % REDO_BLOCK)
    }

    /// Offset inside the redo block, `0..512`. Data positions are in `12..508`.
    pub const fn offset_in_block(self) -> u32 {
        (self.0 % REDO_BLOCK) as u32
    }

    /// Bytes of log from `earlier` to `self`; `None` when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }

    /// The position `bytes` further on; `None` past the end of the number.
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(lsn) => Some(Self(lsn)),
            None => None,
        }
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Lsn {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn json_is_the_plain_number() {
        let json = serde_json::to_string(&Lsn::new(31_337)).unwrap();
        assert_eq!(json, "31337");
        assert_eq!(
            serde_json::from_str::<Lsn>(&json).unwrap(),
            Lsn::new(31_337)
        );
    }

    #[test]
    fn negative_and_empty_texts_are_refused() {
        assert!("-1".parse::<Lsn>().is_err());
        assert!("".parse::<Lsn>().is_err());
        assert!("18446744073709551616".parse::<Lsn>().is_err());
    }

    proptest! {
        #[test]
        fn block_start_and_offset_rebuild_the_lsn(raw: u64) {
            let lsn = Lsn::new(raw);
            let back = lsn.block_start().checked_add(u64::from(lsn.offset_in_block()));
            prop_assert_eq!(back, Some(lsn));
            prop_assert_eq!(lsn.block_start().offset_in_block(), 0);
        }

        #[test]
        fn since_is_defined_forwards_only(a: u64, b: u64) {
            let (a, b) = (Lsn::new(a), Lsn::new(b));
            prop_assert_eq!(a.since(b).is_some(), a >= b);
            if let Some(distance) = a.since(b) {
                prop_assert_eq!(b.checked_add(distance), Some(a));
            }
        }

        #[test]
        fn text_is_reversible(raw: u64) {
            prop_assert_eq!(Lsn::new(raw).to_string().parse::<Lsn>(), Ok(Lsn::new(raw)));
        }
    }
}
