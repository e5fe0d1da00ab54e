//! Applying increments, and what the result is compared with.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use crate::common::{Place, job};
use backup::Result;
use backup::command::{ApplyReport, ApplyRequest, BackupReport, VerifyRequest, apply, verify};
use backup::set::layout::IN_PROGRESS;
use frame::Algorithm;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use testkit::fixtures::{ZooOptions, change_zoo, zoo};
use testkit::{Server, Workload, WorkloadOptions};

pub fn try_apply(datadir: &Path, increment: &Path) -> Result<ApplyReport> {
    let request = ApplyRequest {
        datadir: datadir.to_owned(),
        incremental_dir: increment.to_owned(),
        encryption_key: None,
    };
    apply(&request, &job())
}

/// What the document says: `cp -rfp`.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.unwrap().success());
}

/// Size and digest of every file outside `#clone`, and every directory.
pub fn contents(root: &Path) -> BTreeMap<PathBuf, Option<(u64, blake3::Hash)>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                if name.as_os_str() != "#clone" {
                    folders.push(path);
                    all.insert(name, None);
                }
                continue;
            }
            let mut hasher = blake3::Hasher::new();
            std::io::copy(&mut std::fs::File::open(&path).unwrap(), &mut hasher).unwrap();
            let size = path.metadata().unwrap().len();
            all.insert(name, Some((size, hasher.finalize())));
        }
    }
    all
}

#[track_caller]
pub fn assert_equal_trees(left: &Path, right: &Path) {
    let (left, right) = (contents(left), contents(right));
    let differing: Vec<_> = left
        .keys()
        .chain(right.keys())
        .filter(|name| left.get(*name) != right.get(*name))
        .collect();
    assert!(differing.is_empty(), "{differing:?}");
}

/// Bytes on disk of every file: holes must be kept.
pub fn blocks(root: &Path) -> u64 {
    let files = contents(root).into_keys();
    files
        .map(|name| root.join(name).metadata().unwrap().blocks() * 512)
        .sum()
}

#[track_caller]
pub fn assert_verifies(datadir: &Path) {
    let request = VerifyRequest {
        only_this: true,
        ..VerifyRequest::new(datadir)
    };
    assert_eq!(verify(&request, &job()).unwrap().problems, []);
}

/// Renames and replacements that come out wrong when files are treated one after the other.
pub fn shuffle(server: &Server) {
    let statements = [
        "RENAME TABLE x.a TO x.t, x.b TO x.a, x.t TO x.b",
        "RENAME TABLE x.c TO y.c, x.d TO x.c, y.e TO x.d",
        "DROP TABLE x.f; CREATE TABLE x.f (id INT PRIMARY KEY) SELECT id FROM x.c",
        "TRUNCATE TABLE x.g; INSERT INTO x.g SELECT * FROM x.c LIMIT 10",
        "CREATE TABLE x.new LIKE x.h; INSERT INTO x.new SELECT * FROM x.h",
        "RENAME TABLE x.h TO x.h_old, x.new TO x.h; UPDATE x.h_old SET v = 'old' WHERE id < 9",
        "DROP SCHEMA gone; CREATE SCHEMA born; CREATE TABLE born.f (id INT PRIMARY KEY)",
        "ALTER UNDO TABLESPACE more SET INACTIVE",
    ];
    for statement in statements {
        server.sql(statement).unwrap();
    }
    let empty = "SELECT STATE FROM information_schema.INNODB_TABLESPACES WHERE NAME = 'more'";
    server.client().wait_until(empty, "empty").unwrap();
    server.sql("ALTER UNDO TABLESPACE more SET ACTIVE").unwrap();
}

