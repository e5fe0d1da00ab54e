//! Damaged files: an error that names a place, never other bytes than the original's.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use common::{Random, file_of, pages};
use frame::{Algorithm, Decompressor, Error, Settings, decompress_stream};

fn stream(file: &[u8], algorithm: Algorithm) -> Result<Vec<u8>, Error> {
    let mut original: Vec<u8> = Vec::new();
    let mut output = |piece: &[u8]| {
        original.extend(piece);
        Ok(())
    };
    decompress_stream(file, &mut output, algorithm)?;
    Ok(original)
}

#[track_caller]
fn damaged_at(result: Result<Vec<u8>, Error>) -> u64 {
    match result {
        Err(Error::Damaged { offset, .. }) => offset,
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
}

/// A small frame with everything in it: literals, matches, a checksum.
fn small(algorithm: Algorithm) -> (Vec<u8>, Vec<u8>) {
    let original = pages(1, 21)[..3000].to_vec();
    let (mut file, index) = file_of(&original, &Settings::of(algorithm));
    file.truncate(index.offset(1) as usize);
    (original, file)
}

#[test]
fn every_flipped_bit_of_a_frame_is_an_error_or_changes_nothing() {
    for algorithm in Algorithm::ALL {
        let (original, file) = small(algorithm);
        let mut decompressor = Decompressor::new(algorithm);
        let mut harmless = 0;
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(found) = stream(&flipped, algorithm) {
                assert!(found == original, "{algorithm}: bit {bit}");
                harmless += 1;
            }
            let mut out = vec![0; original.len()];
            if decompressor.decompress_unit(&flipped, &mut out).is_ok() {
                assert!(out == original, "{algorithm}: bit {bit}");
            }
        }
        // Other codes for the same bytes, such as a match further back: formats allow some.
        let share = harmless * 100 / (file.len() * 8);
        assert_eq!(share, 0, "{algorithm}: {harmless} bits");
    }
}

#[test]
fn flipped_bits_of_a_large_file_are_noticed_in_their_frame() {
    let original = pages(300, 22);
    let mut random = Random(23);
    for algorithm in Algorithm::ALL {
        let (file, index) = file_of(&original, &Settings::of(algorithm));
        let end = index.offset(index.frames());
        for _ in 0..150 {
            let at = random.below(end as usize);
            let mut flipped = file.clone();
            flipped[at] ^= 1 << random.below(8);
            let frames = 0..index.frames();
            let number = frames.rev().find(|n| index.offset(*n) <= at as u64);
            let number = number.unwrap();
            match stream(&flipped, algorithm) {
                Ok(found) => assert!(found == original, "{algorithm}: byte {at}"),
                Err(error) => {
                    // A wrong length moves what follows: the damage may show behind the frame.
                    let offset = damaged_at(Err(error));
                    assert!(offset >= index.offset(number), "{algorithm}: byte {at}");
                }
            }
        }
    }
}

#[test]
fn every_truncation_is_an_error_at_the_end_of_the_file_or_gives_whole_units() {
    for algorithm in Algorithm::ALL {
        let (original, file) = small(algorithm);
        for length in 1..file.len() {
            let offset = damaged_at(stream(&file[..length], algorithm));
            assert!(offset <= length as u64, "{algorithm}: {length}");
            let mut out = vec![0; original.len()];
            let unit = Decompressor::new(algorithm).decompress_unit(&file[..length], &mut out);
            assert!(unit.is_err(), "{algorithm}: {length}");
        }
        assert_eq!(stream(&[], algorithm).unwrap(), []);
        assert_eq!(stream(&file, algorithm).unwrap(), original);
    }
}

#[test]
fn anything_behind_the_last_frame_is_an_error_where_it_begins() {
    for algorithm in Algorithm::ALL {
        let (_, file) = small(algorithm);
        for garbage in [&b"x"[..], b"\0\0\0", b"\0\0\0\0", b"garbage", &[0; 5000]] {
            let longer = [&file[..], garbage].concat();
            let offset = damaged_at(stream(&longer, algorithm));
            assert_eq!(offset, file.len() as u64, "{algorithm}");
        }
    }
}

