//! Everything that a user can get wrong ends in one line with MySQL's number, a hint where there is
//! something to do, a status that is not zero, and nothing half-made.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::Ended;
use common::world::World;

/// What is done, the error number, words of the message, words of the hint.
type Case<'a> = (&'a [&'a str], u16, &'a str, &'a str);

/// Runs a command that must fail before it makes anything at `$OUT`.
#[track_caller]
fn refused(world: &World, ended: &Ended, case: Case<'_>) {
    let (words, code, message, hint) = case;
    let shown = format!("{words:?}\n{}", ended.stderr);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (Some(1), ""),
        "{shown}"
    );
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with("innoclone: ERROR "));
    let told = &lines[at.unwrap_or_else(|| panic!("no error: {shown}"))..];
    let start = format!("innoclone: ERROR {code} (");
    assert!(told[0].starts_with(&start), "{shown}");
    assert!(told[0].contains(message), "{shown}");
    assert_eq!(told.len(), 1 + usize::from(!hint.is_empty()), "{shown}");
    for line in told.get(1..).unwrap() {
        assert!(line.starts_with("hint: ") && line.contains(hint), "{shown}");
    }
    // Nothing that only a programmer reads, and nothing twice.
    for noise in ["Some(", "None", "Os {", "Error {", "panicked", "unwrap"] {
        assert!(!told[0].contains(noise), "{shown}");
    }
    assert_eq!(told[0].matches("ERROR").count(), 1, "{shown}");
    assert!(!world.dir.join("out").exists(), "{shown}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases, on one server")]
fn what_is_wrong_is_one_line_with_a_number_and_what_to_do() {
    let world = World::new();
    let server = &world.server;
    server
        .sql("CREATE USER few@localhost; CREATE DATABASE x; CREATE TABLE x.t (id INT PRIMARY KEY)")
        .unwrap();
    let [full, one, two] = ["full", "one", "two"].map(|name| world.path(name));
    let (out, file, none) = (world.path("out"), world.path("file"), world.path("none"));
    std::fs::write(&file, "no set").unwrap();
    world
        .run(&["backup", "--to", &full, "--page-track"])
        .expect(0);
    for (set, base) in [(&one, &full), (&two, &one)] {
        let words = ["backup", "--to", set, "--page-track", "--based-on", base];
        world.run(&words).expect(0);
    }
    let within = format!("{full}/new");
    let data = server.datadir().to_str().unwrap();

    let backup: [Case<'_>; 9] = [
        (
            &["--to", &full],
            1007,
            "database exists",
            "does not exist or is empty",
        ),
        (
            &["--to", &file],
            1007,
            "database exists",
            "does not exist or is empty",
        ),
        (
            &["--to", &format!("{data}/out")],
            3632,
            "within",
            "outside the server's own",
        ),
        (
            &["--to", &out, "--based-on", &none],
            1024,
            "no such directory",
            "history",
        ),
        (
            &["--to", &out, "--based-on", &file],
            1024,
            "not a directory",
            "history",
        ),
        (
            &["--to", &out, "--based-on", data],
            1024,
            "manifest.json",
            "history",
        ),
        (
            &["--to", &out, "--start-lsn", "9999999999999"],
            3803,
            "current LSN",
            "a set of this server",
        ),
        (
            &["--to", &out, "--start-lsn", "1"],
            1815,
            "reset point",
            "--scan",
        ),
        (
            &["--to", &out, "--datadir", &full],
            1105,
            "no auto.cnf",
            "on the database host",
        ),
    ];
    for case in backup {
        let ended = world.run(&[&["backup"], case.0].concat());
        refused(&world, &ended, case);
    }

    let alone: [Case<'_>; 11] = [
        (
            &["restore", &none, "--to", &out],
            1024,
            "no such directory",
            "history",
        ),
        (
            &["restore", data, "--to", &out],
            1024,
            "manifest.json",
            "history",
        ),
        (
            &["restore", &full, "--to", &full],
            3632,
            "the backup set",
            "outside the backup sets",
        ),
        (
            &["restore", &two, "--to", &within],
            3632,
            "the backup set",
            "outside the backup sets",
        ),
        (
            &["restore", &two, "--to", data],
            1007,
            "database exists",
            "does not exist or is empty",
        ),
        (
            &["apply", "--datadir", &full, "--clone-incremental-dir", &two],
            1105,
            "does not continue",
            "in order",
        ),
        (
            &[
                "apply",
                "--datadir",
                &full,
                "--clone-incremental-dir",
                &none,
            ],
            1016,
            "No such file",
            "",
        ),
        (
            &["apply", "--datadir", data, "--clone-incremental-dir", &one],
            1024,
            "manifest.json",
            "history",
        ),
        (
            &["decompress", &file],
            1105,
            "compressed file",
            ".zstd or .lz4",
        ),
        (&["verify", &none], 1016, "No such file", ""),
        (
            &["verify", data],
            1015,
            "in use by process",
            "Stop the server",
        ),
    ];
    for case in alone {
        let ended = world.run_alone(case.0);
        refused(&world, &ended, case);
    }

    let other: [Case<'_>; 3] = [
        (
            &["binlog", "archive", "--to", &full],
            1007,
            "no archive",
            "an archive of this server",
        ),
        (&["sql", "-e", "CLONE LOCAL"], 1064, "SQL syntax", ""),
        (
            &["sql", "-e", "CLONE LOCAL DATA DIRECTORY = 'out'"],
            1525,
            "Incorrect path value",
            "",
        ),
    ];
    for case in other {
        refused(&world, &world.run(case.0), case);
    }

    let socket = format!("--socket={}", server.socket().display());
    // Found out before anything travels, as here.
    server
        .sql("CREATE USER far@localhost; GRANT BACKUP_ADMIN ON *.* TO far@localhost")
        .unwrap();
    let from = format!("far@127.0.0.1:{}", server.port());
    let words = ["backup", "--from", &from, "--to", &out, "--start-lsn"];
    let words = [&words[..], &["9999999999999"]].concat();
    let ended = world.run_alone(&words);
    refused(
        &world,
        &ended,
        (
            &words,
            3803,
            "the donor's current LSN",
            "a set of this server",
        ),
    );

    let users: [Case<'_>; 2] = [
        (&["--user=few"], 1227, "BACKUP_ADMIN", "GRANT BACKUP_ADMIN"),
        (&["--user=nobody"], 1045, "Access denied", "--user"),
    ];
    for case in users {
        let ended = world.run_alone(&[&["page-track", "status", &socket], case.0].concat());
        refused(&world, &ended, case);
    }

    // A missing ancestor, which is elsewhere.
    std::fs::rename(&one, world.path("away")).unwrap();
    std::fs::create_dir(world.path("sets")).unwrap();
    std::fs::rename(world.path("away"), world.path("sets/one")).unwrap();
    let missing = ["restore", &two, "--to", &out];
    let ended = world.run_alone(&missing);
    refused(&world, &ended, (&missing, 1105, "broken chain", "--chain"));
    let chain = world.path("sets");
    let found = [&missing[..], &["--chain", &chain]].concat();
    world.run_alone(&found).expect(0);
}
