//! Restores to points in time, from a live server's binary logs.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod replaying;

use backup::pitr::{LogPosition, Until};
use binlog::gtid::GtidSet;
use jiff::Timestamp;
use replaying::{Scene, check_state, gtids};
use testkit::{Server, ServerOptions, Workload, WorkloadOptions};

#[test]
fn everything_that_a_binary_log_can_hold_is_replayed_as_it_was() {
    let scene = Scene::new(ServerOptions::default());
    let server = &scene.server;
    server
        .sql(
            "CREATE SCHEMA s; CREATE TABLE s.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT);
             CREATE TABLE s.m (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT) ENGINE=MyISAM;
             CREATE EVENT s.old ON SCHEDULE EVERY 1 HOUR DO INSERT INTO s.t (v) VALUES ('event');",
        )
        .unwrap();
    scene.place.full(server, "full", true);
    std::fs::write(scene.place.path("load.txt"), "a\nb\nc\n").unwrap();
    let load = scene.place.path("load.txt").display().to_string();
    server
        .sql(&format!(
            "USE s; INSERT INTO t (v) VALUES ('row');
             SET time_zone = '+03:00', sql_mode = 'ANSI_QUOTES';
             CREATE EVENT e1 ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION PRESERVE
               COMMENT 'it''s' DO INSERT INTO \"s\".\"t\" (v) VALUES ('e1');
             CREATE DEFINER='nobody'@'%' EVENT e2 ON SCHEDULE EVERY 1 HOUR DISABLE DO SELECT 1;
             SET sql_mode = DEFAULT;
             ALTER EVENT old DISABLE; ALTER EVENT old RENAME TO renamed;
             ALTER EVENT e2 ENABLE; CREATE EVENT gone ON SCHEDULE EVERY 1 HOUR DO SELECT 2; DROP EVENT gone;
             FLUSH BINARY LOGS;
             SET binlog_format = STATEMENT;
             INSERT INTO t (v) VALUES (CONCAT('now ', NOW(), RAND(), @@time_zone));
             SET @x = 'variable'; INSERT INTO t (v) VALUES (@x);
             CREATE TEMPORARY TABLE tmp (v TEXT); INSERT INTO tmp VALUES ('temporary');
             FLUSH BINARY LOGS;
             CREATE EVENT middle ON SCHEDULE EVERY 1 HOUR DO SELECT 3;
             INSERT INTO t (v) SELECT v FROM tmp; DROP TEMPORARY TABLE tmp;
             LOAD DATA INFILE '{load}' INTO TABLE t (v);
             SET binlog_format = ROW;
             LOAD DATA INFILE '{load}' INTO TABLE t (v);
             INSERT INTO m (v) VALUES ('myisam');
             XA START 'a'; INSERT INTO t (v) VALUES ('xa'); XA END 'a'; XA PREPARE 'a'; XA COMMIT 'a';
             XA START 'b'; INSERT INTO t (v) VALUES ('xb'); XA END 'b'; XA PREPARE 'b'; XA ROLLBACK 'b';
             SET gtid_next = 'AUTOMATIC:tagged'; INSERT INTO t (v) VALUES ('tagged'); SET gtid_next = 'AUTOMATIC';
             SET binlog_transaction_compression = ON;
             INSERT INTO t (v) VALUES (REPEAT('z', 3000000));
             SET binlog_transaction_compression = OFF;
             INSERT INTO t (v) SELECT REPEAT('y', 200000) FROM t LIMIT 20;
             CREATE USER 'u'@'%' IDENTIFIED BY 'x'; GRANT SELECT ON s.* TO 'u'@'%';
             ALTER TABLE t ADD COLUMN w INT DEFAULT 7, ADD INDEX (w); UPDATE t SET w = id;
             CREATE PROCEDURE p() INSERT INTO t (v) VALUES ('p');
             CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.w = 9;
             CALL p(); CREATE VIEW w AS SELECT id FROM t; CREATE TABLE c AS SELECT * FROM t;"
        ))
        .unwrap();
    let report = scene.restore("full", "data", Until::Latest);
    let replay = &report.point_in_time;
    assert_eq!(replay.binlog.gtid_executed, gtids(server));
    assert_eq!(replay.next, None);
    let restored = scene.place.boot("data", &[]);
    check_state(&restored, replay);
    scene.assert_same(&restored);
    let events = |server: &Server| {
        server
            .sql(
                "SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER, STATUS, STARTS, ON_COMPLETION, TIME_ZONE, SQL_MODE, \
                 EVENT_DEFINITION, EVENT_COMMENT, ORIGINATOR, CREATED, LAST_ALTERED, CHARACTER_SET_CLIENT, \
                 COLLATION_CONNECTION, DATABASE_COLLATION FROM information_schema.EVENTS ORDER BY 1, 2",
            )
            .unwrap()
    };
    assert_eq!(events(&restored), events(server));
}

/// A new table's row for every marker; the times are the server's.
fn mark(server: &Server, number: u32) -> (Timestamp, String, LogPosition) {
    server
        .sql(&format!(
            "INSERT INTO marks.m VALUES ({number}); \
             CREATE TABLE marks.t{number} (a INT); INSERT INTO marks.t{number} VALUES ({number})"
        ))
        .unwrap();
    let rows = server.sql_rows("SHOW BINARY LOG STATUS").unwrap();
    let position = LogPosition {
        file: rows[0][0].clone(),
        position: rows[0][1].parse().unwrap(),
    };
    let now = server
        .query_value("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)")
        .unwrap();
    let now = Timestamp::from_microsecond(now.parse().unwrap()).unwrap();
    (now, gtids(server), position)
}

