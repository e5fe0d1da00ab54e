//! Every kind of file and page, at every page size: full and increments, restored and compared.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use common::elsewhere::at_home;
use common::{Place, check_restored};
use frame::Algorithm;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use testkit::fixtures::{ZooOptions, change_zoo, zoo};
use testkit::{Server, ServerOptions};

/// Takes a chain of three over a zoo, each set compressed as `packed` says, restores every state of
/// it, boots, compares.
fn chain_of_three(
    options: ServerOptions,
    zoo_options: impl Fn(&Server) -> ZooOptions,
    boot: &[&str],
    packed: [Option<Algorithm>; 3],
) {
    let (server, place) = (Server::start(options).unwrap(), Place::new());
    zoo(&server, &zoo_options(&server)).unwrap();
    let mut states = Vec::new();
    place.compress(packed[0]);
    let full = place.full(&server, "full", true);
    states.push(("full", full, testkit::snapshot(&server).unwrap()));
    change_zoo(&server, 1).unwrap();
    place.compress(packed[1]);
    let first = place.increment(&server, "incr1", "full");
    states.push(("incr1", first, testkit::snapshot(&server).unwrap()));
    change_zoo(&server, 2).unwrap();
    place.compress(packed[2]);
    let second = place.increment(&server, "incr2", "incr1");
    states.push(("incr2", second, testkit::snapshot(&server).unwrap()));
    // Pages that are still to be written would be holes of the server's files.
    server.flush_pages().unwrap();
    for ((set, report, state), algorithm) in states.iter().zip(packed) {
        check_names(&place.path(set), algorithm);
        let data = format!("data-{set}");
        place.restore(set, &data);
        let restored = place.boot(&data, boot);
        check_restored(&restored, report);
        let found = testkit::snapshot(&restored).unwrap();
        testkit::assert_same(&at_home(state.clone()), &at_home(found));
        // Holes of compressed pages and of pages never written are still holes.
        let (there, here) = (allocated(server.datadir()), allocated(&place.path(&data)));
        assert!(
            here < there + there / 10 + (4 << 20),
            "{here} bytes instead of {there}"
        );
    }
}

/// Checks that a set has no file without the suffix of its algorithm, but those that never have one.
fn check_names(set: &Path, algorithm: Option<Algorithm>) {
    for path in common::files_below(set) {
        let name = path.to_str().unwrap();
        let is_meta = path
            .extension()
            .is_some_and(|extension| extension == "meta");
        let is_plain = is_meta || name.starts_with("#clone/");
        let suffix = Algorithm::of_name(name).map(|(_, found)| found);
        assert_eq!(suffix, algorithm.filter(|_| !is_plain), "{name}");
        assert!(!name.contains("#raw"), "{name}");
    }
}

/// Bytes that the tables of the zoo take on disk.
fn allocated(datadir: &Path) -> u64 {
    let entries = std::fs::read_dir(datadir.join("zoo")).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512)
        .sum()
}

fn with_page_size(page_size: u32) -> ServerOptions {
    ServerOptions {
        page_size: Some(page_size),
        ..ServerOptions::default()
    }
}

fn zoo_of(page_size: u32, packed: [Option<Algorithm>; 3]) {
    let boot = format!("--innodb-page-size={page_size}");
    chain_of_three(
        with_page_size(page_size),
        |_| ZooOptions::default(),
        &[&boot],
        packed,
    );
}

/// Nothing is compressed.
const PLAIN: [Option<Algorithm>; 3] = [None; 3];
const ZSTD: [Option<Algorithm>; 3] = [Some(Algorithm::Zstd); 3];
const LZ4: [Option<Algorithm>; 3] = [Some(Algorithm::Lz4); 3];

#[test]
fn pages_of_4k() {
    zoo_of(4096, PLAIN);
}

#[test]
fn pages_of_8k() {
    zoo_of(8192, PLAIN);
}

#[test]
fn pages_of_16k() {
    zoo_of(16384, PLAIN);
}

#[test]
fn pages_of_32k() {
    zoo_of(32768, PLAIN);
}

#[test]
fn pages_of_64k() {
    zoo_of(65536, PLAIN);
}

#[test]
fn compressed_pages_of_4k() {
    zoo_of(4096, ZSTD);
}

#[test]
fn compressed_pages_of_16k_in_a_mixed_chain() {
    zoo_of(16384, [Some(Algorithm::Zstd), None, Some(Algorithm::Lz4)]);
}

#[test]
fn compressed_pages_of_64k() {
    zoo_of(65536, LZ4);
}

fn encrypted(packed: [Option<Algorithm>; 3]) {
    let options = ServerOptions {
        keyring: true,
        args: vec![
            "--innodb-redo-log-encrypt=ON".into(),
            "--innodb-undo-log-encrypt=ON".into(),
        ],
        ..ServerOptions::default()
    };
    chain_of_three(
        options,
        |_| ZooOptions {
            encrypted: true,
            ..ZooOptions::default()
        },
        &[],
        packed,
    );
}

#[test]
fn encrypted_tablespaces_and_redo() {
    encrypted(PLAIN);
}

#[test]
fn compressed_and_encrypted() {
    encrypted(ZSTD);
}

fn elsewhere(packed: [Option<Algorithm>; 3]) {
    chain_of_three(
        common::elsewhere::server(),
        common::elsewhere::zoo,
        &[common::elsewhere::SYSTEM],
        packed,
    );
}

#[test]
fn files_in_other_directories_and_a_system_tablespace_of_two() {
    elsewhere(PLAIN);
}

#[test]
fn compressed_from_other_directories() {
    elsewhere(LZ4);
}
