//! `decompress` on sealed sets: the manifest tells the truth before and after, also when killed.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod decompressing;

use backup::command::{DecompressReport, DecompressRequest, decompress};
use backup::set::layout::{
    CHECKPOINTS, CHUNK_VALUES, CLONE_DIR, MANIFEST, MANIFEST_DIGEST, VIEW_PROGRESS, VIEW_STATUS,
};
use backup::set::{BackupSet, Manifest, StoredFile};
use backup::{Error, FileKind};
use blake3::hazmat::HasherExt as _;
use decompressing::{bytes, job, packed, plain_files};
use frame::Algorithm;
use std::fs;
use std::path::Path;

const CHUNK: usize = 256 << 10;

/// Compressed files of the set, and what they hold. Large and small ones before and after it.
fn originals() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("s/large.ibd.zstd", bytes(6 << 20, 41)),
        ("s/small.ibd.delta.lz4", bytes(5000, 42)),
        ("s/empty.ibd.delta.zstd", Vec::new()),
        ("s/t.meta", b"page_size = 16384\n".to_vec()),
        ("plain", bytes(CHUNK * 2 + 5, 43)),
    ]
}

fn chunk_values(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() <= CHUNK {
        return Vec::new();
    }
    let value = |(number, chunk): (usize, &[u8])| {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset((number * CHUNK) as u64);
        hasher.update(chunk).finalize_non_root()
    };
    bytes.chunks(CHUNK).enumerate().flat_map(value).collect()
}

fn record(name: &str, bytes: &[u8]) -> StoredFile {
    StoredFile {
        name: name.to_owned(),
        size: bytes.len() as u64,
        blake3: blake3::hash(bytes).to_hex().to_string(),
        compressed: None,
    }
}

/// Writes a sealed set with the files of [`originals`].
fn seal(root: &Path) {
    let sample = Manifest::parse(Path::new("sample"), include_bytes!("data/manifest.json"));
    let mut manifest = sample.unwrap();
    manifest.files.retain(|file| file.kind == FileKind::Redo);
    manifest.directories.clear();
    let mut values = Vec::new();
    let mut put = |name: &str, bytes: &[u8]| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        values.extend(chunk_values(bytes));
        record(name, bytes)
    };
    for file in &mut manifest.files {
        let redo = bytes(file.length as usize, 40);
        file.stored = vec![put(&file.name, &redo)];
    }
    manifest.own_files.clear();
    for (name, original) in originals() {
        let stored = match Algorithm::of_name(name) {
            Some((_, algorithm)) => packed(&original, algorithm),
            None => original,
        };
        manifest.own_files.push(put(name, &stored));
    }
    for name in [CHECKPOINTS, VIEW_STATUS, VIEW_PROGRESS] {
        manifest.own_files.push(put(name, name.as_bytes()));
    }
    fs::write(root.join(CHUNK_VALUES), values).unwrap();
    let text = serde_json::to_vec(&manifest).unwrap();
    let line = format!("{}  manifest.json\n", blake3::hash(&text).to_hex());
    fs::write(root.join(MANIFEST), text).unwrap();
    fs::write(root.join(MANIFEST_DIGEST), line).unwrap();
    check_sealed(root);
}

/// Opens the set and compares all it says with the files.
#[track_caller]
fn check_sealed(root: &Path) -> Manifest {
    let set = BackupSet::open(root).unwrap();
    let mut values = Vec::new();
    for stored in set.manifest().stored_files() {
        let bytes = fs::read(root.join(&stored.name)).unwrap();
        assert_eq!(*stored, record(&stored.name, &bytes));
        values.extend(chunk_values(&bytes));
    }
    assert!(fs::read(root.join(CHUNK_VALUES)).unwrap() == values);
    set.manifest().clone()
}

