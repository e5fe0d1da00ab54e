//! The fuzz target of our server on stable Rust: the same damaged conversations in every run.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod fuzz_bodies;

use testkit::Random;

fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes();
    bytes[3] = number;
    [&bytes, payload].concat()
}

/// A client that logs in and uses each command once.
fn conversation() -> Vec<u8> {
    let mut login = 0x003A_A20D_u32.to_le_bytes().to_vec();
    login.extend_from_slice(&[0, 0, 0, 1, 45]);
    login.extend_from_slice(&[0; 23]);
    login.extend_from_slice(b"\0\0caching_sha2_password\0\x04\x01a\x01b");
    let id = [1, 0, 0, 0];
    let execute = [
        &[23],
        &id[..],
        &[0, 1, 0, 0, 0, 2, 1, 3, 0, 253, 0, 12, 0, 5, 0],
        &[7, 0, 0, 0, 4, 0xE8, 7, 2, 3, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F],
    ];
    let commands: [&[u8]; 9] = [
        b"\x03SELECT 1",
        b"\x02mysql",
        b"\x0e",
        b"\x16SELECT ?, '?', ?, ?, ? -- ?",
        &[&[24][..], &id, &[1, 0], b"piece"].concat(),
        &execute.concat(),
        &[&[26][..], &id].concat(),
        &[&[25][..], &id].concat(),
        b"\x20clone",
    ];
    let mut bytes = packet(1, &login);
    for command in commands {
        bytes.extend(packet(0, command));
    }
    bytes
}

#[test]
fn damaged_conversations_end_the_session_and_nothing_else() {
    let whole = conversation();
    fuzz_bodies::server(&whole);
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    for round in 0..4_000 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 4 {
            let at = random.index(bytes.len());
            match random.index(4) {
                0 => bytes[at] ^= 1 << random.index(8),
                1 => bytes.truncate(at.max(1)),
                2 => bytes[at] = [0, 0xFB, 0xFE, 0xFF][random.index(4)],
                _ => bytes.insert(at, random.index(256) as u8),
            }
        }
        fuzz_bodies::server(&bytes);
    }
}

#[test]
fn what_comes_in_place_of_an_encrypted_password_is_a_wrong_one() {
    let mut random = Random::new(0x0123_4567_89AB_CDEF);
    for len in [0, 1, 2, 255, 256, 257, 512, 16_384, 65_536, 70_000] {
        fuzz_bodies::login_block(&vec![2; len]);
        for _ in 0..6 {
            let block: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
            fuzz_bodies::login_block(&block);
        }
    }
}
