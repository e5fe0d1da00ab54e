use super::*;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

/// Reads the index of a file that is zeros and an index.
fn read(index: &[u8], frames: u64) -> Result<Option<Index>> {
    let length = frames + index.len() as u64;
    Index::read(length, |offset, bytes| {
        assert!(offset + bytes.len() as u64 <= length, "beyond the file");
        for (at, byte) in (offset..).zip(bytes) {
            *byte = at.checked_sub(frames).map_or(0, |at| index[at as usize]);
        }
        Ok(())
    })
}

fn sample() -> Index {
    Index::new(MIB, 3 * MIB + 5, &[100, 2000, 30, 7]).unwrap()
}

#[test]
fn places_follow_from_the_lengths() {
    let index = sample();
    assert_eq!(index.offset(0), 0);
    assert_eq!(index.offset(2), 2100);
    assert_eq!(index.offset(9), 2137);
    let place = index.place(3).unwrap();
    assert_eq!(place.stored, 2130..2137);
    assert_eq!(place.original, 3 * MIB..3 * MIB + 5);
    assert_eq!(index.place(4), None);
    assert_eq!(index.frame_at(3 * MIB + 4), Some(3));
    assert_eq!(index.frame_at(3 * MIB + 5), None);
    assert_eq!(index.stored_length(), 2137 + index.encode().len() as u64);
}

#[test]
fn the_bytes_are_those_of_a_seek_table() {
    let index = Index::new(MIB, MIB + 3, &[0x102, 9]).unwrap();
    let bytes = [
        0x5E, 0x2A, 0x4D, 0x18, 25, 0, 0, 0, // a skippable frame of 25 bytes
        0x02, 0x01, 0, 0, 0, 0, 0x10, 0, // frame 0
        9, 0, 0, 0, 3, 0, 0, 0, // frame 1
        2, 0, 0, 0, 0, 0xB1, 0xEA, 0x92, 0x8F,
    ];
    assert_eq!(index.encode(), bytes);
}

#[test]
fn an_empty_file_has_no_index() {
    let index = Index::new(MIB, 0, &[]).unwrap();
    assert_eq!(index.encode(), []);
    assert_eq!(index.stored_length(), 0);
    assert_eq!(read(&[], 0).unwrap(), None);
    assert_eq!(read(&[], 1000).unwrap(), None);
}

#[test]
fn lengths_that_do_not_add_up_are_no_index() {
    for (unit, length, frames) in [
        (MIB, MIB, &[1, 1][..]),
        (MIB, MIB + 1, &[1]),
        (MIB, 0, &[1]),
        (MIB, 5, &[0]),
        (MIB + 1, 5, &[1]),
        (32 << 10, 5, &[1]),
        (32 << 20, 5, &[1]),
    ] {
        assert!(Index::new(unit, length, frames).is_err(), "{unit} {length}");
    }
}

#[test]
fn every_flipped_bit_is_noticed_or_makes_the_file_irregular() {
    let index = sample();
    let bytes = index.encode();
    assert_eq!(read(&bytes, 2137).unwrap(), Some(index.clone()));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // The last frame may hold less or more: its own header says how much it is.
        if let Ok(Some(found)) = read(&flipped, 2137) {
            assert_ne!(found.length(), index.length(), "bit {bit}");
            assert_eq!(found.offset(4), 2137, "bit {bit}");
        }
    }
}

#[test]
fn a_file_that_was_cut_or_grew_does_not_fit_its_index() {
    let bytes = sample().encode();
    for frames in [0, 1, 2136, 2138, 1 << 40] {
        assert!(read(&bytes, frames).is_err(), "{frames}");
    }
}

#[test]
fn checksums_of_others_are_passed_over() {
    let mut bytes = Vec::new();
    bytes.extend(0x184D_2A5E_u32.to_le_bytes());
    bytes.extend((2 * 12 + 9_u32).to_le_bytes());
    for word in [50, 65536, 0xAAAA_AAAA, 60, 1, 0xBBBB_BBBB, 2_u32] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.push(0x80);
    bytes.extend(0x8F92_EAB1_u32.to_le_bytes());
    let index = read(&bytes, 110).unwrap().unwrap();
    assert_eq!(index, Index::new(65536, 65537, &[50, 60]).unwrap());
}

#[test]
fn frames_of_different_units_are_for_the_stream_reader() {
    let table = |entries: &[[u32; 2]]| {
        let mut bytes = Vec::new();
        bytes.extend(0x184D_2A5E_u32.to_le_bytes());
        bytes.extend((entries.len() as u32 * 8 + 9).to_le_bytes());
        bytes.extend(
            entries
                .as_flattened()
                .iter()
                .flat_map(|word| word.to_le_bytes()),
        );
        bytes.extend((entries.len() as u32).to_le_bytes());
        bytes.push(0);
        bytes.extend(0x8F92_EAB1_u32.to_le_bytes());
        let frames = entries.iter().map(|[stored, _]| u64::from(*stored)).sum();
        read(&bytes, frames).unwrap()
    };
    assert!(table(&[[9, 65536], [9, 65536]]).is_some());
    assert!(table(&[[9, 65536], [9, 1], [9, 65536]]).is_none());
    assert!(table(&[[9, 65536], [9, 65537]]).is_none());
    assert!(table(&[[9, 1000], [9, 1000]]).is_none());
    assert!(table(&[[9, 0]]).is_none());
    assert!(table(&[[9, 64 << 20], [9, 64 << 20]]).is_none());
    assert!(table(&[[500_000, 65536], [9, 65536]]).is_none());
    assert!(table(&[]).is_none());
}

#[test]
fn a_count_beyond_the_file_is_not_believed() {
    let mut bytes = vec![0; 64];
    bytes.extend(u32::MAX.to_le_bytes());
    bytes.push(0);
    bytes.extend(0x8F92_EAB1_u32.to_le_bytes());
    assert!(read(&bytes, 0).is_err());
    // A sparse file of the size claimed: the first entry is none.
    bytes.drain(..64);
    let claimed = u64::from(u32::MAX) * 8;
    assert!(read(&bytes, claimed).is_err());
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_again(
        power in 16_u32..=24,
        frames in prop::collection::vec(1..=60_000_u32, 0..5000),
        last in 1..=65536_u64,
    ) {
        let unit = 1 << power;
        let length = match frames.len() as u64 {
            0 => 0,
            count => (count - 1) * unit + last,
        };
        let index = Index::new(unit, length, &frames).unwrap();
        let stored = index.offset(index.frames());
        let found = read(&index.encode(), stored).unwrap();
        prop_assert_eq!(found, (length > 0).then_some(index));
    }
}
