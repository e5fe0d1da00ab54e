//! `decompress` on directories as users have them, on sets, and on what goes wrong.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod decompressing;

use backup::command::{DecompressReport, DecompressRequest, decompress, decompress_file};
use backup::{Error, Job, JobOptions};
use decompressing::{bytes, job, packed, plain_files, tool};
use frame::Algorithm;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn run(path: &Path, remove_original: bool) -> DecompressReport {
    let paths = vec![path.to_owned()];
    let request = DecompressRequest {
        paths,
        remove_original,
    };
    decompress(&request, &job()).unwrap()
}

/// A directory like a compressed full backup, and what its files hold.
fn directory(algorithm: Algorithm) -> (tempfile::TempDir, Vec<(PathBuf, Vec<u8>)>) {
    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (name, length, seed) in [
        ("ibdata1", 12 << 20, 1),
        ("ibdata1.delta", 32768, 2),
        ("db one/t one.ibd", 300_000, 3),
        ("db one/t one.ibd.delta", 0, 4),
        ("db#two/p#p#p0.ibd", (9 << 20) + 16384, 5),
        ("a/b/c/deep.ibd", 4096, 6),
        ("#innodb_redo/#ib_redo0", 1 << 20, 7),
    ] {
        let original = bytes(length, seed);
        let path = dir.path().join(format!("{name}{}", algorithm.suffix()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, packed(&original, algorithm)).unwrap();
        files.push((dir.path().join(name), original));
    }
    fs::write(dir.path().join("ibdata1.meta"), "page_size = 16384\n").unwrap();
    (dir, files)
}

#[track_caller]
fn check(files: &[(PathBuf, Vec<u8>)]) {
    for (path, original) in files {
        assert!(fs::read(path).unwrap() == *original, "{}", path.display());
    }
}

#[test]
fn everything_below_a_directory_comes_back_and_the_compressed_files_stay() {
    for algorithm in Algorithm::ALL {
        let (dir, files) = directory(algorithm);
        let report = run(dir.path(), false);
        assert_eq!(report.problems, []);
        assert_eq!((report.files, report.files_removed), (7, 0));
        let length: usize = files.iter().map(|(_, original)| original.len()).sum();
        assert_eq!(report.bytes, length as u64);
        check(&files);
        assert_eq!(plain_files(dir.path()).len(), 7 + 7 + 1);
        // Once more: nothing to do.
        let report = run(dir.path(), false);
        assert_eq!((report.files, report.files_already_there), (0, 7));
        check(&files);
    }
}

#[test]
fn compressed_files_are_removed_when_asked_for_and_nothing_else() {
    let (dir, files) = directory(Algorithm::Zstd);
    let report = run(dir.path(), true);
    assert_eq!((report.files, report.files_removed), (7, 7));
    check(&files);
    assert_eq!(plain_files(dir.path()).len(), 7 + 1);
    let report = run(dir.path(), true);
    assert_eq!((report.files, report.problems.len()), (0, 0));
}

#[test]
fn originals_that_are_there_count_before_the_compressed_are_removed() {
    let (dir, files) = directory(Algorithm::Lz4);
    run(dir.path(), false);
    let report = run(dir.path(), true);
    assert_eq!((report.files_already_there, report.files_removed), (7, 7));
    check(&files);
}

#[test]
fn holes_stay_holes() {
    let dir = tempfile::tempdir().unwrap();
    let mut original = vec![0; 64 << 20];
    original[(20 << 20) + 5] = 1;
    let last = original.len() - 1;
    for end in [0, 7] {
        original[last] = end;
        for algorithm in Algorithm::ALL {
            let name = format!("t{end}.ibd{}", algorithm.suffix());
            fs::write(dir.path().join(&name), packed(&original, algorithm)).unwrap();
            run(&dir.path().join(&name), true);
            let path = dir.path().join(format!("t{end}.ibd"));
            assert!(fs::read(&path).unwrap() == original);
            let on_disk = fs::metadata(&path).unwrap().blocks() * 512;
            assert!(on_disk <= 64 << 10, "{on_disk} bytes on disk");
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn owner_and_mode_are_those_of_the_compressed_file() {
    let (dir, files) = directory(Algorithm::Zstd);
    let stored = dir.path().join("ibdata1.zstd");
    fs::set_permissions(&stored, fs::Permissions::from_mode(0o604)).unwrap();
    let is_root = std::os::unix::fs::chown(&stored, Some(4321), Some(1234)).is_ok();
    run(dir.path(), false);
    let meta = fs::metadata(&files[0].0).unwrap();
    assert_eq!(meta.mode() & 0o7777, 0o604);
    if is_root {
        assert_eq!((meta.uid(), meta.gid()), (4321, 1234));
    }
}

#[test]
fn files_of_the_tools_and_of_greatsql_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let original = bytes(5 << 20, 9);
    let plain = dir.path().join("plain");
    fs::write(&plain, &original).unwrap();
    for (program, words, name) in [
        ("zstd", &["-q", "-3"][..], "t.ibd.zstd"),
        ("lz4", &["-q"], "u.ibd.lz4"),
        ("lz4", &["-q", "-BD"], "v.ibd.delta.lz42"),
    ] {
        tool(program, words, &plain, &dir.path().join(name));
    }
    let twice = fs::read(dir.path().join("t.ibd.zstd")).unwrap();
    fs::write(dir.path().join("w.ibd.zstd"), twice.repeat(2)).unwrap();
    fs::remove_file(plain).unwrap();
    let report = run(dir.path(), true);
    assert_eq!((report.files, report.problems.len()), (4, 0));
    for name in ["t.ibd", "u.ibd", "v.ibd.delta2"] {
        assert!(
            fs::read(dir.path().join(name)).unwrap() == original,
            "{name}"
        );
    }
    assert!(fs::read(dir.path().join("w.ibd")).unwrap() == original.repeat(2));
}

#[test]
fn every_damage_is_told_with_file_and_offset_and_the_other_files_come_back() {
    for algorithm in Algorithm::ALL {
        let (dir, files) = directory(algorithm);
        let stored = |name: &str| dir.path().join(format!("{name}{}", algorithm.suffix()));
        let change = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = fs::read(stored(name)).unwrap();
            change(&mut bytes);
            fs::write(stored(name), bytes).unwrap();
        };
        change("ibdata1", &|bytes| {
            let middle = bytes.len() / 2;
            bytes[middle..middle + 8].fill(0xA5);
        });
        change("db#two/p#p#p0.ibd", &|bytes| {
            bytes.truncate(bytes.len() / 2);
        });
        change("db one/t one.ibd", &|bytes| bytes.extend(b"garbage"));
        let other = Algorithm::ALL
            .into_iter()
            .find(|other| *other != algorithm)
            .unwrap();
        fs::write(stored("a/b/c/deep.ibd"), packed(b"x", other)).unwrap();
        let report = run(dir.path(), true);
        assert_eq!((report.files, report.files_removed), (3, 3), "{report:?}");
        assert_eq!(report.problems.len(), 4, "{:?}", report.problems);
        for problem in &report.problems {
            assert!(problem.detail.contains("at byte "), "{problem:?}");
            assert!(Path::new(&problem.path).exists(), "{problem:?}");
        }
        check(&[files[1].clone(), files[3].clone(), files[6].clone()]);
        // The damaged compressed files, and nothing of what they might have been.
        assert_eq!(plain_files(dir.path()).len(), 3 + 4 + 1);
    }
}

#[test]
fn a_damaged_index_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = packed(&bytes(3 << 20, 10), Algorithm::Zstd);
    // All of it but its magic, without which it is none.
    for at in file.len() - 41..file.len() - 4 {
        let mut file = file.clone();
        file[at] ^= 4;
        fs::write(dir.path().join("t.ibd.zstd"), &file).unwrap();
        let report = run(dir.path(), true);
        assert_eq!(report.problems.len(), 1, "{at} of {}", file.len());
        assert!(
            report.problems[0].detail.contains("the index "),
            "{report:?}"
        );
        assert_eq!(plain_files(dir.path()).len(), 1);
    }
}

#[test]
fn nothing_is_written_over() {
    let (dir, files) = directory(Algorithm::Zstd);
    let path = &files[0].0;
    for content in [Vec::new(), b"mine".to_vec(), {
        let mut other = files[0].1.clone();
        *other.last_mut().unwrap() ^= 1;
        other
    }] {
        fs::write(path, &content).unwrap();
        let report = run(dir.path(), false);
        assert_eq!(report.problems.len(), 1);
        assert!(
            report.problems[0]
                .detail
                .contains("exists, and is not what")
        );
        assert!(fs::read(path).unwrap() == content);
    }
    let longer = [&files[0].1[..], b"x"].concat();
    fs::write(path, &longer).unwrap();
    assert_eq!(run(dir.path(), true).problems.len(), 1);
    assert!(fs::read(path).unwrap() == longer);
    assert!(dir.path().join("ibdata1.zstd").exists());
}

#[test]
fn what_a_killed_run_left_is_replaced() {
    let (dir, files) = directory(Algorithm::Zstd);
    let unfinished = dir.path().join("ibdata1.decompress-unfinished");
    fs::write(&unfinished, vec![7; 40 << 20]).unwrap();
    run(dir.path(), false);
    check(&files);
    assert!(!unfinished.exists());
}

#[test]
fn two_compressed_forms_of_one_file_are_a_problem_of_both() {
    let (dir, files) = directory(Algorithm::Zstd);
    fs::write(
        dir.path().join("ibdata1.lz4"),
        packed(&files[0].1, Algorithm::Lz4),
    )
    .unwrap();
    let report = run(dir.path(), true);
    assert_eq!((report.files, report.problems.len()), (6, 2));
    assert!(!files[0].0.exists());
}

#[test]
fn links_are_not_followed() {
    let (dir, _) = directory(Algorithm::Zstd);
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("x.zstd"), packed(b"x", Algorithm::Zstd)).unwrap();
    std::os::unix::fs::symlink(other.path(), dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink(other.path().join("x.zstd"), dir.path().join("y.zstd")).unwrap();
    let report = run(dir.path(), true);
    assert_eq!((report.files, report.problems.len()), (7, 1));
    assert!(report.problems[0].path.ends_with("y.zstd"));
    assert!(other.path().join("x.zstd").exists());
}

#[test]
fn paths_that_make_no_sense_are_refused() {
    let (dir, files) = directory(Algorithm::Zstd);
    let run = |path: PathBuf| {
        let request = DecompressRequest {
            paths: vec![path],
            remove_original: false,
        };
        decompress(&request, &job()).unwrap_err()
    };
    assert!(matches!(run(dir.path().join("none")), Error::Io { .. }));
    let error = run(dir.path().join("ibdata1.meta"));
    assert!(error.to_string().contains("not named as a compressed file"));
    fs::create_dir(dir.path().join("#clone")).unwrap();
    fs::write(dir.path().join("#clone/#status_in_progress"), "").unwrap();
    assert!(matches!(run(dir.path().to_owned()), Error::NotASet { .. }));
    assert!(!files[0].0.exists());
}

#[test]
fn a_cancelled_run_leaves_nothing_unfinished() {
    let (dir, _) = directory(Algorithm::Zstd);
    let before = plain_files(dir.path());
    let job = Job::new(&JobOptions::default(), Arc::new(AtomicBool::new(true)));
    let request = DecompressRequest {
        paths: vec![dir.path().to_owned()],
        remove_original: true,
    };
    let error = decompress(&request, &job).unwrap_err();
    assert!(matches!(error, Error::Cancelled));
    assert_eq!(plain_files(dir.path()), before);
}

#[test]
fn one_file_replaces_another_only_when_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("any name"), dir.path().join("to"));
    let original = bytes(3 << 20, 11);
    for algorithm in Algorithm::ALL {
        fs::write(&from, packed(&original, algorithm)).unwrap();
        fs::write(&to, "old").unwrap();
        decompress_file(&from, &to, algorithm, &job()).unwrap();
        assert!(fs::read(&to).unwrap() == original);
        let mut cut = packed(&original, algorithm);
        cut.truncate(cut.len() / 2);
        fs::write(&from, cut).unwrap();
        fs::write(&to, "old").unwrap();
        decompress_file(&from, &to, algorithm, &job()).unwrap_err();
        assert_eq!(fs::read(&to).unwrap(), b"old");
        fs::write(&from, packed(&original, algorithm)).unwrap();
        decompress_file(&from, Path::new("/dev/null"), algorithm, &job()).unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
    fs::write(&from, "").unwrap();
    decompress_file(&from, &to, Algorithm::Zstd, &job()).unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"");
}
