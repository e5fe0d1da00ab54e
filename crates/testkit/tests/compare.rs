//! The comparing half of the harness: zoo, snapshot, checks, replay.

use innoclone_testkit::fixtures::{ZooOptions, change_zoo, zoo};
use innoclone_testkit::{
    Server, ServerOptions, assert_same, check_tables, replay_binlog, scan_error_log, snapshot,
};

#[expect(clippy::unwrap_used, reason = "part of the tests")]
fn with_zoo(page_size: u32) -> Server {
    let server = Server::start(ServerOptions {
        page_size: Some(page_size),
        args: vec!["--innodb-directories={root}/far".into()],
        keyring: true,
        ..ServerOptions::default()
    })
    .unwrap();
    let elsewhere = Some(server.root_dir().join("far"));
    zoo(
        &server,
        &ZooOptions {
            encrypted: true,
            elsewhere,
        },
    )
    .unwrap();
    server
}

#[test]
fn the_zoo_survives_changes_a_crash_and_a_check() {
    let mut server = with_zoo(16384);
    let first = snapshot(&server).unwrap();
    assert!(first.tables.len() > 50, "{}", first.tables.len());
    assert_eq!(first.tables["`zoo`.`discarded`"].checksum, None);
    assert_eq!(first.tables["`zoo`.`seed`"].rows, Some(3000));
    change_zoo(&server, 1).unwrap();
    change_zoo(&server, 2).unwrap();
    let changed = snapshot(&server).unwrap();
    assert!(first.differences(&changed).len() > 20);
    server.kill9().unwrap();
    server.start_again().unwrap();
    assert_same(&changed, &snapshot(&server).unwrap());
    check_tables(&server).unwrap();
    assert_eq!(scan_error_log(&server.error_log()), Vec::<String>::new());
}

#[test]
fn the_zoo_fits_other_page_sizes() {
    for page_size in [4096, 8192, 32768, 65536] {
        let server = with_zoo(page_size);
        change_zoo(&server, 1).unwrap();
        check_tables(&server).unwrap();
        assert_eq!(scan_error_log(&server.error_log()), Vec::<String>::new());
    }
}

#[test]
fn a_replayed_binary_log_makes_an_equal_server() {
    let from = Server::start(ServerOptions::default()).unwrap();
    let into = Server::start(ServerOptions::default()).unwrap();
    zoo(&from, &ZooOptions::default()).unwrap();
    from.sql("FLUSH BINARY LOGS").unwrap();
    change_zoo(&from, 1).unwrap();
    replay_binlog(&from, &into, "binlog.000001", 4).unwrap();
    // Undo tablespaces are made by statements that no server writes to its binary log.
    let comparable = |server| {
        let all = snapshot(server).unwrap();
        all.ignoring_auto_increment()
            .ignoring_objects("undo tablespace")
    };
    assert_same(&comparable(&from), &comparable(&into));
}

#[test]
fn a_damaged_table_is_found() {
    let mut server = Server::start(ServerOptions::default()).unwrap();
    server
        .sql(
            "CREATE SCHEMA s; CREATE TABLE s.t (id INT PRIMARY KEY, k INT, KEY (k)) ENGINE=MyISAM; \
             INSERT INTO s.t VALUES (1, 1), (2, 2), (3, 3)",
        )
        .unwrap();
    server.stop().unwrap();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(server.datadir().join("s/t.MYD"))
        .unwrap();
    file.set_len(5).unwrap();
    server.start_again().unwrap();
    let error = check_tables(&server).unwrap_err().to_string();
    assert!(error.contains("s.t"), "{error}");
}

#[test]
fn bulk_rows_are_loaded() {
    let server = Server::start(ServerOptions::default()).unwrap();
    let before = server.query_value("SELECT @@gtid_executed").unwrap();
    server.load_sysbench_like(2, 300_000).unwrap();
    assert_eq!(
        server
            .query_value("SELECT COUNT(*) FROM sbtest.sbtest2")
            .unwrap(),
        "300000"
    );
    assert_eq!(
        server
            .query_value("SELECT MIN(LENGTH(c)) FROM sbtest.sbtest1")
            .unwrap(),
        "119"
    );
    // Only the schema is in the binary log.
    assert_ne!(
        server.query_value("SELECT @@gtid_executed").unwrap(),
        before
    );
}
