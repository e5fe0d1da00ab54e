//! Chains with sealed keys, used as other chains are: increments by lists of changed pages, and
//! restores to points in time.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;
mod replaying;
mod sealing;

use backup::command::{RestoreRequest, restore_commands, restore_until};
use backup::pitr::{PointInTime, ReplayReport, Until};
use backup::set::{BackupSet, LeftOutBy};
use backup::{EncryptionKey, Error};
use binlog::gtid::GtidSet;
use common::{Place, check_with_binlog, job};
use frame::Algorithm;
use replaying::{Scene, check_state, gtids};
use sealing::{
    assert_has_no_key, backup, empty_keyring, encrypted_donor, key, keys_in, problems, try_restore,
};
use std::path::Path;
use testkit::Server;

/// An encrypted donor whose lists of changed pages the account may ask for.
fn scene() -> Scene {
    let scene = Scene {
        server: encrypted_donor(),
        place: Place::new(),
    };
    let grants = "GRANT SELECT ON performance_schema.* TO cloner@'%'; \
                  GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO cloner@'%'";
    scene.server.sql(grants).unwrap();
    scene
}

fn request(scene: &Scene, set: &str, to: &str, key: Option<EncryptionKey>) -> RestoreRequest {
    RestoreRequest {
        encryption_key: key,
        ..scene.request(set, to)
    }
}

/// A mysqld for the replay into `to`, with the keyring that [`boot`] gives that directory.
fn own_keyring(scene: &Scene, to: &str) {
    let (place, install) = (&scene.place, scene.server.install());
    let keys = place.path(&format!("keyring-of-{to}"));
    let folder = place.path(&format!("links-of-{to}"));
    let program = place.path("mysqld");
    install
        .script_with_keyring(&program, &folder, &keys)
        .unwrap();
}

fn replayed(scene: &Scene, set: &str, to: &str, until: Until) -> ReplayReport {
    own_keyring(scene, to);
    let request = request(scene, set, to, Some(key(1)));
    let report = restore_until(&request, &scene.point(until), &job()).unwrap();
    assert!(report.restore.keyring.unwrap().contains("replayed"));
    // The server has wrapped what was given back.
    let left = keys_in(&scene.place.path(to));
    assert!(
        left.len() <= 1,
        "{} keys, that of the log among them",
        left.len()
    );
    report.point_in_time
}

fn boot(scene: &Scene, to: &str) -> Server {
    let data = scene.place.path(to);
    empty_keyring(&scene.place, &data);
    Server::start_on(&data, &[]).unwrap()
}

fn left_out_by(set: &Path) -> LeftOutBy {
    let set = BackupSet::open(set).unwrap();
    set.manifest().means.as_ref().unwrap().by
}

