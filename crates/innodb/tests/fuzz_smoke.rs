//! The fuzz targets on stable Rust: random input, and golden pieces with damage, the same ones in
//! every run. A few seconds; `fuzz/` goes on from here.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod fuzz_bodies;

use std::collections::BTreeSet;
use std::path::Path;

/// xorshift64*: deterministic, and not worth a dependency.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }
}

/// Real input for a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/9.7.4");
    let file = |name: &str| std::fs::read(golden.join(name)).unwrap();
    let piece = |name: &str| zstd::decode_all(file(&format!("{name}.zst")).as_slice()).unwrap();
    let cut = |bytes: Vec<u8>, len: usize| -> Vec<Vec<u8>> {
        bytes.chunks(len).map(<[u8]>::to_vec).collect()
    };
    match target {
        "page" => {
            let (all, index) = (
                piece("pages"),
                String::from_utf8(file("pages.tsv")).unwrap(),
            );
            let mut rest = all.as_slice();
            let pages = index.lines().map(|line| {
                let size = line.split('\t').nth(2).unwrap().parse().unwrap();
                let (page, behind) = rest.split_at(size);
                rest = behind;
                page.to_vec()
            });
            pages.collect()
        }
        "redo" => {
            let mut seeds = cut(piece("redo.headers"), 2048);
            seeds.extend(cut(piece("redo-encrypted.headers"), 2048));
            seeds.extend(cut(piece("redo.blocks"), 512));
            seeds.extend(cut(piece("redo-encrypted.blocks"), 512));
            seeds
        }
        "page_track" => cut(piece("track"), 16384),
        "delta" => {
            let pages = (0..600u32).flat_map(u32::to_be_bytes);
            let header: Vec<u8> = b"CLON"
                .iter()
                .copied()
                .chain(pages)
                .chain(std::iter::repeat_n(0xFF, 20_000))
                .collect();
            let full: Vec<u8> = b"clon"
                .iter()
                .copied()
                .chain(std::iter::repeat_n(7, 65536))
                .collect();
            vec![header, full, b"XTRA\xFF\xFF\xFF\xFF".repeat(200)]
        }
        "meta" => vec![
            b"page_size = 16384\nzip_size = 0\nspace_id = 4294967294\nspace_flags = 18432\n".into(),
        ],
        "clone_dir" => vec![
            b"start_lsn = 1\npage_track_lsn = 22\nend_lsn = 333\n".into(),
            file("view_status"),
            file("view_progress"),
            b"3 1\n1 2\nhost:3306\n1317\nstopped\n0 5 6\nbinlog.000001\n4\na:1-3\n".into(),
        ],
        _ => panic!("no seeds for {target}"),
    }
}

/// Bytes that stand for something in one of the formats.
const TOKENS: [&[u8]; 12] = [
    b"\0\0\0\0",
    b"\xFF\xFF\xFF\xFF",
    b"\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\0\x0E",
    b"\0\x0F",
    b"CLON",
    b"xtra",
    b"lCC",
    b" = ",
    b"\n",
    b"18446744073709551615",
    b"\xDE\xAD\xBE\xEF",
];

fn damage(random: &mut Random, seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        // The interesting fields are in front.
        let span = if random.below(2) == 0 {
            bytes.len().min(64)
        } else {
            bytes.len()
        };
        let at = random.below(span);
        match random.below(6) {
            0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            2 if !bytes.is_empty() => bytes[at] = random.byte(),
            3 => bytes.truncate(at),
            4 => {
                let token = TOKENS[random.below(TOKENS.len())];
                let end = bytes.len().min(at + token.len());
                bytes[at..end].copy_from_slice(&token[..end - at]);
            }
            _ => {
                let token = TOKENS[random.below(TOKENS.len())];
                bytes.splice(at..at, token.iter().copied());
            }
        }
    }
    bytes
}

fn smoke(target: &str, body: fn(&[u8])) {
    const LENGTHS: [usize; 8] = [0, 7, 38, 511, 512, 1024, 4096, 17000];
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ target.len() as u64);
    let seeds = seeds(target);
    for seed in &seeds {
        body(seed);
    }
    for round in 0..400 {
        body(&random.bytes(LENGTHS[round % LENGTHS.len()]));
    }
    // The same work for every target, however many seeds it has and however large they are.
    let mut budget = 64usize << 20;
    while let Some(rest) = budget.checked_sub(4096) {
        let seed = &seeds[random.below(seeds.len())];
        body(&damage(&mut random, seed));
        budget = rest.saturating_sub(seed.len());
    }
}

macro_rules! smoke_tests {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            smoke(stringify!($name), fuzz_bodies::$name);
        })*

        #[test]
        fn the_targets_are_those_of_the_fuzz_directory() {
            let tested = [$(concat!(stringify!($name), ".rs")),*].map(String::from);
            let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
            // Other targets are of other crates.
            let ours = |path: &std::path::PathBuf| {
                std::fs::read_to_string(path).unwrap().contains("crates/innodb/")
            };
            let targets = std::fs::read_dir(targets).unwrap().map(|entry| entry.unwrap().path());
            let names = targets.filter(ours).map(|path| {
                path.file_name().unwrap().to_str().unwrap().to_owned()
            });
            assert_eq!(BTreeSet::from(tested), names.collect());
        }
    };
}

smoke_tests!(page redo page_track delta meta clone_dir);
