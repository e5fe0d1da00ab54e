//! What is archived is what the server has.

use std::process::Command;

use backup::archive::{Storage, list};
use rustix::process::Signal;
use testkit::{Scratch, ServerOptions};

use crate::common::run;
use crate::running::Running;
use crate::scene::{Load, Scene};

#[test]
fn runs_continue_each_other_byte_for_byte() {
    let scene = Scene::new();
    scene.work();
    let first = scene.archive_ok(&[]);
    assert_eq!(first["files_finished"], scene.logs().len() as u64 - 1);
    assert_eq!(first["binlog_file"], *scene.logs().last().unwrap());
    let executed = scene
        .server
        .query_value("SELECT REPLACE(@@gtid_executed, '\n', '')")
        .unwrap();
    assert_eq!(first["gtid_set"], executed.as_str());
    scene.assert_whole();

    let again = scene.archive_ok(&[]);
    assert_eq!((&again["events"], &again["bytes"]), (&0.into(), &0.into()));
    scene.assert_whole();

    for _ in 0..3 {
        scene.work();
        scene.archive_ok(&[]);
        scene.assert_whole();
    }
    // At the border of two files.
    scene.server.sql("FLUSH BINARY LOGS").unwrap();
    scene.archive_ok(&[]);
    scene.archive_ok(&[]);
    scene.assert_whole();
}

#[test]
fn finished_files_are_compressed() {
    let scene = Scene::new();
    scene.work();
    scene.archive_ok(&["--compress=zstd"]);
    scene.assert_whole();
    scene.server.sql("FLUSH BINARY LOGS").unwrap();
    scene.archive_ok(&["--compress=zstd"]);
    // Files may be stored in both ways.
    scene.work();
    scene.archive_ok(&[]);
    scene.assert_whole();
    let archived = list(&scene.to()).unwrap();
    let compressed: Vec<_> = archived
        .iter()
        .filter(|log| log.storage == Storage::Zstd)
        .collect();
    assert!(compressed.len() > 3 && compressed.len() + 3 < archived.len());
    let log = compressed[0];
    let plain = Command::new("zstd")
        .arg("-dcq")
        .arg(&log.path)
        .output()
        .unwrap();
    assert!(plain.status.success());
    let own = std::fs::read(scene.server.datadir().join(log.name.to_string())).unwrap();
    assert!(plain.stdout == own);
}

#[test]
fn a_follower_gets_what_happens_and_a_signal_ends_it() {
    let scene = Scene::new();
    let port = format!("--port={}", scene.server.port());
    let over_tls = ["--host=127.0.0.1", &port, "--ssl-mode=REQUIRED"];
    let words = ["--follow", "--compress=zstd"];
    let mut command = scene.command_to(&scene.to(), &[&words[..], &over_tls].concat());
    let mut follower = Running::start(&mut command);
    follower.wait_for("streaming from");
    let load = Load::start(&scene.server);
    for _ in 0..5 {
        follower.wait_for("is archived");
    }
    load.stop();
    scene.wait_until_whole();
    follower.signal(Signal::TERM);
    let ended = follower.end().expect(0);
    let report = &ended.json()["binlog_archive"];
    assert!(report["files_finished"].as_u64().unwrap() >= 5);
    scene.assert_whole();
}

#[test]
fn large_events_without_checksums_or_gtids() {
    let scene = Scene::with(&[
        "--binlog-checksum=NONE",
        "--gtid-mode=OFF",
        "--enforce-gtid-consistency=OFF",
        "--max-allowed-packet=128M",
    ]);
    let large = "INSERT INTO test.t (v) VALUES (REPEAT(RANDOM_BYTES(1000), 40000))";
    scene.server.sql(large).unwrap();
    scene.archive_ok(&[]);
    scene.assert_whole();
    // The setting changes in the middle; every file has its own.
    scene
        .server
        .sql("SET GLOBAL binlog_checksum = CRC32")
        .unwrap();
    scene.server.sql(large).unwrap();
    scene.archive_ok(&[]);
    scene.work();
    let report = scene.archive_ok(&[]);
    assert_eq!(report["gtid_set"], "");
    scene.assert_whole();
}

#[test]
fn numbers_of_seven_digits_follow_those_of_six() {
    let scene = Scene::new();
    let reset = "RESET BINARY LOGS AND GTIDS TO 999998";
    scene.server.sql(reset).unwrap();
    scene.work();
    scene.archive_ok(&["--compress=zstd"]);
    scene.work();
    scene.archive_ok(&[]);
    let logs = scene.logs();
    assert!(
        logs.iter().any(|name| name.ends_with(".1000000")),
        "{logs:?}"
    );
    scene.assert_whole();
}

/// Such a server puts two bytes more in front of the events of replicas that acknowledge them.
#[test]
fn a_server_that_waits_for_other_replicas_is_archived_like_any() {
    let scene = Scene::with(&[
        "--plugin-load-add=semisync_source.so",
        "--rpl-semi-sync-source-enabled=ON",
        "--rpl-semi-sync-source-timeout=100",
    ]);
    let value = "SELECT @@rpl_semi_sync_source_enabled";
    assert_eq!(scene.server.query_value(value).unwrap(), "1");
    scene.work();
    scene.archive_ok(&[]);
    scene.work();
    scene.archive_ok(&[]);
    scene.assert_whole();
}

/// The stream is in plain, and so is the archive: the same as mysqlbinlog gets.
#[test]
fn encrypted_logs_are_archived_in_plain() {
    let scene = Scene::of(ServerOptions {
        keyring: true,
        args: vec!["--binlog-encryption=ON".into()],
        ..ServerOptions::default()
    });
    scene.work();
    scene.archive_ok(&[]);
    scene.work();
    scene.archive_ok(&[]);
    let archived = list(&scene.to()).unwrap();
    let raw = Scratch::new().unwrap();
    let mut mysqlbinlog = scene.server.client().command("mysqlbinlog");
    mysqlbinlog.args(["--read-from-remote-server", "--raw", "--to-last-log"]);
    mysqlbinlog.arg(format!("--result-file={}/", raw.path().display()));
    mysqlbinlog.arg(archived[0].name.to_string());
    run(&mut mysqlbinlog).expect(0);
    assert!(archived.len() > 5);
    for log in archived {
        let other = std::fs::read(raw.join(log.name.to_string())).unwrap();
        assert!(std::fs::read(&log.path).unwrap() == other, "{}", log.name);
    }
}
