//! What the program says and how it ends where no server is needed.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod common;

use std::path::PathBuf;

use common::{Ended, innoclone, run};
use tempfile::TempDir;
use testkit::ClosedPort;

struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Ended {
        run(innoclone(&self.path("state")).args(words))
    }
}

/// Names of the texts in `tests/help`: the program's own, and one of each command.
const HELP: [&str; 14] = [
    "innoclone",
    "backup",
    "restore",
    "apply",
    "decompress",
    "verify",
    "history",
    "progress",
    "status",
    "page-track",
    "binlog",
    "binlog archive",
    "sql",
    "serve",
];

/// With `INNOCLONE_BLESS=1` the texts are written instead of compared.
#[test]
fn help_is_as_it_was_seen() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let world = World::new();
    for name in HELP {
        let words = match name {
            "innoclone" => vec!["--help"],
            command => command.split(' ').chain(["--help"]).collect(),
        };
        let help = world.run(&words).expect(0);
        assert_eq!(help.stderr, "");
        let file = folder.join(format!("{}.txt", name.replace(' ', "-")));
        if std::env::var_os("INNOCLONE_BLESS").is_some() {
            std::fs::write(&file, &help.stdout).unwrap();
        }
        let seen = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(help.stdout, seen, "{}", file.display());
    }
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, HELP.len(), "texts of no command");
}

#[test]
fn every_command_is_in_the_help_of_the_program() {
    let help = World::new().run(&["--help"]).expect(0).stdout;
    for command in HELP[1..].iter().filter(|name| !name.contains(' ')) {
        let line = format!("\n  {command} ");
        assert!(help.contains(&line), "{command}");
    }
    for status in [
        "0  done",
        "1  failed",
        "2  wrong usage",
        "3  verify or decompress found",
    ] {
        assert!(help.contains(status), "{status}");
    }
}

#[test]
fn version_is_told() {
    let version = World::new().run(&["--version"]).expect(0).stdout;
    let expected = format!("innoclone {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(version, expected);
}

#[test]
fn wrong_usage_ends_with_two_and_changes_nothing() {
    let world = World::new();
    for words in [
        &[][..],
        &["nonsense"],
        &["backup"],
        &["backup", "--to", "x", "--nonsense"],
        &["backup", "--to", "x", "--based-on", "y", "--start-lsn", "1"],
        &["backup", "--to", "x", "--scan"],
        &["backup", "--to", "x", "--ssl-mode", "maybe"],
        &["restore", "x"],
        &["decompress"],
        &["page-track", "purge"],
        &["page-track", "on", "5"],
        &["apply", "--clone-incremental-dir", "x"],
        &["history", "--log-level", "a=b=c"],
    ] {
        let ended = world.run(words).expect(2);
        assert_eq!(ended.stdout, "", "{words:?}");
        assert!(!ended.stderr.is_empty(), "{words:?}");
    }
    assert!(!world.path("state").exists());
}

#[test]
fn wrong_usage_is_an_object_too_when_json_is_asked_for() {
    let world = World::new();
    for words in [
        &["history", "--json", "--nonsense"][..],
        &["--json", "backup", "--to", "x", "--scan"],
    ] {
        let error = &world.run(words).expect(2).json()["error"];
        assert_eq!(error["code"], 1210, "{words:?}");
        assert!(error["message"].is_string());
    }
}

#[test]
fn an_empty_history_is_told_and_not_made() {
    let world = World::new();
    for command in ["history", "progress", "status"] {
        let ended = world.run(&[command]).expect(0);
        assert!(ended.stdout.starts_with("no backups in "), "{command}");
        let ended = world.run(&[command, "--json"]).expect(0);
        assert_eq!(ended.stdout, format!("{{\"{command}\":[]}}\n"));
    }
    assert!(!world.path("state").exists());
}

#[test]
fn a_history_that_is_none_fails_with_its_reason() {
    let world = World::new();
    std::fs::create_dir(world.path("state")).unwrap();
    let file = world.path("state").join("catalogue.db");
    std::fs::write(
        &file,
        "this is no database, and long enough to be looked at",
    )
    .unwrap();
    let ended = world.run(&["history"]).expect(1);
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.starts_with("innoclone: ERROR 3862 (HY000): "));
    assert!(ended.stderr.contains("\nhint: "));
}

#[test]
fn compression_out_of_range_is_refused_with_the_range_wherever_it_is_said() {
    let world = World::new();
    let words = ["backup", "--to", "x", "--compress", "zstd"];
    for (more, range) in [
        ("--compress-level=20", "between 1 and 19"),
        ("--compress_threads=129", "between 1 and 128"),
        ("--compress-chunk-size=1023", "1024 bytes or more"),
        ("--compress=gzip", "none, zstd or lz4"),
    ] {
        let ended = world.run(&[&words[..], &[more]].concat()).expect(2);
        assert!(ended.stderr.contains(range), "{}", ended.stderr);
    }
    for (line, range) in [
        ("compress_level = 0", "between 1 and 19"),
        ("loose-compress-threads = 0", "between 1 and 128"),
        ("compress-chunk-size = 1000", "1024 bytes or more"),
        ("compress = zip", "invalid value for compress: zip"),
    ] {
        let file = world.path("my.cnf");
        std::fs::write(&file, format!("[innoclone]\n{line}\n")).unwrap();
        let defaults = format!("--defaults-file={}", file.display());
        let ended = world.run(&["backup", "--to", "x", &defaults]).expect(2);
        assert!(ended.stderr.contains(range), "{}", ended.stderr);
    }
    assert!(!world.path("x").exists());
}

