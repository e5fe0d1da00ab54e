//! Page 0 of a tablespace (`fsp0fsp.h`).
//!
//! | offset | bytes | field |
//! |---:|---:|---|
//! | 8 | 4 | version of the server that created it, 90704 for 9.7.4 |
//! | 26 | 8 | system tablespace only: LSN of the last clean shutdown |
//! | 38 | 4 | space id |
//! | 46 | 4 | size in pages; the file may be longer or, in a crash, shorter |
//! | 50 | 4 | pages below this number are initialised |
//! | 54 | 4 | flags, see [`crate::flags`] |
//! | 150 | … | extent descriptors of the first group of extents |
//! | behind them | 115 | encryption information, see [`EncryptionInfo`] |

use std::fmt;

use crate::bytes::{array_at, u32_at};
use crate::flags::{FlagsError, SpaceFlags};
use crate::ids::{PageNo, SpaceId};
use crate::lsn::Lsn;
use crate::page::{PageError, PageHeader, PageType};

/// What page 0 says about its tablespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceHeader {
    /// The tablespace.
    pub space_id: SpaceId,
    /// Page size, row format family, encryption and more.
    pub flags: SpaceFlags,
    /// Size in pages, as of the last flush of this page. Use the file's length too.
    pub size_pages: u32,
    /// Pages from this number on were never initialised.
    pub free_limit: u32,
    /// Version of the server that created the tablespace: 90704 is 9.7.4.
    pub server_version: u32,
    /// System tablespace: LSN of the last clean shutdown. Meaningless elsewhere.
    pub flush_lsn: Lsn,
    /// The wrapped tablespace key. Present once there is a key, even if encryption was switched off
    /// later; absent when the bytes parsed do not reach as far (a whole page always does).
    pub encryption: Option<EncryptionInfo>,
}

/// Bytes [`SpaceHeader::parse`] wants, unless a whole page is smaller.
const WANTED: usize = 4096;
/// Where the extent descriptors begin.
const XDES_AT: usize = 150;

impl SpaceHeader {
    /// Reads page 0 from the first bytes of a tablespace file: 4096 of them, or the whole page
    /// where it is smaller. Page number, page type, flags and both copies of the space id are
    /// verified, the checksum is not: see [`crate::verify::verify_page_at`].
    pub fn parse(first_bytes: &[u8]) -> Result<Self, SpaceHeaderError> {
        let header = PageHeader::parse(first_bytes)?;
        let found = first_bytes.len();
        let field = |at| {
            u32_at(first_bytes, at).ok_or(SpaceHeaderError::TooShort {
                needed: WANTED,
                found,
            })
        };
        if header.page_no() != PageNo::new(0) {
            return Err(SpaceHeaderError::PageNo {
                found: header.page_no(),
            });
        }
        // What the server writes when it creates a file has neither type nor LSN: both come with
        // the first flush of the page.
        let is_new = header.page_type() == PageType::ALLOCATED && header.lsn() == Lsn::ZERO;
        if header.page_type() != PageType::FSP_HDR && !is_new {
            return Err(SpaceHeaderError::PageType {
                found: header.page_type(),
            });
        }
        let flags = SpaceFlags::new(field(54)?)?;
        let needed = flags.physical_page_size().min(WANTED);
        if found < needed {
            return Err(SpaceHeaderError::TooShort { needed, found });
        }
        let space_id = SpaceId::new(field(38)?);
        if space_id != header.space_id() {
            return Err(SpaceHeaderError::SpaceId {
                page: header.space_id(),
                space: space_id,
            });
        }
        let page_0 = first_bytes
            .get(..flags.physical_page_size())
            .unwrap_or(first_bytes);
        Ok(Self {
            space_id,
            flags,
            size_pages: field(46)?,
            free_limit: field(50)?,
            server_version: header.prev(),
            flush_lsn: header.flush_lsn(),
            encryption: EncryptionInfo::read(page_0, encryption_offset(flags)),
        })
    }
}

/// Where the encryption information of a tablespace begins in page 0: right behind the extent
/// descriptors, whose number and size follow from the page sizes.
pub fn encryption_offset(flags: SpaceFlags) -> usize {
    let extent_pages = flags.logical_page_size().extent_pages() as usize;
    let descriptor = 24 + (2 * extent_pages).div_ceil(8);
    XDES_AT + descriptor * (flags.physical_page_size() / extent_pages)
}

/// The wrapped key of a tablespace, or of the redo log. The same layout in both.
///
/// | offset | bytes | field |
/// |---:|---:|---|
/// | 0 | 3 | `lCC`; `lCA` and `lCB` in older files |
/// | 3 | 4 | master key id |
/// | 7 | 36 | uuid of the server that made the key |
/// | 43 | 64 | key and iv, AES-256-ECB under the master key |
/// | 107 | 4 | CRC-32C of the plain 64 bytes |
///
/// The master key is found in the keyring under `INNODBKey-<server uuid>-<id>`. Nothing of the key
/// itself is read here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EncryptionInfo {
    /// `lCA`, `lCB` or `lCC`.
    pub magic: [u8; 3],
    /// Number of the master key that wraps the tablespace key; 0 is the built-in one.
    pub master_key_id: u32,
    /// The server whose master key it is, 36 characters; empty where the layout has none.
    pub server_uuid: String,
}

impl EncryptionInfo {
    /// Bytes the information occupies.
    pub const LEN: usize = 111;

