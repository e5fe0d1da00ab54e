//! Statements, limits, raw packets and endings on a real server.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use innoclone_wire::{ConnectOptions, Connection, Error, SslMode, quote_string};
use support::{PATIENCE, connect, socket, tcp};
use testkit::{Server, wait_until};

static SERVER: LazyLock<Server> = LazyLock::new(|| support::start(&[]));

fn local() -> Connection {
    connect(&socket(&SERVER))
}

#[test]
fn the_greeting_tells_who_the_server_is() {
    let mut connection = local();
    let version = connection
        .query_value::<String>("SELECT VERSION()")
        .unwrap()
        .unwrap();
    assert_eq!(connection.server_version(), version);
    let id = connection
        .query_value::<u32>("SELECT CONNECTION_ID()")
        .unwrap();
    assert_eq!(id, Some(connection.connection_id()));
    assert_eq!(connection.peer_pid(), SERVER.pid());
    assert_eq!(connect(&tcp(&SERVER, "127.0.0.1")).peer_pid(), None);
}

#[test]
fn rows_come_with_names_nulls_and_bytes() {
    let mut connection = local();
    let rows = connection
        .query("SELECT 1 AS one, NULL AS Nothing, x'00ff' AS bytes UNION ALL SELECT 2, 'ü', ''")
        .unwrap();
    assert_eq!(rows.columns, ["one", "Nothing", "bytes"]);
    assert_eq!(rows.column("nothing"), Some(1));
    assert_eq!(rows.len(), 2);
    let first = rows.first().unwrap();
    assert_eq!((first.parse::<u64>(0).unwrap(), first.get(1)), (1, None));
    assert_eq!(first.get(2), Some(&[0, 0xff][..]));
    assert_eq!(rows.rows[1].text(1), Some("ü"));
    assert_eq!(connection.query_value::<u8>("SELECT NULL").unwrap(), None);
    assert_eq!(
        connection
            .query_value::<u8>("SELECT 1 WHERE FALSE")
            .unwrap(),
        None
    );
    assert!(connection.query("DO 1").unwrap().columns.is_empty());
}

#[test]
fn an_error_of_the_server_leaves_the_session_alive() {
    let mut connection = local();
    let error = connection.query("SELEKT 1").unwrap_err();
    assert_eq!(
        (error.code(), error.sqlstate()),
        (Some(1064), Some("42000"))
    );
    // This one comes after the column definitions, in the place of a row.
    let late = "SELECT (SELECT 1 UNION ALL SELECT seq) FROM (SELECT 1 AS seq UNION ALL SELECT 2) t";
    assert_eq!(connection.query(late).unwrap_err().code(), Some(1242));
    assert_eq!(connection.query_value::<u8>("SELECT 7").unwrap(), Some(7));
    connection.ping().unwrap();
}

#[test]
fn statements_report_affected_rows_and_warnings() {
    let mut connection = local();
    connection
        .execute("CREATE DATABASE IF NOT EXISTS w")
        .unwrap();
    connection.execute("CREATE TABLE w.t (a TINYINT)").unwrap();
    let done = connection
        .execute("INSERT INTO w.t VALUES (1),(2),(3)")
        .unwrap();
    assert_eq!((done.affected, done.warnings), (3, 0));
    let done = connection
        .execute("INSERT IGNORE INTO w.t VALUES (1000)")
        .unwrap();
    assert_eq!((done.affected, done.warnings), (1, 1));
    connection.execute("SELECT * FROM w.t").unwrap();
    connection
        .execute("CREATE PROCEDURE w.p() BEGIN SELECT 1; SELECT 2, 3; END")
        .unwrap();
    let rows = connection.query("CALL w.p()").unwrap();
    assert_eq!((rows.columns.len(), rows.rows[0].text(0)), (1, Some("1")));
    assert_eq!(connection.query_value::<u8>("SELECT 4").unwrap(), Some(4));
}

