use super::*;
use proptest::prelude::*;

const SIZES: [usize; 7] = [1024, 2048, 4096, 8192, 16384, 32768, 65536];

fn layout(page_size: usize) -> DeltaLayout {
    DeltaLayout::new(page_size).unwrap()
}

fn numbers(pages: &[u32]) -> Vec<PageNo> {
    pages.iter().copied().map(PageNo::new).collect()
}

#[test]
fn places_in_a_file_of_16k_pages() {
    let l = layout(16384);
    assert_eq!(l.slots_per_cluster(), 4095);
    assert_eq!(l.header_offset(1), 64 << 20);
    assert_eq!(l.slot_offset(0), 16384);
    assert_eq!(l.slot_offset(4094), 4095 * 16384);
    assert_eq!(l.slot_offset(4095), (64 << 20) + 16384);
    assert_eq!((l.file_size(0), l.file_size(1)), (0, 32768));
    assert_eq!(l.file_size(4095), 64 << 20);
    assert_eq!(l.file_size(4096), (64 << 20) + 32768);
}

#[test]
fn sizes_that_no_delta_has_are_refused() {
    let l = layout(16384);
    for size in [1, 16384, 16385, 32767, (64 << 20) + 16384] {
        assert!(l.page_count(size).is_err(), "{size}");
    }
    assert!(DeltaLayout::new(512).is_err());
    assert!(DeltaLayout::new(12288).is_err());
    assert!(DeltaLayout::new(1 << 32).is_err());
}

#[test]
fn offsets_beyond_any_file_saturate() {
    assert_eq!(layout(65536).slot_offset(u64::MAX), u64::MAX);
    assert_eq!(layout(65536).file_size(u64::MAX), u64::MAX);
    assert_eq!(layout(1024).header_offset(u64::MAX), u64::MAX);
}

#[test]
fn the_bytes_of_a_small_header() {
    let mut out = [0xAA; 1024];
    encode_header(layout(1024), &numbers(&[3, 0x0102_0304]), true, &mut out).unwrap();
    assert_eq!(
        out[..16],
        *b"CLON\x00\x00\x00\x03\x01\x02\x03\x04\xFF\xFF\xFF\xFF"
    );
    assert!(out[16..].iter().all(|b| *b == 0));
    assert_eq!(first_page(&out[..8]), Ok(Some(PageNo::new(3))));
}

#[test]
fn a_full_cluster_has_no_terminator() {
    let pages: Vec<PageNo> = (0..255).map(PageNo::new).collect();
    let mut out = [0; 1024];
    encode_header(layout(1024), &pages, false, &mut out).unwrap();
    assert_eq!(out[..4], *b"clon");
    let header = DeltaHeader { last: false, pages };
    assert_eq!(parse_header(layout(1024), &out), Ok(header));
}

#[test]
fn headers_of_xtrabackup_are_read() {
    let mut header = vec![0u8; 4096];
    header[..12].copy_from_slice(b"XTRA\x00\x00\x00\x09\xFF\xFF\xFF\xFF");
    let parsed = parse_header(layout(4096), &header).unwrap();
    assert_eq!((parsed.last, parsed.pages), (true, numbers(&[9])));
    header[4..8].copy_from_slice(&[0xFF; 4]);
    assert!(
        parse_header(layout(4096), &header)
            .unwrap()
            .pages
            .is_empty()
    );
    assert_eq!(first_page(&header), Ok(None));
    header[..4].copy_from_slice(b"xtra");
    assert!(
        parse_header(layout(4096), &header).is_err(),
        "a cluster follows an empty one"
    );
}

#[test]
fn what_cannot_be_a_cluster_is_not_written() {
    let (l, mut out) = (layout(1024), [0; 1024]);
    let many: Vec<PageNo> = (0..256).map(PageNo::new).collect();
    assert!(encode_header(l, &many, true, &mut out).is_err());
    assert!(encode_header(l, &many[..254], false, &mut out).is_err());
    assert!(encode_header(l, &[], true, &mut out).is_err());
    assert!(encode_header(l, &many[..1], true, &mut out[1..]).is_err());
    let error = DeltaError::NoSuchPage { slot: 2 };
    assert_eq!(
        encode_header(l, &numbers(&[0, u32::MAX]), true, &mut out),
        Err(error)
    );
}

#[test]
fn a_foreign_file_is_named_by_its_magic() {
    let error = parse_header(layout(1024), &[0x28; 1024]).unwrap_err();
    assert_eq!(error, DeltaError::Magic { found: *b"((((" });
    let short = DeltaError::HeaderLength {
        expected: 1024,
        found: 1023,
    };
    assert_eq!(parse_header(layout(1024), &[0; 1023]), Err(short));
}

proptest! {
    #[test]
    fn file_size_and_page_count_are_inverse(size in prop::sample::select(&SIZES), pages in 0u64..1 << 33) {
        let l = layout(size);
        prop_assert_eq!(l.page_count(l.file_size(pages)), Ok(pages));
    }

    #[test]
    fn every_accepted_size_is_a_size_that_is_written(
        size in prop::sample::select(&SIZES), units in 0u64..1 << 20, rest in 0u64..3,
    ) {
        let l = layout(size);
        let file = units * size as u64 + rest;
        if let Ok(pages) = l.page_count(file) {
            prop_assert_eq!(l.file_size(pages), file);
        }
    }

    #[test]
    fn pages_and_headers_do_not_overlap(size in prop::sample::select(&SIZES), index in 0u64..1 << 32) {
        let l = layout(size);
        let (at, page) = (l.slot_offset(index), size as u64);
        prop_assert!(at + page <= l.file_size(index + 1));
        prop_assert_eq!(l.file_size(index + 1), at + page);
        let cluster = index / l.slots_per_cluster();
        prop_assert!(at >= l.header_offset(cluster) + page && at < l.header_offset(cluster + 1));
        let next = l.slot_offset(index + 1) - at;
        prop_assert!(next == page || next == 2 * page);
    }

    #[test]
    fn a_header_survives_the_way_there_and_back(
        size in prop::sample::select(&SIZES[..3]),
        pages in prop::collection::vec(0..u32::MAX, 1..255),
        full: bool,
    ) {
        let l = layout(size);
        let mut pages = numbers(&pages);
        if full {
            let most = usize::try_from(l.slots_per_cluster()).unwrap();
            pages = pages.into_iter().cycle().take(most).collect();
        }
        let mut out = vec![0; size];
        prop_assert_eq!(encode_header(l, &pages, !full, &mut out), Ok(()));
        prop_assert_eq!(first_page(&out), Ok(Some(pages[0])));
        prop_assert_eq!(parse_header(l, &out), Ok(DeltaHeader { last: !full, pages }));
    }
}
