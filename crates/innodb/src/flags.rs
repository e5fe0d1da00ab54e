//! Tablespace flags: 32 bits at offset 54 of page 0 (`fsp0types.h`).
//!
//! | bits | meaning |
//! |---|---|
//! | 0 | post-antelope row formats |
//! | 1–4 | compressed page size: `512 << n`, 0 = not compressed |
//! | 5 | atomic BLOBs |
//! | 6–9 | page size: `512 << n`, 0 = 16384 |
//! | 10 | file outside the data directory |
//! | 11 | shared: general or system tablespace |
//! | 12 | temporary |
//! | 13 | encrypted |
//! | 14 | has an SDI index |
//! | 15–31 | reserved, 0 |

use std::fmt;

use crate::geometry::PageSize;

/// The flags of a tablespace, checked to describe something InnoDB can have made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceFlags(u32);

const POST_ANTELOPE: u32 = 1;
const ATOMIC_BLOBS: u32 = 1 << 5;
const DATA_DIR: u32 = 1 << 10;
const SHARED: u32 = 1 << 11;
const TEMPORARY: u32 = 1 << 12;
const ENCRYPTED: u32 = 1 << 13;
const SDI: u32 = 1 << 14;
const KNOWN: u32 = (1 << 15) - 1;

impl SpaceFlags {
    /// Checks raw flags: reserved bits, and page sizes InnoDB does not have, are refused.
    pub const fn new(raw: u32) -> Result<Self, FlagsError> {
        if raw & !KNOWN != 0 {
            return Err(FlagsError::Reserved { flags: raw });
        }
        let flags = Self(raw);
        let (page, zip) = (flags.page_ssize(), flags.zip_ssize());
        if page != 0 && (page < 3 || page > 7) {
            return Err(FlagsError::PageSize {
                flags: raw,
                ssize: page,
            });
        }
        if zip > 5 {
            return Err(FlagsError::ZipSize {
                flags: raw,
                ssize: zip,
            });
        }
        if zip != 0 {
            let page = if page == 0 { 5 } else { page };
            let rows = POST_ANTELOPE | ATOMIC_BLOBS;
            if zip > page || raw & rows != rows {
                return Err(FlagsError::ZipSize {
                    flags: raw,
                    ssize: zip,
                });
            }
        }
        Ok(flags)
    }

    /// The raw 32 bits.
    pub const fn get(self) -> u32 {
        self.0
    }

    const fn zip_ssize(self) -> u32 {
        self.0 >> 1 & 0xF
    }

    const fn page_ssize(self) -> u32 {
        self.0 >> 6 & 0xF
    }

    /// The server's page size.
    pub const fn logical_page_size(self) -> PageSize {
        let ssize = self.page_ssize();
        let bytes = if ssize == 0 { 16384 } else { 512 << ssize };
        match PageSize::new(bytes) {
            Ok(size) => size,
            // Not reached: `new` let only 0 and 3..=7 through.
            Err(_) => PageSize::DEFAULT,
        }
    }

    /// The compressed page size in bytes, for `ROW_FORMAT=COMPRESSED` only.
    pub const fn zip_size(self) -> Option<u32> {
        match self.zip_ssize() {
            0 => None,
            ssize => Some(512 << ssize),
        }
    }

    /// Bytes of a page in the file.
    pub const fn physical_page_size(self) -> usize {
        match self.zip_size() {
            Some(zip) => zip as usize,
            None => self.logical_page_size().bytes(),
        }
    }

    /// Whether the tablespace is encrypted, or being encrypted.
    pub const fn is_encrypted(self) -> bool {
        self.0 & ENCRYPTED != 0
    }

    /// Whether the tablespace holds several tables: general or system.
    pub const fn is_shared(self) -> bool {
        self.0 & SHARED != 0
    }

    /// Whether a table was created with `DATA DIRECTORY`.
    pub const fn has_data_dir(self) -> bool {
        self.0 & DATA_DIR != 0
    }

    /// Whether the tablespace is temporary.
    pub const fn is_temporary(self) -> bool {
        self.0 & TEMPORARY != 0
    }

    /// Whether the tablespace carries serialized dictionary information.
    pub const fn has_sdi(self) -> bool {
        self.0 & SDI != 0
    }
}

impl fmt::Display for SpaceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Flags that no InnoDB server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlagsError {
    /// A bit from 15 to 31 is set.
    #[error("reserved bits are set in tablespace flags: {flags:#x}")]
    Reserved {
        /// The raw flags.
        flags: u32,
    },
    /// The page size field is out of range.
    #[error("page size field {ssize} in tablespace flags: {flags:#x}")]
    PageSize {
        /// The raw flags.
        flags: u32,
        /// Bits 6–9.
        ssize: u32,
    },
    /// The compressed page size is out of range, larger than the page, or set for a row format
    /// that cannot be compressed.
    #[error("compressed page size field {ssize} in tablespace flags: {flags:#x}")]
    ZipSize {
        /// The raw flags.
        flags: u32,
        /// Bits 1–4.
        ssize: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_real_tablespaces() {
        let dynamic = SpaceFlags::new(0x4021).unwrap();
        assert_eq!(
            (dynamic.logical_page_size().get(), dynamic.zip_size()),
            (16384, None)
        );
        assert!(dynamic.has_sdi() && !dynamic.is_shared() && !dynamic.is_encrypted());

        let general_4k = SpaceFlags::new(0x48c0).unwrap();
        assert_eq!(
            (general_4k.logical_page_size().get(), general_4k.is_shared()),
            (4096, true)
        );

        let zip = SpaceFlags::new(0x40e3).unwrap();
        assert_eq!(
            (zip.logical_page_size().get(), zip.zip_size()),
            (4096, Some(1024))
        );
        assert_eq!(zip.physical_page_size(), 1024);

        assert!(SpaceFlags::new(0x6021).unwrap().is_encrypted());
    }

    #[test]
    fn reserved_bits_are_refused() {
        assert_eq!(
            SpaceFlags::new(0xC021),
            Err(FlagsError::Reserved { flags: 0xC021 })
        );
        assert!(SpaceFlags::new(1 << 31).is_err());
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(SpaceFlags::new(1 << 6).is_err(), "1K pages");
        assert!(SpaceFlags::new(8 << 6).is_err(), "128K pages");
        assert!(
            SpaceFlags::new(0x21 | 6 << 1).is_err(),
            "32K compressed pages"
        );
        assert!(
            SpaceFlags::new(0x21 | 4 << 1 | 3 << 6).is_err(),
            "8K compressed in 4K pages"
        );
        assert!(
            SpaceFlags::new(1 << 1).is_err(),
            "compressed without its row format"
        );
    }
}
