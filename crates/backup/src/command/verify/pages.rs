//! What must hold of every page.

use crate::SpaceInfo;
use innodb::geometry::Geometry;
use innodb::ids::PageNo;
use innodb::lsn::Lsn;
use innodb::page::PageHeader;
use innodb::tablespace::SpaceHeader;
use innodb::verify::{PageState, verify_page_at};

/// The tablespace that pages must belong to, and how new they may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageRules {
    /// The tablespace, its first page that of the file.
    pub space: SpaceInfo,
    /// No change after this one is in a page: the server writes no page before the redo of its
    /// last change. `None` where that is not known.
    pub end: Option<Lsn>,
    /// Pages of the tablespace, all its files together.
    pub space_pages: u64,
}

impl PageRules {
    /// Checks the image of page `no`. A page 0 that was never written passes: the redo log may hold
    /// what it will be, see [`super::redo::check_unwritten`].
    pub(super) fn check(&self, no: u32, image: &[u8]) -> Result<(), String> {
        let space = &self.space;
        let state = verify_page_at(image, space.geometry, space.id, PageNo::new(no))
            .map_err(|bad| bad.to_string())?;
        if matches!(state, PageState::Valid | PageState::Sealed) {
            let lsn = PageHeader::parse(image).map_or(Lsn::ZERO, |header| header.lsn());
            if let Some(end) = self.end.filter(|end| lsn > *end) {
                return Err(format!(
                    "its LSN {lsn} is later than the end of the redo log {end}"
                ));
            }
        }
        if no == 0 && state != PageState::Empty {
            return self.check_first(image);
        }
        Ok(())
    }

    /// Page 0 says which tablespace this is and how long it is.
    fn check_first(&self, image: &[u8]) -> Result<(), String> {
        let header = first_page(image)?;
        let space = &self.space;
        // Flags change while a table is created or encrypted: the page may be newer than the record.
        let geometry = Geometry::of(header.flags).ok();
        if header.space_id != space.id || geometry != Some(space.geometry) {
            return Err(format!(
                "describes space {} with flags {}, not {} with {}",
                header.space_id, header.flags, space.id, space.flags
            ));
        }
        // A file grows before page 0 says so.
        if u64::from(header.size_pages) > self.space_pages {
            return Err(format!(
                "the tablespace has {} pages, its files have room for {}",
                header.size_pages, self.space_pages
            ));
        }
        Ok(())
    }
}

/// What page 0 says. A server that creates a tablespace writes its id and flags at once, and leaves
/// the page's type to the redo log.
pub(super) fn first_page(image: &[u8]) -> Result<SpaceHeader, String> {
    SpaceHeader::parse(image).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use innodb::checksum::stamp;
    use innodb::flags::SpaceFlags;
    use innodb::geometry::Geometry;
    use innodb::ids::SpaceId;

    fn rules(end: u64) -> PageRules {
        let flags = SpaceFlags::new(0x4021).unwrap();
        PageRules {
            space: SpaceInfo {
                id: SpaceId::new(7),
                flags,
                geometry: Geometry::of(flags).unwrap(),
                first_page: 0,
            },
            end: Some(Lsn::new(end)),
            space_pages: 10,
        }
    }

    fn page(no: u32, lsn: u64, size: u32) -> Vec<u8> {
        let mut page = vec![0; 16384];
        page[4..8].copy_from_slice(&no.to_be_bytes());
        page[16..24].copy_from_slice(&lsn.to_be_bytes());
        page[16376..].copy_from_slice(&lsn.to_be_bytes());
        page[34..38].copy_from_slice(&7u32.to_be_bytes());
        if no == 0 {
            page[24..26].copy_from_slice(&8u16.to_be_bytes());
            page[38..42].copy_from_slice(&7u32.to_be_bytes());
            page[46..50].copy_from_slice(&size.to_be_bytes());
            page[54..58].copy_from_slice(&0x4021u32.to_be_bytes());
        }
        assert!(stamp(&mut page, rules(0).space.geometry));
        page
    }

    #[test]
    fn a_page_of_the_future_is_found() {
        rules(100).check(3, &page(3, 100, 0)).unwrap();
        assert!(rules(99).check(3, &page(3, 100, 0)).is_err());
        assert!(rules(100).check(4, &page(3, 100, 0)).is_err());
    }

    #[test]
    fn page_0_must_describe_this_tablespace() {
        rules(100).check(0, &page(0, 100, 10)).unwrap();
        assert!(rules(100).check(0, &page(0, 100, 11)).is_err());
        rules(100).check(0, &[0; 16384]).unwrap();
        // The table was complete after it was recorded.
        let mut other = rules(100);
        other.space.flags = SpaceFlags::new(0x21).unwrap();
        other.check(0, &page(0, 100, 10)).unwrap();
        other.space.id = SpaceId::new(8);
        assert!(other.check(0, &page(0, 100, 10)).is_err());
        let mut other = rules(100);
        other.space.geometry = Geometry::of(SpaceFlags::new(0x48C0).unwrap()).unwrap();
        assert!(other.check(0, &page(0, 100, 10)).is_err());
    }
}
