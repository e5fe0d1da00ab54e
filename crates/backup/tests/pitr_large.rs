//! Restores to points in time over large numbers, and large transactions.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod replaying;

use backup::pitr::{LogPosition, Until};
use replaying::{Scene, check_state, gtids};
use testkit::{Server, ServerOptions};

/// Where the server's binary log ends now.
fn end(server: &Server) -> LogPosition {
    let rows = server.sql_rows("SHOW BINARY LOG STATUS").unwrap();
    LogPosition {
        file: rows[0][0].clone(),
        position: rows[0][1].parse().unwrap(),
    }
}

#[test]
fn a_replay_goes_on_after_the_last_number_of_six_digits() {
    let scene = Scene::new(ServerOptions::default());
    let server = &scene.server;
    server
        .sql(
            "RESET BINARY LOGS AND GTIDS TO 999998; \
             CREATE SCHEMA s; CREATE TABLE s.t (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)",
        )
        .unwrap();
    scene.place.full(server, "full", true);
    let mut marks = Vec::new();
    for number in 1..=4 {
        let rows = "INSERT INTO s.t (v) VALUES (UUID()), (REPEAT('x', 9000));";
        server.sql(&rows.repeat(5)).unwrap();
        marks.push((end(server), gtids(server)));
        let table = format!("CREATE TABLE s.t{number} (a INT); FLUSH BINARY LOGS");
        server.sql(&table).unwrap();
    }
    let files: Vec<&str> = marks.iter().map(|(end, _)| end.file.as_str()).collect();
    let expected = [
        "binlog.999998",
        "binlog.999999",
        "binlog.1000000",
        "binlog.1000001",
    ];
    assert_eq!(files, expected);

    for (number, (position, executed)) in (1..).zip(&marks).skip(1).take(2) {
        let name = format!("position{number}");
        let report = scene.restore("full", &name, Until::Position(position.clone()));
        let reached = &report.point_in_time.binlog;
        assert_eq!(
            (&reached.file, reached.position, &reached.gtid_executed),
            (&position.file, position.position, executed)
        );
        let restored = scene.place.boot(&name, &[]);
        check_state(&restored, &report.point_in_time);
        let rows = restored.query_value("SELECT COUNT(*) FROM s.t").unwrap();
        assert_eq!(rows, (number * 10).to_string());
        let tables = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 's'";
        let tables = restored.query_value(tables).unwrap();
        assert_eq!(tables, number.to_string());
    }
    let report = scene.restore("full", "latest", Until::Latest);
    assert_eq!(report.point_in_time.binlog.file, "binlog.1000002");
    let restored = scene.place.boot("latest", &[]);
    check_state(&restored, &report.point_in_time);
    scene.assert_same(&restored);
}

/// The most memory that this process had, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1024
}

/// Takes some GB of disk.
#[test]
fn a_transaction_of_more_than_a_gigabyte_is_replayed_in_little_memory() {
    let scene = Scene::new(ServerOptions::default());
    let server = &scene.server;
    server
        .sql("CREATE SCHEMA s; CREATE TABLE s.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)")
        .unwrap();
    scene.place.full(server, "full", true);
    let row = "INSERT INTO s.t (v) VALUES (REPEAT(RANDOM_BYTES(1024), 1024));";
    server
        .sql(&format!(
            "INSERT INTO s.t (v) VALUES ('before'); START TRANSACTION; {} COMMIT; \
             INSERT INTO s.t (v) VALUES ('after')",
            row.repeat(1100)
        ))
        .unwrap();
    let before = peak_memory();
    let begin = std::time::Instant::now();
    let report = scene.restore("full", "data", Until::Latest);
    let (seconds, peak) = (begin.elapsed().as_secs_f64(), peak_memory());
    eprintln!("{seconds:.1} s; peak of memory {peak} bytes, {before} before");
    assert!(peak < 512 << 20, "{peak} bytes");
    assert_eq!(report.point_in_time.transactions, 3);
    let restored = scene.place.boot("data", &[]);
    check_state(&restored, &report.point_in_time);
    let sums = |server: &Server| {
        server
            .sql("SELECT COUNT(*), SUM(CRC32(v)) FROM s.t")
            .unwrap()
    };
    assert_eq!(sums(&restored), sums(server));
}
