//! Compressed sets: what they hold, and how they are made while the server does what it likes.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use backup::command::{BackupRequest, backup};
use backup::donor::instance::{IncrementFrom, InstanceOptions};
use backup::recipient::Compression;
use backup::set::{Content, FileRecord, Manifest, PagesBy};
use backup::{Job, JobOptions, Stage};
use common::{Place, check_restored, check_with_binlog};
use frame::{Algorithm, Settings};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use testkit::{Server, ServerOptions, Snapshot, Workload, WorkloadOptions};

fn manifest(set: &Path) -> Manifest {
    let path = set.join("#clone/manifest.json");
    Manifest::parse(&path, &std::fs::read(&path).unwrap()).unwrap()
}

/// A file made of pages has a delta and its description beside it, whether pages were copied again
/// or not; others have not.
fn check_pair(file: &FileRecord, algorithm: Algorithm) {
    let (name, suffix) = (&file.name, algorithm.suffix());
    let mut expected = vec![format!("{name}{suffix}")];
    if file.space.is_some() {
        expected.push(format!("{name}.delta{suffix}"));
        expected.push(format!("{name}.meta"));
    }
    let stored: Vec<&str> = file.stored.iter().map(|stored| &*stored.name).collect();
    assert_eq!(stored, expected);
    if file.space.is_some() {
        assert_eq!(file.stored[1].size == 0, file.pages == 0, "{file:?}");
    }
}

/// What the tool makes of a file.
fn unpacked(file: &Path, algorithm: Algorithm) -> Vec<u8> {
    let mut command = Command::new(algorithm.to_string());
    // From standard input, for neither knows the suffix of the other names.
    let output = command
        .args(["-d", "-c", "-q"])
        .stdin(std::fs::File::open(file).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", file.display());
    output.stdout
}

#[test]
fn the_tools_unpack_the_files_of_a_set() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    server.load_sysbench_like(1, 20000).unwrap();
    server
        .sql(
            "CREATE SCHEMA odd; CREATE TABLE odd.m (a INT, b TEXT) ENGINE = MyISAM; \
             INSERT INTO odd.m VALUES (1, REPEAT('x', 20000)); \
             CREATE TABLE odd.empty (a INT) ENGINE = MyISAM; \
             CREATE TABLE odd.zip (a INT PRIMARY KEY, b TEXT) ROW_FORMAT = COMPRESSED; \
             INSERT INTO odd.zip VALUES (1, REPEAT('y', 5000))",
        )
        .unwrap();
    server.quiesce().unwrap();
    for algorithm in Algorithm::ALL {
        let set = format!("full-{algorithm}");
        // Units of one piece as they are read, and of several.
        let chunk = match algorithm {
            Algorithm::Zstd => Settings::DEFAULT_CHUNK_SIZE,
            Algorithm::Lz4 => 4 << 20,
        };
        *place.compression.lock().unwrap() = Some(Compression {
            settings: Settings::new(algorithm, 1, chunk).unwrap(),
            threads: 2,
        });
        let report = place.full(&server, &set, true);
        let manifest = manifest(&place.path(&set));
        assert_eq!(manifest.format, 2);
        let mut seen = 0;
        for file in &manifest.files {
            for stored in &file.stored {
                let Some(compressed) = stored.compressed else {
                    assert_eq!(stored.name, format!("{}.meta", file.name));
                    continue;
                };
                assert_eq!(compressed.algorithm, algorithm);
                let path = place.path(&set).join(&stored.name);
                if stored.size == 0 {
                    assert_eq!(compressed.length, 0);
                    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
                    continue;
                }
                let original = unpacked(&path, algorithm);
                assert_eq!(original.len() as u64, compressed.length, "{}", stored.name);
                let is_table = file.name.starts_with("sbtest/") || file.name.starts_with("odd/");
                let is_base = stored.plain_name() == Some(&file.name);
                if is_table && is_base {
                    let there = std::fs::read(server.datadir().join(&file.name)).unwrap();
                    assert!(original == there, "{}", stored.name);
                    seen += 1;
                }
            }
            assert_eq!(file.content, Content::Full);
            check_pair(file, algorithm);
        }
        assert!(seen >= 5, "{seen} files compared");
        let empty = manifest
            .files
            .iter()
            .find(|file| file.name == "odd/empty.MYD");
        assert_eq!(empty.unwrap().stored[0].size, 0);
        let data = format!("data-{algorithm}");
        place.restore(&set, &data);
        check_restored(&place.boot(&data, &[]), &report);
    }
    // Nothing has changed since: no page, no byte.
    place.compress(Some(Algorithm::Zstd));
    place.increment(&server, "incr", "full-lz4");
    let manifest = manifest(&place.path("incr"));
    let table = manifest
        .files
        .iter()
        .find(|file| file.name == "sbtest/sbtest1.ibd");
    let [delta, meta] = table.unwrap().stored.as_slice() else {
        panic!("{table:?}");
    };
    assert_eq!(delta.name, "sbtest/sbtest1.ibd.delta.zstd");
    assert_eq!(meta.name, "sbtest/sbtest1.ibd.meta");
    // Page 0 and the list of it.
    assert_eq!(delta.compressed.unwrap().length, 2 * 16384);
    assert!(delta.size < 4096, "{}", delta.size);
}

