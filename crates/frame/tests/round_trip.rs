//! What goes in comes out, unit by unit and as a stream.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use common::{file_of, pages};
use frame::{Algorithm, Decompressor, Index, Settings, decompress_stream};
use proptest::prelude::*;

/// The original by the index, the last unit first.
fn by_index(file: &[u8], settings: &Settings) -> Vec<u8> {
    let read_at = |offset: u64, bytes: &mut [u8]| {
        bytes.copy_from_slice(&file[offset as usize..][..bytes.len()]);
        Ok(())
    };
    let Some(index) = Index::read(file.len() as u64, read_at).unwrap() else {
        assert!(file.is_empty());
        return Vec::new();
    };
    assert_eq!(index.stored_length(), file.len() as u64);
    let mut original = vec![0; index.length() as usize];
    let mut decompressor = Decompressor::new(settings.algorithm());
    for number in (0..index.frames()).rev() {
        let place = index.place(number).unwrap();
        let frame = &file[place.stored.start as usize..place.stored.end as usize];
        let out = &mut original[place.original.start as usize..place.original.end as usize];
        decompressor.decompress_unit(frame, out).unwrap();
    }
    original
}

fn as_stream(file: &[u8], algorithm: Algorithm) -> Vec<u8> {
    let mut original = Vec::new();
    let mut output = |piece: &[u8]| {
        original.extend(piece);
        Ok(())
    };
    let length = decompress_stream(file, &mut output, algorithm).unwrap();
    assert_eq!(length, original.len() as u64);
    original
}

fn check(original: &[u8], settings: &Settings) -> usize {
    let (file, _) = file_of(original, settings);
    assert!(by_index(&file, settings) == original, "{settings:?}");
    assert!(
        as_stream(&file, settings.algorithm()) == original,
        "{settings:?}"
    );
    file.len()
}

#[test]
fn tables_come_back() {
    let original = pages(450, 7);
    for algorithm in Algorithm::ALL {
        for (level, chunk) in [(1, 65536), (3, 1024), (1, 1 << 18), (1, 3 << 20)] {
            let settings = Settings::new(algorithm, level, chunk).unwrap();
            let stored = check(&original, &settings);
            assert!(stored < original.len() / 2, "{settings:?}: {stored}");
        }
    }
}

#[test]
fn lengths_around_units_and_blocks_come_back() {
    const UNIT: usize = 1 << 20;
    let original = pages(200, 8);
    for algorithm in Algorithm::ALL {
        let settings = Settings::of(algorithm);
        for length in [
            0,
            1,
            65535,
            65536,
            65537,
            UNIT - 1,
            UNIT,
            UNIT + 1,
            3 * UNIT,
        ] {
            check(&original[..length], &settings);
        }
    }
    assert_eq!(file_of(&[], &Settings::of(Algorithm::Zstd)).0, []);
}

#[test]
fn zeros_are_cheap_and_noise_costs_little() {
    const UNIT: usize = 1 << 20;
    let mut random = common::Random(3);
    let noise: Vec<u8> = (0..UNIT / 8)
        .flat_map(|_| random.next().to_le_bytes())
        .collect();
    for (algorithm, zeros) in [(Algorithm::Zstd, 100), (Algorithm::Lz4, UNIT / 230)] {
        let settings = Settings::of(algorithm);
        let stored = check(&vec![0; UNIT], &settings);
        assert!(stored < zeros, "{algorithm}: {stored}");
        let stored = check(&noise, &settings);
        assert!(stored < UNIT + 200, "{algorithm}: {stored}");
    }
}

#[test]
fn the_same_bytes_give_the_same_frames() {
    let original = pages(130, 9);
    for algorithm in Algorithm::ALL {
        let settings = Settings::of(algorithm);
        let mut compressor = frame::Compressor::new(&settings).unwrap();
        let mut of_used = Vec::new();
        compressor
            .compress(&original[1 << 20..], &mut of_used)
            .unwrap();
        of_used.clear();
        compressor
            .compress(&original[..1 << 20], &mut of_used)
            .unwrap();
        let (file, index) = file_of(&original, &settings);
        assert_eq!(file[..index.offset(1) as usize], of_used[..]);
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let algorithm = prop::sample::select(Algorithm::ALL.to_vec());
    let chunk = prop::sample::select(vec![1024, 65536, 100_000, 1 << 20, 5 << 20]);
    (algorithm, 1_i64..=5, chunk)
        .prop_map(|(algorithm, level, chunk)| Settings::new(algorithm, level, chunk).unwrap())
}

/// Runs of noise, of zeros and of repetitions.
fn original() -> impl Strategy<Value = Vec<u8>> {
    let run = (any::<u8>(), any::<u64>(), 0..200_000_usize);
    prop::collection::vec(run, 0..12).prop_map(|runs| {
        let mut bytes = Vec::new();
        for (kind, seed, length) in runs {
            let mut random = common::Random(seed | 1);
            match kind % 3 {
                0 => bytes.resize(bytes.len() + length, 0),
                1 => bytes.extend((0..length).map(|_| random.next() as u8)),
                _ => bytes.extend((0..length).map(|at| (at % (1 + seed as usize % 300)) as u8)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn anything_comes_back(original in original(), settings in settings()) {
        check(&original, &settings);
    }
}
