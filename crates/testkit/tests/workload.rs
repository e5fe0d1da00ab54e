//! Load that keeps its promises while the server is locked, killed and replayed.

use std::time::Duration;

use innoclone_testkit::{
    Server, ServerOptions, Workload, WorkloadOptions, assert_same, check_tables, replay_binlog,
    scan_error_log, snapshot,
};

fn run_for(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

#[test]
fn a_crash_under_load_keeps_the_invariants() {
    let mut server = Server::start(ServerOptions::default()).unwrap();
    let options = WorkloadOptions {
        ddl: true,
        ..WorkloadOptions::default()
    };
    let load = Workload::start(&server, options).unwrap();
    run_for(6);
    server.kill9().unwrap();
    let at_the_crash = load.stats();
    server.start_again().unwrap();
    run_for(4);
    let after = load.stop();
    assert!(at_the_crash.transactions > 100, "{at_the_crash:?}");
    assert!(at_the_crash.ddl > 10, "{at_the_crash:?}");
    assert!(
        after.transactions > at_the_crash.transactions,
        "did not reconnect: {after:?}"
    );
    // A server killed in the middle of TRUNCATE TABLE finds that table's file only at the start
    // after the one that recovered (seen on 9.7.4).
    server.restart(&[]).unwrap();
    Workload::check(&server).unwrap();
    check_tables(&server).unwrap();
    let mut problems = scan_error_log(&server.error_log());
    problems.retain(|line| !line.contains("the .ibd file is missing"));
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn a_backup_lock_stops_ddl_but_not_transactions() {
    let server = Server::start(ServerOptions::default()).unwrap();
    let options = WorkloadOptions {
        ddl: true,
        seed: 7,
        ..WorkloadOptions::default()
    };
    let load = Workload::start(&server, options).unwrap();
    run_for(2);
    let locked = server.client().clone();
    let locker = std::thread::spawn(move || {
        locked.sql("LOCK INSTANCE FOR BACKUP; DO SLEEP(5); UNLOCK INSTANCE")
    });
    run_for(2);
    let before = load.stats();
    run_for(2);
    let during = load.stats();
    assert!(
        during.transactions > before.transactions,
        "{before:?} {during:?}"
    );
    // Rows of the DDL session still change.
    assert!(during.ddl < before.ddl + 10, "{before:?} {during:?}");
    locker.join().unwrap().unwrap();
    run_for(1);
    assert!(load.stop().ddl > during.ddl);
    Workload::check(&server).unwrap();
}

#[test]
fn a_replayed_workload_gives_the_same_server() {
    let from = Server::start(ServerOptions::default()).unwrap();
    let into = Server::start(ServerOptions::default()).unwrap();
    let options = WorkloadOptions {
        ddl: true,
        seed: 3,
        ..WorkloadOptions::default()
    };
    let load = Workload::start(&from, options).unwrap();
    run_for(5);
    load.stop();
    replay_binlog(&from, &into, "binlog.000001", 4).unwrap();
    let comparable = |server| {
        let all = snapshot(server).unwrap();
        all.ignoring_auto_increment()
            .ignoring_objects("undo tablespace")
    };
    assert_same(&comparable(&from), &comparable(&into));
    Workload::check(&into).unwrap();
}
