//! Compressed full backups over the network: several connections bring parts of one file at the same
//! time, are lost, and bring files that are dropped meanwhile.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;

use backup::command::{BackupReport, RemoteBackupRequest, backup_remote};
use backup::recipient::Compression;
use backup::{Job, JobOptions};
use common::Place;
use frame::{Algorithm, Settings};
use network::proxy::Proxy;
use network::{check_restored, check_set, donor, remote_options};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use testkit::{Server, ServerOptions};
use wire::Endpoint;

/// A compressed full through `proxy`, by so many connections.
fn full(
    place: &Place,
    server: &Server,
    proxy: &Proxy,
    algorithm: Algorithm,
    connections: usize,
    rate: Option<u64>,
) -> Result<BackupReport, backup::Error> {
    let mut remote = remote_options(server);
    remote.network_rate = rate;
    remote.connect.endpoint = Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port: proxy.port,
    };
    let request = RemoteBackupRequest {
        compression: Some(Compression {
            settings: Settings::of(algorithm),
            threads: 2,
        }),
        remote,
        to: place.path("full"),
    };
    let options = JobOptions {
        parallel: connections,
        read_rate: None,
    };
    let job = Job::new(&options, Arc::new(AtomicBool::new(false)));
    backup_remote(&request, &place.catalogue(), &job)
}

fn restored_is_the_donor(place: &Place, server: &Server, report: &BackupReport) {
    check_set(place, "full");
    place.restore("full", "data");
    let mut restored = place.boot("data", &[]);
    check_restored(&mut restored, report);
    let before = testkit::snapshot(server).unwrap();
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
}

/// The one file has two chunks at least, which come at the same time, or one after the other.
#[test]
fn chunks_of_one_file_come_by_connections_that_are_cut() {
    let server = donor(ServerOptions::default());
    server.load_sysbench_like(1, 400_000).unwrap();
    for (algorithm, connections) in [(Algorithm::Zstd, 4), (Algorithm::Lz4, 1)] {
        let place = Place::new();
        let cuts = [9, 50, 90, 130].map(|number| number << 20);
        let proxy = Proxy::start(server.port(), &cuts, false);
        let report = full(&place, &server, &proxy, algorithm, connections, None).unwrap();
        // Those for data, a control connection and a helper; and again, but for the control
        // connection, after each cut.
        let (made, each) = (proxy.connections(), connections as u64 + 1);
        assert!(made >= 2 + each * cuts.len() as u64, "{made}");
        restored_is_the_donor(&place, &server, &report);
    }
}

#[test]
fn a_table_that_is_dropped_on_its_way_is_not_in_the_set() {
    let (server, place) = (donor(ServerOptions::default()), Place::new());
    server.load_sysbench_like(2, 60_000).unwrap();
    let proxy = Proxy::start(server.port(), &[], false);
    let rate = Some(8 << 20);
    let report = std::thread::scope(|scope| {
        let backup = scope.spawn(|| full(&place, &server, &proxy, Algorithm::Zstd, 4, rate));
        let deadline = Instant::now() + Duration::from_secs(600);
        while proxy.passed() < 4 << 20 {
            assert!(
                Instant::now() < deadline && !backup.is_finished(),
                "{} bytes passed",
                proxy.passed()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        server.sql("DROP TABLE sbtest.sbtest2").unwrap();
        backup.join().unwrap().unwrap()
    });
    assert!(!place.path("full").join("sbtest/sbtest2.ibd.zstd").exists());
    restored_is_the_donor(&place, &server, &report);
}
