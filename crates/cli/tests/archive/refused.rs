//! What would leave a gap, or mix two histories, is refused and changes nothing.

use backup::archive::list;
use testkit::{Server, ServerOptions};

use crate::common::run;
use crate::running::Running;
use crate::scene::{Scene, contents};

#[test]
fn purged_files_that_were_missed_are_a_gap() {
    let scene = Scene::new();
    scene.archive_ok(&[]);
    scene.work();
    let logs = scene.logs();
    let purge = |name: &str| {
        scene
            .server
            .sql(&format!("PURGE BINARY LOGS TO '{name}'"))
            .unwrap();
    };
    // The file under way is gone, and with it its end.
    purge(&logs[3]);
    scene.refused(1236, "purged binary logs that were not archived");
}

#[test]
fn purged_files_that_were_archived_are_no_gap() {
    let scene = Scene::new();
    scene.work();
    scene.archive_ok(&[]);
    scene.server.sql("FLUSH BINARY LOGS").unwrap();
    scene.archive_ok(&[]);
    let archived = list(&scene.to()).unwrap();
    // The last file of the archive is finished by hand: as if the run had ended just there.
    let part = archived.last().unwrap();
    std::fs::remove_file(&part.path).unwrap();
    let purge = format!("PURGE BINARY LOGS TO '{}'", part.name);
    scene.server.sql(&purge).unwrap();
    scene.work();
    scene.archive_ok(&[]);
    let logs = scene.logs();
    let archived = list(&scene.to()).unwrap();
    assert!(archived.len() > logs.len() + 3);
    for log in archived
        .iter()
        .filter(|log| logs.contains(&log.name.to_string()))
    {
        scene.assert_same(log);
    }
}

#[test]
fn a_reset_of_the_server_is_noticed() {
    let scene = Scene::new();
    scene.work();
    scene.archive_ok(&[]);
    scene.server.sql("RESET BINARY LOGS AND GTIDS").unwrap();
    scene.refused(1236, "do not continue the archive");
    // As many files again, of the same names.
    while scene.logs().len() < list(&scene.to()).unwrap().len() {
        scene.work();
    }
    scene.refused(1236, "do not continue the archive");
    scene.work();
    scene.refused(1236, "do not continue the archive");
    // The file that the archive ends with is purged, the next one is of another history.
    let archived = list(&scene.to()).unwrap();
    std::fs::remove_file(&archived.last().unwrap().path).unwrap();
    let next = archived.last().unwrap().name.to_string();
    scene
        .server
        .sql(&format!("PURGE BINARY LOGS TO '{next}'"))
        .unwrap();
    let ended = scene.archive(&[]).expect(1);
    assert_eq!(ended.json()["error"]["code"], 1236);
    assert!(
        ended.stdout.contains("does not know of the transactions"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_reset_while_it_is_followed_is_noticed() {
    let scene = Scene::new();
    scene.work();
    let mut follower = Running::start(&mut scene.command(&["--follow"]));
    follower.wait_for("is archived");
    scene.wait_until_whole();
    scene.server.sql("RESET BINARY LOGS AND GTIDS").unwrap();
    scene.work();
    let ended = follower.end().expect(1);
    assert_eq!(ended.json()["error"]["code"], 1236, "{}", ended.stdout);
}

#[test]
fn an_archive_is_of_one_server_and_has_one_archiver() {
    let scene = Scene::new();
    scene.work();
    let mut follower = Running::start(&mut scene.command(&["--follow"]));
    follower.wait_for("is archived");
    let ended = scene.archive(&[]).expect(1);
    assert!(
        ended.stdout.contains("another process archives"),
        "{}",
        ended.stdout
    );
    scene.wait_until_whole();
    follower.kill();

    let other = Server::start(ServerOptions::default()).unwrap();
    let before = contents(&scene.to());
    let socket = format!("--socket={}", other.socket().display());
    let ended = run(&mut scene.command_to(&scene.to(), &[&socket])).expect(1);
    assert!(
        ended.stdout.contains("is the archive of the server"),
        "{}",
        ended.stdout
    );
    assert!(before == contents(&scene.to()));

    let inside = scene.server.datadir().join("archive");
    let socket_of_scene = format!("--socket={}", scene.server.socket().display());
    let ended = run(&mut scene.command_to(&inside, &[&socket_of_scene])).expect(1);
    assert_eq!(ended.json()["error"]["code"], 3632);
    assert!(!inside.exists());

    let occupied = scene.dir.join("occupied");
    std::fs::create_dir(&occupied).unwrap();
    std::fs::write(occupied.join("file"), "x").unwrap();
    let ended = run(&mut scene.command_to(&occupied, &[&socket])).expect(1);
    assert_eq!(ended.json()["error"]["code"], 1007);
    assert_eq!(contents(&occupied).len(), 1);
}

#[test]
fn a_damaged_archive_is_not_continued() {
    let scene = Scene::new();
    scene.work();
    scene.archive_ok(&[]);
    let archived = list(&scene.to()).unwrap();
    let [.., last, part] = archived.as_slice() else {
        panic!("{archived:?}");
    };
    let (end, whole) = (
        std::fs::read(&part.path).unwrap(),
        std::fs::read(&last.path).unwrap(),
    );
    std::fs::remove_file(&part.path).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&last.path, &damaged).unwrap();
    scene.refused(1712, "damaged");
    std::fs::remove_file(&last.path).unwrap();
    std::fs::write(&part.path, end).unwrap();
    scene.refused(1712, "is not followed by");
}

#[test]
fn servers_without_logs_and_accounts_without_rights() {
    let scene = Scene::new();
    scene
        .server
        .sql("CREATE USER poor; CREATE USER half; GRANT REPLICATION CLIENT ON *.* TO half")
        .unwrap();
    for user in ["--user=poor", "--user=half"] {
        let ended = scene.archive(&[user]).expect(1);
        let error = &ended.json()["error"];
        assert_eq!(error["code"], 1227, "{error}");
        assert!(
            error["hint"]
                .as_str()
                .unwrap()
                .contains("GRANT REPLICATION SLAVE"),
            "{error}"
        );
    }
    let none = Scene::with(&["--skip-log-bin"]);
    let ended = none.archive(&[]).expect(1);
    assert_eq!(ended.json()["error"]["code"], 1381, "{}", ended.stdout);
    assert!(!none.to().exists());
}
