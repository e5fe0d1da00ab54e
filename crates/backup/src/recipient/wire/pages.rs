//! Pages that a client must get otherwise than they are in the set. Only what travels is changed.

use crate::files::SpaceInfo;
use crate::set::BinlogPosition;
use innodb::checksum;
use innodb::ids::SpaceId;
use innodb::trx_sys::{self, RecordedPosition, TRX_SYS_PAGE};

/// Writes the binary log position of the set into the page where a server that has taken a clone
/// looks for it, to show it in `performance_schema.clone_status`. A server keeps the place up to
/// date only while a clone of it runs.
///
/// The log may write older positions over it: what [`LogEnd`](super::log_end::LogEnd) is for. It
/// cannot go on with an encrypted log without its key: there this is what counts.
///
/// `bytes` are whole pages at `offset` of a file of `space`.
pub(super) fn put_position(
    bytes: &mut [u8],
    space: SpaceInfo,
    offset: u64,
    binlog: &BinlogPosition,
) {
    let size = space.geometry.physical();
    let at = (u64::from(TRX_SYS_PAGE) * size as u64).checked_sub(offset);
    let page = at
        .filter(|_| space.id == SpaceId::new(0) && space.first_page == 0)
        .and_then(|at| usize::try_from(at).ok())
        .and_then(|at| bytes.get_mut(at..at.checked_add(size)?));
    let Some(page) = page.filter(|_| !binlog.file.is_empty()) else {
        return;
    };
    let position = RecordedPosition {
        file: binlog.file.clone(),
        position: binlog.position,
    };
    if trx_sys::put_position(page, &position).is_some() {
        checksum::stamp(page, space.geometry);
    }
}

/// Makes pages of nothing but zeros into pages that were allocated and never written: number,
/// tablespace and checksum, LSN 0.
///
/// A server that takes a clone in the place of its own data keeps its doublewrite files. At the
/// start that follows, a page of zeros counts as lost there, and what the doublewrite files have of
/// the *former* data under the same tablespace and number is put in its place: with an LSN of the
/// former log, which makes recovery leave changes out. A page with a valid checksum is left alone.
/// To InnoDB the two are the same: pages that hold nothing.
///
/// `bytes` are whole pages at `offset` of a file of `space`.
pub(super) fn make_valid(bytes: &mut [u8], space: SpaceInfo, offset: u64) {
    let size = space.geometry.physical();
    let first = u64::from(space.first_page) + offset / size as u64;
    for (no, page) in (first..).zip(bytes.chunks_exact_mut(size)) {
        if !is_zero(page) {
            continue;
        }
        // A page's number has four bytes, so a file has no page beyond.
        page[NUMBER..NUMBER + 4].copy_from_slice(&(no as u32).to_be_bytes());
        page[SPACE..SPACE + 4].copy_from_slice(&space.id.get().to_be_bytes());
        checksum::stamp(page, space.geometry);
    }
}

fn is_zero(page: &[u8]) -> bool {
    // Most pages differ here already.
    page.get(..64).is_some_and(|start| start == [0; 64]) && page.iter().all(|byte| *byte == 0)
}

// Fields of a page's header, see `innodb::page`.
const NUMBER: usize = 4;
const SPACE: usize = 34;

#[cfg(test)]
mod tests {
    use super::*;
    use innodb::flags::SpaceFlags;
    use innodb::geometry::Geometry;
    use innodb::ids::{PageNo, SpaceId};
    use innodb::page::PageHeader;
    use innodb::verify::{PageState, verify_page_at};

    #[test]
    fn the_position_is_put_on_the_one_page() {
        let flags = SpaceFlags::new(0).unwrap();
        let geometry = Geometry::of(flags).unwrap();
        let size = geometry.physical();
        let space = SpaceInfo {
            id: SpaceId::new(0),
            flags,
            geometry,
            first_page: 0,
        };
        let binlog = BinlogPosition {
            file: "binlog.000007".into(),
            position: 0x1_0000_0002,
            gtid_executed: String::new(),
        };
        let mut bytes = vec![0; 8 * size];
        make_valid(&mut bytes, space, 0);
        let before = bytes.clone();
        put_position(&mut bytes, space, size as u64 * 6, &binlog);
        assert_eq!(bytes, before);
        put_position(&mut bytes, space, 0, &binlog);
        let (start, end) = (5 * size, 6 * size);
        assert_eq!(
            (&bytes[..start], &bytes[end..]),
            (&before[..start], &before[end..])
        );
        let page = &bytes[start..end];
        let state = verify_page_at(page, geometry, space.id, PageNo::new(5));
        assert_eq!(state, Ok(PageState::Valid));
        let place = &page[38 + size - 1000..];
        assert_eq!(
            place[..12],
            [0x34, 0x0F, 0x5E, 0x08, 0, 0, 0, 1, 0, 0, 0, 2]
        );
        assert_eq!(&place[12..26], b"binlog.000007\0");
    }

    #[test]
    fn pages_of_zeros_become_valid_pages_without_contents() {
        // Plain and ROW_FORMAT=COMPRESSED.
        for flags in [16417, 16425] {
            let flags = SpaceFlags::new(flags).unwrap();
            let geometry = Geometry::of(flags).unwrap();
            let size = geometry.physical();
            let space = SpaceInfo {
                id: SpaceId::new(77),
                flags,
                geometry,
                first_page: 100,
            };
            let mut bytes = vec![0; 3 * size];
            bytes[size..2 * size].fill(7);
            make_valid(&mut bytes, space, 2 * size as u64);
            assert!(bytes[size..2 * size].iter().all(|byte| *byte == 7));
            for (at, no) in [(0, 102), (2, 104)] {
                let page = &bytes[at * size..(at + 1) * size];
                let state = verify_page_at(page, geometry, space.id, PageNo::new(no));
                assert_eq!(state, Ok(PageState::Valid));
                let header = PageHeader::parse(page).unwrap();
                assert_eq!(header.lsn(), innodb::lsn::Lsn::ZERO);
                assert_eq!(header.page_type(), innodb::page::PageType::ALLOCATED);
            }
        }
    }
}
