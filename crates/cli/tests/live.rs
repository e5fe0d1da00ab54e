//! The whole program against a real server.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod common;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::shown::{HISTORY_COLUMNS, table};
use common::world::World;
use common::{Ended, run};
use serde_json::Value;
use testkit::Server;

fn error_of(ended: &Ended) -> Value {
    ended.json()["error"].clone()
}

#[test]
fn a_full_and_an_increment_come_back_through_the_program() {
    let world = World::new();
    world
        .server
        .sql("CREATE DATABASE test; CREATE TABLE test.t (id INT PRIMARY KEY); INSERT INTO test.t VALUES (1)")
        .unwrap();
    let (full, incr, data) = (world.path("full"), world.path("incr"), world.path("data"));

    let ended = world
        .run(&["backup", "--to", &full, "--page-track"])
        .expect(0);
    assert!(
        ended.stdout.ends_with("\ncompleted OK!\n"),
        "{}",
        ended.stdout
    );
    for stage in ["FILE COPY", "PAGE COPY", "REDO COPY", "FILE SYNC"] {
        let line = format!("{stage} completed");
        assert!(ended.stderr.contains(&line), "{stage}: {}", ended.stderr);
    }

    world.server.sql("INSERT INTO test.t VALUES (2)").unwrap();
    let words = [
        "backup",
        "--to",
        &incr,
        "--page_track",
        "--based_on",
        &full,
        "--json",
    ];
    let ended = world.run(&words).expect(0);
    let report = &ended.json()["backup"];
    assert_eq!(report["kind"], "increment");
    assert_eq!(report["destination"], incr.as_str());
    let log = ended.log();
    assert!(
        log.iter()
            .any(|line| line["stage"] == "PAGE COPY" && line["seconds"].is_number())
    );

    for set in [&full, &incr] {
        let ended = world.run_alone(&["verify", set]).expect(0);
        assert!(
            ended.stdout.ends_with("completed OK!\n"),
            "{}",
            ended.stdout
        );
    }

    let history = world.history();
    assert_eq!(history.len(), 2);
    assert_eq!(history[0]["CLONE_TYPE"], "full clone");
    assert_eq!(history[1]["CLONE_TYPE"], "increment clone");
    for row in &history {
        assert_eq!(row["STATE"], "Completed");
        assert_eq!(row.as_object().unwrap().len(), 16);
        assert!(!row["BINLOG_FILE"].as_str().unwrap().is_empty());
    }
    let shown = table(&world.run_alone(&["history"]).expect(0).stdout);
    assert_eq!(shown[0], HISTORY_COLUMNS);
    let progress = world.run_alone(&["progress", "--json"]).expect(0).json();
    assert_eq!(progress["progress"].as_array().unwrap().len(), 2 * 7);
    let status = world.run_alone(&["status", "--vertical"]).expect(0).stdout;
    assert!(status.contains("STATE: Completed"), "{status}");

    let ended = world
        .run_alone(&["restore", &incr, "--to", &data])
        .expect(0);
    assert!(
        ended.stdout.ends_with("completed OK!\n"),
        "{}",
        ended.stdout
    );
    let restored = Server::start_on(data.as_ref(), &[]).unwrap();
    assert_eq!(
        restored.query_value("SELECT SUM(id) FROM test.t").unwrap(),
        "3"
    );
}

#[test]
fn a_copy_of_a_full_is_brought_forward_by_apply_as_by_the_server() {
    let world = World::new();
    world
        .server
        .sql("CREATE DATABASE test; CREATE TABLE test.t (id INT PRIMARY KEY); INSERT INTO test.t VALUES (1)")
        .unwrap();
    let (full, incr, data) = (
        world.path("b/full"),
        world.path("b/incr"),
        world.path("data"),
    );
    world
        .run(&["backup", "--to", &full, "--page-track"])
        .expect(0);
    world.server.sql("INSERT INTO test.t VALUES (2)").unwrap();
    world
        .run(&["backup", "--to", &incr, "--page-track", "--based-on", &full])
        .expect(0);
    let copied = Command::new("cp").args(["-a", &full, &data]).status();
    assert!(copied.unwrap().success());

    let defaults = world.path("my.cnf");
    std::fs::write(&defaults, format!("[mysqld]\ndatadir={data}\n")).unwrap();
    let (file, set) = (
        format!("--defaults-file={defaults}"),
        format!("--clone_incremental_dir={incr}"),
    );
    let ended = world.run_alone(&["apply", &file, &set]).expect(0);
    assert!(
        ended.stdout.ends_with("completed OK!\n"),
        "{}",
        ended.stdout
    );
    let restored = Server::start_on(data.as_ref(), &[]).unwrap();
    assert_eq!(
        restored.query_value("SELECT SUM(id) FROM test.t").unwrap(),
        "3"
    );
}

#[test]
fn a_lost_history_comes_back_from_the_sets() {
    let world = World::new();
    let (full, incr) = (world.path("b/full"), world.path("b/incr"));
    world
        .run(&["backup", "--to", &full, "--page-track"])
        .expect(0);
    world
        .run(&["backup", "--to", &incr, "--based-on", &full])
        .expect(0);
    let before = world.history();
    std::fs::remove_dir_all(world.state_dir()).unwrap();
    assert!(world.history().is_empty());
    let rebuild = ["history", "--rebuild", &world.path("b"), "--json"];
    let shown = world.run_alone(&rebuild).expect(0).json();
    let after = shown["history"].as_array().unwrap();
    assert_eq!(after.len(), before.len());
    for (before, after) in before.iter().zip(after) {
        // A set is sealed before its end is recorded.
        for column in HISTORY_COLUMNS
            .iter()
            .filter(|column| **column != "END_TIME")
        {
            assert_eq!(before[*column], after[*column], "{column}");
        }
    }
    world.run_alone(&rebuild).expect(0);
    assert_eq!(&world.history(), after, "nothing is entered twice");
}

