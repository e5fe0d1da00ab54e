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
use network::{check_restored, donor, remote_full};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::{Server, ServerOptions, Workload, WorkloadOptions};

/// A donor whose counters the account may read.
fn counted_donor() -> Server {
    let server = donor(ServerOptions::default());
    server
        .sql("GRANT SELECT ON performance_schema.* TO cloner@'%'")
        .unwrap();
    server
}

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

/// Waits until the server has nothing left to purge or to write.
fn quiesce(server: &Server) {
    let begin = Instant::now();
    let mut quiet = 0;
    while quiet < 3 {
        server
            .sql("SELECT innodb_redo_log_sharp_checkpoint()")
            .unwrap();
        let left = server.query_value(
            "SELECT (SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len') \
             + (SELECT VARIABLE_VALUE FROM performance_schema.global_status \
                WHERE VARIABLE_NAME = 'Innodb_buffer_pool_pages_dirty')",
        );
        quiet = if left.unwrap() == "0" { quiet + 1 } else { 0 };
        assert!(begin.elapsed() < Duration::from_secs(120), "not quiet");
        std::thread::sleep(Duration::from_millis(100));
    }
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

#[test]
fn increments_are_the_same_by_whatever_means_under_load_and_ddl() {
    let (server, place) = (counted_donor(), Place::new());
    server.load_sysbench_like(3, 30000).unwrap();
    let load = |seed| WorkloadOptions {
        threads: 2,
        ddl: true,
        seed,
        ..WorkloadOptions::default()
    };
    let workload = Workload::start(&server, load(5)).unwrap();
    remote_full(&place, &server, "full", |_| ()).unwrap();
    // Under load: the tables of sbtest do not travel.
    std::thread::sleep(Duration::from_secs(2));
    let first = increment(&place, &server, "incr1", "full", |_| ());
    assert_eq!(means(&place, "incr1").by, LeftOutBy::WriteCounters);
    server
        .sql("UPDATE sbtest.sbtest2 SET pad = 'changed' WHERE id % 100 = 0")
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let second = increment(&place, &server, "incr2", "incr1", |_| ());
    assert_eq!(means(&place, "incr2").by, LeftOutBy::WriteCounters);
    server
        .sql("UPDATE sbtest.sbtest3 SET pad = 'changed' WHERE id % 100 = 0")
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let stats = workload.stop();
    assert!(stats.transactions > 50 && stats.ddl > 10, "{stats:?}");
    // Of a quiet server both means make the same.
    quiesce(&server);
    let counted = increment(&place, &server, "counted", "incr2", |_| ());
    let scanned = increment(&place, &server, "scanned", "incr2", |options| {
        options.scan = true;
    });
    let (saved, nothing) = (means(&place, "counted"), means(&place, "scanned"));
    assert_eq!(saved.by, LeftOutBy::WriteCounters);
    assert_eq!((nothing.by, nothing.left_out), (LeftOutBy::Nothing, 0));
    assert!(
        counted.bytes_read + saved.left_out / 10 * 9 < scanned.bytes_read,
        "{counted:?} {saved:?} {scanned:?}"
    );
    place.restore("counted", "data-counted");
    place.restore("scanned", "data-scanned");
    let (one, other) = (place.path("data-counted"), place.path("data-scanned"));
    let schemas = ["sbtest", "load"];
    let (one, other) = (tables(&one, &schemas), tables(&other, &schemas));
    assert!(one.keys().eq(other.keys()));
    let different = one.iter().filter(|(name, bytes)| other[*name] != **bytes);
    assert_eq!(different.map(|(name, _)| name).collect::<Vec<_>>(), [""; 0]);
    for (set, report) in [
        ("incr1", first),
        ("incr2", second),
        ("counted", counted),
        ("scanned", scanned),
    ] {
        let data = format!("data-{set}");
        if !place.path(&data).exists() {
            place.restore(set, &data);
        }
        let restored = place.boot(&data, &[]);
        check_restored(&restored, &report);
        Workload::check(&restored).unwrap();
        check_with_binlog(&server, &restored, &report);
    }
}

#[test]
fn counters_that_lie_are_not_believed() {
    let (mut server, place) = (counted_donor(), Place::new());
    server.load_sysbench_like(2, 20000).unwrap();
    remote_full(&place, &server, "set0", |_| ()).unwrap();
    let write = "UPDATE sbtest.sbtest1 SET pad = CONCAT('x', SUBSTR(pad, 2)) WHERE id % 10 = 3; \
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
    let restored = place.boot("data", &[]);
    check_restored(&restored, &report);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
}
