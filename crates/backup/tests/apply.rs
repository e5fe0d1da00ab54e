//! Increments applied in place: byte for byte what a restore gives, on a real server's files, from
//! whatever point an apply is killed at.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use backup::command::{
    ApplyReport, ApplyRequest, BackupReport, RestoreRequest, VerifyRequest, apply, restore, verify,
};
use backup::set::layout::IN_PROGRESS;
use backup::{Error, Result};
use common::{Place, check_restored, check_with_binlog, job};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use testkit::fixtures::{ZooOptions, change_zoo, zoo};
use testkit::{Server, ServerOptions, Workload, WorkloadOptions};

fn try_apply(datadir: &Path, increment: &Path) -> Result<ApplyReport> {
    let request = ApplyRequest {
        datadir: datadir.to_owned(),
        incremental_dir: increment.to_owned(),
    };
    apply(&request, &job())
}

/// What the document says: `cp -rfp`.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.unwrap().success());
}

/// Size and digest of every file outside `#clone`, and every directory.
fn contents(root: &Path) -> BTreeMap<PathBuf, Option<(u64, blake3::Hash)>> {
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
fn assert_equal_trees(left: &Path, right: &Path) {
    let (left, right) = (contents(left), contents(right));
    let differing: Vec<_> = left
        .keys()
        .chain(right.keys())
        .filter(|name| left.get(*name) != right.get(*name))
        .collect();
    assert!(differing.is_empty(), "{differing:?}");
}

/// Bytes on disk of every file: holes must be kept.
fn blocks(root: &Path) -> u64 {
    let files = contents(root).into_keys();
    files
        .map(|name| root.join(name).metadata().unwrap().blocks() * 512)
        .sum()
}

#[track_caller]
fn assert_verifies(datadir: &Path) {
    let request = VerifyRequest {
        path: datadir.to_owned(),
        chain: Vec::new(),
        quick: false,
        only_this: true,
    };
    assert_eq!(verify(&request, &job()).unwrap().problems, []);
}

/// Renames and replacements that come out wrong when files are treated one after the other.
fn shuffle(server: &Server) {
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
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.query_value(empty).unwrap() != "empty" {
        assert!(
            Instant::now() < deadline,
            "the undo tablespace is not truncated"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    server.sql("ALTER UNDO TABLESPACE more SET ACTIVE").unwrap();
}

fn tables_to_shuffle(server: &Server) {
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
fn chain(server: &Server, place: &Place) -> [BackupReport; 3] {
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
    std::thread::sleep(Duration::from_secs(1));
    let full = place.full(server, "full", true);
    change_zoo(server, 1).unwrap();
    shuffle(server);
    std::thread::sleep(Duration::from_secs(2));
    let first = place.increment(server, "incr1", "full");
    change_zoo(server, 2).unwrap();
    server
        .sql("RENAME TABLE x.a TO x.t, x.b TO x.a, x.t TO x.b")
        .unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let second = place.increment(server, "incr2", "incr1");
    workload.stop();
    [full, first, second]
}

#[test]
fn a_chain_applied_is_the_chain_restored_and_boots() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    let [_, first, second] = chain(&server, &place);
    let data = place.path("data");
    copy(&place.path("full"), &data);
    let report = try_apply(&data, &place.path("incr1")).unwrap();
    assert_eq!(
        (&report.set_id, report.lsn.end),
        (&first.set_id, first.lsn.end)
    );
    assert!(
        report.files_renamed >= 7 && report.pages_written > 100,
        "{report:?}"
    );
    place.restore("incr1", "restored1");
    assert_equal_trees(&data, &place.path("restored1"));
    assert_verifies(&data);
    // The result is a full set: a restore takes it, and the next increment links to it.
    let request = RestoreRequest {
        set: data.clone(),
        chain: Vec::new(),
        to: place.path("of-data"),
        force: false,
        owner: None,
    };
    restore(&request, &job()).unwrap();
    assert_equal_trees(&data, &place.path("of-data"));

    let report = try_apply(&data, &place.path("incr2")).unwrap();
    assert!(!report.already_applied && !report.resumed, "{report:?}");
    assert_eq!(report.binlog, second.binlog);
    place.restore("incr2", "restored2");
    assert_equal_trees(&data, &place.path("restored2"));
    assert_verifies(&data);
    let (ours, theirs) = (blocks(&data), blocks(&place.path("restored2")));
    assert!(
        ours < theirs + theirs / 20,
        "{ours} bytes on disk, restored {theirs}"
    );
    let again = try_apply(&data, &place.path("incr2")).unwrap();
    assert!(
        again.already_applied && again.bytes_written == 0,
        "{again:?}"
    );

    let restored = place.boot("data", &[]);
    check_restored(&restored, &second);
    Workload::check(&restored).unwrap();
    let error = try_apply(&data, &place.path("incr2")).unwrap_err();
    assert!(error.to_string().contains("is in use"), "{error}");
    check_with_binlog(&server, &restored, &second);
    restored.shutdown().unwrap();
    let error = try_apply(&data, &place.path("incr2")).unwrap_err();
    assert!(
        error.to_string().contains("not an untouched copy"),
        "{error}"
    );
}

/// Applies two increments over a zoo, and compares with what a restore gives.
fn every_format(options: ServerOptions, zoo_options: impl Fn(&Server) -> ZooOptions) {
    let (server, place) = (Server::start(options).unwrap(), Place::new());
    zoo(&server, &zoo_options(&server)).unwrap();
    place.full(&server, "full", true);
    change_zoo(&server, 1).unwrap();
    place.increment(&server, "incr1", "full");
    change_zoo(&server, 2).unwrap();
    place.increment(&server, "incr2", "incr1");
    copy(&place.path("full"), &place.path("data"));
    for set in ["incr1", "incr2"] {
        try_apply(&place.path("data"), &place.path(set)).unwrap();
        place.restore(set, "restored");
        assert_equal_trees(&place.path("data"), &place.path("restored"));
        assert_verifies(&place.path("data"));
        std::fs::remove_dir_all(place.path("restored")).unwrap();
    }
}

#[test]
fn small_and_large_pages_are_applied() {
    for page_size in [4096, 65536] {
        let options = ServerOptions {
            page_size: Some(page_size),
            ..ServerOptions::default()
        };
        every_format(options, |_| ZooOptions::default());
    }
}

#[test]
fn encrypted_and_scattered_files_and_a_system_tablespace_of_two_are_applied() {
    let options = ServerOptions {
        keyring: true,
        init_args: vec!["--innodb-data-file-path=ibdata1:12M;ibdata2:8M:autoextend".into()],
        args: vec!["--innodb-directories={root}/elsewhere".into()],
        ..ServerOptions::default()
    };
    every_format(options, |server| ZooOptions {
        encrypted: true,
        elsewhere: Some(server.root_dir().join("elsewhere")),
    });
}

#[test]
fn a_directory_that_a_server_was_started_on_is_refused() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    server
        .sql("CREATE SCHEMA s; CREATE TABLE s.t (id INT PRIMARY KEY)")
        .unwrap();
    place.full(&server, "full", true);
    server.sql("INSERT INTO s.t VALUES (1)").unwrap();
    place.increment(&server, "incr", "full");
    let data = place.path("data");
    copy(&place.path("full"), &data);
    place.boot("data", &[]).shutdown().unwrap();
    // However well somebody cleans up after the server.
    for (at, gone) in ["nothing", "auto.cnf", "#innodb_temp", "*.dblwr", "ibtmp1"]
        .iter()
        .enumerate()
    {
        let shell = format!("rm -rf {}/{}", data.display(), gone.replace('#', "\\#"));
        assert!(
            Command::new("sh")
                .args(["-c", &shell])
                .status()
                .unwrap()
                .success()
        );
        let error = try_apply(&data, &place.path("incr")).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{at}: {error}");
        assert!(
            error.to_string().contains("not an untouched copy"),
            "{at}: {error}"
        );
    }
}

/// Names the directories of the apply that a child process does; see [`start_child`].
const CHILD: &str = "INNOCLONE_TEST_APPLY";

/// Does nothing but in a child of the test below, which kills it.
#[test]
fn apply_in_a_child() {
    let Ok(directories) = std::env::var(CHILD) else {
        return;
    };
    let (datadir, increment) = directories.split_once(':').unwrap();
    try_apply(Path::new(datadir), Path::new(increment)).unwrap();
}

fn start_child(datadir: &Path, increment: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "apply_in_a_child"])
        .env(
            CHILD,
            format!("{}:{}", datadir.display(), increment.display()),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A copy, because even a server that refuses leaves files.
fn assert_mysqld_refuses(data: &Path, to: &Path) {
    copy(data, to);
    let error = format!("{:#}", Server::start_on(to, &[]).unwrap_err());
    assert!(
        error.contains("Incomplete cloned data directory"),
        "{error}"
    );
}

#[test]
fn an_apply_killed_at_any_time_is_finished_by_the_next() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    let [_, first, _] = chain(&server, &place);
    drop(server);
    let (data, increment) = (place.path("data"), place.path("incr1"));
    place.restore("incr1", "restored");
    copy(&place.path("full"), &data);
    // Every file belongs to whoever owns the directory, whoever applies; only root can see to it.
    let owner = std::fs::metadata(&data).unwrap().uid();
    let owner = if owner == 0 { 4321 } else { owner };
    let chown = |path: &Path| {
        let status = Command::new("chown")
            .arg("-R")
            .arg(owner.to_string())
            .arg(path)
            .status();
        assert!(status.unwrap().success());
    };
    let begin = Instant::now();
    assert!(start_child(&data, &increment).wait().unwrap().success());
    let time = begin.elapsed();
    assert_equal_trees(&data, &place.path("restored"));
    let mut half = 0;
    for round in 0..16_u32 {
        std::fs::remove_dir_all(&data).unwrap();
        copy(&place.path("full"), &data);
        chown(&data);
        let mut child = start_child(&data, &increment);
        std::thread::sleep(time * (round * 5 % 16) / 16);
        child.kill().unwrap();
        child.wait().unwrap();
        if data.join(IN_PROGRESS).exists() {
            half += 1;
            if half == 1 {
                assert_mysqld_refuses(&data, &place.path("refused"));
            }
        }
        let report = try_apply(&data, &increment).unwrap();
        assert_eq!(report.lsn.end, first.lsn.end);
        assert_equal_trees(&data, &place.path("restored"));
        for name in contents(&data).into_keys() {
            let meta = std::fs::metadata(data.join(&name)).unwrap();
            assert_eq!(meta.uid(), owner, "{}", name.display());
        }
    }
    assert!(
        half >= 2,
        "only {half} of 16 kills met a half applied directory"
    );
    assert_verifies(&data);
    assert!(try_apply(&data, &place.path("incr2")).is_ok());
}