/// Whether the set lists compressed files, or all of them plain; nothing between passes.
#[track_caller]
fn is_compressed(root: &Path) -> bool {
    let manifest = check_sealed(root);
    let listed = |name: &str| manifest.stored_files().any(|stored| stored.name == name);
    let compressed = listed("s/large.ibd.zstd");
    for (name, original) in originals() {
        let Some((plain, _)) = Algorithm::of_name(name) else {
            continue;
        };
        assert_eq!((listed(name), listed(plain)), (compressed, !compressed));
        if !compressed {
            assert!(fs::read(root.join(plain)).unwrap() == original, "{plain}");
        }
    }
    compressed
}

#[track_caller]
fn run(path: &Path, remove_original: bool) -> DecompressReport {
    let request = DecompressRequest {
        paths: vec![path.to_owned()],
        remove_original,
    };
    decompress(&request, &job()).unwrap()
}

#[test]
fn a_set_whose_compressed_files_go_is_the_same_set_with_plain_ones() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path());
    let before = check_sealed(dir.path());
    let report = run(dir.path(), true);
    assert_eq!(report.problems, []);
    assert_eq!((report.files, report.files_removed), (3, 3));
    assert_eq!(report.sets_rewritten.len(), 1);
    assert!(!is_compressed(dir.path()));
    let after = check_sealed(dir.path());
    assert!(after.made_by.ends_with("(decompress)"));
    assert_eq!((&after.id, after.lsn), (&before.id, before.lsn));
    assert_eq!(after.files, before.files);
    let names: Vec<_> = plain_files(dir.path());
    assert_eq!(names.len(), 1 + 5 + 3 + 3, "{names:?}");
    let report = run(dir.path(), true);
    assert_eq!((report.files, report.sets_rewritten.len()), (0, 0));
}

#[test]
fn a_set_whose_compressed_files_stay_is_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path());
    let before = fs::read(dir.path().join(MANIFEST)).unwrap();
    let report = run(dir.path(), false);
    assert_eq!((report.files, report.sets_rewritten.len()), (3, 0));
    assert!(is_compressed(dir.path()));
    assert_eq!(fs::read(dir.path().join(MANIFEST)).unwrap(), before);
    // The second step may come later.
    let report = run(dir.path(), true);
    assert_eq!((report.files_already_there, report.files_removed), (3, 3));
    assert!(!is_compressed(dir.path()));
}

#[test]
fn with_a_problem_all_of_the_set_stays_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path());
    let path = dir.path().join("s/small.ibd.delta.lz4");
    let good = fs::read(&path).unwrap();
    let other = packed(&bytes(5000, 99), Algorithm::Lz4);
    let lengthened = [&good[..], b"\0"].concat();
    for bad in [&other, &lengthened] {
        fs::write(&path, bad).unwrap();
        let report = run(dir.path(), true);
        assert_eq!(report.problems.len(), 1, "{report:?}");
        assert!(report.problems[0].path.ends_with("s/small.ibd.delta.lz4"));
        assert_eq!(report.files_removed, 0);
        fs::write(&path, &good).unwrap();
        assert!(is_compressed(dir.path()));
    }
    fs::remove_file(&path).unwrap();
    let report = run(dir.path(), true);
    assert!(report.problems[0].detail.contains("listed"), "{report:?}");
    fs::write(&path, &good).unwrap();
    assert!(is_compressed(dir.path()));
    run(dir.path(), true);
    assert!(!is_compressed(dir.path()));
}

#[test]
fn a_file_in_the_way_keeps_the_set_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path());
    fs::write(dir.path().join("s/large.ibd"), "mine").unwrap();
    let report = run(dir.path(), true);
    assert_eq!((report.problems.len(), report.files_removed), (1, 0));
    assert!(is_compressed(dir.path()));
    assert_eq!(fs::read(dir.path().join("s/large.ibd")).unwrap(), b"mine");
}

#[test]
fn compressed_files_that_the_set_does_not_list_are_files_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path());
    fs::write(
        dir.path().join("notes.lz4"),
        packed(b"notes", Algorithm::Lz4),
    )
    .unwrap();
    let report = run(dir.path(), true);
    assert_eq!((report.files, report.files_removed), (4, 4));
    assert_eq!(fs::read(dir.path().join("notes")).unwrap(), b"notes");
    assert!(!is_compressed(dir.path()));
}