#[test]
fn pages_are_left_out_by_lists_and_points_in_time_are_reached() {
    let scene = scene();
    let (server, place) = (&scene.server, &scene.place);
    let listed = |name: &str, base: Option<&str>| {
        let made = backup(place, server, name, base, |options| {
            options.page_track = true;
        });
        let report = made.unwrap();
        assert_eq!(problems(&place.path(name)), Vec::<String>::new());
        report
    };
    listed("full", None);
    server
        .sql(
            "UPDATE e.own SET t = REPEAT('a', 300) WHERE id % 9 = 0;
             ALTER TABLESPACE turns ENCRYPTION='N';
             ALTER INSTANCE ROTATE INNODB MASTER KEY;
             CREATE TABLE e.first ENCRYPTION='Y' AS SELECT * FROM e.own",
        )
        .unwrap();
    let first = listed("incr1", Some("full"));
    server
        .sql(
            "UPDATE e.shared SET t = REPEAT('b', 200) WHERE id % 5 = 0;
             ALTER TABLESPACE turns ENCRYPTION='Y';
             CREATE TABLE e.second ENCRYPTION='Y' AS SELECT * FROM e.own",
        )
        .unwrap();
    place.compress(Some(Algorithm::Zstd));
    let second = listed("incr2", Some("incr1"));
    for set in ["incr1", "incr2"] {
        assert_eq!(left_out_by(&place.path(set)), LeftOutBy::PageList, "{set}");
    }
    for (set, report) in [("incr1", &first), ("incr2", &second)] {
        let data = format!("data-{set}");
        try_restore(place, &place.path(set), &data, Some(key(1))).unwrap();
        let keys = keys_in(&place.path(&data));
        for set in ["full", "incr1", "incr2"] {
            assert_has_no_key(&place.path(set), &keys);
        }
        let mut booted = boot(&scene, &data);
        network::check_restored(&mut booted, report);
        check_with_binlog(server, &booted, report);
    }

    server
        .sql("INSERT INTO e.own (t) VALUES ('the last that is wanted')")
        .unwrap();
    let wanted: GtidSet = gtids(server).parse().unwrap();
    server
        .sql(
            "ALTER INSTANCE ROTATE INNODB MASTER KEY; FLUSH BINARY LOGS;
             CREATE TABLE e.late ENCRYPTION='Y' AS SELECT * FROM e.own;
             ALTER TABLE e.plain ENCRYPTION='Y'; ALTER TABLE e.zip ENCRYPTION='N';
             UPDATE e.holes SET t = REVERSE(t) WHERE id % 3 = 1",
        )
        .unwrap();
    // Across an increment, and from the last one.
    let replay = replayed(&scene, "incr1", "to-gtids", Until::Gtids(wanted.clone()));
    assert_eq!(replay.binlog.gtid_executed, wanted.to_string());
    assert!(replay.next.is_some());
    let booted = boot(&scene, "to-gtids");
    check_state(&booted, &replay);
    let found = "SELECT COUNT(*) FROM e.own WHERE t = 'the last that is wanted'";
    assert_eq!(booted.query_value(found).unwrap(), "1");
    let late = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME = 'late'";
    assert_eq!(booted.query_value(late).unwrap(), "0");
    let replay = replayed(&scene, "incr2", "to-latest", Until::Latest);
    assert_eq!(replay.binlog.gtid_executed, gtids(server));
    let booted = boot(&scene, "to-latest");
    check_state(&booted, &replay);
    scene.assert_same(&booted);
}

#[test]
fn a_replay_needs_the_key_and_a_keyring() {
    let scene = scene();
    let (server, place) = (&scene.server, &scene.place);
    backup(place, server, "full", None, |_| ()).unwrap();
    server
        .sql("INSERT INTO e.own (t) VALUES ('later')")
        .unwrap();
    let install = server.install();
    install.script("mysqld", &place.path("mysqld")).unwrap();
    let point = scene.point(Until::Latest);
    let until = |point: &PointInTime, key| {
        let request = request(&scene, "full", "data", key);
        restore_until(&request, point, &job()).unwrap_err()
    };
    for wrong in [None, Some(key(2))] {
        let error = until(&point, wrong.clone());
        assert_eq!(error.code(), 3185, "{error}");
        assert!(!place.path("data").exists(), "{error}");
        // Commands that would fail are not shown.
        let request = request(&scene, "full", "data", wrong);
        let error = restore_commands(&request, None, &point, &job()).unwrap_err();
        assert_eq!(error.code(), 3185, "{error}");
    }
    let file = place.path("a key");
    let request = request(&scene, "full", "data", Some(key(1)));
    let shown = restore_commands(&request, Some(&file), &point, &job()).unwrap();
    let option = format!(" --encryption-key-file '{}'", file.display());
    let restore = shown.lines().find(|line| line.starts_with("innoclone"));
    assert!(restore.unwrap().ends_with(&option), "{shown}");
    assert!(!place.path("data").exists());

    // A mysqld without a keyring cannot read the tables; nobody starts on what is left.
    let error = until(&point, Some(key(1)));
    let told = |error: &Error| format!("{error} / {}", error.hint().unwrap_or_default());
    assert!(told(&error).contains("keyring"), "{}", told(&error));
    assert!(Server::start_on(&place.path("data"), &[]).is_err());
    // With one the same command goes through.
    let replay = replayed(&scene, "full", "data", Until::Latest);
    let booted = boot(&scene, "data");
    check_state(&booted, &replay);
    scene.assert_same(&booted);
}
