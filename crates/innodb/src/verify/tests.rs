use super::*;
use crate::flags::SpaceFlags;
use crate::geometry::PageSize;

fn plain(size: u32) -> Geometry {
    Geometry::plain(PageSize::new(size).unwrap())
}

fn zip() -> Geometry {
    Geometry::of(SpaceFlags::new(0x21 | 4 << 1).unwrap()).unwrap()
}

/// A page of space 9, number 4, with something everywhere and a crc32.
#[expect(clippy::cast_possible_truncation, reason = "the low byte is wanted")]
fn page(g: Geometry) -> Vec<u8> {
    let mut page: Vec<u8> = (0..g.physical())
        .map(|i| (i * 31 + i / 256) as u8)
        .collect();
    page[4..8].copy_from_slice(&4u32.to_be_bytes());
    page[24..26].copy_from_slice(&17855u16.to_be_bytes());
    page[34..38].copy_from_slice(&9u32.to_be_bytes());
    let (lsn, end) = (page[20..24].to_vec(), page.len());
    if !g.is_zip() {
        page[end - 4..].copy_from_slice(&lsn);
    }
    assert!(checksum::stamp(&mut page, g));
    page
}

fn set(page: &mut [u8], at: usize, value: u32) {
    page[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

#[test]
fn crc32_holds_on_pages_of_every_size() {
    for size in [4096, 8192, 16384, 32768, 65536] {
        assert_eq!(
            verify_page(&page(plain(size)), plain(size)),
            Ok(PageState::Valid)
        );
    }
    assert_eq!(verify_page(&page(zip()), zip()), Ok(PageState::Valid));
}

#[test]
fn any_changed_byte_of_the_content_is_noticed() {
    for g in [plain(4096), zip()] {
        let whole = page(g);
        for at in 0..whole.len() {
            // Not covered on a plain page: flush LSN, space id. On a zip page: LSN, flush LSN.
            // The page type is covered, but can make it look encrypted.
            let open = if g.is_zip() {
                (16..34).contains(&at)
            } else {
                (24..38).contains(&at)
            };
            if open {
                continue;
            }
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert!(verify_page(&damaged, g).is_err(), "byte {at} of {g}");
        }
    }
}

#[test]
fn two_versions_of_a_page_in_one_are_torn() {
    let g = plain(16384);
    let (old, mut new) = (page(g), page(g));
    set(&mut new, 20, 0xAAAA);
    new[9000] ^= 1;
    let end = new.len();
    set(&mut new, end - 4, 0xAAAA);
    assert!(checksum::stamp(&mut new, g));
    for sector in (512..16384).step_by(512) {
        let torn = [&new[..sector], &old[sector..]].concat();
        assert!(matches!(
            verify_page(&torn, g),
            Err(BadPage::TornLsn { .. })
        ));
    }
}

#[test]
fn the_other_algorithms_are_accepted() {
    let g = plain(16384);
    let end = g.physical() - 8;

    let mut none = page(g);
    set(&mut none, 0, checksum::NO_CHECKSUM);
    set(&mut none, end, checksum::NO_CHECKSUM);
    assert_eq!(verify_page(&none, g), Ok(PageState::Valid));
    set(&mut none, end, 1);
    assert!(verify_page(&none, g).is_err(), "both fields must say so");

    let mut innodb = page(g);
    let sum = checksum::innodb_new(&innodb);
    set(&mut innodb, 0, sum);
    let sum = checksum::innodb_old(&innodb);
    set(&mut innodb, end, sum);
    assert_eq!(verify_page(&innodb, g), Ok(PageState::Valid));
    innodb[5000] ^= 1;
    assert!(matches!(
        verify_page(&innodb, g),
        Err(BadPage::Checksum { .. })
    ));

    let mut big_endian = page(g);
    let sum = checksum::crc32_big_endian(&big_endian);
    set(&mut big_endian, 0, sum);
    set(&mut big_endian, end, sum);
    assert_eq!(verify_page(&big_endian, g), Ok(PageState::Valid));

    let mut adler = page(zip());
    let sum = checksum::zip_adler32(&adler);
    set(&mut adler, 0, sum);
    assert_eq!(verify_page(&adler, zip()), Ok(PageState::Valid));
    set(&mut adler, 0, checksum::NO_CHECKSUM);
    assert_eq!(verify_page(&adler, zip()), Ok(PageState::Valid));
}

#[test]
fn a_page_never_written_is_empty() {
    for g in [plain(4096), plain(65536), zip()] {
        let mut page = vec![0; g.physical()];
        assert_eq!(verify_page(&page, g), Ok(PageState::Empty));
        assert_eq!(
            verify_page_at(&page, g, SpaceId::new(9), PageNo::new(3)),
            Ok(PageState::Empty)
        );
        page[30] = 1;
        assert_eq!(
            verify_page(&page, g),
            Ok(PageState::Empty),
            "no checksum covers 26..34"
        );
        page[1000] = 1;
        assert_eq!(verify_page(&page, g), Err(BadPage::NotEmpty));
    }
}

#[test]
fn the_length_must_be_one_page() {
    let error = BadPage::Length {
        expected: 16384,
        found: 16383,
    };
    assert_eq!(
        verify_page(&page(plain(16384))[1..], plain(16384)),
        Err(error)
    );
    let error = BadPage::Length {
        expected: 8192,
        found: 0,
    };
    assert_eq!(verify_page(&[], zip()), Err(error));
}

#[test]
fn a_page_in_a_wrong_place_is_refused() {
    let (g, space, no) = (plain(16384), SpaceId::new(9), PageNo::new(4));
    let page = page(g);
    assert_eq!(verify_page_at(&page, g, space, no), Ok(PageState::Valid));
    let error = BadPage::PageNo {
        expected: PageNo::new(5),
        found: no,
    };
    assert_eq!(verify_page_at(&page, g, space, PageNo::new(5)), Err(error));
    let error = BadPage::SpaceId {
        expected: SpaceId::new(8),
        found: space,
    };
    assert_eq!(verify_page_at(&page, g, SpaceId::new(8), no), Err(error));
}

#[test]
fn the_legacy_doublewrite_area_may_hold_anything() {
    let (g, space) = (plain(16384), SpaceId::SYSTEM);
    let mut page = page(g);
    for no in [64, 191] {
        assert_eq!(
            verify_page_at(&page, g, space, PageNo::new(no)),
            Ok(PageState::Valid)
        );
    }
    page[5000] ^= 1;
    let state = verify_page_at(&page, g, space, PageNo::new(100));
    assert_eq!(state, Ok(PageState::DoublewriteCopy));
    for no in [63, 192] {
        assert!(verify_page_at(&page, g, space, PageNo::new(no)).is_err());
    }
    assert!(verify_page_at(&page, g, SpaceId::new(9), PageNo::new(100)).is_err());
}

/// The page as the server would store it with page compression.
fn compress(page: &[u8], algorithm: u8) -> Vec<u8> {
    let content = &page[38..];
    let payload = match algorithm {
        1 => {
            use std::io::Write;
            let level = flate2::Compression::default();
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
            zlib.write_all(content).unwrap();
            zlib.finish().unwrap()
        }
        _ => lz4_flex::block::compress(content),
    };
    let mut out = vec![0; page.len()];
    out[..38].copy_from_slice(&page[..38]);
    out[24..26].copy_from_slice(&14u16.to_be_bytes());
    out[26..28].copy_from_slice(&[2, algorithm]);
    out[28..30].copy_from_slice(&page[24..26]);
    out[30..32].copy_from_slice(&u16::try_from(content.len()).unwrap().to_be_bytes());
    out[32..34].copy_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
    out[38..38 + payload.len()].copy_from_slice(&payload);
    out
}

#[test]
fn compressed_pages_are_checked_by_their_content() {
    for (size, algorithm) in [(8192, 1), (16384, 1), (16384, 2), (65536, 2)] {
        let g = plain(size);
        let mut stored = compress(&page(g), algorithm);
        let (space, no) = (SpaceId::new(9), PageNo::new(4));
        assert_eq!(verify_page_at(&stored, g, space, no), Ok(PageState::Valid));
        // A tear inside the payload.
        stored[300..].fill(0);
        assert!(verify_page(&stored, g).is_err());
    }
}

#[test]
fn impossible_control_information_is_refused() {
    let g = plain(16384);
    let stored = compress(&page(g), 2);
    let broken = |at: usize, byte: u8| {
        let mut page = stored.clone();
        page[at] = byte;
        verify_page(&page, g).unwrap_err()
    };
    let expect = |error: BadCompressed| BadPage::Compressed(error);
    assert_eq!(broken(26, 3), expect(BadCompressed::Version { found: 3 }));
    assert_eq!(broken(27, 0), expect(BadCompressed::Algorithm { found: 0 }));
    assert_eq!(
        broken(27, 1),
        expect(BadCompressed::Content { expected: 16346 })
    );
    assert!(matches!(
        broken(30, 0),
        BadPage::Compressed(BadCompressed::OriginalLength { .. })
    ));
    assert!(matches!(
        broken(32, 255),
        BadPage::Compressed(BadCompressed::CompressedLength { .. })
    ));
}

#[test]
fn encrypted_pages_are_sealed() {
    let g = plain(16384);
    let mut page = page(g);
    for (page_type, original) in [(15u16, 17855u16), (17, 0xFFFF)] {
        page[24..26].copy_from_slice(&page_type.to_be_bytes());
        page[28..30].copy_from_slice(&original.to_be_bytes());
        assert_eq!(verify_page(&page, g), Ok(PageState::Sealed));
        assert_eq!(
            verify_page_at(&page, g, SpaceId::new(9), PageNo::new(4)),
            Ok(PageState::Sealed)
        );
        assert!(verify_page_at(&page, g, SpaceId::new(9), PageNo::new(5)).is_err());
    }
    page[24..26].copy_from_slice(&15u16.to_be_bytes());
    page[28..30].copy_from_slice(&15u16.to_be_bytes());
    assert!(matches!(verify_page(&page, g), Err(BadPage::Sealed { .. })));
    page[24..26].copy_from_slice(&16u16.to_be_bytes());
    assert!(matches!(verify_page(&page, g), Err(BadPage::Compressed(_))));
}
