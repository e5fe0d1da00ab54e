//! Every kind of file and page over the network: full and increments, restored and compared.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;

use common::{Place, elsewhere};
use network::{check_restored, donor, increment, remote_full};
use testkit::fixtures::{ZooOptions, change_zoo, zoo};
use testkit::{Server, ServerOptions, Snapshot};

/// Takes a chain of three over a zoo, restores every state of it, boots, compares.
fn chain_of_three(
    options: ServerOptions,
    zoo_options: impl Fn(&Server) -> ZooOptions,
    boot: &[&str],
) {
    let (server, place) = (donor(options), Place::new());
    zoo(&server, &zoo_options(&server)).unwrap();
    // No server makes a cloned table of this engine anew.
    server.sql("DROP TABLE zoo.engine_archive").unwrap();
    let mut states = Vec::new();
    let full = remote_full(&place, &server, "full", |_| ()).unwrap();
    states.push(("full", full, testkit::snapshot(&server).unwrap()));
    change_zoo(&server, 1).unwrap();
    let first = increment(&place, &server, "incr1", "full");
    states.push(("incr1", first, testkit::snapshot(&server).unwrap()));
    change_zoo(&server, 2).unwrap();
    let second = increment(&place, &server, "incr2", "incr1");
    states.push(("incr2", second, testkit::snapshot(&server).unwrap()));
    for (set, report, state) in &states {
        network::check_set(&place, set);
        let data = format!("data-{set}");
        place.restore(set, &data);
        let mut restored = place.boot(&data, boot);
        check_restored(&mut restored, report);
        let found = testkit::snapshot(&restored).unwrap();
        testkit::assert_same(&as_restored(state.clone()), &as_restored(found));
    }
}

/// As it is after a restore: tables of other engines, which a clone does not have, are empty.
fn as_restored(snapshot: Snapshot) -> Snapshot {
    let mut snapshot = elsewhere::at_home(snapshot);
    for table in snapshot.tables.values_mut() {
        if !table.definition.contains("ENGINE=InnoDB") {
            (table.checksum, table.rows, table.auto_increment) = (Some(0), Some(0), None);
        }
    }
    snapshot
}

fn plain_zoo(page_size: u32) {
    let boot = format!("--innodb-page-size={page_size}");
    let options = ServerOptions {
        page_size: Some(page_size),
        ..ServerOptions::default()
    };
    chain_of_three(options, |_| ZooOptions::default(), &[&boot]);
}

#[test]
fn pages_of_4k() {
    plain_zoo(4096);
}

#[test]
fn pages_of_64k() {
    plain_zoo(65536);
}

#[test]
fn files_in_other_directories_and_a_system_tablespace_of_two() {
    chain_of_three(elsewhere::server(), elsewhere::zoo, &[elsewhere::SYSTEM]);
}
