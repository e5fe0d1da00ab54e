//! Disks that are full or cannot be written, and paths that cannot be used.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::common::run;
use crate::left::{MARKER, has_files};
use crate::moments::FILE_COPY;
use crate::released::{assert_released, eventually};
use crate::running::Running;
use crate::scene::{Scene, error_number};
use crate::small_disk::Mounted;

#[test]
fn a_backup_that_fills_the_disk_names_the_file_and_frees_the_server() {
    let scene = Scene::new();
    scene.full("full");
    scene.change_pages();
    let base = scene.world.path("full");
    // Full while files are copied, while their pages are copied again, and of files themselves.
    let cases: [(&str, &[&str]); 3] = [
        ("size=40m", &["--page-track"]),
        ("size=2m", &["--page-track", "--based-on", &base]),
        ("size=400m,nr_inodes=20", &["--page-track"]),
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
    scene.increment("incr", "full");
    scene.verify("incr").expect(0);
}

#[test]
fn a_backup_over_the_network_wants_enough_space_and_lets_the_donor_go_when_it_goes() {
    let scene = Scene::new();
    let small = Mounted::small(&scene.dir("small"), "size=30m");
    let ended = run(&mut small.inside(&scene.remote("small/set", &[])));
    assert_eq!(error_number(&ended), 3873, "{}", ended.stderr);
    assert!(!small.join("set").exists());
    // Nobody knows how well files compress.
    let tiny = Mounted::small(&scene.dir("tiny"), "size=1m");
    let compressed = scene.remote("tiny/set", &["--compress=zstd"]);
    let ended = run(&mut tiny.inside(&compressed));
    assert_eq!(error_number(&ended), 1021, "{}", ended.stderr);
    assert!(ended.stderr.contains("compress well"), "{}", ended.stderr);
    assert!(tiny.join("set").join(MARKER).exists());

    let large = Mounted::small(&scene.dir("large"), "size=300m");
    let slow = scene.remote("large/set", &["--network-rate=1"]);
    let mut backup = Running::start(&mut large.inside(&slow));
    backup.wait_for(FILE_COPY.0);
    fill(&large.join("filler"));
    let ended = backup.end();
    assert_eq!(error_number(&ended), 1021, "{}", ended.stderr);
    let file = format!("'{}/", scene.dir("large/set").display());
    assert!(ended.stderr.contains(&file), "{}", ended.stderr);
    assert!(large.join("set").join(MARKER).exists());
    let row = scene.row("large/set").unwrap();
    let failed = (&"Failed".into(), &1021.into());
    assert_eq!((&row["STATE"], &row["ERROR_NO"]), failed);
    // The donor was told, so that it does not wait for us to come back.
    let clones = "SELECT COUNT(*) FROM information_schema.processlist WHERE COMMAND = 'clone'";
    eventually(scene.server(), "no clone is left", clones, "0");
    assert_released(scene.server());
}

#[test]
fn a_restore_wants_enough_space_before_it_writes_and_survives_when_it_goes() {
    let mut scene = Scene::new();
    scene.end_load();
    scene.full("full");
    let small = Mounted::small(&scene.dir("small"), "size=30m");
    let ended = run(&mut small.inside(&scene.restore("full", "small/data", &[])));
    assert_eq!(error_number(&ended), 3873, "{}", ended.stderr);
    assert!(!small.join("data").exists());

    let large = Mounted::small(&scene.dir("large"), "size=200m");
    // The user is root in a namespace of its own, where the server's owner has no number.
    let owner = "--owner=0:0";
    let slow = scene.restore("full", "large/data", &["--read-rate=1", owner]);
    let mut restore = Running::start(&mut large.inside(&slow));
    restore.wait_for(FILE_COPY.0);
    fill(&large.join("filler"));
    let ended = restore.end();
    assert_eq!(error_number(&ended), 1021, "{}", ended.stderr);
    let file = format!("'{}/", scene.dir("large/data").display());
    assert!(ended.stderr.contains(&file), "{}", ended.stderr);
    assert!(large.join("data").join(MARKER).exists());

    std::fs::remove_file(large.join("filler")).unwrap();
    run(&mut large.inside(&scene.restore("full", "large/data", &[owner]))).expect(0);
    assert!(!large.join("data").join(MARKER).exists());
    let data = scene.world.path("large/data");
    let mut verify = crate::common::innoclone(&scene.world.state_dir());
    run(&mut large.inside(verify.args(["verify", &data]))).expect(0);
    scene.verify("full").expect(0);
}

#[test]
fn targets_that_cannot_be_written_are_refused_and_nothing_is_touched() {
    let mut scene = Scene::new();
    scene.end_load();
    scene.full("full");
    let disk = Mounted::read_only(&scene.dir("disk"));
    std::fs::write(scene.dir("file"), "text").unwrap();
    std::os::unix::fs::symlink(scene.server().datadir(), scene.dir("link")).unwrap();
    let long = ["x"; 250].join("/x");
    let cases = [
        ("disk/set", 1006, "Read-only file system"),
        ("file", 1007, "database exists"),
        ("file/set", 1007, "database exists"),
        (&long, 1680, "too long"),
    ];
    for (to, number, text) in cases {
        for mut command in [scene.backup(to, &[]), scene.restore("full", to, &[])] {
            command = disk.inside(&command);
            let ended = run(&mut command);
            assert_eq!(error_number(&ended), number, "{to}: {}", ended.stderr);
            assert!(ended.stderr.contains(text), "{to}: {}", ended.stderr);
        }
    }
    let datadir = scene.server().datadir().to_owned();
    let before = names(&datadir);
    for to in ["link/set", "link/mysql/set"] {
        let ended = run(&mut scene.backup(to, &[]));
        assert_eq!(error_number(&ended), 3632, "{}", ended.stderr);
    }
    let ended = run(&mut scene.restore("full", "link", &[]));
    assert_eq!(error_number(&ended), 1007, "{}", ended.stderr);
    assert_eq!(names(&datadir), before);
    let ended = run(&mut scene.restore("full", "full/data", &[]));
    assert_eq!(error_number(&ended), 3632, "{}", ended.stderr);
    scene.verify("full").expect(0);
    assert_eq!(std::fs::read(scene.dir("file")).unwrap(), b"text");
    assert!(!has_files(&scene.dir("disk")));
    assert_released(scene.server());
}

/// Writes until there is no space.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    let piece = vec![1; 1 << 16];
    while file.write_all(&piece).is_ok() {}
}

fn names(dir: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}
