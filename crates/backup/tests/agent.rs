//! Fulls and increments by an agent: the same as those made on the database host, and no more than
//! the change travels.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod agents;
mod common;
mod network;

use agents::Agent;
use backup::donor::instance::IncrementFrom;
use backup::set::PagesBy;
use common::{Place, check_with_binlog};
use network::check_set;
use network::proxy::Proxy;
use testkit::{Server, ServerOptions, Workload, WorkloadOptions, wait_until};
use wire::SslMode;

#[test]
fn a_chain_under_load_and_ddl_is_the_instance() {
    let (server, place) = (agents::instance(ServerOptions::default()), Place::new());
    server.load_sysbench_like(3, 20_000).unwrap();
    server
        .sql(
            "CREATE SCHEMA empty_one; CREATE SCHEMA other;
             CREATE TABLE other.m (id INT PRIMARY KEY, t TEXT) ENGINE = MyISAM;
             INSERT INTO other.m VALUES (1, 'one')",
        )
        .unwrap();
    let agent = Agent::of(&server, &place);
    let load = WorkloadOptions {
        threads: 2,
        ddl: true,
        seed: 11,
        ..WorkloadOptions::default()
    };
    let workload = Workload::start(&server, load).unwrap();
    workload.wait_for(20, 2).unwrap();
    let full = agent.full(&place, "full", |_| ()).unwrap();
    assert_eq!(full.pages_by, PagesBy::All);
    workload.wait_for(20, 2).unwrap();
    server
        .sql(
            "CREATE TABLE other.born SELECT * FROM sbtest.sbtest1 LIMIT 3000;
             RENAME TABLE sbtest.sbtest1 TO other.x, sbtest.sbtest2 TO sbtest.sbtest1,
                          other.x TO sbtest.sbtest2;
             TRUNCATE sbtest.sbtest3; ALTER TABLE sbtest.sbtest2 ADD INDEX c_index (c);
             INSERT INTO other.m VALUES (2, 'two'); DROP SCHEMA empty_one",
        )
        .unwrap();
    let one = agent.increment(&place, "one", "full", |_| ()).unwrap();
    server
        .sql(
            "INSERT INTO sbtest.sbtest3 SELECT * FROM sbtest.sbtest1 LIMIT 500;
             DROP TABLE other.born; CREATE SCHEMA late; DELETE FROM other.m WHERE id = 1;
             ALTER TABLE sbtest.sbtest1 ENGINE = InnoDB",
        )
        .unwrap();
    workload.wait_for(20, 2).unwrap();
    let two = agent.increment(&place, "two", "one", |_| ()).unwrap();
    workload.stop();
    for (report, base) in [(&one, &full), (&two, &one)] {
        assert_eq!(report.pages_by, PagesBy::Tracked);
        assert!(report.lsn.start <= base.lsn.page_track && report.lsn.end >= base.lsn.end);
    }
    for (set, report) in [("full", &full), ("one", &one), ("two", &two)] {
        check_set(&place, set);
        let data = format!("data-{set}");
        place.restore(set, &data);
        let restored = place.boot(&data, &[]);
        common::check_restored(&restored, report);
        Workload::check(&restored).unwrap();
        check_with_binlog(&server, &restored, report);
    }
}

