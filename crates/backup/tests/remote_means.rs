//! Increments over the network that leave out what was not written: the same as those that leave
//! out nothing, and nothing is left out when the server's counters lie.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;

use backup::command::BackupReport;
use backup::donor::instance::IncrementFrom;
use backup::donor::remote::RemoteOptions;
use backup::set::{BackupSet, LeftOutBy, Means};
use common::{Place, check_with_binlog};
use network::messages::{Cutter, Hold};
use network::{check_restored, counted_donor, remote_full};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use testkit::{Server, ServerOptions, Workload, WorkloadOptions, wait_until};
use wire::SslMode;

fn increment(
    place: &Place,
    server: &Server,
    name: &str,
    base: &str,
    change: impl FnOnce(&mut RemoteOptions),
) -> BackupReport {
    let base = place.path(base);
    let report = remote_full(place, server, name, |options| {
        options.from = Some(IncrementFrom::Set(base));
        change(options);
    });
    report.unwrap()
}

fn means(place: &Place, set: &str) -> Means {
    let set = BackupSet::open(&place.path(set)).unwrap();
    set.manifest().means.clone().unwrap()
}

/// The variables that an increment by a page list borrows.
fn variables(server: &Server) -> Vec<String> {
    let sql = "SELECT @@GLOBAL.innodb_buffer_pool_filename, @@GLOBAL.mysqlbackup.backupid";
    server.sql_rows(sql).unwrap().remove(0)
}

