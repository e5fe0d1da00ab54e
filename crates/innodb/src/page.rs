//! The first 38 bytes of every page (`fil0types.h`).
//!
//! | offset | bytes | field |
//! |---:|---:|---|
//! | 0 | 4 | checksum |
//! | 4 | 4 | page number |
//! | 8 | 4 | previous page; on page 0 the server version |
//! | 12 | 4 | next page; on page 0 the space version |
//! | 16 | 8 | LSN at the end of the last change |
//! | 24 | 2 | page type |
//! | 26 | 8 | flush LSN on page 0 of the system tablespace; control information on compressed and encrypted pages |
//! | 34 | 4 | space id |
//!
//! The header is plain on encrypted and compressed pages too. Pages that are not
//! `ROW_FORMAT=COMPRESSED` also end with an 8-byte trailer: a second checksum, and the low 32 bits
//! of the LSN.

use std::fmt;
use std::mem::offset_of;

use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::ids::{PageNo, SpaceId};
use crate::lsn::Lsn;

/// Bytes before the content of a page.
pub const HEADER_LEN: usize = 38;
/// Bytes after the content of a page that is not `ROW_FORMAT=COMPRESSED`.
pub const TRAILER_LEN: usize = 8;

/// The header of a page.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct PageHeader {
    checksum: U32,
    page_no: U32,
    prev: U32,
    next: U32,
    lsn: U64,
    page_type: U16,
    flush_lsn: U64,
    space_id: U32,
}

const _: () = assert!(size_of::<PageHeader>() == HEADER_LEN);
const _: () = assert!(offset_of!(PageHeader, lsn) == 16);
const _: () = assert!(offset_of!(PageHeader, space_id) == 34);

impl PageHeader {
    /// Reads the header of a page that has at least its 38 bytes. Nothing is checked.
    pub fn parse(page: &[u8]) -> Result<Self, PageError> {
        match Self::read_from_prefix(page) {
            Ok((header, _)) => Ok(header),
            Err(_) => Err(PageError::TooShort { found: page.len() }),
        }
    }

    /// The checksum as stored; which algorithm made it is not recorded.
    pub fn checksum(&self) -> u32 {
        self.checksum.get()
    }

    /// Position of the page in its tablespace.
    pub fn page_no(&self) -> PageNo {
        PageNo::new(self.page_no.get())
    }

    /// The page to the left in an index; `0xFFFFFFFF` for none; on page 0 the server version.
    pub fn prev(&self) -> u32 {
        self.prev.get()
    }

    /// The page to the right in an index; `0xFFFFFFFF` for none; on page 0 the space version.
    pub fn next(&self) -> u32 {
        self.next.get()
    }

    /// End of the last mini-transaction that touched the page.
    pub fn lsn(&self) -> Lsn {
        Lsn::new(self.lsn.get())
    }

    /// What the page holds.
    pub fn page_type(&self) -> PageType {
        PageType::new(self.page_type.get())
    }

    /// The eight bytes at 26, which are the LSN of the last clean shutdown on page 0 of the
    /// system tablespace and something else everywhere else.
    pub fn flush_lsn(&self) -> Lsn {
        Lsn::new(self.flush_lsn.get())
    }

    /// The tablespace of the page.
    pub fn space_id(&self) -> SpaceId {
        SpaceId::new(self.space_id.get())
    }
}

impl fmt::Debug for PageHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageHeader")
            .field("checksum", &format_args!("{:#010x}", self.checksum()))
            .field("page_no", &self.page_no())
            .field("prev", &self.prev())
            .field("next", &self.next())
            .field("lsn", &self.lsn())
            .field("page_type", &self.page_type())
            .field("flush_lsn", &self.flush_lsn())
            .field("space_id", &self.space_id())
            .finish()
    }
}

/// What a page holds: two bytes at offset 24. Unknown values are kept as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageType(u16);

