//! Increments over the network by `START_LSN`, as the document has them: each begins at the
//! `PAGE_TRACK_LSN` of the one before.

use testkit::{Server, assert_same, snapshot};

use crate::daemon::Daemon;

#[test]
fn remote_increments_begin_at_the_page_track_lsn_of_the_one_before() {
    let daemon = Daemon::new(&[]);
    let world = &daemon.world;
    world.server.load_sysbench_like(1, 3_000).unwrap();
    let setup = "CREATE TABLE test.d (id INT PRIMARY KEY); INSERT INTO test.d VALUES (1); \
                 CREATE USER repl@'%' IDENTIFIED BY 'GreatSQL@2023'; GRANT BACKUP_ADMIN ON *.* TO repl@'%'";
    world
        .server
        .sql("CREATE DATABASE IF NOT EXISTS test")
        .unwrap();
    world.server.sql(setup).unwrap();
    let port = world.server.port();
    daemon.sql(&format!(
        "SET GLOBAL clone_valid_donor_list = '127.0.0.1:{port}';"
    ));
    let lsns = |id: u32| {
        let row = daemon.value(&format!(
            "SELECT CONCAT_WS(' ', CLONE_TYPE, START_LSN, PAGE_TRACK_LSN, END_LSN) \
             FROM mysql.clone_history WHERE ID = {id}"
        ));
        let mut words = row.rsplitn(4, ' ').map(str::to_owned).collect::<Vec<_>>();
        words.reverse();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        (words[0].clone(), number(1), number(2), number(3))
    };
    let clone = |dir: &str, tail: &str| {
        daemon.sql(&format!(
            "CLONE INSTANCE FROM repl@127.0.0.1:{port} IDENTIFIED BY 'GreatSQL@2023'
              DATA DIRECTORY = '{dir}' {tail};"
        ))
    };
    let [full, first, second] = ["full", "first", "second"].map(|name| world.path(name));
    clone(&full, "ENABLE PAGE TRACK");
    let (kind, start, track, end) = lsns(1);
    assert_eq!((kind.as_str(), start), ("full clone", 0));
    assert!(0 < track && track <= end, "{track} {end}");

    world.server.sql("INSERT INTO test.d VALUES (2)").unwrap();
    clone(&first, &format!("START_LSN = {track} ENABLE PAGE TRACK"));
    let (kind, start, next, end) = lsns(2);
    assert_eq!((kind.as_str(), start), ("increment clone", track));
    assert!(track <= next && next <= end, "{track} {next} {end}");

    world.server.sql("INSERT INTO test.d VALUES (3)").unwrap();
    clone(&second, &format!("ENABLE PAGE TRACK START_LSN = {next}"));
    assert_eq!(lsns(3).1, next);
    let checkpoints = std::fs::read_to_string(format!("{first}/#clone/#clone_checkpoints"));
    assert!(checkpoints.unwrap().contains(&next.to_string()));

    let before = snapshot(&world.server).unwrap();
    let data = world.path("restored");
    world.run_alone(&["verify", &second]).expect(0);
    world
        .run_alone(&["restore", &second, "--to", &data])
        .expect(0);
    let restored = Server::start_on(data.as_ref(), &[]).unwrap();
    assert_same(&before, &snapshot(&restored).unwrap());
    drop(restored);

    // What page tracking has since then is not known to be everything: no restore makes it so.
    let tracked = world.path("tracked");
    let local = daemon.run(&format!(
        "CLONE LOCAL DATA DIRECTORY = '{tracked}' START_LSN = {next} ENABLE PAGE TRACK;"
    ));
    if local.status == Some(0) {
        let refused = world.run_alone(&["restore", &tracked, "--to", &world.path("mixed")]);
        assert!(refused.stderr.contains("chain"), "{}", refused.stderr);
        assert!(refused.status != Some(0));
    }
    daemon.stop();
}