/// The tablespaces of tables in these schemas.
fn tables(root: &Path, schemas: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for schema in schemas {
        for entry in std::fs::read_dir(root.join(schema)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "ibd") {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    files
}

/// An increment that counters of writes served; its name and report. Under heavy load the counters
/// may be in doubt, of the base too, so that all pages travel: then another one is made on top.
fn counted_increment(
    place: &Place,
    server: &Server,
    name: &str,
    base: &str,
    change: impl Fn(&mut RemoteOptions),
) -> (String, BackupReport) {
    let mut base = base.to_owned();
    for round in 0..8 {
        let set = format!("{name}-{round}");
        let report = increment(place, server, &set, &base, &change);
        if means(place, &set).by == LeftOutBy::WriteCounters {
            return (set, report);
        }
        base = set;
    }
    panic!("the counters of writes were always in doubt");
}

#[test]
fn increments_are_the_same_by_whatever_means_under_load_and_ddl() {
    let (server, place) = (counted_donor(ServerOptions::default()), Place::new());
    server.load_sysbench_like(3, 30000).unwrap();
    let load = |seed| WorkloadOptions {
        threads: 2,
        ddl: true,
        seed,
        // The counts are compared in a moment without a write: there has to be one.
        pause: Duration::from_millis(20),
    };
    let workload = Workload::start(&server, load(5)).unwrap();
    remote_full(&place, &server, "full", |_| ()).unwrap();
    // Under load: the tables of sbtest do not travel.
    workload.wait_for(50, 5).unwrap();
    let (incr1, first) = counted_increment(&place, &server, "incr1", "full", |_| ());
    server
        .sql("UPDATE sbtest.sbtest2 SET pad = 'changed' WHERE id % 100 = 0")
        .unwrap();
    workload.wait_for(50, 5).unwrap();
    let (incr2, second) = counted_increment(&place, &server, "incr2", &incr1, |options| {
        options.page_track = true;
    });
    server
        .sql("UPDATE sbtest.sbtest3 SET pad = 'changed' WHERE id % 100 = 0")
        .unwrap();
    workload.wait_for(20, 2).unwrap();
    workload.stop();
    // Of a quiet server all means make the same.
    server.quiesce().unwrap();
    let counted = increment(&place, &server, "counted", &incr2, |_| ());
    let listed = increment(&place, &server, "listed", &incr2, |options| {
        options.page_track = true;
    });
    assert_eq!(means(&place, "listed").by, LeftOutBy::PageList);
    assert_eq!(variables(&server), ["ib_buffer_pool", "NULL"]);
    let scanned = increment(&place, &server, "scanned", &incr2, |options| {
        options.scan = true;
    });
    let (saved, nothing) = (means(&place, "counted"), means(&place, "scanned"));
    assert_eq!(saved.by, LeftOutBy::WriteCounters);
    assert_eq!((nothing.by, nothing.left_out), (LeftOutBy::Nothing, 0));
    assert!(
        counted.bytes_read + saved.left_out / 10 * 9 < scanned.bytes_read,
        "{counted:?} {saved:?} {scanned:?}"
    );
    let restored = |set: &str| {
        let data = format!("data-{set}");
        place.restore(set, &data);
        tables(&place.path(&data), &["sbtest", "load"])
    };
    let all = restored("scanned");
    for set in ["counted", "listed"] {
        let some = restored(set);
        assert!(some.keys().eq(all.keys()), "{set}");
        let different = all.iter().filter(|(name, bytes)| some[*name] != **bytes);
        let different: Vec<_> = different.map(|(name, _)| name).collect();
        assert_eq!(different, [""; 0], "{set}");
    }
    for (set, report) in [
        (incr1.as_str(), first),
        (incr2.as_str(), second),
        ("counted", counted),
        ("listed", listed),
        ("scanned", scanned),
    ] {
        let data = format!("data-{set}");
        if !place.path(&data).exists() {
            place.restore(set, &data);
        }
        let mut restored = place.boot(&data, &[]);
        check_restored(&mut restored, &report);
        Workload::check(&restored).unwrap();
        check_with_binlog(&server, &restored, &report);
    }
}

#[test]
fn counters_that_lie_are_not_believed() {
    let (mut server, place) = (counted_donor(ServerOptions::default()), Place::new());
    server.load_sysbench_like(3, 20000).unwrap();
    remote_full(&place, &server, "set0", |_| ()).unwrap();
    // It changes pages each time: an update to what is there already would write nothing, and then
    // nothing is missed.
    let write = "UPDATE sbtest.sbtest1 SET pad = REVERSE(pad) WHERE id % 10 = 3; \
                 SELECT innodb_redo_log_sharp_checkpoint()";
    let instrument = |on: &str| {
        format!(
            "UPDATE performance_schema.setup_instruments SET ENABLED = '{on}' \
             WHERE NAME = 'wait/io/file/innodb/innodb_data_file'"
        )
    };
    let unheard = format!("{}; {write}; {}", instrument("NO"), instrument("YES"));
    let thread = format!(
        "UPDATE performance_schema.threads SET INSTRUMENTED = 'NO'; {write}; \
         UPDATE performance_schema.threads SET INSTRUMENTED = 'YES'"
    );
    let mut set = 0;
    let mut next = |server: &Server, lie: &str, expected: LeftOutBy| {
        let (base, name) = (format!("set{set}"), format!("set{}", set + 1));
        set += 1;
        server.sql(lie).unwrap();
        let report = increment(&place, server, &name, &base, |_| ());
        assert_eq!(means(&place, &name).by, expected, "{lie}");
        report
    };
    // Believed, as long as nothing happens to them.
    next(&server, "DO 1", LeftOutBy::WriteCounters);
    next(&server, write, LeftOutBy::WriteCounters);
    let emptied = format!("{write}; TRUNCATE performance_schema.file_summary_by_instance");
    next(&server, &emptied, LeftOutBy::Nothing);
    // The base's counters were read after that.
    next(&server, "DO 1", LeftOutBy::WriteCounters);
    next(&server, &unheard, LeftOutBy::Nothing);
    next(&server, &thread, LeftOutBy::Nothing);
    let off = "UPDATE performance_schema.setup_consumers SET ENABLED = 'NO' \
               WHERE NAME = 'global_instrumentation'";
    next(&server, off, LeftOutBy::Nothing);
    let on = "UPDATE performance_schema.setup_consumers SET ENABLED = 'YES' \
              WHERE NAME = 'global_instrumentation'";
    next(&server, on, LeftOutBy::Nothing);
    next(&server, "DO 1", LeftOutBy::WriteCounters);
    let clone = format!(
        "CLONE LOCAL DATA DIRECTORY '{}'",
        place.path("clone").display()
    );
    next(&server, &clone, LeftOutBy::Nothing);
    // Names that changed places: neither file is believed to be the other.
    let swap = "RENAME TABLE sbtest.sbtest1 TO sbtest.x, sbtest.sbtest2 TO sbtest.sbtest1, \
                sbtest.x TO sbtest.sbtest2";
    next(&server, swap, LeftOutBy::WriteCounters);
    server.restart(&[]).unwrap();
    server.sql(write).unwrap();
    next(&server, "DO 1", LeftOutBy::Nothing);
    server.kill9().unwrap();
    server.start_again().unwrap();
    next(&server, write, LeftOutBy::Nothing);
    let rebuilt = "ALTER TABLE sbtest.sbtest1 ENGINE = InnoDB; TRUNCATE sbtest.sbtest2; \
                   INSERT INTO sbtest.sbtest2 SELECT * FROM sbtest.sbtest1 LIMIT 1000";
    let report = next(&server, rebuilt, LeftOutBy::WriteCounters);
    let before = testkit::snapshot(&server).unwrap();
    place.restore(&format!("set{set}"), "data");
    let mut restored = place.boot("data", &[]);
    check_restored(&mut restored, &report);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
}

/// Changes few pages, so few that a list of them is made.
fn change_little(server: &Server) {
    server
        .sql("UPDATE sbtest.sbtest1 SET pad = REVERSE(pad) ORDER BY id DESC LIMIT 20")
        .unwrap();
}

#[test]
fn without_changes_or_with_few_a_list_of_pages_is_enough() {
    let (server, place) = (counted_donor(ServerOptions::default()), Place::new());
    server.load_sysbench_like(2, 100_000).unwrap();
    server.quiesce().unwrap();
    let tracked = |name: &str, base: &str| {
        increment(&place, &server, name, base, |options| {
            options.page_track = true;
        })
    };
    remote_full(&place, &server, "full", |options| options.page_track = true).unwrap();
    let idle = tracked("idle", "full");
    assert_eq!(means(&place, "idle").by, LeftOutBy::PageList);
    change_little(&server);
    let few = tracked("few", "idle");
    assert_eq!(means(&place, "few").by, LeftOutBy::PageList);
    assert!(
        idle.bytes_read < 8 << 20 && few.bytes_read < 8 << 20,
        "{idle:?} {few:?}"
    );
    // Too many for PAGE COPY alone: the list has them.
    server
        .sql("CREATE TABLE sbtest.more SELECT * FROM sbtest.sbtest2; UPDATE sbtest.sbtest2 SET k = k + 1")
        .unwrap();
    server.quiesce().unwrap();
    change_little(&server);
    let last = tracked("last", "few");
    assert_eq!(means(&place, "last").by, LeftOutBy::PageList);
    assert_eq!(variables(&server), ["ib_buffer_pool", "NULL"]);
    let before = testkit::snapshot(&server).unwrap();
    place.restore("last", "data");
    let mut restored = place.boot("data", &[]);
    check_restored(&mut restored, &last);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
}

#[test]
fn another_program_at_work_is_left_alone() {
    let (server, place) = (counted_donor(ServerOptions::default()), Place::new());
    server.load_sysbench_like(2, 20000).unwrap();
    server.quiesce().unwrap();
    remote_full(&place, &server, "full", |options| options.page_track = true).unwrap();
    server
        .sql("SET GLOBAL mysqlbackup.backupid = '4711'")
        .unwrap();
    change_little(&server);
    increment(&place, &server, "incr", "full", |options| {
        options.page_track = true;
    });
    assert_eq!(means(&place, "incr").by, LeftOutBy::WriteCounters);
    assert_eq!(variables(&server), ["ib_buffer_pool", "4711"]);
}

/// Run by the test below in a process of its own, to be killed.
#[test]
fn an_increment_that_dies() {
    let Some(port) = std::env::var_os("INNOCLONE_TEST_DIES_ON") else {
        return;
    };
    let port: u16 = port.to_str().unwrap().parse().unwrap();
    let place = std::env::var_os("INNOCLONE_TEST_DIES_IN").unwrap();
    network::run_increment(port, Path::new(&place), "full", |options| {
        network::through(port, SslMode::Disabled, options);
        options.page_track = true;
    });
}

#[test]
fn variables_are_given_back_when_the_program_is_killed() {
    let (server, place) = (counted_donor(ServerOptions::default()), Place::new());
    server.load_sysbench_like(2, 100_000).unwrap();
    server.quiesce().unwrap();
    remote_full(&place, &server, "full", |options| options.page_track = true).unwrap();
    // More than fits between two start points: a list is needed.
    server
        .sql("CREATE TABLE sbtest.more SELECT * FROM sbtest.sbtest2; UPDATE sbtest.sbtest2 SET k = k + 1")
        .unwrap();
    server.quiesce().unwrap();
    // It is killed when it has lent the variables to the clone that is about to begin.
    let (rule, hold) = Hold::of("master > INIT", 1);
    let line = Cutter::start(server.port(), [rule]);
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "an_increment_that_dies", "--nocapture"])
        .env("INNOCLONE_TEST_DIES_ON", line.port.to_string())
        .env("INNOCLONE_TEST_DIES_IN", place.scratch.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .spawn()
        .unwrap();
    hold.wait();
    let lent = variables(&server);
    assert!(lent[0].starts_with("#meb/"), "{lent:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(hold);
    wait_until("the variables are given back", || {
        variables(&server) == ["ib_buffer_pool", "NULL"]
    });
}