#[test]
fn quoted_strings_survive_in_every_sql_mode() {
    let text = "it's \"a\" \\ back\\'slash\0 and ü % _ \n\u{1F980}";
    let statement = format!("SELECT {}", quote_string(text));
    assert_eq!(
        local()
            .query_value::<String>(&statement)
            .unwrap()
            .as_deref(),
        Some(text)
    );
    let server = support::start(&["--sql-mode=NO_BACKSLASH_ESCAPES,ANSI_QUOTES"]);
    let mut connection = connect(&socket(&server));
    assert_eq!(
        connection
            .query_value::<String>(&statement)
            .unwrap()
            .as_deref(),
        Some(text)
    );
    let mode = connection
        .query_value::<String>("SELECT @@sql_mode")
        .unwrap();
    assert_eq!(mode.as_deref(), Some("ANSI_QUOTES"));
}

#[test]
fn packets_beyond_16_mib_go_both_ways() {
    SERVER
        .sql("SET GLOBAL max_allowed_packet = 64 << 20")
        .unwrap();
    let plain = ConnectOptions {
        ssl_mode: SslMode::Disabled,
        ..tcp(&SERVER, "127.0.0.1")
    };
    for options in [socket(&SERVER), tcp(&SERVER, "127.0.0.1"), plain] {
        let mut connection = connect(&options);
        for len in [0xFF_FFFF - 30, 0xFF_FFFF, 20 << 20] {
            let text = "x".repeat(len);
            let sql = format!("SELECT '{text}', LENGTH('')");
            let row = connection.query_one(&sql).unwrap().unwrap();
            assert!(row.text(0) == Some(&text), "{len}");
        }
    }
}

#[test]
fn a_statement_beyond_the_limit_is_not_sent() {
    let mut connection = connect(&ConnectOptions {
        max_allowed_packet: 100,
        ..socket(&SERVER)
    });
    let error = connection
        .execute(&format!("SELECT '{}'", "x".repeat(100)))
        .unwrap_err();
    assert_eq!(error.code(), Some(2020));
    assert_eq!(connection.query_value::<u8>("SELECT 1").unwrap(), Some(1));
}

#[test]
fn a_result_beyond_the_limit_ends_the_session() {
    let mut connection = connect(&ConnectOptions {
        max_result: 1 << 20,
        ..socket(&SERVER)
    });
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900000) \
                   SELECT /*+ SET_VAR(cte_max_recursion_depth=1000000) */ i, REPEAT('x', 100) FROM n";
    let error = connection.query(endless).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                limit: 0x10_0000,
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(connection.ping(), Err(Error::Closed)));
    // A result that is dropped takes no memory and has no limit.
    let mut connection = connect(&ConnectOptions {
        max_result: 1 << 20,
        ..socket(&SERVER)
    });
    connection.execute(endless).unwrap();
}

#[test]
fn a_read_timeout_ends_a_statement_and_its_session() {
    let mut connection = local();
    connection
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let before = Instant::now();
    let error = connection.query("SELECT SLEEP(1000)").unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(error.is_connection_lost() && before.elapsed() < PATIENCE);
    assert!(matches!(connection.query("SELECT 1"), Err(Error::Closed)));
}

#[test]
fn a_read_timeout_between_raw_packets_loses_nothing() {
    let mut connection = local();
    connection
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    // The answer comes when the lock is given back.
    let mut holder = local();
    let lock = holder.query_value::<u8>("SELECT GET_LOCK('raw', 0)");
    assert_eq!(lock.unwrap(), Some(1));
    connection
        .send_command(3, b"DO GET_LOCK('raw', 1000)")
        .unwrap();
    for _ in 0..4 {
        let error = connection.read_packet().unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
    }
    holder.close();
    let packet = loop {
        match connection.read_packet() {
            Err(Error::Timeout { .. }) => {}
            answer => break answer.unwrap(),
        }
    };
    assert_eq!(packet[0], 0, "{packet:?}");
    assert_eq!(connection.query_value::<u8>("SELECT 1").unwrap(), Some(1));
}