macro_rules! page_types {
    ($($(#[$doc:meta])* $constant:ident = $value:literal, $name:literal;)*) => {
        impl PageType {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// The name InnoDB gives the type; `None` for a value this crate does not know.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

page_types! {
    /// Freshly allocated, or never written.
    ALLOCATED = 0, "ALLOCATED";
    /// Undo log.
    UNDO_LOG = 2, "UNDO_LOG";
    /// Segment inodes.
    INODE = 3, "INODE";
    /// Free list of the former insert buffer.
    IBUF_FREE_LIST = 4, "IBUF_FREE_LIST";
    /// Bitmap of the former insert buffer.
    IBUF_BITMAP = 5, "IBUF_BITMAP";
    /// System page.
    SYS = 6, "SYS";
    /// Transaction system.
    TRX_SYS = 7, "TRX_SYS";
    /// Page 0: file space header.
    FSP_HDR = 8, "FSP_HDR";
    /// Extent descriptors.
    XDES = 9, "XDES";
    /// Externally stored column, uncompressed, old format.
    BLOB = 10, "BLOB";
    /// First page of a compressed BLOB, old format.
    ZBLOB = 11, "ZBLOB";
    /// Later page of a compressed BLOB, old format.
    ZBLOB2 = 12, "ZBLOB2";
    /// A page whose type was never set, in files older than MySQL 5.7.
    UNKNOWN = 13, "UNKNOWN";
    /// Transparently page-compressed.
    COMPRESSED = 14, "COMPRESSED";
    /// Encrypted.
    ENCRYPTED = 15, "ENCRYPTED";
    /// Transparently page-compressed, then encrypted.
    COMPRESSED_AND_ENCRYPTED = 16, "COMPRESSED_AND_ENCRYPTED";
    /// Encrypted R-tree.
    ENCRYPTED_RTREE = 17, "ENCRYPTED_RTREE";
    /// Serialized dictionary information, overflow.
    SDI_BLOB = 18, "SDI_BLOB";
    /// Serialized dictionary information, compressed overflow.
    SDI_ZBLOB = 19, "SDI_ZBLOB";
    /// Doublewrite buffer inside the system tablespace.
    LEGACY_DBLWR = 20, "LEGACY_DBLWR";
    /// Rollback segment array.
    RSEG_ARRAY = 21, "RSEG_ARRAY";
    /// Index of an uncompressed large object.
    LOB_INDEX = 22, "LOB_INDEX";
    /// Data of an uncompressed large object.
    LOB_DATA = 23, "LOB_DATA";
    /// First page of an uncompressed large object.
    LOB_FIRST = 24, "LOB_FIRST";
    /// First page of a compressed large object.
    ZLOB_FIRST = 25, "ZLOB_FIRST";
    /// Data of a compressed large object.
    ZLOB_DATA = 26, "ZLOB_DATA";
    /// Index of a compressed large object.
    ZLOB_INDEX = 27, "ZLOB_INDEX";
    /// Fragments of compressed large objects.
    ZLOB_FRAG = 28, "ZLOB_FRAG";
    /// Index of fragments of compressed large objects.
    ZLOB_FRAG_ENTRY = 29, "ZLOB_FRAG_ENTRY";
    /// Serialized dictionary information.
    SDI = 17853, "SDI";
    /// R-tree node.
    RTREE = 17854, "RTREE";
    /// B-tree node.
    INDEX = 17855, "INDEX";
}

impl PageType {
    /// Wraps a raw value.
    pub const fn new(raw: u16) -> Self {
        Self(raw)
    }

    /// The raw value.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether the content after the header is cipher text.
    pub const fn is_encrypted(self) -> bool {
        matches!(
            self,
            Self::ENCRYPTED | Self::COMPRESSED_AND_ENCRYPTED | Self::ENCRYPTED_RTREE
        )
    }
}

impl fmt::Display for PageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "type {}", self.0),
        }
    }
}

/// Bytes that cannot be a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The header needs 38 bytes.
    #[error("a page header has {HEADER_LEN} bytes, found: {found}")]
    TooShort {
        /// Bytes given.
        found: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_where_innodb_writes_it() {
        let page: Vec<u8> = (0..38).collect();
        let header = PageHeader::parse(&page).unwrap();
        assert_eq!(header.checksum(), 0x0001_0203);
        assert_eq!(header.page_no(), PageNo::new(0x0405_0607));
        assert_eq!(header.prev(), 0x0809_0A0B);
        assert_eq!(header.next(), 0x0C0D_0E0F);
        assert_eq!(header.lsn(), Lsn::new(0x1011_1213_1415_1617));
        assert_eq!(header.page_type(), PageType::new(0x1819));
        assert_eq!(header.flush_lsn(), Lsn::new(0x1A1B_1C1D_1E1F_2021));
        assert_eq!(header.space_id(), SpaceId::new(0x2223_2425));
    }

    #[test]
    fn a_short_page_is_an_error() {
        assert_eq!(
            PageHeader::parse(&[0; 37]),
            Err(PageError::TooShort { found: 37 })
        );
    }

    #[test]
    fn unknown_types_survive() {
        assert_eq!(PageType::INDEX.to_string(), "INDEX");
        assert_eq!(PageType::new(4711).to_string(), "type 4711");
        assert_eq!(PageType::new(4711).get(), 4711);
    }
}
