//! The fuzz targets' bodies on stable Rust: many damaged files in every test run.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod fuzz_bodies;

use testkit::Random;

/// An event without a checksum, placed at `at`.
fn event(kind: u8, at: usize, body: &[u8]) -> Vec<u8> {
    let length = 19 + body.len();
    let mut bytes = 1_700_000_000u32.to_le_bytes().to_vec();
    bytes.push(kind);
    bytes.extend(1u32.to_le_bytes());
    bytes.extend((length as u32).to_le_bytes());
    bytes.extend(((at + length) as u32).to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(body);
    bytes
}

fn format_description() -> Vec<u8> {
    let mut body = vec![4, 0];
    let mut version = b"8.4.3".to_vec();
    version.resize(50, 0);
    body.extend(version);
    body.extend([0, 0, 0, 0, 19]);
    body.extend([0; 42]);
    body.push(0);
    let mut bytes = event(15, 4, &[&body[..], &[0; 4]].concat());
    let covered = bytes.len() - 4;
    let checksum = crc32fast::hash(&bytes[..covered]);
    bytes[covered..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn gtid_body(length: u64) -> Vec<u8> {
    let mut body = vec![1];
    body.extend([7; 16]);
    body.extend(5u64.to_le_bytes());
    body.push(2);
    body.extend(0u64.to_le_bytes());
    body.extend(1u64.to_le_bytes());
    body.extend(&1_700_000_000_000_000u64.to_le_bytes()[..7]);
    body.push(0xFC);
    body.extend((length as u16).to_le_bytes());
    body
}

fn tagged_body() -> Vec<u8> {
    let mut fields = vec![0, 2, 2];
    fields.extend([14; 16]);
    fields.extend([4, 20, 6, 4, b't', b'1']);
    fields.extend([8, 0, 10, 4, 12, 0xFF, 0, 1, 2, 3, 4, 5, 6, 0]);
    let mut body = vec![2, ((fields.len() + 3) * 2) as u8, 2];
    body.extend(fields);
    body
}

fn query_body(text: &[u8]) -> Vec<u8> {
    [&[0; 8][..], &[1, 0, 0, 2, 0, 9, 9, b'd', 0], text].concat()
}

fn previous_body(tagged: bool) -> Vec<u8> {
    let count = if tagged { 1 << 56 | 2 << 8 | 1 } else { 2u64 };
    let mut body = count.to_le_bytes().to_vec();
    for uuid in [1u8, 2] {
        body.extend([uuid; 16]);
        if tagged {
            body.extend([2, b't']);
        }
        body.extend(1u64.to_le_bytes());
        body.extend([3u64.to_le_bytes(), 9u64.to_le_bytes()].concat());
    }
    body
}

fn payload_body() -> Vec<u8> {
    let inner = [event(2, 0, &query_body(b"BEGIN")), event(16, 0, &[0; 8])].concat();
    let small = zstd::encode_all(&inner[..], 3).unwrap();
    let mut body = vec![1, 1, small.len() as u8, 2, 1, 0, 3, 1, inner.len() as u8, 0];
    body.extend(small);
    body
}

fn file() -> Vec<u8> {
    let mut file = b"\xFEbin".to_vec();
    file.extend(format_description());
    let gtid = 19 + gtid_body(0).len() as u64;
    let begin = query_body(b"BEGIN");
    let length = gtid + 19 + begin.len() as u64 + 19 + 8;
    let other = query_body(b"DROP TABLE t");
    for (kind, body) in [
        (35, previous_body(false)),
        (33, gtid_body(length)),
        (2, begin.clone()),
        (16, vec![0; 8]),
        (42, tagged_body()),
        (2, other),
        (42, tagged_body()),
        (40, payload_body()),
        (34, gtid_body(0)),
        (2, begin),
        (30, vec![0; 2000]),
        (2, query_body(b"COMMIT")),
        (4, [&4u64.to_le_bytes()[..], b"binlog.000002"].concat()),
    ] {
        file.extend(event(kind, file.len(), &body));
    }
    file
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.index(3) {
        let at = random.index(bytes.len());
        match random.index(5) {
            0 => bytes[at] ^= 1 << random.index(8),
            1 => bytes.truncate(at.max(1)),
            2 => drop(bytes.drain(at..(at + random.index(20)).min(bytes.len()))),
            3 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][random.index(5)],
            _ => bytes.insert(at, random.index(256) as u8),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

#[test]
fn the_file_without_damage_is_read_whole() {
    let file = file();
    let source = std::io::Cursor::new(&file);
    let mut reader = binlog::Reader::new("file", source).unwrap();
    let facts = binlog::FileFacts::read(&mut reader).unwrap();
    let previous = facts.previous_gtids.unwrap();
    assert_eq!(previous.count(), 12);
    let mut transactions = binlog::Transactions::new(reader);
    let found: Vec<_> = transactions.by_ref().map(Result::unwrap).collect();
    assert!(found.len() == 4 && found.iter().all(|one| one.complete));
    assert_eq!(found[1].identity.gtid().unwrap().tag.as_str(), "t1");
    assert_eq!(
        *transactions.ending(),
        binlog::Ending::Rotate("binlog.000002".into())
    );
}

#[test]
fn damaged_files_are_errors_and_not_panics() {
    let mut random = Random::new(1);
    let original = file();
    for _ in 0..60_000 {
        let mut file = original.clone();
        damage(&mut file, &mut random);
        fuzz_bodies::binlog_file(&file);
    }
}

#[test]
fn damaged_events_are_errors_and_not_panics() {
    let mut random = Random::new(2);
    let seeds = [
        gtid_body(500),
        tagged_body(),
        query_body(b"BEGIN"),
        previous_body(false),
        previous_body(true),
        payload_body(),
        format_description()[19..].to_vec(),
        Vec::new(),
    ];
    for kind in 0..10u8 {
        for seed in &seeds {
            for _ in 0..1000 {
                let mut body = seed.clone();
                body.insert(0, kind);
                fuzz_bodies::binlog_event(&body);
                damage(&mut body, &mut random);
                fuzz_bodies::binlog_event(&body);
            }
        }
    }
    assert!(
        binlog::event::parse_previous_gtids(&previous_body(true))
            .unwrap()
            .count()
            == 12
    );
}

#[test]
fn damaged_texts_of_sets_are_sets_or_errors() {
    let mut random = Random::new(3);
    let sample = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:9223372036854775806,\n\
                  4e11fa47-71ca-11e1-9e33-c80aa9429562:tag_1:2-30:other:1";
    fuzz_bodies::gtid_set(sample.as_bytes());
    for round in 0..20_000 {
        let mut text = sample.as_bytes().to_vec();
        for _ in 0..=round % 4 {
            if random.index(4) == 0 {
                let at = random.index(text.len());
                let piece: &[u8] =
                    [&b"18446744073709551615"[..], b":", b"-", b",", b"0-"][random.index(5)];
                text.splice(at..at, piece.iter().copied());
            } else {
                damage(&mut text, &mut random);
            }
        }
        fuzz_bodies::gtid_set(&text);
    }
}
