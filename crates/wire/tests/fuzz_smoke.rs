//! The fuzz targets' bodies on stable Rust: what a real server said, damaged, the same in every
//! run.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod fuzz_bodies;

use testkit::Random;

fn packets() -> Vec<Vec<u8>> {
    let recorded = include_str!("data/clone-9.7.4.txt");
    let packets = recorded.lines().map(|line| {
        let (_, hex) = line.split_once(' ').unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    });
    // What an innoclone says of an increment, as nobody has recorded a GreatSQL.
    packets.chain(increment_packets()).collect()
}

/// The messages that differ in GreatSQL's dialect.
fn increment_packets() -> Vec<Vec<u8>> {
    use innoclone_wire::clone::{
        Ack, Command, DdlWait, Descriptor, Dialect, Locator, Received, Response, Setup, Stage,
        StageDescriptor, StageExtra, Version, Wish,
    };
    let mut received = Received::none(70);
    received.complete(3);
    received.partial(9, 2);
    let locator = Locator {
        server: *b"0123456789abcdef",
        clone: 7,
        snapshot: 7,
        stage: Stage::PageCopy,
        has_files: true,
        received: Some(received),
        ..Locator::default()
    };
    let stage = StageDescriptor {
        stage: Stage::PageCopy,
        chunks: 70,
        files: 280_000,
        extra: StageExtra {
            data_files: 30,
            start_lsn: 20_000_000,
            page_track_lsn: 21_000_000,
            end_lsn: 22_000_000,
            compression: 0,
        },
        begins: true,
        ..StageDescriptor::default()
    };
    let command = Command::Reinit(Setup {
        version: Version::V4,
        ddl: DdlWait {
            seconds: 300,
            blocks_ddl: false,
        },
        wish: Wish {
            page_track: true,
            start_lsn: 20_000_000,
            compression: 0,
        },
        locator: Some(locator.clone()),
    });
    let ack = Command::Ack(Ack {
        error: 0,
        locator: locator.clone(),
        stage: Some(stage.acknowledgement()),
    });
    let commands = [command, ack].map(|command| {
        let body = command.body_in(Dialect::GreatSql);
        [vec![command.code()], body].concat()
    });
    let version = Version::V4;
    let responses = [
        Response::Locators { version, locator },
        Response::Descriptor(Descriptor::Stage(stage)),
    ];
    let responses = responses.map(|response| {
        let mut packet = Vec::new();
        response.encode_in(Dialect::GreatSql, &mut packet);
        packet
    });
    commands.into_iter().chain(responses).collect()
}

#[test]
fn damaged_packets_are_errors_and_not_panics() {
    const NUMBERS: [&[u8]; 5] = [
        b"\0\0\0\0",
        b"\xFF\xFF\xFF\xFF",
        b"\x7F\xFF\xFF\xFF",
        b"\xFF\xFF\xFF\x7F",
        b"\0\0\0\x22",
    ];
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    for packet in packets() {
        // A descriptor begins after three bytes of the response.
        for _ in 0..600 {
            let mut packet = packet[random.index(2) * 3.min(packet.len())..].to_vec();
            for _ in 0..=random.index(3) {
                let at = random.index(packet.len());
                match random.index(5) {
                    0 if !packet.is_empty() => packet[at] ^= 1 << random.index(8),
                    1 => packet.truncate(at),
                    2 => packet.insert(at, random.index(256) as u8),
                    _ => {
                        let number = NUMBERS[random.index(NUMBERS.len())];
                        let end = packet.len().min(at + 4);
                        packet[at..end].copy_from_slice(&number[..end - at]);
                    }
                }
            }
            fuzz_bodies::clone_command(&packet);
            fuzz_bodies::clone_response(&packet);
            fuzz_bodies::clone_command_greatsql(&packet);
            fuzz_bodies::clone_response_greatsql(&packet);
        }
    }
}

#[test]
fn noise_is_an_error_and_not_a_panic() {
    let mut random = Random::new(77);
    for _ in 0..20_000 {
        let length = random.index(120);
        let mut packet: Vec<u8> = (0..length).map(|_| random.index(256) as u8).collect();
        if let Some(first) = packet.first_mut() {
            *first = [1, 2, 3, 5, 9, 100][random.index(6)];
        }
        fuzz_bodies::clone_command(&packet);
        fuzz_bodies::clone_response(&packet);
        fuzz_bodies::clone_command_greatsql(&packet);
        fuzz_bodies::clone_response_greatsql(&packet);
    }
}
