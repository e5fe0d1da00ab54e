//! `kill -9` of a backup.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use testkit::Server;

use crate::left::{Left, MARKER, check_killed};
use crate::moments::{
    CONNECTING, FILE_COPY, FILE_SYNC, LOCKED, PAGE_COPY, REDO_COPY, Random, Stretch, in_time,
};
use crate::released::assert_released;
use crate::running::{PATIENCE, Running};
use crate::scene::Scene;

#[test]
fn a_full_backup_killed_at_any_moment_frees_the_server_and_leaves_nothing_usable() {
    let mut scene = Scene::new();
    let moments = [
        CONNECTING, FILE_COPY, LOCKED, PAGE_COPY, PAGE_COPY, REDO_COPY, REDO_COPY,
    ];
    let mut random = Random::new(1);
    for (number, stretch) in moments.into_iter().enumerate() {
        in_time(stretch, |attempt, moment| {
            let to = format!("killed{number}-{attempt}");
            let backup = scene.start_backup(&to, &["--page-track", "--read-rate=50"]);
            kill_in(backup, moment, &mut random);
            assert_released(scene.server());
            let left = check_killed(&scene, &to);
            if stretch == REDO_COPY && left == Left::Unfinished {
                let error = Server::start_on(&scene.dir(&to), &[]).unwrap_err();
                let refusal = "Incomplete cloned data directory";
                assert!(format!("{error:#}").contains(refusal), "{error:#}");
            }
            std::fs::remove_dir_all(scene.dir(&to)).unwrap_or_default();
            (left != Left::Complete).then_some(())
        });
    }
    let expected = scene.quiet();
    scene.full("full");
    scene.check_restores("full", &expected);
}

#[test]
fn a_killed_increment_spoils_neither_its_base_nor_the_next_increment() {
    let mut scene = Scene::new();
    scene.full("full");
    let base = scene.world.path("full");
    let words = ["--page-track", "--based-on", &base, "--read-rate=20"];
    let moments = [
        CONNECTING, LOCKED, PAGE_COPY, PAGE_COPY, REDO_COPY, FILE_SYNC,
    ];
    let mut random = Random::new(2);
    for (number, stretch) in moments.into_iter().enumerate() {
        let to = format!("killed{number}");
        kill_in(scene.start_backup(&to, &words), stretch, &mut random);
        assert_released(scene.server());
        check_killed(&scene, &to);
    }
    let expected = scene.quiet();
    scene.increment("incr", "full");
    scene.check_restores("incr", &expected);
}

#[test]
fn a_backup_killed_while_it_is_sealed_is_complete_or_marked() {
    let mut scene = Scene::new();
    scene.full("full");
    // A quiet server has its checkpoint where a backup needs it.
    scene.end_load();
    let base = scene.world.path("full");
    let mut number = 0;
    let mut kill_at = |moment: &dyn Fn(&Path)| {
        number += 1;
        let to = format!("killed{number}");
        let words = ["--page-track", "--based-on", &base];
        let mut backup = scene.start_backup(&to, &words);
        backup.wait_for(FILE_SYNC.0);
        moment(&scene.dir(&to));
        backup.kill();
        check_killed(&scene, &to)
    };
    let manifest = |dir: &Path| dir.join("#clone/manifest.json.b3").exists();
    let marker = |dir: &Path| dir.join(MARKER).exists();
    for tenth in [1, 5] {
        kill_at(&|_| sleep(FILE_SYNC.1 * tenth / 10));
    }
    // The stretch is short: on a busy machine it may take many attempts to be in time for it.
    let mut found = Vec::new();
    while found.len() < 6 || !found.contains(&Left::Unfinished) {
        assert!(found.len() < 200, "never in time");
        let half = (found.len() % 6) as u32;
        found.push(kill_at(&|dir| {
            spin_until(|| manifest(dir));
            sleep(Duration::from_micros(500) * half);
        }));
    }
    let left = kill_at(&|dir| spin_until(|| !marker(dir)));
    assert_eq!(left, Left::Complete);
    assert_released(scene.server());
}

/// Waits without sleeping: the moment is short.
fn spin_until(done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "never came");
    }
}

/// Kills at some moment of the stretch.
fn kill_in(mut backup: Running, stretch: Stretch, random: &mut Random) {
    random.wait_in(&mut backup, stretch);
    backup.kill();
}