#[test]
fn parts_of_a_set_are_not_taken_away_from_it() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path());
    for part in ["s", "s/large.ibd.zstd"] {
        let mut request = DecompressRequest {
            paths: vec![dir.path().join(part)],
            remove_original: true,
        };
        let error = decompress(&request, &job()).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        request.remove_original = false;
        decompress(&request, &job()).unwrap();
    }
    assert!(is_compressed(dir.path()));
}

#[test]
fn a_damaged_manifest_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path());
    let mut text = fs::read(dir.path().join(MANIFEST)).unwrap();
    text.push(b' ');
    fs::write(dir.path().join(MANIFEST), &text).unwrap();
    let request = DecompressRequest {
        paths: vec![dir.path().to_owned()],
        remove_original: true,
    };
    let error = decompress(&request, &job()).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_eq!(fs::read(dir.path().join(MANIFEST)).unwrap(), text);
    assert!(!dir.path().join("s/large.ibd").exists());
}

#[test]
fn of_two_sets_the_whole_one_is_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
    seal(&good);
    seal(&bad);
    let path = bad.join("s/large.ibd.zstd");
    let mut file = fs::read(&path).unwrap();
    file[5000] ^= 1;
    fs::write(&path, &file).unwrap();
    let report = run(dir.path(), true);
    assert_eq!((report.problems.len(), report.files_removed), (1, 3));
    assert!(!is_compressed(&good));
    file[5000] ^= 1;
    fs::write(&path, file).unwrap();
    assert!(is_compressed(&bad));
}

/// The three files that describe a set.
const DESCRIPTION: [&str; 3] = [CHUNK_VALUES, MANIFEST_DIGEST, MANIFEST];

#[test]
fn a_killed_run_is_finished_by_the_next_one() {
    for (moved, remove) in [(0, true), (1, true), (2, false), (3, true), (1, false)] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        seal(root);
        let old = DESCRIPTION.map(|name| fs::read(root.join(name)).unwrap());
        run(root, false);
        let kept: Vec<_> = originals().into_iter().map(|(name, _)| name).collect();
        let kept: Vec<_> = kept
            .into_iter()
            .map(|name| (name, fs::read(root.join(name)).unwrap()))
            .collect();
        run(root, true);
        let new = DESCRIPTION.map(|name| fs::read(root.join(name)).unwrap());
        // As it was when some of the three had been moved to their places.
        for (name, bytes) in kept {
            fs::write(root.join(name), bytes).unwrap();
        }
        let ready = root.join(CLONE_DIR).join("#decompress_ready");
        fs::create_dir(&ready).unwrap();
        for (number, name) in DESCRIPTION.into_iter().enumerate() {
            if number < moved {
                fs::write(root.join(name), &new[number]).unwrap();
            } else {
                fs::write(root.join(name), &old[number]).unwrap();
                fs::write(
                    ready.join(name.strip_prefix("#clone/").unwrap()),
                    &new[number],
                )
                .unwrap();
            }
        }
        let report = run(root, remove);
        assert_eq!(report.problems, []);
        assert_eq!(report.files_already_there, 3);
        assert!(!is_compressed(root));
        assert!(!ready.exists());
        assert_eq!(root.join("s/large.ibd.zstd").exists(), !remove);
    }
}

#[test]
fn what_was_not_made_ready_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path());
    let making = dir.path().join(CLONE_DIR).join("#decompress_making");
    fs::create_dir(&making).unwrap();
    fs::write(making.join("manifest.json"), "half").unwrap();
    run(dir.path(), true);
    assert!(!is_compressed(dir.path()));
    assert!(!making.exists());
}

#[test]
fn a_set_that_another_command_works_on_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path());
    let lock = fs::File::open(dir.path().join(CLONE_DIR)).unwrap();
    lock.lock().unwrap();
    let request = DecompressRequest {
        paths: vec![dir.path().to_owned()],
        remove_original: true,
    };
    let error = decompress(&request, &job()).unwrap_err();
    assert!(
        error.to_string().contains("another command works"),
        "{error}"
    );
    drop(lock);
    run(dir.path(), true);
}