#[test]
fn errors_have_mysqls_numbers_and_leave_nothing() {
    let world = World::new();
    let (to, taken) = (world.path("to"), world.path("taken"));
    std::fs::create_dir_all(format!("{taken}/file")).unwrap();

    let ended = world.run(&["backup", "--to", &taken, "--json"]).expect(1);
    assert_eq!(error_of(&ended)["code"], 1007);

    let inside = world.server.datadir().join("backup");
    let inside = inside.to_str().unwrap();
    let ended = world.run(&["backup", "--to", inside, "--json"]).expect(1);
    assert_eq!(error_of(&ended)["code"], 3632);

    let mut wrong = world.to_server(&["backup", "--to", &to, "--json"]);
    let ended = run(wrong.env("MYSQL_PWD", "wrong")).expect(1);
    assert_eq!(error_of(&ended)["code"], 1045);
    assert_eq!(error_of(&ended)["sqlstate"], "28000");

    world
        .server
        .sql("CREATE USER poor@localhost IDENTIFIED BY 'pw'")
        .unwrap();
    let mut poor = world.to_server(&["backup", "--to", &to]);
    let ended = run(poor.arg("--user=poor").env("MYSQL_PWD", "pw")).expect(1);
    assert!(
        ended.stderr.contains("ERROR 1227 (42000)"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("hint: Run as an administrator: GRANT "),
        "{}",
        ended.stderr
    );

    let unsealed = world.dir.join("unsealed/#clone");
    std::fs::create_dir_all(&unsealed).unwrap();
    std::fs::write(unsealed.join("#status_in_progress"), "").unwrap();
    let base = world.path("unsealed");
    let ended = world
        .run(&["backup", "--to", &to, "--based-on", &base, "--json"])
        .expect(1);
    assert_eq!(error_of(&ended)["code"], 1024);
    let ended = world
        .run_alone(&["restore", &base, "--to", &to, "--json"])
        .expect(1);
    assert_eq!(error_of(&ended)["code"], 1024);

    assert!(!PathBuf::from(&to).exists());
    assert!(world.history().iter().all(|row| row["STATE"] == "Failed"));
}

#[test]
fn a_damaged_set_is_found_by_verify_and_named() {
    let world = World::new();
    let full = world.path("full");
    world.run(&["backup", "--to", &full]).expect(0);
    let file = PathBuf::from(&full).join("mysql.ibd");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let ended = world.run_alone(&["verify", &full]).expect(3);
    assert!(ended.stdout.contains("mysql.ibd"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("OK"), "{}", ended.stdout);
    let report = world
        .run_alone(&["verify", &full, "--json"])
        .expect(3)
        .json();
    assert!(!report["verify"]["problems"].as_array().unwrap().is_empty());
}

#[test]
fn page_tracking_is_switched_and_shown() {
    let world = World::new();
    let status = |world: &World| {
        world
            .run(&["page-track", "status", "--json"])
            .expect(0)
            .json()
    };
    assert_eq!(status(&world)["page_track"]["enabled"], false);
    let on = world.run(&["page-track", "on", "--json"]).expect(0).json();
    let since = on["page_track"]["lsn"].as_u64().unwrap();
    let shown = status(&world);
    assert_eq!(shown["page_track"]["enabled"], true);
    assert_eq!(shown["page_track"]["since"], since);
    assert!(shown["page_track"]["current"].as_u64().unwrap() >= since);
    world.run(&["page-track", "purge", "1"]).expect(0);
    let off = world.run(&["page-track", "off"]).expect(0);
    assert!(off.stdout.ends_with("completed OK!\n"));
    let told = world.run(&["page-track", "status"]).expect(0).stdout;
    assert!(told.starts_with("page tracking is off"), "{told}");
}

#[test]
fn a_signal_cancels_with_1317_and_the_history_says_so() {
    let world = World::new();
    let to = world.path("to");
    // It takes a quarter of an hour unless it is cancelled.
    world.server.make_large(1024).unwrap();
    let mut command = world.to_server(&["backup", "--to", &to, "--read-rate", "1"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while !world
        .history()
        .iter()
        .any(|row| row["STATE"] == "In Progress")
    {
        assert!(begin.elapsed() < Duration::from_secs(300), "never began");
        std::thread::sleep(Duration::from_millis(100));
    }
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let ended = Ended::from(child.wait_with_output().unwrap()).expect(1);
    assert!(
        ended.stderr.contains("ERROR 1317 (70100)"),
        "{}",
        ended.stderr
    );
    let history = world.history();
    let row = history.last().unwrap();
    assert_eq!(
        (&row["STATE"], &row["ERROR_NO"]),
        (&"Failed".into(), &1317.into())
    );
    let locks = "SELECT COUNT(*) FROM performance_schema.metadata_locks \
                 WHERE OBJECT_TYPE = 'BACKUP LOCK' AND LOCK_TYPE = 'SHARED'";
    assert_eq!(world.server.query_value(locks).unwrap(), "0");
    let ended = world
        .run_alone(&["restore", &to, "--to", &world.path("data"), "--json"])
        .expect(1);
    assert_eq!(error_of(&ended)["code"], 1024);
}
