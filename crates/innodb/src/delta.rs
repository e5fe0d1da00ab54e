//! `.delta` files: some pages of a tablespace, with their numbers.
//!
//! `P` is the physical page size of the tablespace. The file is a row of clusters of `P/4` slots
//! of `P` bytes, the last cluster cut after its last page; no pages, no bytes.
//!
//! | slot of a cluster | content |
//! |---|---|
//! | 0 | header |
//! | 1 … P/4-1 | the image of one page each |
//!
//! | offset in the header | bytes | field |
//! |---:|---:|---|
//! | 0 | 4 | `clon`: another cluster follows; `CLON`: the last one |
//! | 4·i | 4 | number of the page in slot i |
//! | behind the last | 4 | `0xFFFFFFFF`, when not all slots are used |
//!
//! This is XtraBackup's format but for the magic, which is `xtra` and `XTRA` there; readers take
//! both. The order of the pages has no meaning.

use crate::bytes::{array_at, put, u32_at};
use crate::ids::PageNo;

const MORE: [u8; 4] = *b"clon";
const LAST: [u8; 4] = *b"CLON";
const XTRABACKUP_MORE: [u8; 4] = *b"xtra";
const XTRABACKUP_LAST: [u8; 4] = *b"XTRA";
const END: u32 = 0xFFFF_FFFF;

/// Bytes of a page number, and of the magic.
const WORD: usize = 4;

/// Where things are in a `.delta` file of some page size. Offsets that are beyond any file are
/// `u64::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeltaLayout {
    page_size: u32,
}

impl DeltaLayout {
    /// The layout for a physical page size: a power of two from 1024 to 65536.
    pub fn new(physical_page_size: usize) -> Result<Self, DeltaError> {
        let bad = DeltaError::PageSize {
            found: physical_page_size,
        };
        let page_size = u32::try_from(physical_page_size).map_err(|_| bad)?;
        if (1024..=65536).contains(&page_size) && page_size.is_power_of_two() {
            Ok(Self { page_size })
        } else {
            Err(bad)
        }
    }

    /// Bytes of a page, and of a header.
    pub const fn page_size(self) -> usize {
        self.page_size as usize
    }

    /// Pages in a full cluster.
    pub const fn slots_per_cluster(self) -> u64 {
        self.units_per_cluster() - 1
    }

    /// Slots of a full cluster, the header's included.
    const fn units_per_cluster(self) -> u64 {
        (self.page_size / 4) as u64
    }

    /// Bytes of a full cluster.
    pub const fn cluster_size(self) -> u64 {
        self.units_per_cluster() * self.page_size as u64
    }

    /// Where the header of a cluster begins.
    pub const fn header_offset(self, cluster: u64) -> u64 {
        cluster.saturating_mul(self.cluster_size())
    }

    /// Where the image of the `index`-th page of the file begins, counted from 0 over all clusters.
    pub const fn slot_offset(self, index: u64) -> u64 {
        let (cluster, slot) = (
            index / self.slots_per_cluster(),
            index % self.slots_per_cluster(),
        );
        self.header_offset(cluster)
            .saturating_add((1 + slot) * self.page_size as u64)
    }

    /// The size of a file of `page_count` pages.
    pub const fn file_size(self, page_count: u64) -> u64 {
        let headers = page_count.div_ceil(self.slots_per_cluster());
        page_count
            .saturating_add(headers)
            .saturating_mul(self.page_size as u64)
    }

    /// The number of pages in a file of `file_size` bytes, for every size that
    /// [`DeltaLayout::file_size`] gives, and an error for every other.
    pub const fn page_count(self, file_size: u64) -> Result<u64, DeltaError> {
        let bad = Err(DeltaError::FileSize {
            found: file_size,
            page_size: self.page_size(),
        });
        if !file_size.is_multiple_of(self.page_size as u64) {
            return bad;
        }
        let units = file_size / self.page_size as u64;
        // A header alone: the last page is missing.
        if units % self.units_per_cluster() == 1 {
            return bad;
        }
        Ok(units - units.div_ceil(self.units_per_cluster()))
    }
}

