//! The redo log, the page-tracking archive and the views of a clone.

use std::path::Path;

use innoclone_innodb::clone_dir::{Checkpoints, CloneState, ViewProgress, ViewStatus};
use innoclone_innodb::ids::SpaceId;
use innoclone_innodb::lsn::Lsn;
use innoclone_innodb::page_track::{self, BlockHeader, BlockKind, DataBlock, ResetBlock};
use innoclone_innodb::redo::{self, BlockState, RedoFileHeader};
use innoclone_innodb::tablespace::EncryptionInfo;

use super::{facts, piece, versions};

#[test]
fn the_log_ends_where_the_server_says() {
    for version in versions() {
        let facts = facts(&version);
        for name in ["redo", "redo-encrypted"] {
            let fact = |key: &str| facts[&format!("{name}.{key}")];
            let blocks = piece(&version, &format!("{name}.blocks"));
            let mut lsn = Lsn::new(fact("first"));
            for block in blocks.chunks_exact(512) {
                let before = lsn.get() + 512 <= fact("lsn");
                let here = lsn == Lsn::new(fact("lsn")).block_start();
                let state = redo::classify_block(block, lsn);
                match state {
                    BlockState::Full => assert!(before, "{name} at {lsn}"),
                    BlockState::Partial { data_len } => {
                        assert!(here, "{name} at {lsn}");
                        assert_eq!(u64::from(data_len), fact("lsn") % 512);
                    }
                    BlockState::NotYetWritten => assert!(!before && !here, "{name} at {lsn}"),
                    BlockState::Torn => panic!("{name} at {lsn}"),
                }
                let encrypted = redo::BlockHeader::parse(block).unwrap().encrypted;
                assert_eq!(encrypted, name == "redo-encrypted" && (before || here));
                lsn = lsn.checked_add(512).unwrap();
            }
        }
    }
}

#[test]
fn a_real_block_is_cut_as_if_the_log_had_ended_there() {
    let version = &versions()[0];
    let first = Lsn::new(facts(version)["redo.first"]);
    let mut block: [u8; 512] = piece(version, "redo.blocks")[..512].try_into().unwrap();
    redo::cut_block(&mut block, first.checked_add(100).unwrap()).unwrap();
    assert_eq!(
        redo::classify_block(&block, first),
        BlockState::Partial { data_len: 100 }
    );
}

/// The header areas of the files of a log, and their sizes.
fn header_areas(version: &Path, name: &str) -> Vec<([u8; redo::HEADER_AREA], u64)> {
    let facts = facts(version);
    let headers = piece(version, &format!("{name}.headers"));
    let areas = headers.chunks_exact(redo::HEADER_AREA).map(|area| {
        let area: [u8; redo::HEADER_AREA] = area.try_into().unwrap();
        let start = RedoFileHeader::parse(&area).unwrap().start_lsn;
        (area, facts[&format!("{name}.size.{start}")])
    });
    areas.collect()
}

#[test]
fn the_headers_of_a_log_are_read_and_written_the_same() {
    for name in ["redo", "redo-encrypted"] {
        let areas = header_areas(&versions()[0], name);
        let headers: Vec<RedoFileHeader> = areas
            .iter()
            .map(|(area, _)| RedoFileHeader::parse(area).unwrap())
            .collect();
        let newest = headers.iter().map(|header| header.start_lsn).max().unwrap();
        for (header, (area, size)) in headers.iter().zip(&areas) {
            assert_eq!(header.to_bytes(), area[..512]);
            assert_eq!(header.creator, "MySQL 9.7.4");
            assert_eq!(header.log_uuid, headers[0].log_uuid);
            let full = header.flags == RedoFileHeader::FLAG_FILE_FULL;
            assert_eq!(full, header.start_lsn != newest);
            // The files follow each other without a gap.
            let end = header
                .start_lsn
                .checked_add(size - redo::HEADER_AREA as u64)
                .unwrap();
            assert!(!full || headers.iter().any(|next| next.start_lsn == end));
            for at in [512, 1536] {
                let lsn = redo::parse_checkpoint(&area[at..]).unwrap();
                assert_eq!(redo::checkpoint_block(lsn), area[at..at + 512]);
            }
        }
    }
}

