//! Every kind of file and page, at every page size: full and increments, restored and compared.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use common::{Place, check_restored};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use testkit::fixtures::{ZooOptions, change_zoo, zoo};
use testkit::{Server, ServerOptions, Snapshot};

/// Takes a chain of three over a zoo, restores every state of it, boots, compares.
fn chain_of_three(
    options: ServerOptions,
    zoo_options: impl Fn(&Server) -> ZooOptions,
    boot: &[&str],
) {
    let (server, place) = (Server::start(options).unwrap(), Place::new());
    zoo(&server, &zoo_options(&server)).unwrap();
    let mut states = Vec::new();
    let full = place.full(&server, "full", true);
    states.push(("full", full, testkit::snapshot(&server).unwrap()));
    change_zoo(&server, 1).unwrap();
    let first = place.increment(&server, "incr1", "full");
    states.push(("incr1", first, testkit::snapshot(&server).unwrap()));
    change_zoo(&server, 2).unwrap();
    let second = place.increment(&server, "incr2", "incr1");
    states.push(("incr2", second, testkit::snapshot(&server).unwrap()));
    for (set, report, state) in &states {
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

/// Bytes that the tables of the zoo take on disk.
fn allocated(datadir: &Path) -> u64 {
    let entries = std::fs::read_dir(datadir.join("zoo")).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512)
        .sum()
}

/// Tables that were elsewhere are in the data directory after a restore, and defined so.
fn at_home(mut snapshot: Snapshot) -> Snapshot {
    for table in snapshot.tables.values_mut() {
        while let Some(at) = table.definition.find(" DATA DIRECTORY") {
            let rest = &table.definition[at..];
            let quoted = rest
                .match_indices('\'')
                .nth(1)
                .map_or(rest.len(), |(end, _)| end + 1);
            table.definition.replace_range(at..at + quoted, "");
        }
    }
    snapshot
}

fn with_page_size(page_size: u32) -> ServerOptions {
    ServerOptions {
        page_size: Some(page_size),
        ..ServerOptions::default()
    }
}

fn plain_zoo(page_size: u32) {
    let boot = format!("--innodb-page-size={page_size}");
    chain_of_three(
        with_page_size(page_size),
        |_| ZooOptions::default(),
        &[&boot],
    );
}

#[test]
fn pages_of_4k() {
    plain_zoo(4096);
}

#[test]
fn pages_of_8k() {
    plain_zoo(8192);
}

#[test]
fn pages_of_16k() {
    plain_zoo(16384);
}

#[test]
fn pages_of_32k() {
    plain_zoo(32768);
}

#[test]
fn pages_of_64k() {
    plain_zoo(65536);
}

#[test]
fn encrypted_tablespaces_and_redo() {
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
    );
}

#[test]
fn files_in_other_directories_and_a_system_tablespace_of_two() {
    let layout = [
        "--innodb-data-file-path=ibdata1:12M;ibdata2:8M:autoextend",
        "--innodb-data-home-dir={root}/home",
        "--innodb-undo-directory={root}/undo",
        "--innodb-log-group-home-dir={root}/log",
    ];
    let options = ServerOptions {
        init_args: layout.map(str::to_owned).to_vec(),
        args: vec!["--innodb-directories={root}/elsewhere".into()],
        ..ServerOptions::default()
    };
    chain_of_three(
        options,
        |server| ZooOptions {
            elsewhere: Some(server.root_dir().join("elsewhere")),
            ..ZooOptions::default()
        },
        &["--innodb-data-file-path=ibdata1:12M;ibdata2:8M:autoextend"],
    );
}
