//! Files come out whole whatever the order of their units, and nobody waits for ever.

use super::*;
use crate::io::{CHUNK, Layout};
use crate::recipient::tree::Part;
use crate::{FileId, Job, JobOptions};
use frame::{Algorithm, Decompressor, Index};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const UNIT: usize = 1 << 20;

struct Scene {
    dir: tempfile::TempDir,
    tree: Arc<Tree>,
    job: Job,
    cancelled: Arc<AtomicBool>,
    packer: Packer,
}

impl Scene {
    fn new(settings: Settings, threads: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = Arc::new(Tree::new(dir.path(), true, None));
        let cancelled = Arc::new(AtomicBool::new(false));
        let job = Job::new(&JobOptions::default(), Arc::clone(&cancelled));
        let how = Compression { settings, threads };
        let packer = Packer::start(&tree, &how, job.stop_flag()).unwrap();
        Self {
            dir,
            tree,
            job,
            cancelled,
            packer,
        }
    }

    fn open(&self, number: u32, length: usize) -> Key {
        let key = (FileId(number), Part::Main);
        let layout = Layout {
            page: 4096,
            innodb: false,
        };
        self.tree
            .add(key, &format!("file{number}"), layout)
            .unwrap();
        self.packer.open(key, length as u64, None).unwrap();
        key
    }

    /// The original of a file, by its index; its digest is checked.
    fn unpacked(&self, key: Key, algorithm: Algorithm) -> Vec<u8> {
        let bytes = std::fs::read(self.tree.path(key).unwrap()).unwrap();
        let stored = self.tree.stored(key).unwrap();
        assert_eq!(stored.blake3, blake3::hash(&bytes).to_hex().to_string());
        let read_at = |at: u64, out: &mut [u8]| {
            out.copy_from_slice(&bytes[at as usize..][..out.len()]);
            Ok(())
        };
        let Some(index) = Index::read(bytes.len() as u64, read_at).unwrap() else {
            assert!(bytes.is_empty());
            return bytes;
        };
        let mut original = vec![0; index.length() as usize];
        for place in (0..index.frames()).map_while(|number| index.place(number)) {
            let frame = &bytes[place.stored.start as usize..place.stored.end as usize];
            let out = &mut original[place.original.start as usize..place.original.end as usize];
            Decompressor::new(algorithm)
                .decompress_unit(frame, out)
                .unwrap();
        }
        original
    }
}

/// Bytes that compress, but not to nothing.
fn original(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 24);
    while bytes.len() < length {
        bytes.extend_from_slice(&next().to_le_bytes());
        bytes.extend_from_slice(b"infimum supremum");
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn units_of_several_files_by_several_workers_come_out_whole_and_in_order() {
    for algorithm in Algorithm::ALL {
        let settings = Settings::of(algorithm);
        let scene = Scene::new(settings, 3);
        let lengths = [9 * UNIT + 5, 1, UNIT, 0, 3 * UNIT, CHUNK];
        let originals: Vec<Vec<u8>> = (1..)
            .zip(lengths)
            .map(|(seed, length)| original(length, seed))
            .collect();
        let keys: Vec<Key> = (0..)
            .zip(lengths)
            .map(|(number, length)| scene.open(number, length))
            .collect();
        let tasks: Vec<(usize, usize)> = lengths
            .iter()
            .enumerate()
            .flat_map(|(file, length)| (0..*length).step_by(UNIT).map(move |at| (file, at)))
            .collect();
        let next = AtomicUsize::new(0);
        scene
            .job
            .in_parallel(|| {
                while let Some((file, at)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let bytes = &originals[*file];
                    let end = bytes.len().min(at + UNIT);
                    scene
                        .packer
                        .write(keys[*file], *at as u64, &bytes[*at..end])?;
                }
                Ok(())
            })
            .unwrap();
        scene.packer.wait().unwrap();
        scene.tree.begin().unwrap();
        scene.tree.sync(&scene.job).unwrap();
        for (key, original) in keys.iter().zip(&originals) {
            assert!(scene.unpacked(*key, algorithm) == *original, "{key:?}");
            assert_eq!(scene.packer.length(*key), Some(original.len() as u64));
        }
    }
}

#[test]
fn a_unit_may_come_in_pieces_in_any_order() {
    let settings = Settings::new(Algorithm::Lz4, 1, 3 << 20).unwrap();
    let scene = Scene::new(settings, 1);
    let bytes = original(5 * UNIT + 7, 3);
    let key = scene.open(0, bytes.len());
    // The last piece of each unit comes before the others.
    for piece in (0..bytes.len()).step_by(UNIT / 2).rev() {
        let bytes = &bytes[piece..bytes.len().min(piece + UNIT / 2)];
        scene.packer.write(key, piece as u64, bytes).unwrap();
    }
    scene.packer.wait().unwrap();
    scene.tree.begin().unwrap();
    scene.tree.sync(&scene.job).unwrap();
    assert!(scene.unpacked(key, Algorithm::Lz4) == bytes);
}

/// Brings units 1 to 20 in; none of them waits for unit 0, though few have room in memory.
fn all_but_the_first(scene: &Scene, key: Key, bytes: &[u8]) {
    let count = bytes.len() / UNIT;
    for number in 1..count {
        let unit = &bytes[number * UNIT..(number + 1) * UNIT];
        scene
            .packer
            .write(key, (number * UNIT) as u64, unit)
            .unwrap();
    }
    let shared = &scene.packer.shared;
    let waiting = || shared.lock().waiting(key);
    while waiting().0 + waiting().1 < count - 1 {
        std::thread::yield_now();
    }
    assert_eq!(waiting(), (shared.keep, count - 1 - shared.keep));
}

#[test]
fn who_is_far_ahead_does_not_wait_for_the_unit_that_is_due() {
    for algorithm in Algorithm::ALL {
        let scene = Scene::new(Settings::of(algorithm), 2);
        let bytes = original(20 * UNIT, 9);
        let key = scene.open(0, bytes.len());
        all_but_the_first(&scene, key, &bytes);
        // It waits beside the files, without a name.
        assert_eq!(std::fs::read_dir(scene.dir.path()).unwrap().count(), 1);
        scene.packer.write(key, 0, &bytes[..UNIT]).unwrap();
        scene.packer.wait().unwrap();
        scene.tree.begin().unwrap();
        scene.tree.sync(&scene.job).unwrap();
        assert!(scene.unpacked(key, algorithm) == bytes);
    }
}

/// Waits for the packer while a unit is missing, and lets `meanwhile` end that.
fn waiting(scene: &Scene, key: Key, meanwhile: impl FnOnce() + Send) -> Result<()> {
    all_but_the_first(scene, key, &original(10 * UNIT, 1));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| scene.packer.wait());
        meanwhile();
        waiter.join().unwrap()
    })
}