/// Files that are replaced while they are copied are given up, whoever waits for a part of them,
/// and copied anew.
#[test]
fn tables_that_are_rebuilt_while_they_are_compressed_come_back() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    server.load_sysbench_like(4, 15000).unwrap();
    let request = BackupRequest {
        instance: InstanceOptions {
            page_track: true,
            ..common::instance_options(&server)
        },
        to: place.path("full"),
        compression: Some(Compression {
            settings: Settings::of(Algorithm::Zstd),
            threads: 1,
        }),
    };
    let options = JobOptions {
        parallel: 6,
        // Slow enough for what is done meanwhile.
        read_rate: Some(8 << 20),
    };
    let job = Job::new(&options, Arc::new(AtomicBool::new(false)));
    let catalogue = place.catalogue();
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| backup(&request, &catalogue, &job));
        let copied = || {
            let samples = job.progress.sample();
            let copying = samples
                .iter()
                .find(|sample| sample.stage == Stage::FileCopy);
            copying.map_or((0, 0), |sample| (sample.data, sample.estimate))
        };
        // From the moment the files are listed to that in which all are copied.
        while copied().1 == 0 && !running.is_finished() {
            std::thread::yield_now();
        }
        while copied().0 < copied().1 && !running.is_finished() {
            for table in 1..=4 {
                let rebuild = format!("ALTER TABLE sbtest.sbtest{table} FORCE");
                server.sql(&rebuild).unwrap();
            }
        }
        running.join().unwrap().unwrap()
    });
    // Those that are new at the end came whole, so nothing of them was copied again.
    for file in &manifest(&place.path("full")).files {
        check_pair(file, Algorithm::Zstd);
    }
    let before = testkit::snapshot(&server).unwrap();
    place.restore("full", "data");
    let restored = place.boot("data", &[]);
    check_restored(&restored, &report);
    // The last of the rebuilds came after the end of the backup, and changed nothing.
    let found = testkit::snapshot(&restored).unwrap();
    let differences = Snapshot {
        gtid_executed: found.gtid_executed.clone(),
        ..before
    }
    .differences(&found);
    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn neither_a_full_nor_an_increment_needs_page_tracking() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    server.load_sysbench_like(1, 20000).unwrap();
    let load = WorkloadOptions {
        threads: 2,
        ddl: true,
        seed: 12,
        ..WorkloadOptions::default()
    };
    let workload = Workload::start(&server, load).unwrap();
    workload.wait_for(50, 5).unwrap();
    place.compress(Some(Algorithm::Lz4));
    let full = place.full(&server, "full", false);
    workload.wait_for(50, 5).unwrap();
    place.compress(Some(Algorithm::Zstd));
    let base = place.path("full");
    let next = place.try_backup(&server, "incr", |options| {
        options.from = Some(IncrementFrom::Set(base));
        options.scan = true;
    });
    let next = next.unwrap();
    workload.stop();
    assert_eq!(next.pages_by, PagesBy::Scan);
    for (set, report) in [("full", full), ("incr", next)] {
        let data = format!("data-{set}");
        place.restore(set, &data);
        let restored = place.boot(&data, &[]);
        check_restored(&restored, &report);
        check_with_binlog(&server, &restored, &report);
    }
}