#[test]
fn another_thread_can_end_a_wait() {
    for options in [socket(&SERVER), tcp(&SERVER, "127.0.0.1")] {
        let mut connection = connect(&options);
        let handle = connection.shutdown_handle().unwrap();
        let sleeps = format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE ID = {} AND STATE = 'User sleep'",
            connection.connection_id()
        );
        let thread = std::thread::spawn(move || {
            wait_until("the other one waits", || {
                SERVER.query_value(&sleeps).unwrap() == "1"
            });
            handle.shutdown();
            handle.shutdown();
        });
        let error = connection.query("SELECT SLEEP(1000)").unwrap_err();
        assert!(matches!(error, Error::Closed), "{error:?}");
        thread.join().unwrap();
    }
}

#[test]
fn a_killed_session_is_a_lost_connection() {
    let mut connection = local();
    local()
        .execute(&format!("KILL {}", connection.connection_id()))
        .unwrap();
    let error = connection.query("SELECT SLEEP(1)").unwrap_err();
    assert!(error.is_connection_lost(), "{error}");
    let error = connection.query("SELECT 1").unwrap_err();
    assert_eq!(error.code(), Some(2013));
}

#[test]
fn closing_and_dropping_leave_no_session_behind() {
    let aborted = "SELECT VARIABLE_VALUE FROM performance_schema.global_status \
                   WHERE VARIABLE_NAME = 'Aborted_clients'";
    let server = support::start(&[]);
    let before = server.query_value(aborted).unwrap();
    for options in [socket(&server), tcp(&server, "127.0.0.1")] {
        connect(&options).close();
        drop(connect(&options));
    }
    wait_until("the sessions are gone", || {
        let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE COMMAND <> 'Daemon'";
        server.query_value(sql).unwrap() == "1"
    });
    assert_eq!(
        server.query_value(aborted).unwrap(),
        before,
        "no session was cut off"
    );
}

#[test]
fn the_clone_protocol_opens_on_a_connection() {
    for options in [socket(&SERVER), tcp(&SERVER, "127.0.0.1")] {
        let mut connection = connect(&options);
        connection.send_command(32, &[]).unwrap();
        assert_eq!(
            connection.read_packet().unwrap()[0],
            0,
            "COM_CLONE is answered by OK"
        );
        // COM_INIT: protocol version, timeout for DDL, no locators.
        let init = [&0x0103u32.to_le_bytes()[..], &300u32.to_le_bytes()].concat();
        connection.send_command(1, &init).unwrap();
        let mut codes = Vec::new();
        let mut packet = Vec::new();
        while codes.last() != Some(&99) {
            connection.read_packet_into(&mut packet).unwrap();
            codes.push(packet[0]);
        }
        assert!(codes.contains(&1) && codes.len() > 10, "{codes:?}");
        // COM_EXIT.
        connection.send_command(6, &[]).unwrap();
        assert_eq!(connection.read_packet().unwrap(), [99]);
        assert_eq!(connection.query_value::<u8>("SELECT 1").unwrap(), Some(1));
        connection.close();
    }
}

#[test]
fn a_connection_can_be_sent_to_a_thread_and_shown_without_its_bytes() {
    let options = support::user(tcp(&SERVER, "127.0.0.1"), "shown", "hunter2");
    SERVER
        .sql("CREATE USER shown@'%' IDENTIFIED BY 'hunter2'")
        .unwrap();
    let connection = connect(&options);
    let shown = std::thread::spawn(move || format!("{connection:?}"))
        .join()
        .unwrap();
    assert!(
        shown.starts_with("Connection") && shown.len() < 2000,
        "{shown}"
    );
    let bytes = format!("{:?}", b"hunter2");
    assert!(!shown.contains("hunter2") && !shown.contains(bytes.trim_matches(['[', ']'])));
}
