//! The fuzz targets' bodies on stable Rust: many damaged manifests in every test run.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod fuzz_bodies;

use backup::set::{Compressed, Manifest};
use frame::Algorithm;
use std::path::Path;
use testkit::Random;

/// A manifest as `backup` writes it.
const MANIFEST: &str = include_str!("data/manifest.json");

/// The same of a compressed set.
fn compressed() -> String {
    let mut manifest = Manifest::parse(Path::new("m"), MANIFEST.as_bytes()).unwrap();
    for stored in manifest.files.iter_mut().flat_map(|file| &mut file.stored) {
        if Path::new(&stored.name)
            .extension()
            .is_none_or(|end| end != "meta")
        {
            stored.name += Algorithm::Zstd.suffix();
            stored.compressed = Some(Compressed {
                algorithm: Algorithm::Zstd,
                length: stored.size,
            });
        }
    }
    manifest.format = manifest.format_needed();
    serde_json::to_string_pretty(&manifest).unwrap()
}

#[test]
fn the_sample_is_a_manifest() {
    let path = Path::new("manifest.json");
    Manifest::parse(path, MANIFEST.as_bytes()).unwrap();
    let manifest = Manifest::parse(path, compressed().as_bytes()).unwrap();
    assert_eq!(manifest.format, 2);
}

#[test]
fn damaged_manifests_are_errors_and_not_panics() {
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    let tokens: [&[u8]; 12] = [
        b"18446744073709551615",
        b"-1",
        b"0",
        b"null",
        b"\"../../etc/passwd\"",
        b"\"/absolute\"",
        b"\"\"",
        b"[]",
        b"{}",
        b"\"\\u0000\"",
        b"4294967296",
        b"1e400",
    ];
    let packed = compressed();
    for round in 0..20_000 {
        let sample = if round % 2 == 0 { MANIFEST } else { &packed };
        let mut bytes = sample.as_bytes().to_vec();
        for _ in 0..=round % 4 {
            let at = random.index(bytes.len());
            match random.index(5) {
                0 => bytes[at] ^= 1 << random.index(8),
                1 => bytes.truncate(at.max(1)),
                2 => drop(bytes.drain(at..(at + random.index(40)).min(bytes.len()))),
                3 => {
                    let token = tokens[random.index(tokens.len())];
                    // In the place of a value, where there is one near.
                    let colon = bytes[at..].iter().position(|byte| *byte == b':');
                    let start = colon.map_or(at, |colon| at + colon + 1);
                    let end = bytes[start..]
                        .iter()
                        .position(|byte| matches!(byte, b',' | b'\n'));
                    let end = end.map_or(start, |end| start + end);
                    bytes.splice(start..end, token.iter().copied());
                }
                _ => bytes.insert(at, random.index(256) as u8),
            }
            if bytes.is_empty() {
                break;
            }
        }
        fuzz_bodies::manifest(&bytes);
    }
}

#[test]
fn damaged_files_of_sealed_keys_are_errors_and_not_panics() {
    let mut random = Random::new(0x1234_5678_9ABC_DEF1);
    // One that names the key the body opens with, as far as can be without the key.
    let key = backup::EncryptionKey::from_bytes(&[7; 32]).unwrap();
    let id = u64::from_str_radix(key.id(), 16).unwrap();
    let mut sample = b"ICKEYS01".to_vec();
    sample.extend(id.to_be_bytes());
    sample.extend([9; 24]);
    sample.extend(2u32.to_be_bytes());
    sample.extend([5; 2 * 68 + 16]);
    assert_eq!(backup::SealedKeys::parse(&sample).unwrap().len(), 2);
    for round in 0..20_000 {
        let mut bytes = sample.clone();
        for _ in 0..round % 4 {
            let at = random.index(bytes.len().min(100));
            match random.index(4) {
                0 => bytes[at] ^= 1 << random.index(8),
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, random.index(256) as u8),
                _ => {
                    let count = (bytes.len() as u64).saturating_sub(60) / 68;
                    let count = (count as u32).to_be_bytes();
                    if let Some(place) = bytes.get_mut(40..44) {
                        place.copy_from_slice(&count);
                    }
                }
            }
        }
        fuzz_bodies::sealed_keys(&bytes);
    }
}

#[test]
fn damaged_query_events_are_no_statements_or_others() {
    let mut random = Random::new(0xD1B5_4A32_D192_ED03);
    let variables: [&[u8]; 6] = [
        b"\x00\0\0\0\0",
        b"\x04\x2d\0\x2d\0\xff\0",
        b"\x05\x06+08:00",
        b"\x0b\x04us`r\x04host",
        b"\x0c\x01shop\0",
        b"\x0d\x01\x02\0",
    ];
    let texts: [&[u8]; 4] = [
        b"CREATE DEFINER=`a`@`b` EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        b"/*!50106 ALTER EVENT e DISABLE */",
        b"alter definer='a''b'@'c' event e enable",
        b"BEGIN",
    ];
    for round in 0..20_000 {
        let chosen: Vec<&[u8]> = (0..random.index(7))
            .map(|_| variables[random.index(variables.len())])
            .collect();
        let chosen = chosen.concat();
        let mut body = vec![0; 8];
        body.extend([4, 0, 0, chosen.len() as u8, 0]);
        body.extend(chosen);
        body.extend(b"shop\0");
        body.extend(texts[random.index(texts.len())]);
        for _ in 0..round % 3 {
            let at = random.index(body.len());
            match random.index(3) {
                0 => body[at] ^= 1 << random.index(8),
                1 => body.truncate(at.max(1)),
                _ => body.insert(at, random.index(256) as u8),
            }
        }
        fuzz_bodies::logged_statement(&body);
    }
}
