//! Increments applied in place: byte for byte what a restore gives, on a real server's files, from
//! whatever point an apply is killed at.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod applying;
mod common;

use applying::{
    assert_equal_trees, assert_mysqld_refuses, assert_verifies, blocks, chain, contents, copy,
    kill_at_work, try_apply,
};
use backup::Error;
use backup::command::{RestoreRequest, restore};
use common::{Place, check_restored, check_with_binlog, job};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use testkit::fixtures::{ZooOptions, change_zoo, zoo};
use testkit::{Server, ServerOptions, Workload};

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
        encryption_key: None,
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
        .args(["--exact", "apply_in_a_child", "--nocapture"])
        .env(
            CHILD,
            format!("{}:{}", datadir.display(), increment.display()),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
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
    let mut time = begin.elapsed();
    assert_equal_trees(&data, &place.path("restored"));
    let mut half = 0;
    // More rounds are needed where the machine is now fast, now slow.
    for round in 0..200_u32 {
        if round >= 16 && half >= 4 {
            break;
        }
        std::fs::remove_dir_all(&data).unwrap();
        copy(&place.path("full"), &data);
        chown(&data);
        let mut child = start_child(&data, &increment);
        let part = f64::from(round * 5 % 16) / 16.0;
        if kill_at_work(&mut child, &data, round, part, &mut time) {
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
        half >= 4,
        "only {half} of 200 kills met a half applied directory"
    );
    assert_verifies(&data);
    assert!(try_apply(&data, &place.path("incr2")).is_ok());
}