/// Writes the header of a cluster with these pages to `out`, which is one page long. Every cluster
/// but the last must be full; only a file without clusters has no pages.
pub fn encode_header(
    layout: DeltaLayout,
    pages: &[PageNo],
    last: bool,
    out: &mut [u8],
) -> Result<(), DeltaError> {
    if out.len() != layout.page_size() {
        return Err(DeltaError::HeaderLength {
            expected: layout.page_size(),
            found: out.len(),
        });
    }
    let (most, found) = (layout.slots_per_cluster(), pages.len() as u64);
    if found > most || found == 0 || (!last && found < most) {
        return Err(DeltaError::PagesInCluster { most, found, last });
    }
    if let Some(slot) = pages.iter().position(|page| page.get() == END) {
        return Err(DeltaError::NoSuchPage { slot: slot + 1 });
    }
    out.fill(0);
    let words = out.chunks_exact_mut(WORD).skip(1);
    let numbers = pages.iter().map(|page| page.get()).chain([END]);
    for (word, number) in words.zip(numbers) {
        word.copy_from_slice(&number.to_be_bytes());
    }
    let _ = put(out, 0, if last { &LAST } else { &MORE });
    Ok(())
}

/// The header of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaHeader {
    /// Whether this is the last cluster of the file.
    pub last: bool,
    /// The numbers of the pages whose images follow, in this order.
    pub pages: Vec<PageNo>,
}

/// Reads the header of a cluster from its first page.
///
/// A cluster that is not the last must be full: the next one would not be where it belongs. The
/// last one can be empty, since XtraBackup writes a header for a tablespace without changes.
pub fn parse_header(layout: DeltaLayout, bytes: &[u8]) -> Result<DeltaHeader, DeltaError> {
    let expected = layout.page_size();
    let header = bytes.get(..expected).ok_or(DeltaError::HeaderLength {
        expected,
        found: bytes.len(),
    })?;
    let last = parse_magic(header)?;
    let pages: Vec<PageNo> = header
        .chunks_exact(WORD)
        .skip(1)
        .map_while(|word| u32_at(word, 0).filter(|number| *number != END))
        .map(PageNo::new)
        .collect();
    let (most, found) = (layout.slots_per_cluster(), pages.len() as u64);
    if !last && found < most {
        return Err(DeltaError::PagesInCluster { most, found, last });
    }
    Ok(DeltaHeader { last, pages })
}

/// The number of the first page of a cluster, from the first 8 bytes of its header; `None` for an
/// empty cluster.
pub fn first_page(header: &[u8]) -> Result<Option<PageNo>, DeltaError> {
    parse_magic(header)?;
    let found = header.len();
    match u32_at(header, WORD) {
        None => Err(DeltaError::HeaderLength {
            expected: 2 * WORD,
            found,
        }),
        Some(END) => Ok(None),
        Some(number) => Ok(Some(PageNo::new(number))),
    }
}

/// Whether the magic is that of a last cluster.
fn parse_magic(header: &[u8]) -> Result<bool, DeltaError> {
    let length = DeltaError::HeaderLength {
        expected: WORD,
        found: header.len(),
    };
    match array_at(header, 0).ok_or(length)? {
        MORE | XTRABACKUP_MORE => Ok(false),
        LAST | XTRABACKUP_LAST => Ok(true),
        found => Err(DeltaError::Magic { found }),
    }
}

/// A `.delta` file that cannot be read, or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// No tablespace has pages of this size.
    #[error("page size is not a power of two from 1024 to 65536: {found}")]
    PageSize {
        /// The size given.
        found: usize,
    },
    /// Not a whole number of pages, or a header without a page.
    #[error("no delta file of pages of {page_size} bytes is this long: {found}")]
    FileSize {
        /// The size of the file.
        found: u64,
        /// The page size.
        page_size: usize,
    },
    /// A header is one page.
    #[error("delta header: needs {expected} bytes, found: {found}")]
    HeaderLength {
        /// Bytes needed.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Not the beginning of a cluster.
    #[error("delta magic: expected clon, CLON, xtra or XTRA, found {}", found.escape_ascii())]
    Magic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// Too many pages, none, or fewer than `most` in a cluster that another one follows.
    #[error("pages in a delta cluster (last: {last}): room for {most}, found {found}")]
    PagesInCluster {
        /// Pages of a full cluster.
        most: u64,
        /// Pages found.
        found: u64,
        /// Whether it is the last cluster.
        last: bool,
    },
    /// The number that marks the end of a header is no page's.
    #[error("page number {END} in slot {slot}")]
    NoSuchPage {
        /// The slot it would be in.
        slot: usize,
    },
}

#[cfg(test)]
mod tests;