#[test]
fn an_increment_is_that_of_a_scan_and_carries_the_change_only() {
    let (server, place) = (agents::instance(ServerOptions::default()), Place::new());
    server.load_sysbench_like(4, 60_000).unwrap();
    server.quiesce().unwrap();
    let agent = Agent::of(&server, &place);
    agent.full(&place, "full", |_| ()).unwrap();
    let idle = agent.increment(&place, "idle", "full", |_| ()).unwrap();
    server
        .sql("UPDATE sbtest.sbtest2 SET pad = 'changed' WHERE id % 40 = 0")
        .unwrap();
    server.quiesce().unwrap();
    let tracked = agent.increment(&place, "tracked", "idle", |_| ()).unwrap();
    let scanned = agent
        .increment(&place, "scanned", "idle", |options| options.scan = true)
        .unwrap();
    assert_eq!(tracked.pages_by, PagesBy::Tracked);
    assert_eq!(scanned.pages_by, PagesBy::Scan);
    let stored = |set: &str| agents::delta_bytes(&place, set);
    // What is around the pages, and the log.
    let around = (4 << 20) + stored("tracked") / 10;
    assert!(
        tracked.bytes_read < stored("tracked") + around,
        "{tracked:?}"
    );
    assert!(idle.bytes_read < stored("idle") + (4 << 20), "{idle:?}");
    let all = agents::files_of_tables(&place, "scanned");
    let some = agents::files_of_tables(&place, "tracked");
    assert!(all.len() >= 4 && all.keys().eq(some.keys()));
    let different: Vec<_> = all
        .iter()
        .filter(|(name, bytes)| some[*name] != **bytes)
        .collect();
    assert!(
        different.is_empty(),
        "{:?}",
        different.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    // With a start LSN and nothing else known of the base.
    let start = idle.lsn.page_track;
    let known = agent.full(&place, "by_lsn", |options| {
        options.from = Some(IncrementFrom::StartLsn(start));
    });
    assert_eq!(known.unwrap().pages_by, PagesBy::Tracked);
}

#[test]
fn after_a_restart_changed_pages_are_found_by_a_scan() {
    let (mut server, place) = (agents::instance(ServerOptions::default()), Place::new());
    server.load_sysbench_like(2, 5000).unwrap();
    let agent = Agent::of(&server, &place);
    place.compress(Some(frame::Algorithm::Zstd));
    let full = agent.full(&place, "full", |_| ()).unwrap();
    server.kill9().unwrap();
    server.start_again().unwrap();
    server
        .sql("UPDATE sbtest.sbtest1 SET pad = 'after' WHERE id % 7 = 0")
        .unwrap();
    // Of this base the agent would know nothing but the LSN.
    let by_lsn = agent.full(&place, "by_lsn", |options| {
        options.from = Some(IncrementFrom::StartLsn(full.lsn.page_track));
    });
    assert_eq!(by_lsn.unwrap_err().code(), 3803);
    let scanned = agent.increment(&place, "scanned", "full", |_| ()).unwrap();
    assert_eq!(scanned.pages_by, PagesBy::Scan);
    server
        .sql("UPDATE sbtest.sbtest2 SET pad = 'later' WHERE id % 7 = 0")
        .unwrap();
    let tracked = agent
        .increment(&place, "tracked", "scanned", |_| ())
        .unwrap();
    assert_eq!(tracked.pages_by, PagesBy::Tracked);
    let before = testkit::snapshot(&server).unwrap();
    place.restore("tracked", "data");
    let restored: Server = place.boot("data", &[]);
    common::check_restored(&restored, &tracked);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
}

#[test]
fn tables_that_are_dropped_on_their_way_are_not_in_a_compressed_set() {
    let (server, place) = (agents::instance(ServerOptions::default()), Place::new());
    server.load_sysbench_like(8, 20_000).unwrap();
    place.compress(Some(frame::Algorithm::Zstd));
    let agent = Agent::of(&server, &place);
    let proxy = Proxy::start(agent.port, &[], false);
    let report = std::thread::scope(|scope| {
        let backup = scope.spawn(|| {
            agents::take(proxy.port, &place, "full", &common::job(), |options| {
                network::through(proxy.port, SslMode::Disabled, options);
                options.network_rate = Some(8 << 20);
            })
        });
        wait_until("data travel", || {
            assert!(!backup.is_finished());
            proxy.passed() >= 4 << 20
        });
        // Some may be open already, and come whole; the agent finds no others.
        let tables: Vec<_> = (1..8).map(|no| format!("sbtest.sbtest{no}")).collect();
        server
            .sql(&format!("DROP TABLE {}", tables.join(", ")))
            .unwrap();
        backup.join().unwrap().unwrap()
    });
    let stored = std::fs::read_dir(place.path("full").join("sbtest")).unwrap();
    let names: Vec<_> = stored.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .all(|name| name.to_str().unwrap().starts_with("sbtest8.")),
        "{names:?}"
    );
    let before = testkit::snapshot(&server).unwrap();
    place.restore("full", "data");
    let restored: Server = place.boot("data", &[]);
    common::check_restored(&restored, &report);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
}

#[test]
fn a_full_needs_no_page_tracking_and_an_increment_on_it_is_a_scan() {
    let (server, place) = (agents::instance(ServerOptions::default()), Place::new());
    server.load_sysbench_like(2, 20_000).unwrap();
    let installed = server.query_value(
        "SELECT COUNT(*) FROM mysql.component WHERE component_urn LIKE '%mysqlbackup'",
    );
    if installed.unwrap() != "0" {
        server
            .sql("UNINSTALL COMPONENT 'file://component_mysqlbackup'")
            .unwrap();
    }
    let agent = Agent::of(&server, &place);
    let error = agent.full(&place, "tracked", |_| ()).unwrap_err();
    assert_eq!(error.code(), 1305, "{error}");
    let workload = Workload::start(&server, WorkloadOptions::default()).unwrap();
    let full = agent.full(&place, "full", |options| options.page_track = false);
    let full = full.unwrap();
    assert_eq!(
        (full.pages_by, full.lsn.page_track),
        (PagesBy::All, innodb::lsn::Lsn::ZERO)
    );
    let untracked = |options: &mut backup::donor::remote::RemoteOptions| options.page_track = false;
    let error = agent.increment(&place, "none", "full", untracked);
    assert_eq!(error.unwrap_err().code(), 3803);
    let scanned = agent.increment(&place, "scanned", "full", |options| {
        untracked(options);
        options.scan = true;
    });
    let scanned = scanned.unwrap();
    assert_eq!(scanned.pages_by, PagesBy::Scan);
    workload.stop();
    agents::assert_free(&server);
    for (set, report) in [("full", &full), ("scanned", &scanned)] {
        check_set(&place, set);
        let data = format!("data-{set}");
        place.restore(set, &data);
        let restored = place.boot(&data, &[]);
        common::check_restored(&restored, report);
        Workload::check(&restored).unwrap();
        check_with_binlog(&server, &restored, report);
    }
}
