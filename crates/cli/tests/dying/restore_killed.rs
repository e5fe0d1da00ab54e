//! `kill -9` of a restore, and restores into directories that are not theirs.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::common::run;
use crate::left::{MARKER, has_files};
use crate::moments::{Random, Stretch, in_time};
use crate::running::Running;
use crate::scene::{Scene, check_boots, error_number};

const START: Stretch = ("", Duration::from_millis(100));
const FILE_COPY: Stretch = ("stage=FILE COPY", Duration::from_millis(1200));
const REDO_COPY: Stretch = ("stage=REDO COPY", Duration::from_millis(100));
const FILE_SYNC: Stretch = ("REDO COPY completed", Duration::from_millis(30));

#[test]
fn a_restore_that_was_killed_is_marked_and_the_same_command_completes_it() {
    let mut scene = Scene::new();
    scene.full("full");
    let expected = scene.quiet();
    scene.increment("incr", "full");
    let dir = scene.dir("data");
    // A kill between two system calls: the directory is made and the marker not yet, or the
    // marker is removed and the directory not yet.
    std::fs::create_dir_all(dir.join("#clone")).unwrap();
    let moments = [
        (FILE_COPY, Signal::KILL),
        (START, Signal::KILL),
        (FILE_COPY, Signal::INT),
        (REDO_COPY, Signal::KILL),
        (FILE_SYNC, Signal::KILL),
        (FILE_COPY, Signal::KILL),
        (FILE_COPY, Signal::TERM),
        (REDO_COPY, Signal::KILL),
        (FILE_SYNC, Signal::KILL),
    ];
    let mut random = Random::new(5);
    for (stretch, signal) in moments {
        in_time(stretch, |_, moment| {
            // Each begins by clearing what the one before has left.
            let mut restore =
                Running::start(&mut scene.restore("incr", "data", &["--read-rate=50"]));
            random.wait_in(&mut restore, moment);
            restore.signal(signal);
            let ended = restore.end();
            if dir.join(MARKER).exists() {
                scene.verify("data").expect(3);
            } else if has_files(&dir) {
                // Too late: it was done.
                scene.verify("data").expect(0);
                std::fs::remove_dir_all(&dir).unwrap();
                return (stretch == FILE_SYNC).then_some(());
            }
            if signal != Signal::KILL {
                assert_eq!(error_number(&ended), 1317, "{}", ended.stderr);
            }
            Some(())
        });
    }
    run(&mut scene.restore("incr", "data", &[])).expect(0);
    assert!(!dir.join(MARKER).exists());
    check_boots(&dir, &expected);
    scene.verify("incr").expect(0);
}

#[test]
fn a_restore_touches_neither_what_is_not_its_own_nor_what_another_job_still_writes() {
    let mut scene = Scene::new();
    scene.end_load();
    scene.full("full");
    let foreign = scene.dir("foreign");
    std::fs::create_dir_all(foreign.join("#clone/deep")).unwrap();
    std::fs::write(foreign.join("precious"), "gold").unwrap();
    let ended = run(&mut scene.restore("full", "foreign", &[]));
    assert_eq!(error_number(&ended), 1007, "{}", ended.stderr);
    assert_eq!(std::fs::read(foreign.join("precious")).unwrap(), b"gold");
    assert!(foreign.join("#clone/deep").exists());
    assert_eq!(count(&foreign), 2);

    let slow = ["--read-rate=30"];
    let mut first = Running::start(&mut scene.restore("full", "data", &slow));
    first.wait_for(FILE_COPY.0);
    // It cannot be done before the second one has come.
    first.signal(Signal::STOP);
    let second = run(&mut scene.restore("full", "data", &[]));
    first.signal(Signal::CONT);
    assert_eq!(error_number(&second), 1007, "{}", second.stderr);
    assert!(second.stderr.contains("another job"), "{}", second.stderr);
    first.end().expect(0);
    scene.verify("data").expect(0);

    let mut backup = scene.start_backup("other", &["--page-track", "--read-rate=30"]);
    backup.wait_for(FILE_COPY.0);
    backup.signal(Signal::STOP);
    let second = run(&mut scene.restore("full", "other", &[]));
    backup.signal(Signal::CONT);
    assert_eq!(error_number(&second), 1007, "{}", second.stderr);
    assert!(second.stderr.contains("another job"), "{}", second.stderr);
    backup.end().expect(0);
    scene.verify("other").expect(0);
}

fn count(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}
