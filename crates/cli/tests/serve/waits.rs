//! KILL ends every long wait of a clone. What is waited for would take minutes or never come: a
//! clone that ends with error 1317, before the patience of the test is over, was woken.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use testkit::{Server, ServerOptions, wait_until};

use crate::daemon::{Daemon, Holder};
use crate::killing::{Prompt, assert_released};

/// Before a wait that was killed is taken for one that was not woken: much less than any of them
/// lasts, much more than a busy machine needs.
const WOKEN: Duration = Duration::from_secs(180);

/// Begins `statement`, waits for `wait` to see it waiting, kills it, and checks what is left.
#[track_caller]
fn is_woken(
    daemon: &mut Daemon,
    set: &str,
    statement: &str,
    kill: &str,
    wait: impl FnOnce(&mut Daemon),
) {
    let (mut clone, mut killer) = (Prompt::open(daemon), Prompt::open(daemon));
    let pid = clone.value("SELECT CONNECTION_ID()");
    // It is there already when it is time to kill.
    assert_eq!(killer.value("SELECT 1"), "1");
    clone.send(statement);
    wait(daemon);
    let begin = Instant::now();
    killer.send(&format!("{kill} {pid}"));
    let ended = clone.end();
    let took = begin.elapsed();
    assert!(
        ended.stderr.contains("ERROR 1317 (70100)"),
        "{statement}: {}",
        ended.stderr
    );
    assert!(took < WOKEN, "{statement}: {took:?}");
    is_known_as_killed(daemon, set);
}

/// The clone is known as killed, and nobody takes what it left for a set.
#[track_caller]
fn is_known_as_killed(daemon: &Daemon, set: &str) {
    for table in ["mysql.clone_history", "performance_schema.clone_status"] {
        let row = daemon.value(&format!(
            "SELECT CONCAT(STATE, ' ', ERROR_NO, ' ', ERROR_MESSAGE) FROM {table} \
             WHERE DESTINATION = '{set}'"
        ));
        assert_eq!(row, "Failed 1317 Query execution was interrupted", "{set}");
    }
    let set = Path::new(set);
    assert!(!set.exists() || set.join("#clone/#status_in_progress").exists());
}

/// Waits until a session of the server is in a state.
#[track_caller]
fn until_state(server: &Server, state: &str) {
    let query =
        format!("SELECT COUNT(*) FROM performance_schema.processlist WHERE STATE LIKE '{state}'");
    wait_until(&format!("somebody is in state {state}"), || {
        server.query_value(&query).unwrap() != "0"
    });
}

