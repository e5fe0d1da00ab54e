//! Pages and tablespace headers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use innoclone_innodb::checksum;
use innoclone_innodb::flags::SpaceFlags;
use innoclone_innodb::geometry::Geometry;
use innoclone_innodb::ids::{PageNo, SpaceId};
use innoclone_innodb::lsn::Lsn;
use innoclone_innodb::page::{PageHeader, PageType};
use innoclone_innodb::tablespace::{SpaceHeader, encryption_offset};
use innoclone_innodb::verify::{BadPage, PageState, verify_page, verify_page_at};

use super::{facts, piece, versions};

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
