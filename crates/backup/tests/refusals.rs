//! What must not be done is refused, with the server's error number, before anything is written.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use backup::Error;
use backup::donor::instance::{IncrementFrom, PageTracking};
use backup::set::{BackupSet, PagesBy};
use common::{Place, check_restored, instance_options};
use innodb::lsn::Lsn;
use std::path::Path;
use std::time::Duration;
use testkit::{Server, ServerOptions};

fn small_server() -> Server {
    let server = Server::start(ServerOptions::default()).unwrap();
    server
        .sql("CREATE SCHEMA s; CREATE TABLE s.t (a INT PRIMARY KEY); INSERT INTO s.t VALUES (1), (2)")
        .unwrap();
    server
}

fn refused(place: &Place, server: &Server, from: IncrementFrom, code: u16, words: &str) {
    let error = place
        .try_backup(server, "refused", |options| options.from = Some(from))
        .unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(!place.path("refused").exists(), "nothing is left behind");
}

#[test]
fn an_increment_needs_a_base_that_page_tracking_covers() {
    let (server, place) = (small_server(), Place::new());
    let set = |name: &str| IncrementFrom::Set(place.path(name));
    place.full(&server, "untracked", false);
    refused(
        &place,
        &server,
        set("untracked"),
        3803,
        "without page tracking",
    );
    refused(&place, &server, set("missing"), 1024, "no such directory");
    std::fs::create_dir(place.path("empty")).unwrap();
    refused(&place, &server, set("empty"), 1024, "manifest");

    let full = place.full(&server, "full", true);
    let lsn = |lsn: u64| IncrementFrom::StartLsn(Lsn::new(lsn));
    refused(
        &place,
        &server,
        lsn(full.lsn.end.get() + (1 << 40)),
        3803,
        "current LSN",
    );
    refused(&place, &server, lsn(8192), 1815, "reset point");

    let mut tracking = PageTracking::open(&instance_options(&server).connect).unwrap();
    tracking.set(false).unwrap();
    refused(&place, &server, set("full"), 3803, "page tracking is off");
    server.sql("INSERT INTO s.t VALUES (3)").unwrap();
    tracking.set(true).unwrap();
    refused(&place, &server, set("full"), 3803, "restarted");
}

#[test]
fn an_unsealed_or_foreign_base_is_refused() {
    let (server, other, place) = (small_server(), small_server(), Place::new());
    place.full(&server, "full", true);
    refused(
        &place,
        &other,
        IncrementFrom::Set(place.path("full")),
        1105,
        "server",
    );
    std::fs::write(place.path("full/#clone/#status_in_progress"), "").unwrap();
    refused(
        &place,
        &server,
        IncrementFrom::Set(place.path("full")),
        1024,
        "in_progress",
    );
    let error = place.try_restore(&place.path("full"), "data").unwrap_err();
    assert_eq!(error.code(), 1024, "{error}");
}

#[test]
fn without_tracking_a_scan_makes_the_increment() {
    let (server, place) = (small_server(), Place::new());
    place.full(&server, "full", false);
    server
        .sql("INSERT INTO s.t VALUES (3); CREATE TABLE s.u SELECT * FROM s.t")
        .unwrap();
    let base = place.path("full");
    let report = place
        .try_backup(&server, "incr", |options| {
            options.from = Some(IncrementFrom::Set(base));
            options.scan = true;
        })
        .unwrap();
    assert_eq!(report.pages_by, PagesBy::Scan);
    let before = testkit::snapshot(&server).unwrap();
    place.restore("incr", "data");
    let restored = place.boot("data", &[]);
    check_restored(&restored, &report);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
}

#[test]
fn an_increment_from_an_lsn_finds_its_base_by_the_lsn() {
    let (server, place) = (small_server(), Place::new());
    let full = place.full(&server, "full", true);
    server
        .sql("INSERT INTO s.t VALUES (3); CREATE TABLE s.u SELECT * FROM s.t")
        .unwrap();
    let report = place
        .try_backup(&server, "incr", |options| {
            options.from = Some(IncrementFrom::StartLsn(full.lsn.page_track));
        })
        .unwrap();
    assert!(report.lsn.start <= full.lsn.page_track);
    let before = testkit::snapshot(&server).unwrap();
    place.restore("incr", "data");
    let restored = place.boot("data", &[]);
    check_restored(&restored, &report);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
    // Applied in place it gives the same files.
    let copied = std::process::Command::new("cp")
        .arg("-rp")
        .args([place.path("full"), place.path("applied")])
        .status()
        .unwrap();
    assert!(copied.success());
    let request = backup::command::ApplyRequest {
        datadir: place.path("applied"),
        incremental_dir: place.path("incr"),
        encryption_key: None,
    };
    backup::command::apply(&request, &common::job()).unwrap();
    place.restore("incr", "again");
    for name in ["s/t.ibd", "s/u.ibd", "mysql.ibd", "#innodb_redo/#ib_redo0"] {
        let read = |root: &str| std::fs::read(place.path(root).join(name)).unwrap();
        assert!(read("applied") == read("again"), "{name}");
    }
}