#[test]
fn a_frame_of_the_other_algorithm_is_named() {
    let (_, file) = small(Algorithm::Lz4);
    let error = stream(&file, Algorithm::Zstd).unwrap_err();
    let text = "at byte 0: expected a frame of zstd, found one of lz4 (0x184d2204)";
    assert_eq!(error.to_string(), text);
    let (_, file) = small(Algorithm::Zstd);
    let error = stream(&file, Algorithm::Lz4).unwrap_err();
    let text = "at byte 0: expected a frame of lz4, found one of zstd (0xfd2fb528)";
    assert_eq!(error.to_string(), text);
    let error = stream(b"not compressed", Algorithm::Lz4).unwrap_err();
    assert!(error.to_string().contains("no frame at all"), "{error}");
}

#[test]
fn a_unit_is_one_frame_of_the_length_asked_for() {
    for algorithm in Algorithm::ALL {
        let (original, file) = small(algorithm);
        let mut decompressor = Decompressor::new(algorithm);
        let mut read = |frame: &[u8], length: usize| {
            let mut out = vec![0; length];
            decompressor.decompress_unit(frame, &mut out).map(|()| out)
        };
        assert_eq!(read(&file, 3000).unwrap(), original);
        for length in [0, 2999, 3001, 1 << 20] {
            read(&file, length).unwrap_err();
        }
        read(&[&file[..], &file].concat(), 6000).unwrap_err();
        read(
            &[&file[..], &[0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0]].concat(),
            3000,
        )
        .unwrap_err();
        read(&[&file[..], b"x"].concat(), 3000).unwrap_err();
        read(&[], 0).unwrap_err();
    }
}

#[test]
fn skippable_frames_are_passed_over_and_must_be_whole() {
    for algorithm in Algorithm::ALL {
        let (original, file) = small(algorithm);
        let skipped = [0x57, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let between = [&skipped[..], &file, &skipped, &file, &skipped].concat();
        let found = stream(&between, algorithm).unwrap();
        assert_eq!(found, [&original[..], &original].concat());
        for cut in 1..skipped.len() {
            let length = between.len() - cut;
            let offset = damaged_at(stream(&between[..length], algorithm));
            assert!(offset <= length as u64 && offset >= (length - 11) as u64);
        }
    }
}

#[test]
fn an_index_tells_the_length_of_what_is_before_it() {
    for algorithm in Algorithm::ALL {
        let (original, index) = (pages(150, 25), 3 * 8 + 17);
        let (file, _) = file_of(&original, &Settings::of(algorithm));
        // Two files, one behind the other.
        let found = stream(&file.repeat(2), algorithm).unwrap();
        assert!(found == original.repeat(2));
        for entry in 0..3 {
            let mut flipped = file.clone();
            flipped[file.len() - index + 8 + entry * 8 + 4] ^= 4;
            let offset = damaged_at(stream(&flipped, algorithm));
            assert_eq!(offset, (file.len() - index) as u64);
        }
    }
}

#[test]
fn a_writer_that_fails_ends_the_reading() {
    for algorithm in Algorithm::ALL {
        let (file, _) = file_of(&pages(200, 24), &Settings::of(algorithm));
        let mut calls = 0;
        let mut output = |_: &[u8]| {
            calls += 1;
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        };
        let error = decompress_stream(&file[..], &mut output, algorithm).unwrap_err();
        assert!(matches!(error, Error::Write(_)), "{error}");
        assert_eq!(calls, 1);
    }
}

#[test]
fn a_reader_that_fails_is_named_with_the_offset() {
    use std::io::Read as _;
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("bad sector"))
        }
    }
    let (_, file) = small(Algorithm::Zstd);
    let input = file[..100].chain(Broken);
    let error = decompress_stream(input, &mut |_| Ok(()), Algorithm::Zstd).unwrap_err();
    assert_eq!(error.to_string(), "read at byte 100: bad sector");
}
