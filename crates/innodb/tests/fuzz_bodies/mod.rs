//! What the fuzz targets do with their input. Shared by `fuzz/` and by `fuzz_smoke`.
//!
//! Parsers must not panic; what they accept must survive being written and read again.
#![allow(
    clippy::unwrap_used,
    reason = "after a check, or of what was just written"
)]
#![allow(dead_code, reason = "a fuzz target is one of these functions")]

use innoclone_innodb::checksum;
use innoclone_innodb::clone_dir::{Checkpoints, ViewProgress, ViewStatus};
use innoclone_innodb::delta::{self, DeltaLayout};
use innoclone_innodb::flags::SpaceFlags;
use innoclone_innodb::geometry::{Geometry, PageSize};
use innoclone_innodb::ids::{PageNo, SpaceId};
use innoclone_innodb::lsn::Lsn;
use innoclone_innodb::meta::SpaceMeta;
use innoclone_innodb::page::{PageHeader, PageType};
use innoclone_innodb::page_track::{BLOCK_SIZE, BlockHeader, BlockKind, DataBlock, ResetBlock};
use innoclone_innodb::redo::{self, BlockState, HEADER_AREA, RedoFileHeader};
use innoclone_innodb::tablespace::{EncryptionInfo, SpaceHeader, encryption_offset};
use innoclone_innodb::verify::{BadPage, PageState, verify_page, verify_page_at};