#[test]
fn a_server_that_is_down_is_mysqls_error_2002_with_a_hint() {
    let world = World::new();
    let socket = world.path("no.sock");
    let words = ["backup", "--to", "x", "-S", socket.to_str().unwrap()];
    let ended = world.run(&words).expect(1);
    assert_eq!(ended.stdout, "");
    let last: Vec<&str> = ended.stderr.lines().rev().take(2).collect();
    assert!(last[1].starts_with("innoclone: ERROR 2002 (HY000): connect to the server: "));
    assert!(last[0].starts_with("hint: "));
    let error = &world
        .run(&[&words[..], &["--json"]].concat())
        .expect(1)
        .json()["error"];
    assert_eq!(
        (&error["code"], &error["sqlstate"]),
        (&2002.into(), &"HY000".into())
    );
    assert!(error["hint"].is_string());
    assert!(!world.path("x").exists());
}

#[test]
fn tcp_that_nobody_listens_on_is_2003() {
    let closed = ClosedPort::new().unwrap();
    let port = format!("-P{}", closed.number());
    let words = ["page-track", "status", "-h127.0.0.1", &port, "--json"];
    let ended = World::new().run(&words).expect(1);
    assert_eq!(ended.json()["error"]["code"], 2003);
    let log = ended.log();
    let last = log.last().unwrap();
    assert_eq!(
        (&last["level"], &last["code"]),
        (&"ERROR".into(), &2003.into())
    );
}

#[test]
fn a_password_on_the_command_line_is_warned_of_and_never_shown() {
    let closed = ClosedPort::new().unwrap();
    let port = format!("-P{}", closed.number());
    let words = ["page-track", "status", "-h127.0.0.1", &port, "-phunter2"];
    let ended = World::new().run(&words).expect(1);
    assert!(ended.stderr.contains("WARN"));
    assert!(!ended.stderr.contains("hunter2"));
}

#[test]
fn unknown_options_of_the_own_group_are_refused() {
    let world = World::new();
    let file = world.path("my.cnf");
    let run_with = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = innoclone(&world.path("state"));
        let option = format!("--defaults-file={}", file.display());
        run(command.args(["history", &option]))
    };
    let ended = run_with("[innoclone]\nssl-mod = REQUIRED\n").expect(2);
    assert!(ended.stderr.contains("ssl-mod"), "{}", ended.stderr);
    run_with("[innoclone]\nloose-ssl-mod = REQUIRED\nparallel = 2\n").expect(0);
    run_with("[client]\nauto-rehash\n").expect(0);
}

#[test]
fn the_state_directory_may_come_from_an_option_file() {
    let world = World::new();
    let file = world.path("my.cnf");
    std::fs::write(&file, "[innoclone]\nstate_dir = /nowhere/at/all\n").unwrap();
    let mut command = innoclone(&world.path("state"));
    command.env_remove("INNOCLONE_STATE_DIR");
    let option = format!("--defaults-file={}", file.display());
    let ended = run(command.args(["history", &option])).expect(0);
    assert_eq!(ended.stdout, "no backups in /nowhere/at/all\n");
}

#[test]
fn sets_that_are_none_are_refused_with_mysqls_number() {
    let world = World::new();
    let (set, to) = (world.path("none"), world.path("data"));
    let words = [
        "restore",
        set.to_str().unwrap(),
        "--to",
        to.to_str().unwrap(),
    ];
    let ended = world.run(&words).expect(1);
    assert!(
        ended.stderr.starts_with("innoclone: ERROR 1024 (HY000): "),
        "{}",
        ended.stderr
    );
    assert!(!to.exists());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::new();
    let mut command = innoclone(&world.path("state"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = command.arg("history").stdout(writer).status().unwrap();
    assert!(status.success());
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let world = World::new();
    let mut command = innoclone(&world.path("state"));
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = command.arg("history").stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn where_nobody_can_listen_is_told_with_what_to_do() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let file = world.path("file");
    std::fs::write(&file, "").unwrap();
    for (at, named, hint) in [
        (taken.to_string(), taken.port().to_string(), "another port"),
        (
            file.display().to_string(),
            file.display().to_string(),
            "another path",
        ),
        // For documents: nobody has it.
        (
            "192.0.2.1:0".to_owned(),
            "192.0.2.1".to_owned(),
            "one of its own",
        ),
    ] {
        let words = ["serve", "--allow-plain-tcp", "--listen", &at];
        let ended = world.run(&words).expect(1);
        let told: Vec<&str> = ended.stderr.lines().rev().take(2).collect();
        assert!(told[1].starts_with("innoclone: ERROR 1105 (HY000): start to listen: "));
        assert!(told[1].contains(&named), "{}", ended.stderr);
        assert!(told[0].starts_with("hint: "), "{}", ended.stderr);
        assert!(told[0].contains(hint), "{}", ended.stderr);
    }
}

#[test]
fn serve_gives_no_backup_away_without_a_password() {
    let world = World::new();

    let open = world.run(&["serve", "--donor", "/nowhere"]).expect(2);
    assert!(open.stderr.contains("password"), "{}", open.stderr);
    let mut command = innoclone(&world.path("state"));
    command.env("INNOCLONE_SERVE_PASSWORD", "secret word");
    let no_set = run(command.args(["serve", "--donor", "/nowhere"])).expect(1);
    assert!(no_set.stderr.contains("ERROR 1024"), "{}", no_set.stderr);
    assert!(!no_set.stderr.contains("secret word"));
    let argv = world.run(&["serve", "--serve-password", "x"]).expect(2);
    assert!(
        argv.stderr.contains("unexpected argument"),
        "{}",
        argv.stderr
    );
}
