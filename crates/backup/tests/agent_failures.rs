//! Agents when something goes wrong: who is kept out, what is held when somebody dies, and
//! connections that are lost.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod agents;
mod common;
mod network;

use agents::{Agent, account, assert_free, take};
use backup::donor::instance::IncrementFrom;
use backup::serve::AgentOptions;
use backup::set::PagesBy;
use backup::{Job, JobOptions};
use common::Place;
use network::proxy::Proxy;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testkit::{Server, ServerOptions, wait_until};

/// So few bytes per second that the locks of an increment are held for a while.
const SLOW: u64 = 256 << 10;

fn slow(server: &Server, spool: &Path) -> AgentOptions {
    AgentOptions {
        connect: common::instance_options(server).connect,
        datadir: None,
        spool: spool.to_owned(),
        job: JobOptions {
            parallel: 2,
            read_rate: Some(SLOW),
        },
    }
}

fn change_much(server: &Server) {
    server
        .sql("UPDATE sbtest.sbtest1 SET pad = REVERSE(pad); UPDATE sbtest.sbtest2 SET pad = REVERSE(pad)")
        .unwrap();
    server.flush_pages().unwrap();
}

fn is_locked(server: &Server) -> bool {
    let held = "SELECT COUNT(*) FROM performance_schema.metadata_locks \
                WHERE OBJECT_TYPE = 'BACKUP LOCK' AND LOCK_TYPE = 'SHARED' \
                AND LOCK_STATUS = 'GRANTED'";
    server.query_value(held).unwrap() != "0"
}

#[test]
fn strangers_and_second_clients_are_kept_out() {
    let (server, place) = (agents::instance(ServerOptions::default()), Place::new());
    server.load_sysbench_like(2, 30_000).unwrap();
    let agent = Agent::of(&server, &place);
    let refused = |change: &dyn Fn(&mut backup::donor::remote::RemoteOptions)| {
        let error = agent.full(&place, "refused", |options| change(options));
        error.unwrap_err()
    };
    assert_eq!(
        refused(&|o| o.connect.password = Some("wrong".into())).code(),
        1045
    );
    assert_eq!(refused(&|o| o.connect.user = "nobody".into()).code(), 1227);
    agent.full(&place, "full", |_| ()).unwrap();
    change_much(&server);
    // The first one must take longer than the second is ready to wait.
    let slow = Agent::start(slow(&server, place.scratch.path()), 0);
    let cancelled = Arc::new(AtomicBool::new(false));
    let job = Job::new(&JobOptions::default(), Arc::clone(&cancelled));
    let base = IncrementFrom::Set(place.path("full"));
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            take(slow.port, &place, "first", &job, |options| {
                options.from = Some(base.clone());
            })
        });
        wait_until("it is locked", || is_locked(&server));
        let second = slow.increment(&place, "second", "full", |_| ());
        let second = second.unwrap_err();
        assert_eq!(second.code(), 3634, "{second}");
        // The user of the first one has had enough.
        cancelled.store(true, Ordering::Relaxed);
        first.join().unwrap()
    });
    assert_eq!(first.unwrap_err().code(), 1317);
    assert_free(&server);
    wait_until("it is free", || slow.donor.clones() == 0);
    // Another server's backup is no base.
    let error = agent.full(&place, "later", |options| {
        options.from = Some(IncrementFrom::StartLsn(innodb::lsn::Lsn::new(1 << 60)));
    });
    assert_eq!(error.unwrap_err().code(), 3803);
    assert_free(&server);
}

/// Run by tests below in a process of its own, to be killed.
#[test]
fn a_client_that_dies() {
    let Some(port) = std::env::var_os("INNOCLONE_TEST_DIES_ON") else {
        return;
    };
    let port: u16 = port.to_str().unwrap().parse().unwrap();
    let place = std::env::var_os("INNOCLONE_TEST_DIES_IN").unwrap();
    network::run_increment(port, Path::new(&place), "full", |_| ());
}

/// Run by tests below in a process of its own, to be killed.
#[test]
fn an_agent_that_dies() {
    let Some(socket) = std::env::var_os("INNOCLONE_TEST_AGENT_OF") else {
        return;
    };
    let place = std::env::var_os("INNOCLONE_TEST_DIES_IN").unwrap();
    let options = AgentOptions {
        connect: wire::ConnectOptions {
            endpoint: wire::Endpoint::Socket(socket.into()),
            user: "root".into(),
            ..wire::ConnectOptions::default()
        },
        datadir: None,
        spool: place.clone().into(),
        job: JobOptions {
            parallel: 2,
            read_rate: Some(SLOW),
        },
    };
    let agent = Agent::start(options, 0);
    let written = Path::new(&place).join("port.new");
    std::fs::write(&written, agent.port.to_string()).unwrap();
    std::fs::rename(written, Path::new(&place).join("port")).unwrap();
    loop {
        std::thread::park();
    }
}

fn child(test: &str, place: &Place, name: &str, value: &std::ffi::OsStr) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(name, value)
        .env("INNOCLONE_TEST_DIES_IN", place.scratch.path())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[test]
