//! What is found before anything is changed, and binary logs in other forms.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod replaying;

use backup::pitr::{PointInTime, Until};
use replaying::{Scene, check_state, copy_logs, gtids};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use testkit::{Server, ServerOptions};

/// A full backup, and four binary logs with transactions behind it.
fn scene() -> Scene {
    let scene = Scene::new(ServerOptions::default());
    scene
        .server
        .sql("CREATE SCHEMA s; CREATE TABLE s.t (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)")
        .unwrap();
    scene.place.full(&scene.server, "full", true);
    for _ in 0..4 {
        scene
            .server
            .sql("INSERT INTO s.t (v) VALUES (REPEAT('a', 5000)), ('b'); INSERT INTO s.t (v) VALUES ('c'); FLUSH BINARY LOGS")
            .unwrap();
    }
    scene
        .server
        .sql("INSERT INTO s.t (v) VALUES ('last')")
        .unwrap();
    scene
}

fn with(scene: &Scene, binlogs: Vec<PathBuf>) -> PointInTime {
    PointInTime {
        binlogs,
        ..scene.point(Until::Latest)
    }
}

/// The files from that of the set on.
fn logs(scene: &Scene, to: &str) -> (PathBuf, Vec<PathBuf>) {
    let to = scene.place.path(to);
    let all = copy_logs(scene.server.datadir(), &to);
    let (_, needed) = all.split_at(all.len() - 5);
    (to, needed.to_vec())
}

fn flip(path: &Path, at: u64) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn binary_logs_that_do_not_fit_are_refused_before_anything_is_changed() {
    let scene = scene();
    // Missing: the first, one between, all.
    let (dir, files) = logs(&scene, "first");
    std::fs::remove_file(&files[0]).unwrap();
    scene.refused(
        "full",
        &with(&scene, vec![dir]),
        &["is needed and is not in", "--binlogs"],
    );
    let (dir, files) = logs(&scene, "between");
    std::fs::remove_file(&files[2]).unwrap();
    let name = files[2].file_name().unwrap().to_str().unwrap();
    scene.refused("full", &with(&scene, vec![dir]), &[name, "is needed"]);
    let empty = scene.place.path("empty");
    std::fs::create_dir(&empty).unwrap();
    scene.refused("full", &with(&scene, vec![empty]), &["is needed"]);

    // Not whole: cut at an event, cut within one, another in its place.
    let (dir, files) = logs(&scene, "cut");
    let bytes = std::fs::read(&files[1]).unwrap();
    std::fs::write(&files[1], &bytes[..bytes.len() - 40]).unwrap();
    scene.refused("full", &with(&scene, vec![dir]), &["is not whole"]);
    let (dir, files) = logs(&scene, "swapped");
    std::fs::copy(&files[1], &files[2]).unwrap();
    scene.refused("full", &with(&scene, vec![dir]), &["does not follow"]);

    // Damaged, encrypted, no binary log, twice.
    let (dir, files) = logs(&scene, "damaged");
    flip(&files[2], 1500);
    scene.refused(
        "full",
        &with(&scene, vec![dir]),
        &["is damaged at byte", "checksum"],
    );
    let (dir, files) = logs(&scene, "encrypted");
    flip(&files[1], 0);
    let mut bytes = std::fs::read(&files[1]).unwrap();
    bytes[0] = 0xFD;
    std::fs::write(&files[1], bytes).unwrap();
    scene.refused("full", &with(&scene, vec![dir]), &["encrypted", "archive"]);
    let (dir, files) = logs(&scene, "text");
    std::fs::write(&files[1], "hello world, this is no binary log").unwrap();
    scene.refused("full", &with(&scene, vec![dir]), &["no binary log"]);
    let (dir, files) = logs(&scene, "twice");
    let twice = vec![scene.server.datadir().to_owned(), files[3].clone(), dir];
    scene.refused("full", &with(&scene, twice), &["there twice"]);

    // Of another server.
    let other = Server::start(ServerOptions::default()).unwrap();
    for _ in 0..8 {
        other.sql("CREATE SCHEMA IF NOT EXISTS x; CREATE TABLE x.t (a INT); DROP TABLE x.t; FLUSH BINARY LOGS").unwrap();
    }
    let foreign = with(&scene, vec![other.datadir().to_owned()]);
    scene.refused(
        "full",
        &foreign,
        &["Name the binary logs of the server that was backed up"],
    );

    // The directory of the result is in use.
    let taken = scene.place.path("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("x"), "x").unwrap();
    let error = scene
        .try_restore("full", "taken", &scene.point(Until::Latest))
        .unwrap_err();
    assert_eq!(error.code(), 1007);
}

#[test]
fn another_mysqld_is_refused_before_anything_is_changed() {
    let scene = scene();
    let fake = scene.place.path("fake");
    let text = "#!/bin/sh\necho '/usr/sbin/mysqld  Ver 8.0.11 for Linux on x86_64 (Source)'\n";
    std::fs::write(&fake, text).unwrap();
    std::fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).unwrap();
    let mut point = scene.point(Until::Latest);
    point.mysqld = Some(fake);
    scene.refused("full", &point, &["is of version 8.0.11", "--mysqld"]);
    point.mysqld = Some(scene.place.path("none"));
    scene.refused("full", &point, &["none"]);
}

#[test]
fn compressed_binary_logs_and_a_torn_last_one_are_replayed() {
    let scene = scene();
    let (dir, files) = logs(&scene, "zstd");
    for (number, file) in files.iter().enumerate() {
        let bytes = std::fs::read(file).unwrap();
        let mut name = file.clone().into_os_string();
        name.push(".zstd");
        // Several frames, as an archive may have.
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        let frames = [head, tail].map(|part| zstd::encode_all(part, 3).unwrap());
        if number != 1 {
            std::fs::write(name, frames.concat()).unwrap();
            std::fs::remove_file(file).unwrap();
        }
    }
    let report = scene
        .try_restore("full", "all", &with(&scene, vec![dir]))
        .unwrap();
    assert_eq!(
        report.point_in_time.binlog.gtid_executed,
        gtids(&scene.server)
    );
    let restored = scene.place.boot("all", &[]);
    check_state(&restored, &report.point_in_time);
    scene.assert_same(&restored);
    drop(restored);

    let (dir, files) = logs(&scene, "torn");
    let bytes = std::fs::read(&files[4]).unwrap();
    std::fs::write(&files[4], &bytes[..bytes.len() - 10]).unwrap();
    let report = scene
        .try_restore("full", "most", &with(&scene, vec![dir]))
        .unwrap();
    let restored = scene.place.boot("most", &[]);
    check_state(&restored, &report.point_in_time);
    assert_eq!(
        restored
            .query_value("SELECT COUNT(*) FROM s.t WHERE v = 'last'")
            .unwrap(),
        "0"
    );
    assert_eq!(
        restored.query_value("SELECT COUNT(*) FROM s.t").unwrap(),
        "12"
    );
}
