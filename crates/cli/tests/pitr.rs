//! Restore to a point in time from the command line: killed, by hand, and as it is told.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use common::world::World;
use common::{innoclone, run};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testkit::Server;

const PATIENCE: Duration = Duration::from_secs(300);

/// A world with a full set, and transactions behind it.
fn world() -> World {
    let world = World::new();
    for program in ["mysqld", "mysqlbinlog", "mysql", "mysqladmin"] {
        let path = PathBuf::from(world.path(program));
        world.server.install().script(program, &path).unwrap();
    }
    world
        .server
        .sql("CREATE SCHEMA s; CREATE TABLE s.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)")
        .unwrap();
    world
        .run(&["backup", "--to", &world.path("full")])
        .expect(0);
    for _ in 0..100 {
        let rows = "INSERT INTO s.t (v) VALUES (REPEAT(UUID(), 20000));";
        world.server.sql(&rows.repeat(3)).unwrap();
    }
    world
}

fn restore(world: &World, to: &str) -> Command {
    let mut command = innoclone(&world.state_dir());
    command
        .args([
            "restore",
            &world.path("full"),
            "--to",
            &world.path(to),
            "--until",
            "latest",
        ])
        .args(["--mysqld", &world.path("mysqld"), "--binlogs"])
        .arg(world.server.datadir());
    command
}

fn sums(server: &Server) -> String {
    server
        .sql("CHECKSUM TABLE s.t; SELECT @@gtid_executed")
        .unwrap()
}

/// Restores, and kills that in its replay; false when it came too late.
fn is_killed_in_replay(world: &World, data: &Path) -> bool {
    let mut process = restore(world, "data")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let relay = data.join("#clone/#replay/relay-innoclone.000001");
    let deadline = Instant::now() + PATIENCE;
    while !relay.exists() && process.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(1));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    if data.join("#clone/#status_replaying").exists() {
        return true;
    }
    let verify = world.run_alone(&["verify", "--quick", &world.path("data")]);
    verify.expect(0);
    std::fs::remove_dir_all(data).unwrap();
    false
}

