//! Is this a page the server could have written, all of it at once?
//!
//! A page copied from a running server can be torn, and a page from a disk can be rotten. Both
//! are found here; what to do about it (read again, or give up) is the caller's.

use std::fmt;

use crate::bytes::{is_zero, u16_at, u32_at, u64_at};
use crate::checksum;
use crate::geometry::Geometry;
use crate::ids::{PageNo, SpaceId};
use crate::page::{PageType, TRAILER_LEN};

mod compressed;

pub use compressed::BadCompressed;

/// A page that passed, and how far it could be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PageState {
    /// Never written: all zeros.
    Empty,
    /// The checksum holds.
    Valid,
    /// Encrypted: without the key only the header can be checked, a torn page is not noticed.
    Sealed,
    /// An old copy of some page in the doublewrite area that servers before 8.0.20 kept inside the
    /// system tablespace; later servers never use it. It does not verify, and need not.
    DoublewriteCopy,
}

impl fmt::Display for PageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::Valid => "valid",
            Self::Sealed => "encrypted",
            Self::DoublewriteCopy => "old doublewrite copy",
        })
    }
}

/// The check a page failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPage {
    /// The slice is not one page.
    #[error("page length: expected {expected}, found {found}")]
    Length {
        /// The physical page size.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Checksums and LSN are 0 as on a page never written, yet there is content.
    #[error("content on a page with no checksum and no LSN")]
    NotEmpty,
    /// Header and trailer are of different versions of the page: it is torn.
    #[error("low half of the page LSN: {header} in the header, {trailer} in the trailer")]
    TornLsn {
        /// Low 32 bits of the LSN in the header.
        header: u32,
        /// The copy of them in the last four bytes.
        trailer: u32,
    },
    /// No algorithm gives the stored checksums. `expected` is what crc32 gives.
    #[error("page checksum: expected {expected:#010x}, found {found:#010x} and {trailer:#010x}")]
    Checksum {
        /// crc32 of the page.
        expected: u32,
        /// The checksum stored at offset 0.
        found: u32,
        /// The checksum stored in the trailer.
        trailer: u32,
    },
    /// No algorithm gives the stored checksum of a `ROW_FORMAT=COMPRESSED` page.
    #[error("compressed page checksum: expected {expected:#010x}, found {found:#010x}")]
    ZipChecksum {
        /// crc32 of the page.
        expected: u32,
        /// The checksum stored at offset 0.
        found: u32,
    },
    /// A transparently compressed page whose content cannot be restored.
    #[error("page compression: {0}")]
    Compressed(#[from] BadCompressed),
    /// An encrypted page whose control information makes no sense.
    #[error("encrypted page of {page_type}: original type {original}")]
    Sealed {
        /// The type of the page.
        page_type: PageType,
        /// The type it says to have had before encryption.
        original: PageType,
    },
    /// The page belongs to another tablespace.
    #[error("space id: expected {expected}, found {found}")]
    SpaceId {
        /// The tablespace the file is of.
        expected: SpaceId,
        /// The tablespace the page says.
        found: SpaceId,
    },
    /// The page belongs to another place in the file.
    #[error("page number: expected {expected}, found {found}")]
    PageNo {
        /// The place it was read from.
        expected: PageNo,
        /// The place the page says.
        found: PageNo,
    },
}

/// Checks that `page` is one whole page.
///
/// Every checksum algorithm is accepted, as the server does. Transparently compressed pages are
/// decompressed and checked as they were before (this allocates; plain pages do not).
pub fn verify_page(page: &[u8], g: Geometry) -> Result<PageState, BadPage> {
    let fields = Fields::read(page, g)?;
    if g.is_zip() {
        verify_zip(page, fields)
    } else {
        verify_plain(page, fields)
    }
}

/// Checks that `page` is one whole page, and the one expected at this place.
///
/// In a multi-file system tablespace `no` counts on over the files. In the legacy doublewrite area
/// of the system tablespace (its second and third extent) nothing that is found is an error.
pub fn verify_page_at(
    page: &[u8],
    g: Geometry,
    space: SpaceId,
    no: PageNo,
) -> Result<PageState, BadPage> {
    let doublewrite = is_legacy_doublewrite(g, space, no);
    let state = match verify_page(page, g) {
        Err(error @ BadPage::Length { .. }) => return Err(error),
        Err(_) if doublewrite => return Ok(PageState::DoublewriteCopy),
        result => result?,
    };
    if doublewrite || state == PageState::Empty {
        return Ok(state);
    }
    let found = PageNo::new(u32_at(page, 4).unwrap_or_default());
    if found != no {
        return Err(BadPage::PageNo {
            expected: no,
            found,
        });
    }
    let found = SpaceId::new(u32_at(page, 34).unwrap_or_default());
    if found != space {
        return Err(BadPage::SpaceId {
            expected: space,
            found,
        });
    }
    Ok(state)
}

fn is_legacy_doublewrite(g: Geometry, space: SpaceId, no: PageNo) -> bool {
    let extent = g.page_size().extent_pages();
    space == SpaceId::SYSTEM && (extent..3 * extent).contains(&no.get())
}

/// The fields every check starts from.
#[derive(Clone, Copy)]
struct Fields {
    checksum: u32,
    lsn: u64,
    page_type: PageType,
}

impl Fields {
    fn read(page: &[u8], g: Geometry) -> Result<Self, BadPage> {
        let length = BadPage::Length {
            expected: g.physical(),
            found: page.len(),
        };
        if page.len() != g.physical() {
            return Err(length);
        }
        let fields = || {
            Some(Self {
                checksum: u32_at(page, 0)?,
                lsn: u64_at(page, 16)?,
                page_type: PageType::new(u16_at(page, 24)?),
            })
        };
        fields().ok_or(length)
    }

    fn low_lsn(self) -> u32 {
        (self.lsn & 0xFFFF_FFFF).try_into().unwrap_or_default()
    }

    fn high_lsn(self) -> u32 {
        (self.lsn >> 32).try_into().unwrap_or_default()
    }
}

/// A page without checksum and LSN must be zeros, but for the eight bytes at 26 that no checksum
/// covers either.
fn verify_empty(page: &[u8]) -> Result<PageState, BadPage> {
    let (head, rest) = page.split_at_checked(26).unwrap_or_default();
    if is_zero(head) && is_zero(rest.get(8..).unwrap_or_default()) {
        Ok(PageState::Empty)
    } else {
        Err(BadPage::NotEmpty)
    }
}

/// What the header of an encrypted page can tell: little, as the trailer is encrypted as well.
fn verify_sealed(page: &[u8], page_type: PageType) -> Result<PageState, BadPage> {
    // An R-tree keeps its split sequence number where the other two keep the type they had.
    if page_type == PageType::ENCRYPTED_RTREE {
        return Ok(PageState::Sealed);
    }
    if page_type == PageType::COMPRESSED_AND_ENCRYPTED {
        compressed::Control::read(page)?;
    }
    let original = PageType::new(u16_at(page, 28).unwrap_or_default());
    if original.is_encrypted() || original == PageType::COMPRESSED {
        return Err(BadPage::Sealed {
            page_type,
            original,
        });
    }
    Ok(PageState::Sealed)
}

fn verify_zip(page: &[u8], fields: Fields) -> Result<PageState, BadPage> {
    if fields.page_type.is_encrypted() {
        return verify_sealed(page, fields.page_type);
    }
    let found = fields.checksum;
    if found == 0 && fields.lsn == 0 {
        return verify_empty(page);
    }
    let expected = checksum::zip_crc32(page);
    let holds =
        found == expected || found == checksum::NO_CHECKSUM || found == checksum::zip_adler32(page);
    if holds {
        Ok(PageState::Valid)
    } else {
        Err(BadPage::ZipChecksum { expected, found })
    }
}

fn verify_plain(page: &[u8], fields: Fields) -> Result<PageState, BadPage> {
    if fields.page_type.is_encrypted() {
        return verify_sealed(page, fields.page_type);
    }
    if fields.page_type == PageType::COMPRESSED {
        let original = compressed::restore(page)?;
        return verify_stamped(&original, fields);
    }
    verify_stamped(page, fields)
}

/// A page with checksum and LSN at both ends.
fn verify_stamped(page: &[u8], fields: Fields) -> Result<PageState, BadPage> {
    let end = page.len().saturating_sub(TRAILER_LEN);
    let found = fields.checksum;
    let trailer = u32_at(page, end).unwrap_or_default();
    let (header_lsn, trailer_lsn) = (fields.low_lsn(), u32_at(page, end + 4).unwrap_or_default());
    if header_lsn != trailer_lsn {
        return Err(BadPage::TornLsn {
            header: header_lsn,
            trailer: trailer_lsn,
        });
    }
    if found == 0 && trailer == 0 && fields.lsn == 0 {
        return verify_empty(page);
    }
    let expected = checksum::crc32(page);
    if (found, trailer) == (expected, expected) || is_legacy_valid(page, fields, trailer) {
        return Ok(PageState::Valid);
    }
    Err(BadPage::Checksum {
        expected,
        found,
        trailer,
    })
}

/// The algorithms other than crc32. Out of line: current servers do not write them.
#[cold]
fn is_legacy_valid(page: &[u8], fields: Fields, trailer: u32) -> bool {
    let found = fields.checksum;
    let same = found == trailer;
    if same && (found == checksum::NO_CHECKSUM || found == checksum::crc32_big_endian(page)) {
        return true;
    }
    // Servers before 4.0.14 stored no checksum at 0, and half of the LSN in the trailer.
    (trailer == checksum::innodb_old(page) || trailer == fields.high_lsn())
        && (found == 0 || found == checksum::innodb_new(page))
}

#[cfg(test)]
mod tests;
