//! Served sets of every kind, taken by stock servers: what arrives is what was backed up, and
//! `clone_status` says which moment it is of.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;
mod serving;

use backup::command::BackupReport;
use common::{Place, check_state, check_with_binlog};
use frame::Algorithm;
use serving::{Endpoint, Recipient, digest, donor_options};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use testkit::fixtures::{ZooOptions, change_zoo, zoo};
use testkit::{Server, ServerOptions, Snapshot, Workload, WorkloadOptions, wait_until};

/// Tables of other engines are empty in a clone, and those that were elsewhere are in the data
/// directory.
fn as_cloned(mut snapshot: Snapshot) -> Snapshot {
    for table in snapshot.tables.values_mut() {
        while let Some(at) = table.definition.find(" DATA DIRECTORY") {
            let rest = &table.definition[at..];
            let quoted = rest.match_indices('\'').nth(1);
            let end = quoted.map_or(rest.len(), |(end, _)| end + 1);
            table.definition.replace_range(at..at + end, "");
        }
        if !table.definition.contains("ENGINE=InnoDB") {
            (table.checksum, table.rows, table.auto_increment) = (Some(0), Some(0), None);
        }
    }
    snapshot
}

/// A zoo without the engine of which no server makes a cloned table anew.
fn stock_zoo(server: &Server, options: &ZooOptions) {
    zoo(server, options).unwrap();
    server.sql("DROP TABLE zoo.engine_archive").unwrap();
}

fn check(server: &Server, report: &BackupReport, before: &Snapshot) {
    check_position(server, report);
    testkit::check_tables(server).unwrap();
    let now = testkit::snapshot(server).unwrap();
    testkit::assert_same(&as_cloned(before.clone()), &as_cloned(now));
    let mut complaints = testkit::scan_error_log(&server.error_log());
    complaints.retain(|line| !line.contains("is not cloned and is empty"));
    assert_eq!(complaints, Vec::<String>::new());
}

/// What `clone_status` says is what the set says; a set that was taken over the network under load
/// may leave the transactions to the server.
fn check_position(server: &Server, report: &BackupReport) {
    let rows = server.sql_rows(
        "SELECT STATE, BINLOG_FILE, BINLOG_POSITION, REPLACE(GTID_EXECUTED, '\\n', ''), \
         REPLACE(@@gtid_executed, '\\n', '') FROM performance_schema.clone_status",
    );
    let rows = rows.unwrap();
    let [row] = &rows[..] else {
        panic!("{rows:?}");
    };
    let position = report.binlog.position.to_string();
    assert_eq!(row[..3], ["Completed", &report.binlog.file, &position]);
    assert_eq!(row[3], row[4]);
    if !report.binlog.gtid_executed.is_empty() {
        assert_eq!(row[3], report.binlog.gtid_executed);
    }
}

/// Bytes on disk.
fn allocated(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().blocks() * 512
}

const TWO_FILES: &str = "--innodb-data-file-path=ibdata1:12M;ibdata2:8M:autoextend";

