//! Who a page is: its tablespace and its number (`dict0dict.h`, `fil0types.h`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Identifies a tablespace within one server. Written at offset 34 of every page of it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SpaceId(u32);

impl SpaceId {
    /// The system tablespace, `ibdata*`.
    pub const SYSTEM: Self = Self(0);
    /// The data dictionary, `mysql.ibd`.
    pub const DICTIONARY: Self = Self(0xFFFF_FFFE);
    /// The global temporary tablespace, `ibtmp1`.
    pub const TEMPORARY: Self = Self(0xFFFF_FFFD);

    /// Undo ids count down from here; every truncation of an undo tablespace takes 127 off its id.
    const UNDO_LAST: u32 = 0xFFFF_FFEF;
    /// 127 undo tablespaces with 400,000 ids each.
    const UNDO_FIRST: u32 = Self::UNDO_LAST - 127 * 400_000 + 1;

    /// Wraps a raw id.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The raw id.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether the id lies in the range reserved for undo tablespaces.
    pub const fn is_undo(self) -> bool {
        self.0 >= Self::UNDO_FIRST && self.0 <= Self::UNDO_LAST
    }
}

impl fmt::Display for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Position of a page in its tablespace, counted in pages. It runs on over the files of a
/// multi-file system tablespace.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PageNo(u32);

impl PageNo {
    /// Wraps a raw number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The raw number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for PageNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undo_ids_are_recognised_before_and_after_truncation() {
        assert!(SpaceId::new(4_294_967_279).is_undo());
        assert!(SpaceId::new(4_294_967_152).is_undo());
        assert!(SpaceId::new(4_244_167_280).is_undo());
        assert!(!SpaceId::new(4_244_167_279).is_undo());
        assert!(!SpaceId::DICTIONARY.is_undo());
        assert!(!SpaceId::TEMPORARY.is_undo());
        assert!(!SpaceId::SYSTEM.is_undo());
    }
}
