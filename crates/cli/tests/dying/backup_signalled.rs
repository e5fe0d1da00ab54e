//! SIGINT and SIGTERM to a backup, in all its stages and while it waits for the server.

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::Ended;
use crate::left::{Left, check_killed, check_left};
use crate::moments::{FILE_COPY, LOCKED, PAGE_COPY, REDO_COPY, Random, in_time};
use crate::released::{assert_released, eventually};
use crate::scene::{ACCOUNT, Scene, error_number};

/// From the signal to the end of the process: less than any wait that the signal has to end.
const SOON: Duration = Duration::from_secs(120);

#[test]
fn a_signal_ends_a_backup_soon_and_frees_the_server() {
    let scene = Scene::new();
    let mut random = Random::new(3);
    let signals = [Signal::INT, Signal::TERM, Signal::HUP];
    let moments = [FILE_COPY, LOCKED, PAGE_COPY, REDO_COPY, PAGE_COPY];
    for (number, stretch) in moments.into_iter().enumerate() {
        in_time(stretch, |attempt, moment| {
            let to = format!("to{number}-{attempt}");
            let mut backup = scene.start_backup(&to, &["--page-track", "--read-rate=50"]);
            random.wait_in(&mut backup, moment);
            backup.signal(signals[number % signals.len()]);
            let ended = backup.end_within(SOON);
            assert_released(scene.server());
            interrupted_or_late(&scene, &to, &ended)
        });
    }
}

#[test]
fn a_backup_that_waits_for_ddl_can_be_ended_and_does_not_wait_on_in_the_server() {
    let scene = Scene::new();
    let _blockers = block_backup_lock(&scene);
    for (number, signal) in [Signal::INT, Signal::TERM, Signal::KILL]
        .into_iter()
        .enumerate()
    {
        let to = format!("to{number}");
        let backup = scene.start_backup(&to, &["--page-track"]);
        wait_for_state(&scene, ACCOUNT, "Waiting for backup lock");
        backup.signal(signal);
        let ended = backup.end_within(SOON);
        if signal == Signal::KILL {
            check_killed(&scene, &to);
        } else {
            assert_interrupted(&scene, &to, &ended);
        }
        assert_released(scene.server());
    }
    let begin = Instant::now();
    let backup = scene.start_backup("late", &["--page-track", "--lock-wait-timeout=3"]);
    let ended = backup.end_within(SOON);
    assert_eq!(error_number(&ended), 1205, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--lock-wait-timeout"),
        "{}",
        ended.stderr
    );
    assert!(begin.elapsed() >= Duration::from_secs(3));
    assert_released(scene.server());
}

/// Tables that are not InnoDB's are copied under a lock that all writes of the server wait for.
#[test]
fn a_backup_killed_while_it_waits_for_open_tables_does_not_keep_writes_waiting() {
    let scene = Scene::new();
    let server = scene.server();
    server
        .sql(
            "CREATE SCHEMA held; CREATE TABLE held.t (id INT) ENGINE=MyISAM; \
             INSERT INTO held.t VALUES (1)",
        )
        .unwrap();
    let _reader = Session::start(&scene, "SELECT SLEEP(100000) FROM held.t");
    wait_for_state(&scene, "root", "User sleep");
    for (to, signal) in [("to1", Signal::INT), ("to2", Signal::KILL)] {
        let backup = scene.start_backup(to, &["--page-track"]);
        wait_for_state(&scene, ACCOUNT, "Waiting for table flush");
        backup.signal(signal);
        backup.end_within(SOON);
        assert_eq!(check_left(&scene, to), Left::Unfinished);
        assert_released(scene.server());
    }
}

#[test]
fn a_signal_ends_a_backup_of_a_server_that_does_not_answer() {
    let scene = Scene::new();
    let mut random = Random::new(4);
    for stretch in [FILE_COPY, PAGE_COPY] {
        in_time(stretch, |attempt, moment| {
            let to = format!("to{}-{attempt}", stretch.0.len());
            let mut backup = scene.start_backup(&to, &["--page-track", "--read-rate=20"]);
            random.wait_in(&mut backup, moment);
            signal_server(&scene, Signal::STOP);
            // Most of the time it has come to wait for an answer then.
            sleep(Duration::from_secs(2));
            backup.signal(Signal::TERM);
            let ended = backup.end_within(SOON);
            signal_server(&scene, Signal::CONT);
            assert_released(scene.server());
            interrupted_or_late(&scene, &to, &ended)
        });
    }
}

/// Nothing when the signal came too late: it was being sealed, or done.
#[track_caller]
fn interrupted_or_late(scene: &Scene, to: &str, ended: &Ended) -> Option<()> {
    if ended.status != Some(0) {
        assert_interrupted(scene, to, ended);
        return Some(());
    }
    assert_eq!(check_left(scene, to), Left::Complete);
    std::fs::remove_dir_all(scene.dir(to)).unwrap();
    None
}

#[track_caller]
fn assert_interrupted(scene: &Scene, to: &str, ended: &Ended) {
    assert_eq!(error_number(ended), 1317, "{}", ended.stderr);
    let row = scene.row(to).unwrap();
    assert_eq!(
        (&row["STATE"], &row["ERROR_NO"]),
        (&"Failed".into(), &1317.into())
    );
    assert!(
        row["ERROR_MESSAGE"]
            .as_str()
            .unwrap()
            .contains("interrupted"),
        "{row}"
    );
    assert_eq!(check_left(scene, to), Left::Unfinished);
}

/// DDL that waits for a transaction, and holds the backup lock back meanwhile.
fn block_backup_lock(scene: &Scene) -> [Session; 2] {
    let server = scene.server();
    server
        .sql("CREATE SCHEMA held; CREATE TABLE held.t (id INT); CREATE VIEW held.v AS SELECT * FROM held.t")
        .unwrap();
    let reader = Session::start(
        scene,
        "BEGIN; SELECT COUNT(*) FROM held.v; DO SLEEP(100000)",
    );
    wait_for_state(scene, "root", "User sleep");
    let ddl = Session::start(scene, "DROP VIEW held.v");
    wait_for_state(scene, "root", "Waiting for table metadata lock");
    [reader, ddl]
}

#[track_caller]
fn wait_for_state(scene: &Scene, user: &str, state: &str) {
    let query = format!(
        "SELECT COUNT(*) > 0 FROM information_schema.processlist \
         WHERE USER = '{user}' AND STATE = '{state}'"
    );
    eventually(scene.server(), state, &query, "1");
}

/// A statement of root's under way; its client is killed when dropped.
struct Session(Child);

impl Session {
    fn start(scene: &Scene, statements: &str) -> Self {
        let mut command = scene.server().client().command("mysql");
        command.args(["--execute", statements]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal_server(scene: &Scene, signal: Signal) {
    let pid = scene.server().pid().unwrap();
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}
