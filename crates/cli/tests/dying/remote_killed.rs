//! `kill -9` of a backup over the network. The donor keeps its clone for a client that may come
//! back, and gives it up for the next one.

use std::time::Instant;

use crate::common::run;
use crate::left::{Left, check_killed};
use crate::moments::{
    ALL_CAME, ASKING, CONNECTING, FILE_COPY, LOG_KNOWN, PAGES_COME, REDO_COMES, Random, Stretch,
    in_time,
};
use crate::released::{assert_ddl_works, eventually};
use crate::scene::{ACCOUNT, Scene};

/// The variables that an increment by a list of pages borrows.
const VARIABLES: &str = "SELECT CONCAT_WS(',', @@GLOBAL.innodb_buffer_pool_filename, \
                         IFNULL(@@GLOBAL.mysqlbackup.backupid, 'none'))";

fn grant(scene: &Scene) {
    let grants = format!(
        "GRANT SELECT ON performance_schema.* TO {ACCOUNT}@localhost; \
         GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO {ACCOUNT}@localhost"
    );
    scene.server().sql(&grants).unwrap();
}

/// Kills a backup at some moment of the stretch; the server has back what was taken from it, and
/// nobody takes what is left for a set.
fn kill_in(scene: &Scene, to: &str, words: &[&str], stretch: Stretch, random: &mut Random) -> Left {
    let mut backup = crate::running::Running::start(&mut scene.remote(to, words));
    random.wait_in(&mut backup, stretch);
    backup.kill();
    let server = scene.server();
    assert_ddl_works(server);
    eventually(
        server,
        "variables are as before",
        VARIABLES,
        "ib_buffer_pool,none",
    );
    let locks = "SELECT COUNT(*) FROM performance_schema.metadata_locks \
                 WHERE OBJECT_TYPE = 'BACKUP LOCK' AND LOCK_TYPE = 'SHARED'";
    eventually(server, "no backup lock is held", locks, "0");
    check_killed(scene, to)
}

#[test]
fn a_full_backup_killed_at_any_moment_leaves_nothing_usable_and_the_donor_to_the_next() {
    let mut scene = Scene::new();
    grant(&scene);
    let moments = [
        CONNECTING, ASKING, FILE_COPY, PAGES_COME, REDO_COMES, ALL_CAME,
    ];
    let mut random = Random::new(21);
    for (number, stretch) in moments.into_iter().enumerate() {
        in_time(stretch, |attempt, moment| {
            let to = format!("killed{number}-{attempt}");
            let words = ["--page-track", "--network-rate=50", "--wait-for-donor"];
            let left = kill_in(&scene, &to, &words, moment, &mut random);
            std::fs::remove_dir_all(scene.dir(&to)).unwrap_or_default();
            (left != Left::Complete).then_some(())
        });
        if [FILE_COPY, PAGES_COME].contains(&stretch) {
            // One that does not wait: the donor notices that the last one is gone.
            let begin = Instant::now();
            let next = format!("next{number}");
            run(&mut scene.remote(&next, &[])).expect(0);
            println!("{stretch:?}: the next one took {:?}", begin.elapsed());
            std::fs::remove_dir_all(scene.dir(&next)).unwrap();
        }
    }
    let expected = scene.quiet();
    run(&mut scene.remote("full", &["--page-track", "--wait-for-donor"])).expect(0);
    scene.check_restores("full", &expected);
}

#[test]
fn a_killed_increment_over_the_network_spoils_neither_its_base_nor_the_next() {
    let mut scene = Scene::new();
    grant(&scene);
    run(&mut scene.remote("full", &["--page-track"])).expect(0);
    let base = scene.world.path("full");
    let words = [
        "--page-track",
        "--based-on",
        &base,
        "--network-rate=20",
        "--wait-for-donor",
    ];
    let moments = [
        ASKING, FILE_COPY, PAGES_COME, REDO_COMES, ALL_CAME, LOG_KNOWN,
    ];
    let mut random = Random::new(22);
    for (number, stretch) in moments.into_iter().enumerate() {
        let to = format!("killed{number}");
        kill_in(&scene, &to, &words, stretch, &mut random);
    }
    let expected = scene.quiet();
    run(&mut scene.remote("incr", &words)).expect(0);
    scene.check_restores("incr", &expected);
}
