//! Page sizes: the one the server thinks in, and the one the file is cut in.

use std::fmt;

use crate::flags::SpaceFlags;

/// `innodb_page_size`: 4096, 8192, 16384, 32768 or 65536.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageSize(u32);

impl PageSize {
    /// 16384, the server's default.
    pub const DEFAULT: Self = Self(16384);

    /// Checks a size in bytes.
    pub const fn new(bytes: u32) -> Result<Self, GeometryError> {
        if bytes >= 4096 && bytes <= 65536 && bytes.is_power_of_two() {
            Ok(Self(bytes))
        } else {
            Err(GeometryError::PageSize { found: bytes })
        }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }

    /// The size in bytes, as the number the server stores.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Pages in an extent: 1 MiB worth up to 16K pages, 64 pages above.
    pub const fn extent_pages(self) -> u32 {
        let in_a_mib = (1 << 20) / self.0;
        if in_a_mib < 64 { 64 } else { in_a_mib }
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How a tablespace file is cut into pages.
///
/// `logical` is the server's page size. `physical` is the size of a page in the file: the same,
/// but for `ROW_FORMAT=COMPRESSED` tablespaces, whose pages are 1024 to 16384 bytes and have their
/// own checksum rule even when the two sizes are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Geometry {
    logical: PageSize,
    physical: usize,
    zip: bool,
}

impl Geometry {
    /// The geometry that the flags of a tablespace describe.
    pub const fn of(flags: SpaceFlags) -> Result<Self, GeometryError> {
        let logical = flags.logical_page_size();
        match flags.zip_size() {
            None => Ok(Self::plain(logical)),
            Some(zip) if logical.get() > 16384 => Err(GeometryError::ZipWithLargePages {
                zip,
                logical: logical.get(),
            }),
            Some(zip) => Ok(Self {
                logical,
                physical: zip as usize,
                zip: true,
            }),
        }
    }

    /// Pages stored at their own size.
    pub const fn plain(page_size: PageSize) -> Self {
        Self {
            logical: page_size,
            physical: page_size.bytes(),
            zip: false,
        }
    }

    /// Bytes of a page in the server's memory.
    pub const fn logical(self) -> usize {
        self.logical.bytes()
    }

    /// Bytes of a page in the file. Page `n` of a file starts at `n * physical`.
    pub const fn physical(self) -> usize {
        self.physical
    }

    /// Whether this is a `ROW_FORMAT=COMPRESSED` tablespace.
    pub const fn is_zip(self) -> bool {
        self.zip
    }

    /// The server's page size.
    pub const fn page_size(self) -> PageSize {
        self.logical
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.zip {
            write!(f, "{} in {}", self.logical, self.physical)
        } else {
            write!(f, "{}", self.logical)
        }
    }
}

/// A page size InnoDB does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// Not a power of two from 4096 to 65536.
    #[error("page size is none of 4096, 8192, 16384, 32768, 65536: {found}")]
    PageSize {
        /// The size given, in bytes.
        found: u32,
    },
    /// InnoDB has compressed pages up to a page size of 16384 only.
    #[error("compressed page size {zip} with page size {logical}")]
    ZipWithLargePages {
        /// The compressed page size in bytes.
        zip: u32,
        /// The server's page size in bytes.
        logical: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_innodb_page_sizes_are_page_sizes() {
        for good in [4096, 8192, 16384, 32768, 65536] {
            assert_eq!(PageSize::new(good).unwrap().bytes(), good as usize);
        }
        for bad in [0, 1024, 2048, 4095, 12288, 131_072, u32::MAX] {
            assert_eq!(
                PageSize::new(bad),
                Err(GeometryError::PageSize { found: bad })
            );
        }
    }

    #[test]
    fn extents_are_one_two_and_four_mib() {
        let extent = |size| PageSize::new(size).unwrap().extent_pages();
        assert_eq!(
            [4096, 8192, 16384, 32768, 65536].map(extent),
            [256, 128, 64, 64, 64]
        );
    }

    #[test]
    fn a_zip_page_of_full_size_is_still_a_zip_page() {
        let g = Geometry::of(SpaceFlags::new(0x21 | 5 << 1).unwrap()).unwrap();
        assert_eq!(
            (g.logical(), g.physical(), g.is_zip()),
            (16384, 16384, true)
        );
    }

    #[test]
    fn zip_with_large_pages_is_refused() {
        let flags = SpaceFlags::new(0x21 | 4 << 1 | 6 << 6).unwrap();
        let refused = Err(GeometryError::ZipWithLargePages {
            zip: 8192,
            logical: 32768,
        });
        assert_eq!(Geometry::of(flags), refused);
    }
}
