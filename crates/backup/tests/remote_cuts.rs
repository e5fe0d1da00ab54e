//! Networks, donors and clients that fail in the middle of a backup.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;

use backup::command::{RemoteBackupRequest, backup_remote};
use backup::donor::remote::RemoteOptions;
use backup::{Error, Job, JobOptions};
use common::{Place, check_with_binlog};
use network::proxy::Proxy;
use network::{check_restored, donor, is_marked_incomplete, remote_full, remote_options};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testkit::{ServerOptions, Workload, WorkloadOptions, wait_until};
use wire::SslMode;

fn by(proxy: &Proxy, options: &mut RemoteOptions) {
    network::through(proxy.port, SslMode::Preferred, options);
}

#[test]
fn a_network_that_is_cut_again_and_again_costs_nothing() {
    let (server, place) = (donor(ServerOptions::default()), Place::new());
    server.load_sysbench_like(2, 60_000).unwrap();
    let load = WorkloadOptions {
        ddl: true,
        seed: 3,
        ..WorkloadOptions::default()
    };
    let workload = Workload::start(&server, load).unwrap();
    let mebibytes = [1, 9, 30, 60, 70, 80, 90, 100, 110, 120, 130].map(|number| number << 20);
    let proxy = Proxy::start(server.port(), &mebibytes, false);
    let report = remote_full(&place, &server, "full", |options| by(&proxy, options)).unwrap();
    workload.stop();
    // A control connection, three for data and the helper; and again after each cut.
    assert!(proxy.connections() > 12, "{}", proxy.connections());
    place.restore("full", "data");
    let mut restored = place.boot("data", &[]);
    check_restored(&mut restored, &report);
    Workload::check(&restored).unwrap();
    check_with_binlog(&server, &restored, &report);
}

#[test]
fn a_network_that_does_not_come_back_ends_the_backup() {
    let (server, place) = (donor(ServerOptions::default()), Place::new());
    let proxy = Proxy::start(server.port(), &[20 << 20], true);
    let error = remote_full(&place, &server, "full", |options| {
        by(&proxy, options);
        options.connect_retry = Duration::from_secs(2);
    });
    assert_eq!(error.unwrap_err().code(), 2013);
    assert!(is_marked_incomplete(&place.path("full")));
    // The donor does not wait for ever: the next clone takes its place.
    remote_full(&place, &server, "again", |options| {
        options.wait_for_donor = true;
    })
    .unwrap();
}

#[test]
fn a_donor_that_dies_ends_the_backup() {
    let (mut server, place) = (donor(ServerOptions::default()), Place::new());
    let proxy = Proxy::start(server.port(), &[], false);
    let mut remote = remote_options(&server);
    by(&proxy, &mut remote);
    remote.connect_retry = Duration::from_secs(2);
    // Slow enough for it to die in the middle.
    remote.network_rate = Some(1 << 20);
    let request = RemoteBackupRequest {
        compression: None,
        remote,
        to: place.path("full"),
    };
    let catalogue = place.catalogue();
    let job = common::job();
    let error = std::thread::scope(|scope| {
        let backup = scope.spawn(|| backup_remote(&request, &catalogue, &job));
        wait_until("data travel", || proxy.passed() > 2 << 20);
        server.kill9().unwrap();
        backup.join().unwrap().unwrap_err()
    });
    assert_eq!(error.code(), 2013, "{error}");
    assert!(is_marked_incomplete(&place.path("full")));
}

#[test]
fn a_donor_serves_one_clone_at_a_time() {
    let (server, place) = (donor(ServerOptions::default()), Place::new());
    let proxy = Proxy::start(server.port(), &[], false);
    let mut remote = remote_options(&server);
    by(&proxy, &mut remote);
    remote.network_rate = Some(1 << 20);
    let request = RemoteBackupRequest {
        compression: None,
        remote,
        to: place.path("first"),
    };
    let cancelled = Arc::new(AtomicBool::new(false));
    let options = JobOptions {
        parallel: 2,
        read_rate: None,
    };
    let job = Job::new(&options, Arc::clone(&cancelled));
    let catalogue = place.catalogue();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| backup_remote(&request, &catalogue, &job));
        wait_until("data travel", || proxy.passed() > 2 << 20);
        let busy = remote_full(&place, &server, "second", |_| ());
        assert_eq!(busy.unwrap_err().code(), 3634);
        assert!(!place.path("second").exists());
        let waiting = scope.spawn(|| {
            remote_full(&place, &server, "second", |options| {
                options.wait_for_donor = true;
            })
        });
        cancelled.store(true, Ordering::Relaxed);
        let error = first.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert!(is_marked_incomplete(&place.path("first")));
        waiting.join().unwrap().unwrap();
    });
}