#[test]
fn who_waits_is_woken_when_the_job_ends() {
    let scene = Scene::new(Settings::of(Algorithm::Zstd), 2);
    let key = scene.open(0, 10 * UNIT);
    let end = waiting(&scene, key, || {
        scene.cancelled.store(true, Ordering::Relaxed);
    });
    assert!(matches!(end, Err(Error::Cancelled)), "{end:?}");
    assert!(matches!(scene.packer.wait(), Err(Error::Cancelled)));
}

#[test]
fn who_waits_is_woken_when_the_file_is_abandoned() {
    let scene = Scene::new(Settings::of(Algorithm::Zstd), 2);
    let (key, other) = (scene.open(0, 10 * UNIT), scene.open(1, 20 * UNIT));
    let end = waiting(&scene, key, || scene.packer.abandon(key));
    // The other file is not there yet.
    assert_eq!(end.unwrap_err().code(), 1105);
    // Its room, in memory and on disk, is free for others.
    let bytes = original(20 * UNIT, 5);
    scene.packer.write(key, 0, &bytes[..UNIT]).unwrap();
    all_but_the_first(&scene, other, &bytes);
    scene.packer.write(other, 0, &bytes[..UNIT]).unwrap();
    scene.packer.wait().unwrap();
    assert_eq!(scene.packer.length(key), None);
    assert_eq!(scene.packer.length(other), Some(20 * UNIT as u64));
}

#[test]
fn what_a_thread_failed_of_is_told_once_and_stops_the_others() {
    let scene = Scene::new(Settings::of(Algorithm::Zstd), 2);
    let key = scene.open(0, 10 * UNIT);
    let path = scene.dir.path().join("file0");
    let first = original(UNIT, 9);
    let end = waiting(&scene, key, || {
        // Opened anew for every write, it cannot be opened any more.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        scene.packer.write(key, 0, &first).unwrap();
    });
    let told = [end, scene.packer.wait()];
    let causes = told
        .iter()
        .filter(|end| matches!(end, Err(Error::Io { .. })));
    assert_eq!(causes.count(), 1, "{told:?}");
    assert!(told.iter().all(Result::is_err), "{told:?}");
}

#[test]
fn a_file_that_did_not_come_whole_is_no_file() {
    let scene = Scene::new(Settings::of(Algorithm::Lz4), 1);
    let key = scene.open(0, 2 * UNIT);
    scene.packer.write(key, 0, &original(UNIT, 1)).unwrap();
    assert_eq!(scene.packer.wait().unwrap_err().code(), 1105);
    let twice = scene.packer.write(key, 2 * UNIT as u64, &[1]);
    assert_eq!(twice.unwrap_err().code(), 1105);
}