fn whoever_dies_nothing_stays_locked_and_nothing_is_called_complete() {
    let (mut server, place) = (agents::instance(ServerOptions::default()), Place::new());
    server.load_sysbench_like(2, 30_000).unwrap();
    Agent::of(&server, &place)
        .full(&place, "full", |_| ())
        .unwrap();
    change_much(&server);
    // The client.
    let agent = Agent::start(slow(&server, place.scratch.path()), 0);
    let port = agent.port.to_string();
    let mut client = child(
        "a_client_that_dies",
        &place,
        "INNOCLONE_TEST_DIES_ON",
        port.as_ref(),
    );
    wait_until("it is locked", || is_locked(&server));
    client.kill().unwrap();
    client.wait().unwrap();
    // It might come back. What is prepared for it needs the instance for as long as its disk takes.
    assert_free(&server);
    drop(agent);
    // The agent.
    let socket = server.socket().to_owned();
    let mut dying = child(
        "an_agent_that_dies",
        &place,
        "INNOCLONE_TEST_AGENT_OF",
        socket.as_ref(),
    );
    let file = place.path("port");
    wait_until("it is listening", || file.exists());
    let port: u16 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    let base = IncrementFrom::Set(place.path("full"));
    let increment = |port, name: &str| {
        take(port, &place, name, &common::job(), |options| {
            options.from = Some(base.clone());
            options.connect_retry = Duration::from_secs(2);
        })
    };
    let error = std::thread::scope(|scope| {
        let client = scope.spawn(|| increment(port, "of_a_dead_agent"));
        wait_until("it is locked", || is_locked(&server));
        dying.kill().unwrap();
        dying.wait().unwrap();
        client.join().unwrap().unwrap_err()
    });
    assert_eq!(error.code(), 2013, "{error}");
    assert_free(&server);
    // The server.
    let agent = Agent::start(slow(&server, place.scratch.path()), 0);
    let error = std::thread::scope(|scope| {
        let client = scope.spawn(|| increment(agent.port, "of_a_dead_server"));
        wait_until("it is locked", || is_locked(&server));
        server.kill9().unwrap();
        client.join().unwrap().unwrap_err()
    });
    assert_eq!(error.code(), 2013, "{error}");
    drop(agent);
    for name in ["dying", "of_a_dead_agent", "of_a_dead_server"] {
        assert!(
            !place.path(name).join("#clone/manifest.json").exists(),
            "{name}"
        );
    }
    server.start_again().unwrap();
    let agent = Agent::of(&server, &place);
    let last = agent.increment(&place, "last", "full", |_| ()).unwrap();
    assert_eq!(last.pages_by, PagesBy::Scan);
    let before = testkit::snapshot(&server).unwrap();
    place.restore("last", "data");
    let restored = place.boot("data", &[]);
    common::check_restored(&restored, &last);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
}

#[test]
fn lost_connections_are_made_again() {
    let (server, place) = (agents::instance(ServerOptions::default()), Place::new());
    server.load_sysbench_like(3, 40_000).unwrap();
    let agent = Agent::of(&server, &place);
    let one = Job::new(
        &JobOptions {
            parallel: 1,
            read_rate: None,
        },
        Arc::default(),
    );
    take(agent.port, &place, "full", &one, |_| ()).unwrap();
    server
        .sql(
            "UPDATE sbtest.sbtest1 SET pad = REVERSE(pad); UPDATE sbtest.sbtest2 SET pad = REVERSE(pad);
             CREATE TABLE sbtest.more SELECT * FROM sbtest.sbtest3;
             CREATE TABLE sbtest.again SELECT * FROM sbtest.sbtest3;
             INSERT INTO sbtest.again SELECT * FROM sbtest.sbtest1",
        )
        .unwrap();
    server.quiesce().unwrap();
    let before = testkit::snapshot(&server).unwrap();
    let four = || {
        let options = JobOptions {
            parallel: 4,
            read_rate: None,
        };
        Job::new(&options, Arc::default())
    };
    for (name, job, cuts) in [
        ("one", one, [6u64 << 20, 14 << 20]),
        ("four", four(), [9 << 20, 20 << 20]),
    ] {
        let proxy = Proxy::start(agent.port, &cuts, false);
        let base = IncrementFrom::Set(place.path("full"));
        let report = take(proxy.port, &place, name, &job, |options| {
            options.from = Some(base);
            options.connect = account(proxy.port);
        });
        let report = report.unwrap();
        assert_eq!(report.pages_by, PagesBy::Tracked);
        assert!(proxy.passed() > cuts[1], "{}", proxy.passed());
        // The control connection, and twice all that carry the clone, at least.
        assert!(proxy.connections() > 3 * 2, "{}", proxy.connections());
        network::check_set(&place, name);
        let data = format!("data-{name}");
        place.restore(name, &data);
        let restored = place.boot(&data, &[]);
        common::check_restored(&restored, &report);
        testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
    }
    assert_free(&server);
    wait_until("it is free", || agent.donor.clones() == 0);
}
