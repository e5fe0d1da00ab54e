//! Archivers, connections, servers and disks that end at a bad moment.

use std::time::Duration;

use backup::archive::{Storage, list};
use rustix::process::Signal;

use crate::common::run;
use crate::proxy::Proxy;
use crate::running::Running;
use crate::scene::{Load, Scene, contents, wait_until};
use crate::small_disk::Mounted;

#[test]
fn killed_at_any_moment_it_continues_where_it_was() {
    let scene = Scene::new();
    let load = Load::start(&scene.server);
    let mut random = 0x9E37_79B9_u64;
    for round in 0..12 {
        let compress = format!("--compress={}", ["none", "zstd"][round % 2]);
        let mut archiver = Running::start(&mut scene.command(&["--follow", &compress]));
        archiver.wait_for("streaming from");
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // Any moment will do: this waits for nothing.
        std::thread::sleep(Duration::from_millis(random >> 56));
        archiver.kill();
    }
    load.stop();
    scene.archive_ok(&[]);
    scene.assert_whole();
}

#[test]
fn a_follower_survives_cut_connections() {
    let scene = Scene::new();
    scene.work();
    let proxy = Proxy::start(scene.server.port(), 60_000);
    let port = format!("--port={}", proxy.port);
    let words = ["--follow", "--host=127.0.0.1", &port, "--ssl-mode=DISABLED"];
    let follower = Running::start(&mut scene.command_to(&scene.to(), &words));
    let load = Load::start(&scene.server);
    for (number, limit) in [50_000, 20_000, 131_000, 90_001, 33_333]
        .into_iter()
        .enumerate()
    {
        wait_until("a cut", || proxy.cuts() > number as u64);
        proxy.set_limit(limit);
    }
    load.stop();
    proxy.set_limit(u64::MAX);
    scene.wait_until_whole();
    follower.signal(Signal::INT);
    follower.end().expect(0);
    scene.assert_whole();
}

#[test]
fn a_run_to_the_end_fails_when_the_connection_is_cut_and_the_next_one_continues() {
    let scene = Scene::new();
    scene.work();
    let proxy = Proxy::start(scene.server.port(), 100_000);
    let port = format!("--port={}", proxy.port);
    let words = ["--host=127.0.0.1", &port, "--ssl-mode=DISABLED"];
    let ended = run(&mut scene.command_to(&scene.to(), &words)).expect(1);
    assert_eq!(ended.json()["error"]["code"], 2013);
    assert!(list(&scene.to()).unwrap().last().unwrap().storage == Storage::Part);
    scene.archive_ok(&[]);
    scene.assert_whole();
}

#[test]
fn a_follower_survives_restarts_and_crashes_of_its_server() {
    let mut scene = Scene::new();
    let mut follower = Running::start(&mut scene.command(&["--follow"]));
    let load = Load::start(&scene.server);
    for round in 0..4 {
        follower.wait_for("is archived");
        if round % 2 == 0 {
            scene.server.kill9().unwrap();
        } else {
            scene.server.stop().unwrap();
        }
        scene.server.start_again().unwrap();
    }
    follower.wait_for("is archived");
    load.stop();
    scene.wait_until_whole();
    follower.signal(Signal::TERM);
    follower.end().expect(0);
    scene.assert_whole();
}

/// What a power failure may leave of the file under way.
#[test]
fn a_torn_or_damaged_end_is_fetched_again() {
    let scene = Scene::new();
    scene.work();
    scene.archive_ok(&[]);
    scene
        .server
        .sql("INSERT INTO test.t (v) VALUES (REPEAT('a', 30000))")
        .unwrap();
    scene.archive_ok(&[]);
    let part = list(&scene.to()).unwrap().pop().unwrap().path;
    let whole = std::fs::read(&part).unwrap();
    for length in [0, 3, 4, 30, 130, 200, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole[..length].to_vec();
        std::fs::write(&part, &bytes).unwrap();
        scene.archive_ok(&[]);
        scene.assert_whole();
        // Blocks that were never written.
        bytes.resize(whole.len(), 0);
        std::fs::write(&part, &bytes).unwrap();
        scene.archive_ok(&[]);
        scene.assert_whole();
        bytes = whole.clone();
        bytes[length] ^= 1;
        std::fs::write(&part, &bytes).unwrap();
        scene.archive_ok(&[]);
        scene.assert_whole();
    }
}

/// A run that was killed between two steps of finishing a file.
#[test]
fn what_was_left_half_done_is_cleaned_up() {
    let scene = Scene::new();
    scene.work();
    scene.archive_ok(&["--compress=zstd"]);
    let archived = list(&scene.to()).unwrap();
    let [.., last, part] = archived.as_slice() else {
        panic!("{archived:?}");
    };
    let left = |name: &str, bytes: &[u8]| std::fs::write(scene.to().join(name), bytes).unwrap();
    let whole = std::fs::read(scene.server.datadir().join(last.name.to_string())).unwrap();
    let next = std::fs::read(&part.path).unwrap();

    // The compressed file was durable, its part not removed.
    std::fs::remove_file(&part.path).unwrap();
    left(&format!("{}.part", last.name), &whole);
    left("archive.json.tmp", b"{");
    scene.archive_ok(&[]);
    scene.assert_whole();

    // The compressed file was under way.
    std::fs::remove_file(&part.path).unwrap();
    std::fs::remove_file(&last.path).unwrap();
    left(&format!("{}.part", last.name), &whole);
    left(&format!("{}.zstd.tmp", last.name), &next);
    scene.archive_ok(&["--compress=zstd"]);
    scene.assert_whole();
}

#[test]
fn a_full_disk_is_told_and_the_archive_continues_on_a_larger_one() {
    let scene = Scene::new();
    for _ in 0..3 {
        scene.work();
    }
    let small = Mounted::small(&scene.dir.join("small"), "size=500k");
    let to = scene.dir.join("small/archive");
    let socket = format!("--socket={}", scene.server.socket().display());
    for words in [["--follow", &socket], ["--compress=zstd", &socket]] {
        let mut command = small.inside(&scene.command_to(&to, &words));
        let ended = run(&mut command).expect(1);
        assert_eq!(ended.json()["error"]["code"], 1021, "{}", ended.stdout);
    }
    std::fs::create_dir(scene.to()).unwrap();
    for (name, bytes) in contents(&small.join("archive")) {
        std::fs::write(scene.to().join(name), bytes).unwrap();
    }
    scene.archive_ok(&[]);
    scene.assert_whole();
}