fn check_marks(restored: &Server, from: u32, last: u32) {
    let found = restored
        .query_value("SELECT GROUP_CONCAT(n ORDER BY n) FROM marks.m")
        .unwrap();
    let expected: Vec<String> = (from..=last).map(|n| n.to_string()).collect();
    assert_eq!(found, expected.join(","));
    let tables = restored
        .query_value("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'marks'")
        .unwrap();
    assert_eq!(
        tables,
        (last - from + 2).to_string(),
        "one for each mark, and that of the marks"
    );
}

/// A server with marks under load and DDL; a full before the first, an increment in their middle.
fn marked(options: ServerOptions) -> (Scene, Vec<(Timestamp, String, LogPosition)>) {
    let scene = Scene::new(options);
    let server = &scene.server;
    server
        .sql("CREATE SCHEMA marks; CREATE TABLE marks.m (n INT PRIMARY KEY)")
        .unwrap();
    let workload = Workload::start(
        server,
        WorkloadOptions {
            threads: 2,
            ddl: true,
            seed: 5,
            ..WorkloadOptions::default()
        },
    )
    .unwrap();
    scene.place.full(server, "full", true);
    let mut marks = Vec::new();
    for number in 1..=12 {
        workload.wait_for(5, 1).unwrap();
        marks.push(mark(server, number));
        if number % 3 == 0 {
            server.sql("FLUSH BINARY LOGS").unwrap();
        }
        if number == 6 {
            scene.place.increment(server, "incr", "full");
        }
    }
    workload.stop();
    (scene, marks)
}

#[test]
fn times_gtids_and_positions_end_at_their_marks() {
    let (scene, marks) = marked(ServerOptions::default());
    let last = |name: &str, until: Until, set: &str, expected: u32| {
        let report = scene.restore(set, name, until);
        let restored = scene.place.boot(name, &[]);
        check_state(&restored, &report.point_in_time);
        Workload::check(&restored).unwrap();
        check_marks(&restored, 1, expected);
        assert!(expected == 12 || report.point_in_time.next.is_some());
        report
    };
    last("time2", Until::Time(marks[1].0), "full", 2);
    last("time8", Until::Time(marks[7].0), "incr", 8);
    let set: GtidSet = marks[4].1.parse().unwrap();
    let report = last("gtid5", Until::Gtids(set), "full", 5);
    assert_eq!(report.point_in_time.binlog.gtid_executed, marks[4].1);
    let report = last("position9", Until::Position(marks[8].2.clone()), "incr", 9);
    let end = &report.point_in_time.binlog;
    assert_eq!(
        (&end.file, end.position),
        (&marks[8].2.file, marks[8].2.position)
    );
    // Within a transaction: it is left out whole.
    let within = LogPosition {
        position: marks[9].2.position - 1,
        ..marks[9].2.clone()
    };
    let report = last("within10", Until::Position(within), "incr", 10);
    assert!(report.point_in_time.binlog.position < marks[9].2.position);

    // Before the set: the one before serves.
    let full = scene.place.path("full").display().to_string();
    let early = [
        Until::Time(marks[2].0),
        Until::Position(marks[2].2.clone()),
        Until::Gtids(marks[2].1.parse().unwrap()),
    ];
    for until in early {
        scene.refused(
            "incr",
            &scene.point(until),
            &["is earlier than the end of the set", &full],
        );
    }
    // Behind the binary logs: they cannot tell.
    let late = Timestamp::now() + jiff::SignedDuration::from_hours(1);
    scene.refused("incr", &scene.point(Until::Time(late)), &["--until latest"]);
    let late = LogPosition {
        file: marks[11].2.file.clone(),
        position: 1 << 40,
    };
    scene.refused(
        "incr",
        &scene.point(Until::Position(late)),
        &["before position"],
    );
}

#[test]
fn without_gtids_it_goes_by_position() {
    let args = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
    let (scene, marks) = marked(ServerOptions::with_args(args));
    let report = scene.restore("full", "position", Until::Position(marks[6].2.clone()));
    assert_eq!(report.point_in_time.binlog.gtid_executed, "");
    let restored = scene.place.boot("position", &args);
    check_state(&restored, &report.point_in_time);
    check_marks(&restored, 1, 7);
    drop(restored);
    scene.restore("incr", "latest", Until::Latest);
    let restored = scene.place.boot("latest", &args);
    check_marks(&restored, 1, 12);
    scene.assert_same(&restored);
    let set = "c42c1e3e-0f41-11ef-b6bf-d08e7908bcb1:1-3270"
        .parse()
        .unwrap();
    scene.refused("full", &scene.point(Until::Gtids(set)), &["has no GTIDs"]);
}

#[test]
fn the_replication_of_a_donor_that_is_a_replica_stays_as_it_was() {
    let scene = Scene::new(ServerOptions::default());
    let server = &scene.server;
    server
        .sql(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1, SOURCE_USER = 'r', \
             SOURCE_AUTO_POSITION = 1; \
             CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 2, SOURCE_USER = 's' \
             FOR CHANNEL 'second'; CREATE SCHEMA s",
        )
        .unwrap();
    scene.place.full(server, "full", false);
    server
        .sql("CREATE TABLE s.t (a INT PRIMARY KEY); INSERT INTO s.t VALUES (1), (2)")
        .unwrap();
    scene.restore("full", "data", Until::Latest);
    let restored = scene.place.boot("data", &["--skip-replica-start"]);
    let channels = |server: &Server| {
        let sql = "SELECT Channel_name, Host, Port, User_name, Enabled_auto_position \
                   FROM mysql.slave_master_info ORDER BY Channel_name";
        server.sql(sql).unwrap()
    };
    assert_eq!(channels(&restored), channels(server));
    scene.assert_same(&restored);
}