#[test]
fn a_killed_replay_leaves_nothing_usable_and_is_run_again() {
    let world = world();
    let data = PathBuf::from(world.path("data"));
    // On a busy machine it may be over before it is killed.
    assert!((0..10).any(|_| is_killed_in_replay(&world, &data)));
    let verify = world.run_alone(&["verify", "--quick", &world.path("data")]);
    assert_ne!(verify.status, Some(0), "{}", verify.stdout);
    // No mysqld starts on it, also when ours is gone.
    let mut mysqld = world.server.install().command("mysqld");
    let refused = mysqld
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--socket={}", world.path("s")))
        .args(["--skip-networking", "--mysqlx=OFF"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned()
        + &String::from_utf8_lossy(&refused.stdout);
    assert!(
        !refused.status.success() && text.contains("mysqld-auto.cnf"),
        "{text}"
    );

    run(&mut restore(&world, "data")).expect(0);
    let restored = Server::start_on(&data, &[]).unwrap();
    assert_eq!(sums(&restored), sums(&world.server));
    assert!(
        !data.join("mysqld-auto.cnf").exists() && !data.join("#clone/#status_replaying").exists()
    );
}

#[test]
fn the_answer_says_where_it_ended_and_the_commands_do_the_same() {
    let world = world();
    let mut command = restore(&world, "data");
    let ended = run(command.arg("--json")).expect(0);
    let report = &ended.json()["restore"]["point_in_time"];
    let gtids = world
        .server
        .query_value("SELECT REPLACE(@@gtid_executed, '\\n', '')")
        .unwrap();
    assert_eq!(report["binlog"]["gtid_executed"], gtids.as_str());
    assert_eq!(report["transactions"], 300);
    let record =
        std::fs::read(PathBuf::from(world.path("data")).join("#clone/point_in_time.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["binlog"], report["binlog"]);

    let mut command = restore(&world, "shown");
    let shown = run(command.arg("--print-commands")).expect(0).stdout;
    assert!(!PathBuf::from(world.path("shown")).exists());
    assert!(shown.contains("mysqlbinlog --start-position="), "{shown}");

    // The commands, as a user runs them. The server takes a moment; root has no password here.
    world
        .run_alone(&["restore", &world.path("full"), "--to", &world.path("shown")])
        .expect(0);
    let restored = Server::start_on(&PathBuf::from(world.path("shown")), &[]).unwrap();
    let pipeline = shown
        .lines()
        .find(|line| line.starts_with("mysqlbinlog"))
        .unwrap();
    let socket = format!("{}/mysql.sock", world.path("shown"));
    let pipeline = pipeline
        .replace(" --password", "")
        .replace(&socket, restored.socket().to_str().unwrap());
    let path = format!(
        "{}:{}",
        world.dir.path().display(),
        std::env::var("PATH").unwrap()
    );
    let script = format!("set -o pipefail; {pipeline}");
    let status = Command::new("bash")
        .args(["-c", &script])
        .env("PATH", path)
        .status()
        .unwrap();
    assert!(status.success(), "{pipeline}");
    assert_eq!(sums(&restored), sums(&world.server));
}

#[test]
fn an_earlier_point_is_refused_with_a_hint() {
    let world = world();
    let mut command = innoclone(&world.state_dir());
    command
        .args([
            "restore",
            &world.path("full"),
            "--to",
            &world.path("data"),
            "--until",
            "2020-01-01 00:00:00",
        ])
        .args(["--mysqld", &world.path("mysqld"), "--binlogs"])
        .arg(world.server.datadir());
    let ended = run(&mut command).expect(1);
    assert!(
        ended.stderr.contains("2020-01-01 00:00:00 UTC") && ended.stderr.contains("is earlier"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("hint:"), "{}", ended.stderr);
    assert!(!PathBuf::from(world.path("data")).exists());
}

#[test]
fn an_archive_is_a_source_of_binary_logs_of_its_server_only() {
    let world = world();
    world
        .run(&[
            "binlog",
            "archive",
            "--to",
            &world.path("archive"),
            "--compress=zstd",
        ])
        .expect(0);
    world
        .server
        .sql("FLUSH BINARY LOGS; INSERT INTO s.t (v) VALUES ('not archived yet')")
        .unwrap();
    world
        .run(&[
            "binlog",
            "archive",
            "--to",
            &world.path("archive"),
            "--compress=zstd",
        ])
        .expect(0);
    let names: Vec<String> = std::fs::read_dir(world.path("archive"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().any(|name| name.contains(".zstd")), "{names:?}");
    assert!(names.iter().any(|name| name.contains(".part")), "{names:?}");
    let restore = |archive: &str, to: &str| {
        let mut command = innoclone(&world.state_dir());
        command
            .args(["restore", &world.path("full"), "--to", &world.path(to)])
            .args(["--until", "latest", "--mysqld", &world.path("mysqld")])
            .args(["--binlogs", &world.path(archive)]);
        run(&mut command)
    };
    restore("archive", "data").expect(0);
    let restored = Server::start_on(&PathBuf::from(world.path("data")), &[]).unwrap();
    assert_eq!(sums(&restored), sums(&world.server));

    let state = std::fs::read_to_string(PathBuf::from(world.path("archive")).join("archive.json"));
    let uuid = world.server.query_value("SELECT @@server_uuid").unwrap();
    let state = state
        .unwrap()
        .replace(&uuid, "c42c1e3e-0f41-11ef-b6bf-d08e7908bcb1");
    std::fs::create_dir(world.path("foreign")).unwrap();
    std::fs::write(
        PathBuf::from(world.path("foreign")).join("archive.json"),
        state,
    )
    .unwrap();
    let ended = restore("foreign", "none").expect(1);
    assert!(
        ended
            .stderr
            .contains("is the archive of the server c42c1e3e"),
        "{}",
        ended.stderr
    );
    assert!(!PathBuf::from(world.path("none")).exists());
}
