//! A server that is killed or restarted while it is backed up.

use std::time::Duration;

use crate::left::{Left, check_left};
use crate::moments::{FILE_COPY, PAGE_COPY, Random, Stretch};
use crate::released::assert_released;
use crate::scene::{Scene, error_number};

#[test]
fn a_backup_fails_soon_when_its_server_is_killed_and_the_next_increment_is_right() {
    // So slow that a task of a worker takes longer than the test's patience.
    check(FILE_COPY, "--read-rate=1", |scene| {
        scene.world.server.kill9().unwrap();
        scene.world.server.start_again().unwrap();
    });
}

#[test]
fn a_backup_fails_soon_when_its_server_is_restarted_and_the_next_increment_is_right() {
    check(PAGE_COPY, "--read-rate=20", |scene| {
        scene.world.server.restart(&[]).unwrap();
    });
}

fn check(stretch: Stretch, rate: &str, end_and_start: impl Fn(&mut Scene)) {
    let mut scene = Scene::new();
    scene.full("full");
    let words = ["--page-track", rate];
    let mut backup = scene.start_backup("lost", &words);
    Random::new(6).wait_in(&mut backup, stretch);
    end_and_start(&mut scene);
    let ended = backup.end(Duration::from_secs(15));
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

/// Gone away, lost, no such socket, shutdown in progress, killed by the server.
const LOST: [u64; 5] = [2006, 2013, 2002, 1053, 1927];