/// Waits until no session of the server is in a state.
#[track_caller]
fn until_nobody(server: &Server, state: &str) {
    let query =
        format!("SELECT COUNT(*) FROM performance_schema.processlist WHERE STATE LIKE '{state}'");
    let begin = Instant::now();
    while server.query_value(&query).unwrap() != "0" {
        assert!(
            begin.elapsed() < WOKEN,
            "somebody is still in state {state}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn kill_ends_the_waits_of_a_local_clone() {
    let mut daemon = Daemon::new(&[]);
    let setup = "CREATE DATABASE w; CREATE TABLE w.t (id INT PRIMARY KEY); CREATE TABLE w.m (id INT) ENGINE=MyISAM; \
                 INSERT INTO w.m VALUES (1)";
    daemon.world.server.sql(setup).unwrap();
    daemon.sql("SET GLOBAL clone_ddl_timeout = 100000;");

    // For the backup lock, which a DDL has that waits for a transaction.
    let transaction = Holder::of(&daemon.world.server, "BEGIN; SELECT * FROM w.t");
    let ddl = Holder::waiting(&daemon.world.server, "ALTER TABLE w.t ADD COLUMN a INT");
    until_state(&daemon.world.server, "Waiting for table metadata lock");
    for (kill, tail) in [("KILL", ""), ("KILL QUERY", "ENABLE PAGE TRACK")] {
        let set = daemon.world.path(&format!("lock{}", kill.len()));
        let statement = format!("CLONE LOCAL DATA DIRECTORY = '{set}' {tail}");
        is_woken(&mut daemon, &set, &statement, kill, |daemon| {
            until_state(&daemon.world.server, "Waiting for backup lock");
        });
    }
    // Its client goes away.
    let set = daemon.world.path("vanished");
    let mut clone = Prompt::open(&daemon);
    clone.send(&format!("CLONE LOCAL DATA DIRECTORY = '{set}'"));
    daemon.wait_for(&format!("directory={set}"));
    until_state(&daemon.world.server, "Waiting for backup lock");
    clone.vanish();
    let ended = format!(
        "SELECT COUNT(*) FROM mysql.clone_history WHERE DESTINATION = '{set}' AND STATE = 'Failed'"
    );
    daemon.wait_until(&ended, |count| count == "1");
    is_known_as_killed(&daemon, &set);
    drop((transaction, ddl));
    // The DDL goes on without its client, and waits for a moment yet.
    until_nobody(&daemon.world.server, "Waiting for%lock");

    // For a table that is not InnoDB's.
    let table = Holder::of(&daemon.world.server, "LOCK TABLES w.m WRITE");
    let set = daemon.world.path("table");
    let statement = format!("CLONE LOCAL DATA DIRECTORY = '{set}'");
    is_woken(&mut daemon, &set, &statement, "KILL", |daemon| {
        until_state(&daemon.world.server, "Waiting for%lock");
    });
    drop(table);
    assert_released(&daemon);

    // For a server that stands still, and lets nobody in.
    let set = daemon.world.path("still");
    let (mut clone, mut killer) = (Prompt::open(&daemon), Prompt::open(&daemon));
    let pid = clone.value("SELECT CONNECTION_ID()");
    assert_eq!(killer.value("SELECT 1"), "1");
    let process = Pid::from_raw(daemon.world.server.pid().unwrap().cast_signed()).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    clone.send(&format!("CLONE LOCAL DATA DIRECTORY = '{set}'"));
    daemon.wait_for(&format!("directory={set}"));
    killer.send(&format!("KILL {pid}"));
    let ended = clone.end();
    kill_process(process, Signal::CONT).unwrap();
    assert!(
        ended.stderr.contains("ERROR 1317 (70100)"),
        "{}",
        ended.stderr
    );
    is_known_as_killed(&daemon, &set);
    daemon.stop();
}

#[test]
fn kill_ends_the_waits_of_a_remote_clone() {
    let mut daemon = Daemon::new(&[]);
    let mut donor = Server::start(ServerOptions::default()).unwrap();
    donor.make_large(1024).unwrap();
    donor
        .sql("CREATE USER r@'%' IDENTIFIED BY 'r'; GRANT BACKUP_ADMIN ON *.* TO r@'%'")
        .unwrap();
    // Connects, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mute, port) = (silent.local_addr().unwrap().port(), donor.port());
    let paths = ["mute", "slow", "busy", "frozen", "gone"].map(|name| daemon.world.path(name));
    let [mute_set, slow, busy, frozen, gone] = &paths;
    daemon.sql(&format!(
        "SET GLOBAL clone_valid_donor_list = '127.0.0.1:{mute},127.0.0.1:{port}'; \
         SET GLOBAL clone_donor_timeout_after_network_failure = 30;"
    ));
    let from = |port: u16, set: &str| {
        format!("CLONE INSTANCE FROM r@127.0.0.1:{port} IDENTIFIED BY 'r' DATA DIRECTORY = '{set}'")
    };

    // For the greeting of a server.
    is_woken(
        &mut daemon,
        mute_set,
        &from(mute, mute_set),
        "KILL",
        |daemon| {
            daemon.wait_for(&format!("directory={mute_set}"));
        },
    );

    // For a rate limit, and for a donor that serves somebody else.
    daemon.sql("SET GLOBAL clone_max_network_bandwidth = 1;");
    let mut first = Prompt::open(&daemon);
    let pid = first.value("SELECT CONNECTION_ID()");
    first.send(&from(port, slow));
    let copying = "SELECT COUNT(*) FROM performance_schema.clone_progress \
                   WHERE STAGE = 'FILE COPY' AND STATE = 'In Progress' AND DATA > 0";
    daemon.wait_until(copying, |count| count == "1");
    is_woken(
        &mut daemon,
        busy,
        &from(port, busy),
        "KILL QUERY",
        |daemon| {
            daemon.wait_for("the donor serves another clone");
        },
    );
    daemon.sql(&format!("KILL QUERY {pid};"));
    let ended = first.end();
    assert!(
        ended.stderr.contains("ERROR 1317 (70100)"),
        "{}",
        ended.stderr
    );

    // For a donor that stands still.
    let process = Pid::from_raw(donor.pid().unwrap().cast_signed()).unwrap();
    is_woken(&mut daemon, frozen, &from(port, frozen), "KILL", |daemon| {
        daemon.wait_until(copying, |count| count == "1");
        kill_process(process, Signal::STOP).unwrap();
    });
    kill_process(process, Signal::CONT).unwrap();

    // For a donor to come back.
    is_woken(&mut daemon, gone, &from(port, gone), "KILL", |daemon| {
        daemon.wait_until(copying, |count| count == "1");
        donor.kill9().unwrap();
        daemon.wait_for("coming back");
    });
    daemon.stop();
}