#[test]
fn a_compressed_chain_from_many_directories_arrives() {
    let layout = [
        TWO_FILES,
        "--innodb-data-home-dir={root}/home",
        "--innodb-undo-directory={root}/undo",
        "--innodb-log-group-home-dir={root}/log",
    ];
    let options = ServerOptions {
        init_args: layout.map(str::to_owned).to_vec(),
        args: vec!["--innodb-directories={root}/elsewhere".into()],
        ..ServerOptions::default()
    };
    let (server, place) = (Server::start(options).unwrap(), Place::new());
    let elsewhere = Some(server.root_dir().join("elsewhere"));
    stock_zoo(
        &server,
        &ZooOptions {
            elsewhere,
            ..ZooOptions::default()
        },
    );
    std::fs::create_dir(place.path("made")).unwrap();
    let mut last = None;
    for (round, (name, algorithm)) in (0..).zip([
        ("full", Some(Algorithm::Zstd)),
        ("incr1", None),
        ("incr2", Some(Algorithm::Lz4)),
    ]) {
        place.compress(algorithm);
        let path = format!("made/{name}");
        if round == 0 {
            place.full(&server, &path, true);
        } else {
            change_zoo(&server, round).unwrap();
            let base = ["made/full", "made/incr1"][round as usize - 1];
            last = Some(place.increment(&server, &path, base));
        }
    }
    let report = last.unwrap();
    let before = testkit::snapshot(&server).unwrap();
    // Pages that are still to be written would be holes of the server's files.
    server.flush_pages().unwrap();
    let holes = ["page_zlib.ibd", "page_lz4.ibd"].map(|name| {
        let path = server.datadir().join("zoo").join(name);
        assert!(allocated(&path) < std::fs::metadata(&path).unwrap().len());
        (name, allocated(&path))
    });
    drop(server);
    // The sets have moved since.
    std::fs::rename(place.path("made"), place.path("sets")).unwrap();
    let untouched = digest(&place.path("sets"));
    let mut options = donor_options(&place.path("sets/incr2"));
    options.allow_empty_tables = true;
    let endpoint = Endpoint::serve(options);
    let start = |path: &str| {
        let options = ServerOptions {
            init_args: vec![path.to_owned()],
            ..ServerOptions::default()
        };
        Recipient::start_with(3, options)
    };

    let mut recipient = start(TWO_FILES);
    let data = place.path("data");
    recipient.clone_into(&endpoint, &data).unwrap();
    for (name, there) in holes {
        let here = allocated(&data.join("zoo").join(name));
        assert!(here <= there + (256 << 10), "{name}: {here} of {there}");
    }
    let restored = Server::start_on(&data, &[TWO_FILES]).unwrap();
    check(&restored, &report, &before);
    drop(restored);
    recipient.clone_in_place(&endpoint).unwrap();
    check_position(&recipient.server, &report);
    testkit::check_tables(&recipient.server).unwrap();
    let now = testkit::snapshot(&recipient.server).unwrap();
    testkit::assert_same(&as_cloned(before), &as_cloned(now));
    for (name, there) in holes {
        let here = allocated(&recipient.server.datadir().join("zoo").join(name));
        assert!(here <= there + (256 << 10), "{name}: {here} of {there}");
    }
    drop(recipient);

    // A server with another system tablespace says so.
    let mut other = start("--innodb-data-file-path=ibdata1:12M:autoextend");
    other
        .server
        .sql("CREATE SCHEMA own; CREATE TABLE own.t (id INT PRIMARY KEY)")
        .unwrap();
    let error = other.clone_in_place(&endpoint).unwrap_err().to_string();
    assert!(error.contains("innodb_data_file_path"), "{error}");
    let own = other.server.sql("SELECT * FROM own.t");
    assert!(own.is_err(), "CLONE drops the recipient's data first");
    assert_eq!(digest(&place.path("sets")), untouched);
    assert_eq!(endpoint.donor.clones(), 0);
}

#[test]
fn other_page_sizes_arrive_whatever_took_the_set() {
    // Over the network, in full and as an increment; and compressed.
    for (page_size, over_the_network) in [(4096, true), (65536, false)] {
        let options = || ServerOptions {
            page_size: Some(page_size),
            ..ServerOptions::default()
        };
        let (server, place) = (network::donor(options()), Place::new());
        stock_zoo(&server, &ZooOptions::default());
        let report = if over_the_network {
            network::remote_full(&place, &server, "full", |_| ()).unwrap();
            change_zoo(&server, 1).unwrap();
            network::increment(&place, &server, "incr", "full")
        } else {
            place.compress(Some(Algorithm::Lz4));
            place.full(&server, "full", true);
            change_zoo(&server, 1).unwrap();
            place.increment(&server, "incr", "full")
        };
        let before = testkit::snapshot(&server).unwrap();
        drop(server);
        let mut options_of_donor = donor_options(&place.path("incr"));
        options_of_donor.allow_empty_tables = true;
        let endpoint = Endpoint::serve(options_of_donor);
        let mut recipient = Recipient::start_with(2, options());
        recipient.clone_in_place(&endpoint).unwrap();
        check_position(&recipient.server, &report);
        testkit::check_tables(&recipient.server).unwrap();
        let now = testkit::snapshot(&recipient.server).unwrap();
        testkit::assert_same(&as_cloned(before), &as_cloned(now));
    }
}

