//! Every parser against pieces of real files. `golden/make.sh` says where they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use innoclone_innodb::clone_dir::{CloneState, ViewProgress, ViewStatus};
use innoclone_innodb::flags::SpaceFlags;
use innoclone_innodb::geometry::Geometry;
use innoclone_innodb::ids::{PageNo, SpaceId};
use innoclone_innodb::lsn::Lsn;
use innoclone_innodb::page::{PageHeader, PageType};
use innoclone_innodb::page_track::{self, BlockHeader, BlockKind, DataBlock, ResetBlock};
use innoclone_innodb::redo::{self, BlockState, RedoFileHeader};
use innoclone_innodb::tablespace::{EncryptionInfo, SpaceHeader, encryption_offset};
use innoclone_innodb::verify::{BadPage, PageState, verify_page, verify_page_at};
use innoclone_innodb::{checksum, clone_dir};

fn versions() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn piece(version: &Path, name: &str) -> Vec<u8> {
    let file = std::fs::File::open(version.join(format!("{name}.zst"))).unwrap();
    zstd::decode_all(file).unwrap()
}

fn facts(version: &Path) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(version.join("facts.tsv")).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    pairs
        .filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)))
        .collect()
}

/// A page as `pages.tsv` describes it.
struct Golden {
    file: String,
    logical: usize,
    flags: SpaceFlags,
    geometry: Geometry,
    space: SpaceId,
    no: PageNo,
    page_type: PageType,
    bytes: Vec<u8>,
}

impl Golden {
    fn verify(&self, bytes: &[u8]) -> Result<PageState, BadPage> {
        verify_page_at(bytes, self.geometry, self.space, self.no)
    }

    fn expected_state(&self) -> PageState {
        if self.page_type.is_encrypted() {
            PageState::Sealed
        } else {
            PageState::Valid
        }
    }

    fn name(&self) -> String {
        format!("{} page {} ({})", self.file, self.no, self.page_type)
    }
}

fn pages(version: &Path) -> Vec<Golden> {
    let all = piece(version, "pages");
    let index = std::fs::read_to_string(version.join("pages.tsv")).unwrap();
    let mut rest = all.as_slice();
    let mut pages = Vec::new();
    for line in index.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [file, logical, physical, flags, space, no, page_type] = fields[..] else {
            panic!("not seven fields: {line}");
        };
        let flags = SpaceFlags::new(flags.parse().unwrap()).unwrap();
        let (bytes, behind) = rest.split_at(physical.parse().unwrap());
        rest = behind;
        pages.push(Golden {
            file: file.to_owned(),
            logical: logical.parse().unwrap(),
            flags,
            geometry: Geometry::of(flags).unwrap(),
            space: SpaceId::new(space.parse().unwrap()),
            no: PageNo::new(no.parse().unwrap()),
            page_type: PageType::new(page_type.parse().unwrap()),
            bytes: bytes.to_vec(),
        });
    }
    assert!(rest.is_empty());
    pages
}

#[test]
fn the_versions_are_the_ones_that_were_made() {
    let names: Vec<_> = versions()
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["9.7.4"]);
}

#[test]
fn the_server_and_the_flags_agree_on_page_sizes() {
    for page in versions().iter().flat_map(|version| pages(version)) {
        assert_eq!(page.geometry.logical(), page.logical, "{}", page.name());
        assert_eq!(
            page.geometry.physical(),
            page.bytes.len(),
            "{}",
            page.name()
        );
        let zip = page.file.contains("zip") || page.file.contains("noise");
        assert_eq!(page.geometry.is_zip(), zip, "{}", page.name());
    }
}

#[test]
fn every_page_verifies_in_its_place() {
    for page in versions().iter().flat_map(|version| pages(version)) {
        assert_eq!(
            page.verify(&page.bytes),
            Ok(page.expected_state()),
            "{}",
            page.name()
        );
        let header = PageHeader::parse(&page.bytes).unwrap();
        assert_eq!((header.space_id(), header.page_no()), (page.space, page.no));
        assert_eq!(header.page_type(), page.page_type);
        assert!(header.lsn() > Lsn::ZERO, "{}", page.name());
    }
}