#[test]
fn the_checkpoint_is_the_one_the_server_reports() {
    for name in ["redo", "redo-encrypted"] {
        let areas = header_areas(&versions()[0], name);
        let files = areas.iter().map(|(area, size)| (area, *size));
        let (lsn, index) = redo::latest_checkpoint(files).unwrap();
        assert_eq!(
            lsn.get(),
            facts(&versions()[0])[&format!("{name}.checkpoint")]
        );
        // The file that holds it holds the key of an encrypted log as well.
        let key = EncryptionInfo::read(&areas[index].0, 1024 + 48);
        assert_eq!(key.is_some(), name == "redo-encrypted");
        if let Some(key) = key {
            assert_eq!(
                key.master_key_name(),
                format!("INNODBKey-{}-1", key.server_uuid)
            );
        }
    }
}

#[test]
fn the_archive_has_the_start_points_and_the_entries_the_server_counts() {
    for version in versions() {
        let facts = facts(&version);
        let archive = piece(&version, "track");
        let mut blocks = archive.chunks_exact(page_track::BLOCK_SIZE);
        let reset = ResetBlock::parse(blocks.next().unwrap()).unwrap();
        assert_eq!(
            (reset.header().kind, reset.header().number),
            (BlockKind::Reset, 0)
        );
        let data: Vec<DataBlock> = blocks
            .map(|block| DataBlock::parse(block).unwrap())
            .collect();

        let wanted = ["track.first", "track.second", "track.third"].map(|key| facts[key]);
        let found: Vec<u64> = reset
            .points()
            .iter()
            .map(|point| {
                let block = &data[usize::try_from(point.block).unwrap()];
                let start = block.header().start_point().unwrap();
                assert!(point.lsn.is_none_or(|lsn| lsn == start));
                assert!(block.entries_from(point.offset).is_ok());
                start.get()
            })
            .collect();
        // A start point is one only if 2044 entries came since the one before.
        assert_eq!(found[0], wanted[0]);
        assert!(
            found.iter().all(|lsn| wanted.contains(lsn)),
            "{found:?} of {wanted:?}"
        );
        assert!(found.contains(&facts["track.second"]));
        assert_eq!(reset.points()[0].lsn, Some(Lsn::new(found[0])));

        let mut entries = 0;
        for (number, block) in data.iter().enumerate() {
            assert_eq!(block.header().number, number as u64);
            let full = block.entries().len() == page_track::ENTRIES_PER_BLOCK;
            assert!(full || number + 1 == data.len());
            assert!(
                block
                    .entries()
                    .all(|(space, _)| space != SpaceId::TEMPORARY)
            );
            entries += block.entries().len() as u64;
        }
        assert_eq!(entries, facts["track.count"]);
        let torn = &mut archive[page_track::BLOCK_SIZE..2 * page_track::BLOCK_SIZE].to_vec();
        torn[700] ^= 1;
        assert!(!BlockHeader::parse(torn).unwrap().crc_ok);
    }
}

#[test]
fn the_views_of_a_clone_are_read_and_written_the_same() {
    for version in versions() {
        let text = std::fs::read_to_string(version.join("view_status")).unwrap();
        let status = ViewStatus::parse(&text).unwrap();
        assert_eq!((status.state, status.id), (CloneState::Completed, 1));
        assert_eq!(status.source, "LOCAL INSTANCE");
        assert!(status.begin_us > 0 && status.end_us > status.begin_us);
        assert_eq!(status.to_text(), text);

        let text = std::fs::read_to_string(version.join("view_progress")).unwrap();
        let progress = ViewProgress::parse(&text).unwrap();
        let states = progress.stages.map(|stage| stage.state);
        assert_eq!(states[..5], [CloneState::Completed; 5]);
        assert_eq!(states[5..], [CloneState::NotStarted; 2]);
        assert!(progress.stages[1].data > 0);
        assert_eq!(progress.to_text(), text);
        assert!(Checkpoints::parse(&text).is_err());
    }
}
