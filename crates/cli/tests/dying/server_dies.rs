//! A server that is killed or restarted while it is backed up.

use std::time::Duration;

use crate::left::{Left, check_left};
use crate::moments::{FILE_COPY, PAGE_COPY, Random, Stretch, in_time};
use crate::released::assert_released;
use crate::scene::{Scene, error_number};

#[test]
fn a_backup_fails_soon_when_its_server_is_killed_and_the_next_increment_is_right() {
    // So slow that a task of a worker, of 16 MiB, takes four minutes: longer than the patience.
    check(FILE_COPY, &["--read-rate=1", "--parallel=16"], |scene| {
        scene.world.server.kill9().unwrap();
        scene.world.server.start_again().unwrap();
    });
}

#[test]
fn a_backup_fails_soon_when_its_server_is_restarted_and_the_next_increment_is_right() {
    check(PAGE_COPY, &["--read-rate=20"], |scene| {
        scene.world.server.restart(&[]).unwrap();
    });
}

fn check(stretch: Stretch, words: &[&str], end_and_start: impl Fn(&mut Scene)) {
    let mut scene = Scene::new();
    scene.full("full");
    if stretch == FILE_COPY {
        // Enough for all workers.
        scene.server().make_large(512).unwrap();
    }
    let words = [&["--page-track"], words].concat();
    let mut random = Random::new(6);
    let ended = in_time(stretch, |_, moment| {
        let mut backup = scene.start_backup("lost", &words);
        random.wait_in(&mut backup, moment);
        end_and_start(&mut scene);
        let ended = backup.end_within(SOON);
        if ended.status == Some(0) {
            std::fs::remove_dir_all(scene.dir("lost")).unwrap();
            return None;
        }
        Some(ended)
    });
    let small = "DROP SCHEMA IF EXISTS large";
    scene.server().sql(small).unwrap();
    let number = error_number(&ended);
    assert!(LOST.contains(&number), "{number}: {}", ended.stderr);
    assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
    assert_eq!(check_left(&scene, "lost"), Left::Unfinished);
    let row = scene.row("lost").unwrap();
    assert_eq!(
        (&row["STATE"], &row["ERROR_NO"]),
        (&"Failed".into(), &number.into())
    );
    assert_released(scene.server());

    let expected = scene.quiet();
    let ended = scene.increment("incr", "full");
    assert!(
        ended.stderr.contains("has been restarted since"),
        "{}",
        ended.stderr
    );
    scene.check_restores("incr", &expected);
}

/// After the server is back.
const SOON: Duration = Duration::from_secs(120);

/// Gone away, lost, no such socket, shutdown in progress, killed by the server.
const LOST: [u64; 5] = [2006, 2013, 2002, 1053, 1927];