    /// Reads the information at `at`. `None` when there is none, or `bytes` end before it does.
    pub fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let info: [u8; Self::LEN] = array_at(bytes, at)?;
        let magic = array_at(&info, 0)?;
        if !matches!(&magic, b"lCA" | b"lCB" | b"lCC") {
            return None;
        }
        let uuid: [u8; 36] = array_at(&info, 7)?;
        let uuid = uuid.as_slice();
        // `lCA` has no uuid, the key begins in its place.
        let readable = &magic != b"lCA" && uuid.is_ascii();
        let text = if readable {
            String::from_utf8_lossy(uuid)
        } else {
            "".into()
        };
        Some(Self {
            magic,
            master_key_id: u32_at(&info, 3)?,
            server_uuid: text.trim_end_matches('\0').to_owned(),
        })
    }

    /// The name of the master key in the server's keyring.
    pub fn master_key_name(&self) -> String {
        format!("INNODBKey-{}-{}", self.server_uuid, self.master_key_id)
    }
}

impl fmt::Display for EncryptionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INNODBKey-{}-{}", self.server_uuid, self.master_key_id)
    }
}

/// Bytes that are not page 0 of a tablespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceHeaderError {
    /// Less than a page header.
    #[error(transparent)]
    Page(#[from] PageError),
    /// The header of the tablespace is cut off.
    #[error("tablespace header: needs {needed} bytes, found: {found}")]
    TooShort {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        found: usize,
    },
    /// Another page of some tablespace, or a later file of the system tablespace.
    #[error("first page of the tablespace has number: {found}")]
    PageNo {
        /// Bytes 4–7.
        found: PageNo,
    },
    /// Not a file space header.
    #[error("first page of the tablespace is of type: {found}")]
    PageType {
        /// Bytes 24–25.
        found: PageType,
    },
    /// The flags are of no tablespace.
    #[error(transparent)]
    Flags(#[from] FlagsError),
    /// The two copies of the space id differ.
    #[error("space id: {page} in the page header, {space} in the tablespace header")]
    SpaceId {
        /// Bytes 34–37.
        page: SpaceId,
        /// Bytes 38–41.
        space: SpaceId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::put;

    fn page_0(len: usize, flags: u32) -> Vec<u8> {
        let mut page = vec![0; len];
        for (at, value) in [
            (8, 90704),
            (34, 7),
            (38, 7),
            (46, 100),
            (50, 64),
            (54, flags),
        ] {
            put(&mut page, at, &u32::to_be_bytes(value)).unwrap();
        }
        put(&mut page, 24, &8u16.to_be_bytes()).unwrap();
        page
    }

    #[test]
    fn encryption_information_follows_the_extent_descriptors() {
        let at = |raw| encryption_offset(SpaceFlags::new(raw).unwrap());
        let measured = [(3, 1558), (4, 3734), (0, 10390), (6, 20630), (7, 41110)];
        for (ssize, offset) in measured {
            assert_eq!(at(ssize << 6), offset);
        }
        assert_eq!(at(0x40e3), 502, "1K compressed in 4K pages");
    }

    #[test]
    fn a_small_compressed_page_is_enough() {
        let header = SpaceHeader::parse(&page_0(1024, 0x40e3)).unwrap();
        assert_eq!((header.space_id, header.size_pages), (SpaceId::new(7), 100));
        assert_eq!((header.free_limit, header.server_version), (64, 90704));
        let cut = SpaceHeader::parse(&page_0(1023, 0x40e3));
        assert_eq!(
            cut,
            Err(SpaceHeaderError::TooShort {
                needed: 1024,
                found: 1023
            })
        );
    }

    #[test]
    fn key_information_is_found_with_the_whole_page() {
        let mut page = page_0(16384, 0x6021);
        let uuid = "01234567-89ab-cdef-0123-456789abcdef";
        put(&mut page, 10390, b"lCC").unwrap();
        put(&mut page, 10393, &5u32.to_be_bytes()).unwrap();
        put(&mut page, 10397, uuid.as_bytes()).unwrap();
        let info = SpaceHeader::parse(&page).unwrap().encryption.unwrap();
        assert_eq!((info.master_key_id, info.server_uuid.as_str()), (5, uuid));
        assert_eq!(info.master_key_name(), format!("INNODBKey-{uuid}-5"));
        assert_eq!(SpaceHeader::parse(&page[..4096]).unwrap().encryption, None);
    }

    #[test]
    fn the_first_page_of_a_new_file_has_no_type_yet() {
        let mut page = page_0(16384, 0x21);
        page[24..26].fill(0);
        page[16..24].fill(0);
        assert_eq!(SpaceHeader::parse(&page).unwrap().flags.get(), 0x21);
        page[20] = 1;
        let found = PageType::ALLOCATED;
        assert_eq!(
            SpaceHeader::parse(&page),
            Err(SpaceHeaderError::PageType { found })
        );
    }

    #[test]
    fn another_page_is_refused() {
        let mut page = page_0(16384, 0x4021);
        page[7] = 3;
        let error = SpaceHeaderError::PageNo {
            found: PageNo::new(3),
        };
        assert_eq!(SpaceHeader::parse(&page), Err(error));
        let mut page = page_0(16384, 0x4021);
        page[25] = 9;
        let error = SpaceHeaderError::PageType {
            found: PageType::XDES,
        };
        assert_eq!(SpaceHeader::parse(&page), Err(error));
        let mut page = page_0(16384, 0x4021);
        page[37] = 8;
        assert!(matches!(
            SpaceHeader::parse(&page),
            Err(SpaceHeaderError::SpaceId { .. })
        ));
    }
}
