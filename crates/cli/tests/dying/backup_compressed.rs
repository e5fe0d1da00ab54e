//! Backups that compress have threads of their own, and files that are not compressed yet.

use rustix::process::Signal;

use crate::common::run;
use crate::left::{Left, MARKER, check_killed, check_left};
use crate::moments::{FILE_COPY, FILE_SYNC, PAGE_COPY, Random, in_time};
use crate::released::assert_released;
use crate::scene::{Scene, error_number};
use crate::small_disk::Mounted;

#[test]
fn a_compressed_backup_killed_at_any_moment_frees_the_server_and_leaves_nothing_usable() {
    let mut scene = Scene::new();
    let mut random = Random::new(5);
    for (number, stretch) in [FILE_COPY, FILE_COPY, PAGE_COPY, FILE_SYNC]
        .into_iter()
        .enumerate()
    {
        in_time(stretch, |attempt, moment| {
            let to = format!("killed{number}-{attempt}");
            let words = ["--page-track", "--read-rate=50", "--compress=zstd"];
            let mut backup = scene.start_backup(&to, &words);
            random.wait_in(&mut backup, moment);
            backup.kill();
            assert_released(scene.server());
            let left = check_killed(&scene, &to);
            std::fs::remove_dir_all(scene.dir(&to)).unwrap_or_default();
            (left != Left::Complete).then_some(())
        });
    }
    let expected = scene.quiet();
    run(&mut scene.backup("full", &["--page-track", "--compress=zstd"])).expect(0);
    scene.check_restores("full", &expected);
}

#[test]
fn a_signal_ends_a_backup_whose_workers_wait_for_the_compressor() {
    let scene = Scene::new();
    let mut random = Random::new(6);
    let slow = [
        "--page-track",
        "--parallel=8",
        "--compress=zstd",
        "--compress-level=19",
        "--compress-threads=1",
    ];
    for (number, signal) in [Signal::INT, Signal::TERM].into_iter().enumerate() {
        let to = format!("to{number}");
        let mut backup = scene.start_backup(&to, &slow);
        random.wait_in(&mut backup, FILE_COPY);
        backup.signal(signal);
        let ended = backup.end();
        assert_eq!(error_number(&ended), 1317, "{}", ended.stderr);
        assert_eq!(check_left(&scene, &to), Left::Unfinished);
        assert_released(scene.server());
    }
}

#[test]
fn a_compressed_backup_that_fills_the_disk_names_the_file_and_frees_the_server() {
    let scene = Scene::new();
    scene.full("full");
    scene.change_pages();
    let base = scene.world.path("full");
    // Full of compressed files, and of what is to be compressed at the end.
    let cases: [(&str, &[&str]); 2] = [
        ("size=3m", &["--page-track", "--compress=zstd"]),
        (
            "size=1m",
            &["--page-track", "--compress=lz4", "--based-on", &base],
        ),
    ];
    for (number, (options, words)) in cases.into_iter().enumerate() {
        let name = format!("disk{number}");
        let disk = Mounted::small(&scene.dir(&name), options);
        let to = format!("{name}/set");
        let ended = run(&mut disk.inside(&scene.backup(&to, words)));
        assert_eq!(error_number(&ended), 1021, "{}", ended.stderr);
        let file = format!("'{}/", scene.dir(&to).display());
        assert!(ended.stderr.contains(&file), "{}", ended.stderr);
        assert!(disk.join("set").join(MARKER).exists());
        let row = scene.row(&to).unwrap();
        assert_eq!(
            (&row["STATE"], &row["ERROR_NO"]),
            (&"Failed".into(), &1021.into())
        );
        assert_released(scene.server());
    }
}
