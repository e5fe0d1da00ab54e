//! The fuzz targets' bodies on stable Rust: many damaged files in every test run.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod fuzz_bodies;

use common::{Random, file_of, pages};
use frame::{Algorithm, Settings};

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at.max(1)),
            2 => drop(bytes.drain(at..(at + random.below(40)).min(bytes.len()))),
            3 => bytes.insert(at, random.below(256) as u8),
            // Headers and the table are where the numbers are.
            4 => {
                let last = bytes.len() - 1;
                let at = match random.below(2) {
                    0 => random.below(20).min(last),
                    _ => last - random.below(60).min(last),
                };
                bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][random.below(5)];
            }
            _ => {
                let from = random.below(bytes.len());
                let piece = bytes[from..(from + 30).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

#[test]
fn damaged_files_are_errors_and_not_panics() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let original = pages(1, 31);
    for algorithm in Algorithm::ALL {
        let (small, index) = file_of(&original[..2000], &Settings::of(algorithm));
        let frame = small[..index.offset(1) as usize].to_vec();
        let twice = [&frame[..], &small].concat();
        for _ in 0..1500 {
            for file in [&small, &frame, &twice] {
                let mut file = file.clone();
                damage(&mut file, &mut random);
                fuzz_bodies::index(&file);
                fuzz_bodies::stream(&file);
                fuzz_bodies::unit(&file);
            }
        }
    }
}

#[test]
fn noise_is_an_error_and_not_a_panic() {
    let mut random = Random(77);
    for _ in 0..500 {
        let length = random.below(300);
        let mut file: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        fuzz_bodies::stream(&file);
        file.extend(0x8F92_EAB1_u32.to_le_bytes());
        fuzz_bodies::index(&file);
    }
}
