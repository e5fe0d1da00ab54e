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
fn a_unit_may_come_in_pieces() {
    let settings = Settings::new(Algorithm::Lz4, 1, 3 << 20).unwrap();
    let scene = Scene::new(settings, 1);
    let bytes = original(5 * UNIT + 7, 3);
    let key = scene.open(0, bytes.len());
    for second_half in [true, false] {
        let at = if second_half { 4 * UNIT } else { 0 };
        let end = if second_half { bytes.len() } else { 4 * UNIT };
        for piece in (at..end).step_by(UNIT) {
            let bytes = &bytes[piece..end.min(piece + UNIT)];
            scene.packer.write(key, piece as u64, bytes).unwrap();
        }
    }
    scene.packer.wait().unwrap();
    scene.tree.begin().unwrap();
    scene.tree.sync(&scene.job).unwrap();
    assert!(scene.unpacked(key, Algorithm::Lz4) == bytes);
}

/// Brings units in from number 1 on until one has to wait, and lets `meanwhile` end that. What the
/// waiting worker got.
fn waiting(scene: &Scene, key: Key, meanwhile: impl FnOnce() + Send) -> Result<()> {
    let bytes = original(UNIT, 1);
    let limit = scene.packer.shared.limit;
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            for number in 1..=limit + 1 {
                scene.packer.write(key, (number * UNIT) as u64, &bytes)?;
            }
            Ok(())
        });
        // All that have room are in, compressed, and wait for the first.
        while scene.packer.shared.lock().waiting(key) < limit {
            assert!(!worker.is_finished());
            std::thread::yield_now();
        }
        meanwhile();
        worker.join().unwrap()
    })
}

#[test]
fn who_is_too_far_ahead_waits_for_the_unit_that_is_due() {
    let scene = Scene::new(Settings::of(Algorithm::Zstd), 2);
    let key = scene.open(0, (scene.packer.shared.limit + 2) * UNIT);
    let first = original(UNIT, 9);
    waiting(&scene, key, || scene.packer.write(key, 0, &first).unwrap()).unwrap();
    scene.packer.wait().unwrap();
    assert!(scene.packer.length(key).is_some());
}

#[test]
fn who_waits_is_woken_when_the_job_ends() {
    let scene = Scene::new(Settings::of(Algorithm::Zstd), 2);
    let key = scene.open(0, 100 * UNIT);
    let end = waiting(&scene, key, || {
        scene.cancelled.store(true, Ordering::Relaxed);
    });
    assert!(matches!(end, Err(Error::Cancelled)), "{end:?}");
    assert!(matches!(scene.packer.wait(), Err(Error::Cancelled)));
}

#[test]
fn who_waits_is_woken_when_the_file_is_abandoned() {
    let scene = Scene::new(Settings::of(Algorithm::Zstd), 2);
    let (key, other) = (scene.open(0, 100 * UNIT), scene.open(1, UNIT));
    waiting(&scene, key, || scene.packer.abandon(key)).unwrap();
    // Its room is free for others.
    let bytes = original(UNIT, 5);
    scene.packer.write(key, 0, &bytes).unwrap();
    scene.packer.write(other, 0, &bytes).unwrap();
    scene.packer.wait().unwrap();
    assert_eq!(scene.packer.length(key), None);
    assert_eq!(scene.packer.length(other), Some(UNIT as u64));
}

#[test]
fn what_a_thread_failed_of_is_told_once_and_stops_the_others() {
    let scene = Scene::new(Settings::of(Algorithm::Zstd), 2);
    let key = scene.open(0, 100 * UNIT);
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
