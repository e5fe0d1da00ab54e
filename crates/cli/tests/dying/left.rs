//! What a killed backup leaves behind.

use std::path::Path;

use crate::common::run;
use crate::scene::{Scene, error_number};

/// The marker of a directory under construction.
pub(crate) const MARKER: &str = "#clone/#status_in_progress";

/// What is in the directory of a backup that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Not a single file.
    Nothing,
    /// Files and the marker: refused by everything that uses sets.
    Unfinished,
    /// A complete set.
    Complete,
}

/// Fails unless the directory of a backup that ended early is one of [`Left`].
#[track_caller]
pub(crate) fn check_left(scene: &Scene, to: &str) -> Left {
    let left = find(scene, to);
    if left != Left::Complete {
        assert_refused(scene, to);
    }
    left
}

/// [`check_left`] of a backup that was killed, which the history has to know.
#[track_caller]
pub(crate) fn check_killed(scene: &Scene, to: &str) -> Left {
    let left = check_left(scene, to);
    match (left, scene.row(to)) {
        (Left::Nothing, None) => {}
        (Left::Complete, Some(row)) if row["STATE"] == "Completed" => {}
        (_, Some(row)) => {
            let wanted = (&"Failed".into(), &1317.into());
            assert_eq!((&row["STATE"], &row["ERROR_NO"]), wanted, "{row}");
            let message = row["ERROR_MESSAGE"].as_str().unwrap();
            assert!(message.contains("was killed"), "{row}");
        }
        (_, None) => panic!("{left:?} in {to}, which the history does not know"),
    }
    left
}

#[track_caller]
fn find(scene: &Scene, to: &str) -> Left {
    let dir = scene.dir(to);
    if !has_files(&dir) {
        return Left::Nothing;
    }
    if dir.join(MARKER).exists() {
        let set = scene.world.path(to);
        let verified = scene.world.run_alone(&["verify", "--quick", &set]);
        assert_eq!(verified.status, Some(3), "{}", verified.stderr);
        assert!(verified.stdout.contains(MARKER), "{}", verified.stdout);
        return Left::Unfinished;
    }
    let verified = scene.verify(to);
    assert_eq!(
        verified.status,
        Some(0),
        "not marked, but {}",
        verified.stdout
    );
    Left::Complete
}

/// Neither base nor source of anything; and trying it makes nothing.
#[track_caller]
fn assert_refused(scene: &Scene, to: &str) {
    let base = scene.world.path(to);
    let next = format!("{to}-next");
    let words = ["--page-track", "--based-on", &base];
    let ended = run(&mut scene.backup(&next, &words));
    assert_eq!(error_number(&ended), 1024, "{}", ended.stderr);
    let ended = run(&mut scene.restore(to, &next, &[]));
    assert_eq!(error_number(&ended), 1024, "{}", ended.stderr);
    assert!(!scene.dir(&next).exists());
}

/// Whether there is a file anywhere below.
pub(crate) fn has_files(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return false;
    };
    let has = |entry: std::fs::DirEntry| !entry.path().is_dir() || has_files(&entry.path());
    entries.map(Result::unwrap).any(has)
}