pub fn tables_to_shuffle(server: &Server) {
    let mut script = String::from("CREATE SCHEMA x; CREATE SCHEMA y; CREATE SCHEMA gone;");
    for name in [
        "x.a", "x.b", "x.c", "x.d", "y.e", "x.f", "x.g", "x.h", "gone.i",
    ] {
        let _ = write!(
            script,
            "CREATE TABLE {name} (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(300));
             INSERT INTO {name} (v) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1
               FROM n WHERE i < 900) SELECT CONCAT('{name} ', REPEAT(i, 30)) FROM n;"
        );
    }
    server
        .sql("CREATE UNDO TABLESPACE more ADD DATAFILE 'more.ibu'")
        .unwrap();
    server.sql(&script).unwrap();
}

/// A full and two increments of a server with a lot going on.
pub fn chain(server: &Server, place: &Place) -> [BackupReport; 3] {
    compressed_chain(server, place, [None; 3])
}

/// The same, its sets compressed like this.
pub fn compressed_chain(
    server: &Server,
    place: &Place,
    algorithms: [Option<Algorithm>; 3],
) -> [BackupReport; 3] {
    server.load_sysbench_like(2, 20000).unwrap();
    zoo(server, &ZooOptions::default()).unwrap();
    tables_to_shuffle(server);
    let options = WorkloadOptions {
        threads: 2,
        ddl: true,
        seed: 21,
        ..WorkloadOptions::default()
    };
    let workload = Workload::start(server, options).unwrap();
    workload.wait_for(50, 5).unwrap();
    place.compress(algorithms[0]);
    let full = full_while_pages_change(server, place);
    change_zoo(server, 1).unwrap();
    shuffle(server);
    workload.wait_for(50, 5).unwrap();
    // What was changed is in the pages of the increment, not in its redo log only.
    server.flush_pages().unwrap();
    place.compress(algorithms[1]);
    let first = place.increment(server, "incr1", "full");
    change_zoo(server, 2).unwrap();
    server
        .sql("RENAME TABLE x.a TO x.t, x.b TO x.a, x.t TO x.b")
        .unwrap();
    workload.wait_for(50, 5).unwrap();
    server.flush_pages().unwrap();
    place.compress(algorithms[2]);
    let second = place.increment(server, "incr2", "incr1");
    workload.stop();
    [full, first, second]
}

/// A full backup during which pages of copied files change, so that it has them beside the files.
fn full_while_pages_change(server: &Server, place: &Place) -> BackupReport {
    let ddl = server.hold_ddl("y.e", "ADD COLUMN held INT").unwrap();
    std::thread::scope(|scope| {
        let backup = scope.spawn(|| place.full(server, "full", true));
        // When all files are copied it waits for running DDL.
        let waits = "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
                     WHERE INFO LIKE 'LOCK INSTANCE FOR BACKUP%' AND STATE LIKE 'Waiting for backup lock%'";
        server.client().wait_until(waits, "1").unwrap();
        let change = "UPDATE sbtest.sbtest1 SET pad = REVERSE(pad) WHERE id % 9 = 0";
        server.sql(change).unwrap();
        server.flush_pages().unwrap();
        ddl.release().unwrap();
        backup.join().unwrap()
    })
}

/// Kills a process that works on `datadir`: every other one as soon as the directory is marked as
/// being worked on, the others `part` of the way through; `whole` is how long all of it takes, as
/// far as that is known. Whether the directory is half done.
pub fn kill_at_work(
    child: &mut Child,
    datadir: &Path,
    round: u32,
    part: f64,
    whole: &mut Duration,
) -> bool {
    let begin = Instant::now();
    let is_time = || match round % 2 {
        0 => begin.elapsed() >= whole.mul_f64(part),
        _ => datadir.join(IN_PROGRESS).exists(),
    };
    while !is_time() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    if child.wait().unwrap().success() {
        *whole = begin.elapsed();
    }
    datadir.join(IN_PROGRESS).exists()
}

/// A copy, because even a server that refuses leaves files.
pub fn assert_mysqld_refuses(data: &Path, to: &Path) {
    copy(data, to);
    let error = format!("{:#}", Server::start_on(to, &[]).unwrap_err());
    assert!(
        error.contains("Incomplete cloned data directory"),
        "{error}"
    );
}
