//! A server without the component, accounts without a privilege; and the consumer's safety net.

use rustix::process::Signal;
use testkit::{Scratch, Server, ServerOptions};

use crate::common::world::World;
use crate::common::{Ended, run};
use crate::moments::{PAGE_COPY, in_time};
use crate::released::{assert_released, eventually};
use crate::scene::{ACCOUNT, Scene, check_boots, error_number};

#[test]
fn without_the_component_page_tracking_is_refused_with_the_remedy_and_a_full_works() {
    let options = ServerOptions {
        plugins: false,
        ..ServerOptions::default()
    };
    let world = World {
        server: Server::start(options).unwrap(),
        dir: Scratch::new().unwrap(),
    };
    let to = |name: &str| world.path(name);
    world
        .server
        .sql("CREATE SCHEMA s; CREATE TABLE s.t (id INT PRIMARY KEY); INSERT INTO s.t VALUES (7)")
        .unwrap();
    let tracked = ["backup", "--page-track", "--to", &to("tracked")];
    let ended = world.run(&tracked);
    assert_eq!(error_number(&ended), 1305, "{}", ended.stderr);
    assert!(!world.dir.join("tracked").exists());

    world.run(&["backup", "--to", &to("full")]).expect(0);
    world
        .run_alone(&["restore", &to("full"), "--to", &to("data")])
        .expect(0);
    let restored = Server::start_on(&world.dir.join("data"), &[]).unwrap();
    assert_eq!(restored.query_value("SELECT id FROM s.t").unwrap(), "7");
    let based = ["backup", "--based-on", &to("full"), "--to", &to("incr")];
    assert_eq!(error_number(&world.run(&based)), 3803);
    assert!(!world.dir.join("incr").exists());

    world.server.sql(&remedy(&ended, "Run ")).unwrap();
    world.run(&tracked).expect(0);
}

#[test]
fn a_missing_privilege_is_named_with_the_statement_that_grants_it() {
    let mut scene = Scene::new();
    let account = "`back up's`@`localhost`";
    scene
        .server()
        .sql(&format!("CREATE USER {account}"))
        .unwrap();
    let attempt = |to: &str| {
        let mut command = scene.backup(to, &["--page-track"]);
        run(command.arg("--user=back up's"))
    };
    let mut rounds = 0;
    let mut ended = attempt("set0");
    while ended.status != Some(0) {
        assert_eq!(error_number(&ended), 1227, "{}", ended.stderr);
        let row = scene.row(&format!("set{rounds}"));
        assert_eq!(row, None, "nothing began");
        assert!(!scene.dir(&format!("set{rounds}")).exists());
        scene
            .server()
            .sql(&remedy(&ended, "Run as an administrator: "))
            .unwrap();
        rounds += 1;
        assert!(rounds < 3, "the remedy did not help: {}", ended.stderr);
        ended = attempt(&format!("set{rounds}"));
    }
    let privileges = [
        "BACKUP_ADMIN ON *.*",
        "PROCESS ON *.*",
        "RELOAD ON *.*",
        "SELECT ON performance_schema.log_status",
    ];
    for (number, privilege) in privileges.into_iter().enumerate() {
        let revoke = format!("REVOKE {privilege} FROM {account}");
        scene.server().sql(&revoke).unwrap();
        let ended = attempt(&format!("less{number}"));
        assert_eq!(error_number(&ended), 1227, "{privilege}: {}", ended.stderr);
        let name = privilege.split(' ').next().unwrap();
        assert!(ended.stderr.contains(name), "{privilege}: {}", ended.stderr);
        scene
            .server()
            .sql(&remedy(&ended, "Run as an administrator: "))
            .unwrap();
    }
    attempt("whole").expect(0);
    assert_released(scene.server());
    let expected = scene.quiet();
    scene.full("quiet");
    run(&mut scene.restore("quiet", "data", &[])).expect(0);
    check_boots(&scene.dir("data"), &expected);
}

/// A consumer that stands still stops the server's writes: the server has to drop the session of
/// a program that was stopped.
#[test]
fn the_server_drops_a_redo_log_consumer_it_has_not_heard_of_for_30_seconds() {
    let scene = Scene::new();
    // There is one consumer at a time: the answer is 1 when it is another session.
    let consumer = "SELECT innodb_redo_log_consumer_register()";
    let backup = in_time(PAGE_COPY, |attempt, _| {
        let to = format!("full{attempt}");
        let mut backup = scene.start_backup(&to, &["--page-track"]);
        backup.wait_for(PAGE_COPY.0);
        backup.signal(Signal::STOP);
        if scene.server().query_value(consumer).unwrap() == "1" {
            return Some(backup);
        }
        backup.signal(Signal::CONT);
        backup.end().expect(0);
        None
    });
    let timeouts = format!(
        "SELECT COUNT(*) FROM performance_schema.variables_by_thread \
         JOIN performance_schema.threads USING (THREAD_ID) WHERE PROCESSLIST_USER = '{ACCOUNT}' \
         AND VARIABLE_NAME = 'wait_timeout' AND VARIABLE_VALUE = '30'"
    );
    eventually(
        scene.server(),
        "a session with a short timeout",
        &timeouts,
        "1",
    );
    // It lives, and says nothing.
    eventually(scene.server(), "the consumer is dropped", consumer, "0");
    backup.kill();
    assert_released(scene.server());
}

/// The statements that the hint tells to run.
fn remedy(ended: &Ended, introduction: &str) -> String {
    let hint = ended
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("hint: "));
    let hint = hint.and_then(|hint| hint.strip_prefix(introduction));
    let text = hint.unwrap_or_else(|| panic!("no hint: {}", ended.stderr));
    // A sentence ends in a full stop that is no part of the statement.
    text.trim_end_matches('.').to_owned()
}