fn u64_of(data: &[u8], at: usize) -> u64 {
    data.get(at..at + 8)
        .map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

fn geometries() -> impl Iterator<Item = Geometry> {
    let plain =
        [4096, 8192, 16384, 32768, 65536].map(|size| Geometry::plain(PageSize::new(size).unwrap()));
    let zip = (1..=5).map(|ssize| SpaceFlags::new(0x21 | ssize << 1).unwrap());
    plain
        .into_iter()
        .chain(zip.map(|flags| Geometry::of(flags).unwrap()))
}

pub(crate) fn page(data: &[u8]) {
    for geometry in geometries() {
        let Some(page) = data.get(..geometry.physical()) else {
            assert!(matches!(
                verify_page(data, geometry),
                Err(BadPage::Length { .. })
            ));
            continue;
        };
        let state = verify_page(page, geometry);
        let header = PageHeader::parse(page).unwrap();
        let placed = verify_page_at(page, geometry, header.space_id(), header.page_no());
        if state.is_ok() {
            assert_eq!(placed, state, "a good page is good in the place it names");
        }
        if state == Ok(PageState::Valid) {
            let elsewhere = PageNo::new(header.page_no().get() ^ 1);
            let space = SpaceId::new(header.space_id().get() | 1);
            assert!(verify_page_at(page, geometry, space, elsewhere).is_err());
        }
        let _ = (
            checksum::crc32_big_endian(page),
            checksum::zip_adler32(page),
        );

        // What the server would have written with this content verifies.
        let mut stamped = page.to_vec();
        let open = header.page_type().is_encrypted() || header.page_type() == PageType::COMPRESSED;
        if !open {
            let end = stamped.len();
            if !geometry.is_zip() {
                stamped.copy_within(20..24, end - 4);
            }
            assert!(checksum::stamp(&mut stamped, geometry));
            assert!(verify_page(&stamped, geometry).is_ok());
        }
    }
    if let Ok(header) = SpaceHeader::parse(data) {
        let at = encryption_offset(header.flags);
        assert!(at + EncryptionInfo::LEN <= header.flags.physical_page_size());
        let _ = (
            format!("{header:?} {}", header.flags),
            Geometry::of(header.flags),
        );
    }
}

pub(crate) fn redo(data: &[u8]) {
    if let Ok(header) = RedoFileHeader::parse(data) {
        assert_eq!(RedoFileHeader::parse(&header.to_bytes()), Ok(header));
    }
    if let Some(area) = data.first_chunk::<HEADER_AREA>() {
        let size = u64_of(data, HEADER_AREA);
        if let Some((lsn, index)) = redo::latest_checkpoint([(area, size)]) {
            let start = RedoFileHeader::parse(area).unwrap().start_lsn;
            assert!(index == 0 && lsn.since(start).unwrap() < size);
        }
    }
    for block in data.chunks(512) {
        let lsn = Lsn::new(u64_of(data, 0) & !511);
        let _ = (
            redo::classify_block(block, lsn),
            redo::parse_checkpoint(block),
        );
        let Ok(mut block) = <[u8; 512]>::try_from(block) else {
            continue;
        };
        // The checksum would stop nearly all inputs; a log without checksums has none.
        block[508..].copy_from_slice(&redo::NO_LOG_CHECKSUM.to_be_bytes());
        let header = redo::BlockHeader::parse(&block).unwrap();
        let number = u64::from(header.number).wrapping_sub(1) & 0x3FFF_FFFF;
        let epoch = u64::from(header.epoch).wrapping_sub(1) & 0x1FF_FFFF;
        let lsn = Lsn::new((epoch << 30 | number) * 512);
        let before = redo::classify_block(&block, lsn);
        for keep in [12, 13, 100, 507, header.data_len.into()] {
            let (mut cut, Some(end)) = (block, lsn.checked_add(keep)) else {
                continue;
            };
            if redo::cut_block(&mut cut, end).is_ok() {
                assert!(!matches!(
                    before,
                    BlockState::Torn | BlockState::NotYetWritten
                ));
                let data_len = u16::try_from(keep).unwrap();
                assert_eq!(
                    redo::classify_block(&cut, lsn),
                    BlockState::Partial { data_len }
                );
            } else {
                assert_eq!(cut, block, "a refused block is left as it is");
            }
        }
    }
}

pub(crate) fn page_track(data: &[u8]) {
    let _ = (
        DataBlock::parse(data).is_ok(),
        ResetBlock::parse(data).is_ok(),
    );
    let mut block = vec![0; BLOCK_SIZE];
    let used = data.len().min(BLOCK_SIZE);
    block[..used].copy_from_slice(&data[..used]);
    let Ok(header) = BlockHeader::parse(&block) else {
        return;
    };
    // The checksum would stop nearly all inputs.
    let crc = crc32c::crc32c(&block[32..32 + usize::from(header.len)]);
    block[2..6].copy_from_slice(&crc.to_be_bytes());
    assert!(BlockHeader::parse(&block).unwrap().crc_ok);
    match header.kind {
        BlockKind::Data => {
            assert!(ResetBlock::parse(&block).is_err());
            let Ok(data_block) = DataBlock::parse(&block) else {
                return;
            };
            let all: Vec<_> = data_block.entries().collect();
            assert_eq!(all.len() * 8, usize::from(header.len));
            for offset in 0..=u16::MAX {
                if let Ok(entries) = data_block.entries_from(offset) {
                    let skipped = (usize::from(offset) - 32) / 8;
                    assert_eq!(entries.len(), all.len() - skipped);
                }
            }
        }
        BlockKind::Reset => {
            assert!(DataBlock::parse(&block).is_err());
            let Ok(reset) = ResetBlock::parse(&block) else {
                return;
            };
            let first = header.number.checked_mul(2043);
            for point in reset.points() {
                assert!(first.is_some_and(|first| (first..first + 2043).contains(&point.block)));
            }
        }
    }
}

pub(crate) fn delta(data: &[u8]) {
    for size in [1024, 2048, 4096, 8192, 16384, 32768, 65536] {
        let layout = DeltaLayout::new(size).unwrap();
        let number = u64_of(data, 0);
        let _ = (layout.slot_offset(number), layout.header_offset(number));
        if let Ok(pages) = layout.page_count(number) {
            assert_eq!(layout.file_size(pages), number);
        }
        let Ok(header) = delta::parse_header(layout, data) else {
            continue;
        };
        assert_eq!(delta::first_page(data), Ok(header.pages.first().copied()));
        let mut out = vec![0; size];
        match delta::encode_header(layout, &header.pages, header.last, &mut out) {
            Ok(()) => assert_eq!(delta::parse_header(layout, &out), Ok(header)),
            Err(_) => assert!(header.pages.is_empty()),
        }
    }
    let _ = delta::first_page(data);
}

pub(crate) fn meta(data: &[u8]) {
    if let Ok(meta) = SpaceMeta::parse(data) {
        assert_eq!(SpaceMeta::parse(meta.to_text()), Ok(meta));
    }
}

pub(crate) fn clone_dir(data: &[u8]) {
    if let Ok(checkpoints) = Checkpoints::parse(data) {
        assert_eq!(Checkpoints::parse(checkpoints.to_text()), Ok(checkpoints));
    }
    if let Ok(progress) = ViewProgress::parse(data) {
        assert_eq!(ViewProgress::parse(progress.to_text()), Ok(progress));
    }
    if let Ok(status) = ViewStatus::parse(data) {
        // A carriage return becomes a blank, nothing else changes.
        let again = ViewStatus::parse(status.to_text()).unwrap();
        assert_eq!(again.to_text(), status.to_text());
        assert_eq!(again.gtid_executed, status.gtid_executed);
        assert_eq!(again.binlog_position, status.binlog_position);
    }
}