#[test]
fn chains_that_do_not_connect_are_refused_and_the_break_is_named() {
    let (server, place) = (small_server(), Place::new());
    place.full(&server, "full", true);
    for (name, base) in [("incr1", "full"), ("incr2", "incr1")] {
        server
            .sql("INSERT INTO s.t SELECT MAX(a) + 1 FROM s.t")
            .unwrap();
        place.increment(&server, name, base);
    }
    // The middle is gone: neither where it was nor beside the last.
    std::fs::rename(place.path("incr1"), place.path("hidden")).unwrap();
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    std::fs::rename(place.path("hidden"), place.path("elsewhere/incr1")).unwrap();
    let error = place.try_restore(&place.path("incr2"), "data").unwrap_err();
    assert!(matches!(error, Error::BrokenChain { .. }), "{error}");
    assert!(error.to_string().contains("incr2"), "{error}");
    assert!(!place.path("data").exists());
    // Any other set in its place is not taken for it.
    let sets = ["full", "incr2"].map(|name| BackupSet::open(&place.path(name)).unwrap());
    assert!(matches!(
        backup::chain::Chain::link(sets.into()),
        Err(Error::BrokenChain { .. })
    ));
    // Named, it is found.
    let request = backup::command::RestoreRequest {
        set: place.path("incr2"),
        chain: vec![place.path("elsewhere")],
        to: place.path("data"),
        force: false,
        owner: None,
        encryption_key: None,
    };
    let report = backup::command::restore(&request, &common::job()).unwrap();
    assert_eq!(report.sets.len(), 3);
}

#[test]
fn targets_that_are_not_ours_are_refused() {
    let (server, place) = (small_server(), Place::new());
    let refuse = |to: &Path, code: u16| {
        let request = backup::command::BackupRequest {
            instance: instance_options(&server),
            to: to.to_owned(),
            compression: None,
        };
        let error = backup::command::backup(&request, &place.catalogue(), &common::job());
        let error = error.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    };
    std::fs::create_dir_all(place.path("full/of/things")).unwrap();
    refuse(&place.path("full"), 1007);
    refuse(&server.datadir().join("set"), 3632);
    refuse(&server.datadir().join("sys/../x"), 3632);
    refuse(server.datadir().parent().unwrap(), 1007);
    std::fs::write(place.path("file"), "").unwrap();
    refuse(&place.path("file"), 1007);
    refuse(&place.path(&"x/".repeat(300)), 1680);
    assert_eq!(
        place.catalogue().history().unwrap().len(),
        0,
        "refused before it began"
    );
}

#[test]
fn running_ddl_that_does_not_end_is_waited_for_no_longer_than_allowed() {
    let (server, place) = (small_server(), Place::new());
    let ddl = server.hold_ddl("s.t", "ADD COLUMN b INT").unwrap();
    let error = place
        .try_backup(&server, "set", |options| {
            options.lock_wait_timeout = Duration::from_secs(2);
        })
        .unwrap_err();
    assert_eq!(error.code(), 1205, "{error}");
    ddl.release().unwrap();
    let history = place.catalogue().history().unwrap();
    assert_eq!(
        serde_json::to_value(&history).unwrap()[0]["STATE"],
        "Failed"
    );
}

#[test]
fn a_server_without_redo_is_refused() {
    let (server, place) = (small_server(), Place::new());
    server
        .sql("ALTER INSTANCE DISABLE INNODB REDO_LOG")
        .unwrap();
    let error = place.try_backup(&server, "set", |_| ()).unwrap_err();
    assert_eq!(error.code(), 3983, "{error}");
    assert!(error.hint().unwrap().contains("ENABLE"));
}
