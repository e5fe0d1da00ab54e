//! The harness itself, on a real server.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use innoclone_testkit::{Server, ServerOptions, wait_until};

#[test]
fn a_server_starts_answers_and_leaves_nothing_behind() {
    let server = Server::start(ServerOptions::default()).unwrap();
    server
        .sql("CREATE TABLE test.t (v VARCHAR(20)); INSERT INTO test.t VALUES ('a\\tb'), (NULL)")
        .unwrap_err();
    server.sql("CREATE SCHEMA s; CREATE TABLE s.t (v VARCHAR(20)); INSERT INTO s.t VALUES ('a\\tb'), (NULL)").unwrap();
    assert_eq!(
        server.sql_rows("SELECT v, 1 FROM s.t").unwrap(),
        [["a\tb", "1"], ["NULL", "1"]]
    );
    assert_eq!(server.query_value("SELECT @@gtid_mode").unwrap(), "ON");
    assert_eq!(
        server
            .query_value("SELECT mysqlbackup_page_track_get_start_lsn()")
            .unwrap(),
        "0"
    );
    let error = server.sql("SELECT * FROM s.missing").unwrap_err();
    assert!(error.to_string().contains("ERROR 1146"), "{error}");
    let root = server.root_dir().to_owned();
    server.shutdown().unwrap();
    assert!(!root.exists());
}

#[test]
fn two_servers_have_different_uuids() {
    let one = Server::start(ServerOptions::default()).unwrap();
    let two = Server::start(ServerOptions::default()).unwrap();
    let uuid = |server: &Server| server.query_value("SELECT @@server_uuid").unwrap();
    assert_ne!(uuid(&one), uuid(&two));
    assert_ne!(one.port(), two.port());
}

#[test]
fn committed_data_survives_kill_and_restart() {
    let mut server = Server::start(ServerOptions::default()).unwrap();
    server
        .sql("CREATE SCHEMA s; CREATE TABLE s.t (id INT); INSERT INTO s.t VALUES (1)")
        .unwrap();
    let first = server.pid();
    server.kill9().unwrap();
    assert!(server.sql("SELECT 1").is_err());
    server.start_again().unwrap();
    assert_ne!(server.pid(), first);
    assert_eq!(server.query_value("SELECT COUNT(*) FROM s.t").unwrap(), "1");
    server.restart(&["--innodb-fast-shutdown=0"]).unwrap();
    assert_eq!(
        server.query_value("SELECT @@innodb_fast_shutdown").unwrap(),
        "0"
    );
    server.stop().unwrap();
    let copy = innoclone_testkit::Scratch::new().unwrap();
    let datadir = copy.join("data");
    assert!(
        Command::new("cp")
            .arg("-a")
            .arg(server.datadir())
            .arg(&datadir)
            .status()
            .unwrap()
            .success()
    );
    let second = Server::start_on(&datadir, &[]).unwrap();
    assert_eq!(second.query_value("SELECT COUNT(*) FROM s.t").unwrap(), "1");
    drop(second);
    assert!(datadir.exists());
}

#[test]
fn other_page_sizes_and_layouts_start() {
    let server = Server::start(ServerOptions {
        page_size: Some(4096),
        init_args: vec![
            "--innodb-data-home-dir={root}/home".into(),
            "--innodb-undo-directory={root}/undo".into(),
        ],
        ..ServerOptions::default()
    })
    .unwrap();
    assert_eq!(
        server.query_value("SELECT @@innodb_page_size").unwrap(),
        "4096"
    );
    assert!(server.root_dir().join("home/ibdata1").exists());
    assert!(server.root_dir().join("undo/undo_001").exists());
}

#[test]
fn a_server_with_a_keyring_encrypts() {
    let mut server = Server::start(ServerOptions {
        keyring: true,
        ..ServerOptions::default()
    })
    .unwrap();
    server
        .sql(
            "CREATE SCHEMA s; CREATE TABLE s.t (id INT) ENCRYPTION='Y'; INSERT INTO s.t VALUES (5)",
        )
        .unwrap();
    assert!(server.keyring_file().exists());
    server.restart(&[]).unwrap();
    assert_eq!(server.query_value("SELECT id FROM s.t").unwrap(), "5");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let error = Server::start(ServerOptions::with_args(["--no-such-option=1"])).unwrap_err();
    assert!(format!("{error:#}").contains("no-such-option"), "{error:#}");
}

/// The test starts itself as a second process, which starts a server and waits to be killed.
#[test]
fn a_killed_test_leaves_no_server_behind() {
    const ROLE: &str = "INNOCLONE_TEST_VICTIM";
    if std::env::var_os(ROLE).is_some() {
        let server = Server::start(ServerOptions::default()).unwrap();
        println!(
            "\nvictim {} {}",
            server.pid().unwrap(),
            server.root_dir().display()
        );
        std::thread::sleep(Duration::from_secs(3600));
        return;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_killed_test_leaves_no_server_behind",
            "--nocapture",
        ])
        .env(ROLE, "1")
        .env_remove("INNOCLONE_KEEP")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let line = lines
        .into_iter()
        .find(|line| line.starts_with("victim "))
        .unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let (process, root) = (Path::new("/proc").join(words[1]), Path::new(words[2]));
    assert!(process.exists() && root.exists());
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("mysqld and its directory are gone", || {
        !process.exists() && !root.exists()
    });
}