#[test]
fn pages_of_many_kinds_are_among_them() {
    let pages = pages(&versions()[0]);
    let types: BTreeSet<u16> = pages.iter().map(|page| page.page_type.get()).collect();
    let wanted = [
        2, 3, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 19, 21, 22, 23, 24, 17853, 17854, 17855,
    ];
    for page_type in wanted {
        assert!(types.contains(&page_type), "{page_type}");
    }
    let sizes: BTreeSet<usize> = pages.iter().map(|page| page.logical).collect();
    assert_eq!(
        sizes.into_iter().collect::<Vec<_>>(),
        [4096, 8192, 16384, 32768, 65536]
    );
    let algorithms: BTreeSet<u8> = pages
        .iter()
        .filter(|page| page.page_type == PageType::COMPRESSED)
        .map(|page| page.bytes[27])
        .collect();
    assert_eq!(algorithms.into_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn every_algorithm_gives_what_its_server_stored() {
    let stored = |page: &Golden| u32::from_be_bytes(page.bytes[..4].try_into().unwrap());
    let trailer = |page: &Golden| {
        let end = page.bytes.len();
        u32::from_be_bytes(page.bytes[end - 8..end - 4].try_into().unwrap())
    };
    let mut seen = BTreeMap::new();
    for page in versions().iter().flat_map(|version| pages(version)) {
        let plain = !page.page_type.is_encrypted() && page.page_type != PageType::COMPRESSED;
        if !plain {
            continue;
        }
        let file = page
            .file
            .strip_prefix("16k-sum-")
            .unwrap_or("crc32")
            .to_owned();
        let zip = page.geometry.is_zip();
        match (file.trim_end_matches("_zip"), zip) {
            ("innodb", false) => {
                assert_eq!(stored(&page), checksum::innodb_new(&page.bytes));
                assert_eq!(trailer(&page), checksum::innodb_old(&page.bytes));
            }
            ("innodb", true) => assert_eq!(stored(&page), checksum::zip_adler32(&page.bytes)),
            ("none", _) => assert_eq!(stored(&page), checksum::NO_CHECKSUM),
            (_, false) => {
                assert_eq!(stored(&page), checksum::crc32(&page.bytes));
                assert_eq!(trailer(&page), checksum::crc32(&page.bytes));
            }
            (_, true) => assert_eq!(stored(&page), checksum::zip_crc32(&page.bytes)),
        }
        *seen.entry((file, zip)).or_insert(0) += 1;
    }
    // All but innodb's two pairs and the two of crc32.
    assert_eq!(seen.len(), 6, "{seen:?}");
}

#[test]
fn a_page_stamped_again_is_the_page_it_was() {
    for page in versions().iter().flat_map(|version| pages(version)) {
        let plain = page.page_type != PageType::COMPRESSED && !page.page_type.is_encrypted();
        if plain && !page.file.contains("sum") {
            let mut again = page.bytes.clone();
            again[..4].fill(0);
            assert!(checksum::stamp(&mut again, page.geometry));
            assert_eq!(again, page.bytes, "{}", page.name());
        }
    }
}

#[test]
fn a_page_moved_or_mixed_or_damaged_is_refused() {
    for page in versions().iter().flat_map(|version| pages(version)) {
        let elsewhere = PageNo::new(page.no.get() + 1);
        let moved = verify_page_at(&page.bytes, page.geometry, page.space, elsewhere);
        assert!(
            matches!(moved, Err(BadPage::PageNo { .. })),
            "{}",
            page.name()
        );
        let foreign = SpaceId::new(page.space.get() ^ 1);
        let moved = verify_page_at(&page.bytes, page.geometry, foreign, page.no);
        assert!(
            matches!(moved, Err(BadPage::SpaceId { .. })),
            "{}",
            page.name()
        );
        let none = page.file.contains("none");
        if !page.page_type.is_encrypted() && !none {
            let mut damaged = page.bytes.clone();
            damaged[60] ^= 0x40;
            assert!(page.verify(&damaged).is_err(), "{}", page.name());
        }
        let short = &page.bytes[1..];
        assert!(matches!(
            verify_page(short, page.geometry),
            Err(BadPage::Length { .. })
        ));
    }
}

#[test]
fn page_0_of_every_tablespace_says_what_the_server_says() {
    for version in versions() {
        let facts = facts(&version);
        for page in pages(&version)
            .iter()
            .filter(|page| page.no == PageNo::new(0))
        {
            let header = SpaceHeader::parse(&page.bytes).unwrap();
            assert_eq!(header.space_id, page.space);
            assert_eq!(header.flags, page.flags);
            assert_eq!(header.server_version, 90704);
            // Whole extents are initialised at once, so the limit of a small file lies behind it.
            assert!(header.free_limit > 0 && header.size_pages > 4);
            let sealed = page.file.contains("sealed");
            assert_eq!(header.encryption.is_some(), sealed, "{}", page.name());
            assert_eq!(header.flags.is_encrypted(), sealed, "{}", page.name());
            if let Some(info) = &header.encryption {
                assert_eq!((&info.magic, info.master_key_id), (b"lCC", 1));
                assert_eq!(info.server_uuid.len(), 36);
            }
            if page.file == "16k-ibdata1" {
                assert_eq!(header.flush_lsn.get(), facts["ibdata1.flush_lsn"]);
            }
            // The first bytes are enough, but for the key.
            let first = &page.bytes[..page.bytes.len().min(4096)];
            let cut = SpaceHeader::parse(first).unwrap();
            assert_eq!(
                SpaceHeader {
                    encryption: header.encryption.clone(),
                    ..cut
                },
                header
            );
        }
    }
}

#[test]
fn encryption_information_is_where_it_was_measured() {
    let sealed = |prefix: &str| {
        let pages = pages(&versions()[0]);
        let page = pages
            .into_iter()
            .find(|page| page.file == format!("{prefix}-sealed"))
            .unwrap();
        let at = encryption_offset(page.flags);
        assert_eq!(&page.bytes[at..at + 3], b"lCC");
        at
    };
    let measured = ["4k", "8k", "16k", "32k", "64k"].map(sealed);
    assert_eq!(measured, [1558, 3734, 10390, 20630, 41110]);
}

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
        assert!(clone_dir::Checkpoints::parse(&text).is_err());
    }
}