/// The server writes positions into its log only while it is cloned. Recovery of a set with such a
/// log takes them for the set's.
#[test]
fn the_position_is_that_of_the_set_whatever_its_log_says() {
    let server = network::donor(ServerOptions::with_args([
        // The log goes back to the clone.
        "--innodb-idle-flush-pct=0",
        "--innodb-max-dirty-pages-pct=99",
        "--innodb-max-dirty-pages-pct-lwm=0",
        "--innodb-adaptive-flushing=OFF",
    ]));
    let place = Place::new();
    server
        .sql("CREATE SCHEMA extra; CREATE TABLE extra.t (id INT AUTO_INCREMENT PRIMARY KEY)")
        .unwrap();
    let clone = format!(
        "CLONE LOCAL DATA DIRECTORY = '{}'; INSERT INTO extra.t VALUES (1)",
        place.path("before").display()
    );
    server.sql(&clone).unwrap();
    server
        .sql("INSERT INTO extra.t VALUES (2); FLUSH BINARY LOGS; INSERT INTO extra.t VALUES (3)")
        .unwrap();
    let local = place.full(&server, "local", false);
    let load = WorkloadOptions {
        threads: 2,
        ddl: true,
        seed: 11,
        ..WorkloadOptions::default()
    };
    let workload = Workload::start(&server, load).unwrap();
    network::remote_full(&place, &server, "remote", |_| ()).unwrap();
    let increment = network::increment(&place, &server, "incr", "remote");
    workload.stop();
    let recipient = Recipient::start(2);
    for (set, report) in [("local", &local), ("incr", &increment)] {
        // What a server of the next LTS series asks for.
        let manifest = backup::set::BackupSet::open(&place.path(set)).unwrap();
        let version = &manifest.manifest().server.version;
        assert!(version.starts_with("9.7."), "{version}: another series");
        let maturity = manifest.manifest().server.maturity.as_deref();
        assert_eq!(maturity, Some("LTS"));
        let endpoint = Endpoint::serve(donor_options(&place.path(set)));
        let data = place.path(&format!("data-{set}"));
        recipient.clone_into(&endpoint, &data).unwrap();
        let restored = Server::start_on(&data, &[]).unwrap();
        if set == "local" {
            check_state(&restored, report);
        } else {
            check_position(&restored, report);
            // It is the right one: the binary log goes on there.
            check_with_binlog(&server, &restored, report);
        }
    }
}

#[test]
fn a_new_server_from_a_set_becomes_a_replica() {
    let (server, place) = (network::donor(ServerOptions::default()), Place::new());
    server
        .sql(
            "CREATE USER repl@'%' IDENTIFIED BY 'repl secret'; GRANT REPLICATION SLAVE ON *.* TO repl@'%'",
        )
        .unwrap();
    server.load_sysbench_like(1, 2_000).unwrap();
    place.full(&server, "full", true);
    server
        .sql("DELETE FROM sbtest.sbtest1 WHERE id % 3 = 0")
        .unwrap();
    let report = place.increment(&server, "incr", "full");
    // The source goes on.
    server
        .sql(
            "CREATE TABLE sbtest.later LIKE sbtest.sbtest1; \
             INSERT INTO sbtest.later SELECT * FROM sbtest.sbtest1 WHERE id < 500; \
             ALTER TABLE sbtest.sbtest1 ADD COLUMN more INT DEFAULT 3",
        )
        .unwrap();
    let endpoint = Endpoint::serve(donor_options(&place.path("incr")));
    let mut recipient = Recipient::start_with(2, ServerOptions::with_args(["--server-id=2"]));
    let data = place.path("data");
    recipient.clone_into(&endpoint, &data).unwrap();
    recipient.clone_in_place(&endpoint).unwrap();
    check_position(&recipient.server, &report);
    let second = Server::start_on(&data, &["--server-id=3"]).unwrap();
    check_position(&second, &report);
    let source = format!(
        "SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {}, SOURCE_USER = 'repl', \
         SOURCE_PASSWORD = 'repl secret', GET_SOURCE_PUBLIC_KEY = 1",
        server.port()
    );
    let by_gtid = format!("{source}, SOURCE_AUTO_POSITION = 1");
    let row =
        second.sql_rows("SELECT BINLOG_FILE, BINLOG_POSITION FROM performance_schema.clone_status");
    let row = row.unwrap().remove(0);
    let by_position = format!(
        "{source}, SOURCE_LOG_FILE = '{}', SOURCE_LOG_POS = {}",
        row[0], row[1]
    );
    for (replica, change) in [(&recipient.server, by_gtid), (&second, by_position)] {
        replica
            .sql(&format!(
                "CHANGE REPLICATION SOURCE TO {change}; START REPLICA"
            ))
            .unwrap();
    }
    server
        .sql("UPDATE sbtest.sbtest1 SET more = id; CREATE SCHEMA newest; DROP TABLE sbtest.later")
        .unwrap();
    let executed = server
        .query_value("SELECT REPLACE(@@gtid_executed, '\\n', '')")
        .unwrap();
    let take = |server: &Server| {
        let snapshot = testkit::snapshot(server).unwrap().ignoring_auto_increment();
        snapshot.ignoring_objects("undo tablespace")
    };
    for replica in [&recipient.server, &second] {
        wait_until("the replica has caught up", || {
            let waited = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{executed}', 10)");
            let errors = replica
                .query_value(
                    "SELECT CONCAT_WS(' ', c.LAST_ERROR_MESSAGE, w.LAST_ERROR_MESSAGE) FROM \
                     performance_schema.replication_connection_status c JOIN \
                     performance_schema.replication_applier_status_by_worker w LIMIT 1",
                )
                .unwrap();
            assert_eq!(errors.trim(), "");
            replica.query_value(&waited).unwrap() == "0"
        });
        replica.sql("STOP REPLICA").unwrap();
        testkit::assert_same(&take(&server), &take(replica));
    }
}
