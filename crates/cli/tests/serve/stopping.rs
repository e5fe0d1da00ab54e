//! Clones that are stopped: by KILL, by their client, with the daemon.

use std::process::{Child, Command, Stdio};

use crate::common::{Ended, run};
use crate::daemon::Daemon;

/// A clone that takes long enough to be stopped: read at a mebibyte a second.
struct Slow {
    client: Child,
}

impl Slow {
    fn start(daemon: &Daemon, directory: &str) -> Self {
        slow_down(daemon);
        let mut command: Command = daemon.client("root");
        command.args(["-e", &format!("CLONE LOCAL DATA DIRECTORY = '{directory}'")]);
        let client = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let slow = Self { client };
        // Live: the row is there, and the stage that runs.
        let running = "SELECT COUNT(*) FROM performance_schema.clone_progress \
                       WHERE STAGE = 'FILE COPY' AND STATE = 'In Progress' AND DATA > 0";
        daemon.wait_until(running, |count| count == "1");
        slow
    }

    fn end(self) -> Ended {
        Ended::from(self.client.wait_with_output().unwrap())
    }
}

/// Clones take a quarter of an hour from now on.
fn slow_down(daemon: &Daemon) {
    let schemas = "SELECT COUNT(*) FROM information_schema.schemata WHERE SCHEMA_NAME = 'large'";
    if daemon.world.server.query_value(schemas).unwrap() == "0" {
        daemon.world.server.make_large(1024).unwrap();
    }
    daemon.sql("SET GLOBAL clone_max_data_bandwidth = 1;");
}

/// The clone that ended last: state and error.
fn last(daemon: &Daemon) -> String {
    daemon.value(
        "SELECT CONCAT(STATE, ' ', ERROR_NO) FROM mysql.clone_history ORDER BY ID DESC LIMIT 1",
    )
}

/// Whether the server lets DDL through, which it does not while the backup lock is held.
fn no_lock_is_held(daemon: &Daemon) {
    let ddl = "SET SESSION lock_wait_timeout = 60; CREATE DATABASE IF NOT EXISTS locks; DROP DATABASE locks";
    daemon.world.server.sql(ddl).unwrap();
}

#[test]
fn kill_stops_a_clone_and_its_pid_is_that_of_the_process_list() {
    let daemon = Daemon::new(&[]);
    let directory = daemon.world.path("slow");
    for kill in ["KILL QUERY", "KILL"] {
        let directory = format!("{directory}-{}", kill.len());
        let slow = Slow::start(&daemon, &directory);
        let pid = daemon
            .value("SELECT PID FROM performance_schema.clone_status WHERE STATE = 'In Progress'");
        let shown = daemon.value(&format!(
            "SELECT INFO FROM information_schema.PROCESSLIST WHERE ID = {pid}"
        ));
        assert!(shown.starts_with("CLONE LOCAL DATA DIRECTORY"), "{shown}");
        let state = daemon.value(&format!(
            "SELECT STATE FROM information_schema.PROCESSLIST WHERE ID = {pid}"
        ));
        assert!(state.starts_with("FILE COPY"), "{state}");
        daemon.sql(&format!("{kill} {pid};"));
        let ended = slow.end();
        assert!(
            ended.stderr.contains("ERROR 1317 (70100)"),
            "{}",
            ended.stderr
        );
        assert_eq!(last(&daemon), "Failed 1317");
        assert!(
            std::path::Path::new(&directory)
                .join("#clone/#status_in_progress")
                .exists()
        );
        no_lock_is_held(&daemon);
    }
    let stages = daemon.value(
        "SELECT GROUP_CONCAT(STATE ORDER BY ID SEPARATOR ',') FROM performance_schema.clone_progress \
         WHERE STAGE = 'FILE COPY'",
    );
    assert_eq!(stages, "Failed,Failed");
}

#[test]
fn a_client_that_goes_away_cancels_its_clone() {
    let daemon = Daemon::new(&[]);
    let mut slow = Slow::start(&daemon, &daemon.world.path("slow"));
    slow.client.kill().unwrap();
    slow.client.wait().unwrap();
    let running = "SELECT COUNT(*) FROM mysql.clone_history WHERE STATE = 'In Progress'";
    daemon.wait_until(running, |count| count == "0");
    assert_eq!(last(&daemon), "Failed 1317");
    no_lock_is_held(&daemon);
}

#[test]
fn other_clients_are_served_while_a_clone_runs_and_the_history_outlives_the_daemon() {
    let daemon = Daemon::new(&[]);
    daemon.sql("SET PERSIST clone_ddl_timeout = 77;");
    let slow = Slow::start(&daemon, &daemon.world.path("slow"));
    assert_eq!(daemon.value("SELECT @@global.clone_ddl_timeout"), "77");
    let (world, log) = daemon.stop();
    assert!(log.contains("stopping clones=1"), "{log}");
    let ended = slow.end();
    assert!(ended.status != Some(0), "{}", ended.stdout);

    let daemon = Daemon::on(world, &[]);
    assert_eq!(last(&daemon), "Failed 1317");
    assert_eq!(daemon.value("SELECT @@global.clone_ddl_timeout"), "77");
    no_lock_is_held(&daemon);
}

#[test]
fn five_clones_run_at_once_and_a_sixth_is_refused() {
    let daemon = Daemon::new(&[]);
    slow_down(&daemon);
    let mut clients = Vec::new();
    for at in 0..5 {
        let directory = daemon.world.path(&format!("slow{at}"));
        let mut command = daemon.client("root");
        command.args(["-e", &format!("CLONE LOCAL DATA DIRECTORY '{directory}'")]);
        clients.push(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let running = "SELECT COUNT(*) FROM mysql.clone_history WHERE STATE = 'In Progress'";
        let expected = (at + 1).to_string();
        daemon.wait_until(running, |count| count == expected);
    }
    let mut command = daemon.client("root");
    let directory = daemon.world.path("slow5");
    command.args(["-e", &format!("CLONE LOCAL DATA DIRECTORY '{directory}'")]);
    let refused = run(&mut command);
    let message =
        "ERROR 3634 (HY000) at line 1: Too many concurrent clone operations. Maximum allowed - 5";
    assert!(refused.stderr.contains(message), "{}", refused.stderr);
    let pids = daemon.value("SELECT GROUP_CONCAT(PID) FROM mysql.clone_history");
    for pid in pids.split(',') {
        daemon.sql(&format!("KILL {pid};"));
    }
    for client in clients {
        let ended = Ended::from(client.wait_with_output().unwrap());
        assert!(ended.stderr.contains("ERROR 1317"), "{}", ended.stderr);
    }
    assert_eq!(
        daemon.value(
            "SELECT COUNT(*) FROM mysql.clone_history WHERE STATE = 'Failed' AND ERROR_NO = 1317"
        ),
        "5"
    );
}
