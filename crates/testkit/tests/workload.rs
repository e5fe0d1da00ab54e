//! Load that keeps its promises while the server is locked, killed and replayed.

use std::time::{Duration, Instant};

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
    assert!(at_the_crash.transactions > 500, "{at_the_crash:?}");
    assert!(at_the_crash.ddl > 50, "{at_the_crash:?}");
    assert!(
        after.transactions > at_the_crash.transactions,
        "did not reconnect: {after:?}"
    );
    Workload::check(&server).unwrap();
    check_tables(&server).unwrap();
    assert_eq!(scan_error_log(&server.error_log()), Vec::<String>::new());
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
    let (before, start) = (load.stats(), Instant::now());
    run_for(2);
    let during = load.stats();
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(
        during.transactions > before.transactions + 100,
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
