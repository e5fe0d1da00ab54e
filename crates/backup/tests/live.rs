//! The main path on a live server: backups under load and DDL, restored, booted, compared.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use backup::command::{VerifyRequest, verify};
use backup::donor::instance::PageTracking;
use backup::set::PagesBy;
use common::{Place, check_restored, check_with_binlog};
use frame::Algorithm;
use testkit::{Server, ServerOptions, Workload, WorkloadOptions};

fn load(ddl: bool, seed: u64) -> WorkloadOptions {
    WorkloadOptions {
        threads: 2,
        ddl,
        seed,
        ..WorkloadOptions::default()
    }
}

#[test]
fn a_quiet_server_is_restored_as_it_was() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    server.load_sysbench_like(2, 5000).unwrap();
    let report = place.full(&server, "full", false);
    let before = testkit::snapshot(&server).unwrap();
    place.restore("full", "data");
    let restored = place.boot("data", &[]);
    check_restored(&restored, &report);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
}

#[test]
fn full_and_increments_under_load_and_ddl_equal_the_donor() {
    under_load_and_ddl([None; 3]);
}

#[test]
fn so_do_compressed_ones() {
    under_load_and_ddl([Some(Algorithm::Zstd); 3]);
}

#[test]
fn so_do_chains_of_plain_and_compressed_ones() {
    under_load_and_ddl([Some(Algorithm::Lz4), Some(Algorithm::Lz4), None]);
}

fn under_load_and_ddl(packed: [Option<Algorithm>; 3]) {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    server.load_sysbench_like(2, 20000).unwrap();
    let workload = Workload::start(&server, load(true, 7)).unwrap();
    workload.wait_for(50, 5).unwrap();
    place.compress(packed[0]);
    let full = place
        .try_backup(&server, "full", |options| {
            options.page_track = true;
            // Every round of copying changed pages is run, few as they are.
            options.few_bytes = 0;
        })
        .unwrap();
    workload.wait_for(50, 5).unwrap();
    place.compress(packed[1]);
    let first = place.increment(&server, "incr1", "full");
    workload.wait_for(50, 5).unwrap();
    place.compress(packed[2]);
    let second = place.increment(&server, "incr2", "incr1");
    workload.wait_for(20, 2).unwrap();
    workload.stop();
    for (set, report) in [("full", full), ("incr1", first), ("incr2", second)] {
        assert_ne!(report.lsn.page_track, innodb::lsn::Lsn::ZERO);
        let data = format!("data-{set}");
        place.restore(set, &data);
        let restored = place.boot(&data, &[]);
        check_restored(&restored, &report);
        Workload::check(&restored).unwrap();
        check_with_binlog(&server, &restored, &report);
    }
}

#[test]
fn a_full_without_page_tracking_is_right_under_load() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    server.load_sysbench_like(1, 20000).unwrap();
    let workload = Workload::start(&server, load(true, 11)).unwrap();
    workload.wait_for(50, 5).unwrap();
    let report = place.full(&server, "full", false);
    workload.wait_for(20, 2).unwrap();
    workload.stop();
    assert_eq!(report.lsn.page_track, innodb::lsn::Lsn::ZERO);
    place.restore("full", "data");
    let restored = place.boot("data", &[]);
    check_restored(&restored, &report);
    check_with_binlog(&server, &restored, &report);
}

#[test]
fn a_restart_makes_the_increment_a_scan() {
    let (mut server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    server.load_sysbench_like(1, 20000).unwrap();
    let workload = Workload::start(&server, load(false, 3)).unwrap();
    place.full(&server, "full", true);
    workload.wait_for(50, 0).unwrap();
    server.kill9().unwrap();
    workload.stop();
    server.start_again().unwrap();
    let workload = Workload::start(&server, load(true, 4)).unwrap();
    workload.wait_for(50, 5).unwrap();
    let first = place.increment(&server, "incr1", "full");
    assert_eq!(first.pages_by, PagesBy::Scan);
    workload.wait_for(50, 5).unwrap();
    let second = place.increment(&server, "incr2", "incr1");
    assert_eq!(second.pages_by, PagesBy::Tracked);
    workload.stop();
    place.restore("incr2", "data");
    let restored = place.boot("data", &[]);
    check_restored(&restored, &second);
    check_with_binlog(&server, &restored, &second);
}

#[test]
fn tables_made_just_before_an_increment_are_in_it() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    place.full(&server, "full", true);
    server.sql("CREATE SCHEMA fresh").unwrap();
    let table = |n| format!("CREATE TABLE fresh.t{n} SELECT {n} AS a, REPEAT('x', 500) AS b;");
    let tables: Vec<String> = (0..40).map(table).collect();
    server.sql(&tables.concat()).unwrap();
    let report = place.increment(&server, "incr", "full");
    // The first pages of most are as they were created; reading them again and again is no use.
    println!("{} bytes read", report.bytes_read);
    assert!(report.bytes_read < 32 << 20, "{report:?}");
    let before = testkit::snapshot(&server).unwrap();
    let request = VerifyRequest::new(place.path("incr"));
    assert_eq!(verify(&request, &common::job()).unwrap().problems, []);
    place.restore("incr", "data");
    let restored = place.boot("data", &[]);
    check_restored(&restored, &report);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
}

#[test]
fn tracking_begins_anew_after_every_restart_of_the_server() {
    let (mut server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    server.load_sysbench_like(1, 2000).unwrap();
    for round in 0..3 {
        let lsn = server
            .query_value(
                "SELECT VARIABLE_VALUE FROM performance_schema.global_status \
                 WHERE VARIABLE_NAME = 'Innodb_redo_log_current_lsn'",
            )
            .unwrap();
        let report = place.full(&server, &format!("full{round}"), true);
        let before: u64 = lsn.parse().unwrap();
        assert!(
            report.lsn.page_track.get() >= before,
            "{report:?} from {before}"
        );
        server
            .sql("DELETE FROM sbtest.sbtest1 WHERE id % 7 = 0 LIMIT 100")
            .unwrap();
        let report = place.increment(&server, &format!("incr{round}"), &format!("full{round}"));
        assert_eq!(report.pages_by, PagesBy::Tracked);
        if round == 1 {
            server.kill9().unwrap();
            server.start_again().unwrap();
        } else {
            server.restart(&[]).unwrap();
        }
        let tracking = PageTracking::open(&common::instance_options(&server).connect);
        let state = tracking.unwrap().state().unwrap();
        assert!(
            state.since.is_some(),
            "still on, whatever the server's function says"
        );
    }
}
