//! Connections that are lost at every message of the clone protocol, in both directions; donors
//! that die in every stage; a line that is long and thin.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;

use backup::command::BackupReport;
use backup::donor::instance::IncrementFrom;
use backup::donor::remote::RemoteOptions;
use backup::set::{BackupSet, LeftOutBy};
use common::{Place, check_with_binlog};
use network::messages::Fate::{self, Last, Lost, Torn};
use network::messages::{Cutter, Hold, Rule};
use network::slow::SlowLine;
use network::{check_restored, counted_donor, donor, is_marked_incomplete, remote_full};
use std::time::{Duration, Instant};
use testkit::{Server, ServerOptions, Workload, WorkloadOptions, wait_until};
use wire::SslMode;

fn by(cutter: &Cutter, options: &mut RemoteOptions) {
    network::through(cutter.port, SslMode::Disabled, options);
}

fn load(server: &Server) -> Workload {
    let options = WorkloadOptions {
        ddl: true,
        seed: 11,
        pause: Duration::from_millis(5),
        ..WorkloadOptions::default()
    };
    Workload::start(server, options).unwrap()
}

fn check(place: &Place, server: &Server, set: &str, report: &BackupReport) {
    network::check_set(place, set);
    let data = format!("data-{set}");
    place.restore(set, &data);
    let mut restored = place.boot(&data, &[]);
    check_restored(&mut restored, report);
    Workload::check(&restored).unwrap();
    check_with_binlog(server, &restored, report);
}

/// Error numbers of a connection that is lost, and of a donor that has not noticed it yet.
const LOST: [u16; 3] = [2013, 2006, 2002];

#[test]
fn before_the_files_are_listed_a_lost_connection_fails_the_backup_or_costs_nothing() {
    let (server, place) = (donor(ServerOptions::default()), Place::new());
    let messages = [
        ("new > CLONE", Torn),
        ("new < OK", Lost),
        ("master > INIT", Torn),
        ("master < Setting", Last),
        ("master < Locators of INIT", Torn),
        ("master < Complete INIT", Lost),
        ("master > EXECUTE", Lost),
        ("master < Task", Lost),
        ("master < Stage Init end", Last),
        ("helper > ACK Init", Torn),
        ("helper < Complete ACK", Lost),
        ("master < Stage FileCopy begin", Torn),
        ("master < File FileCopy", Last),
    ];
    let mut resumed = Vec::new();
    for (number, (message, fate)) in messages.into_iter().enumerate() {
        let cutter = Cutter::start(server.port(), [Rule::new(message, 1, fate)]);
        let set = format!("set{number}");
        let begin = Instant::now();
        let result = remote_full(&place, &server, &set, |options| by(&cutter, options));
        println!(
            "{message}: {:?} {:?}",
            result.as_ref().map(drop),
            begin.elapsed()
        );
        assert_eq!(cutter.cut(), [message]);
        match result {
            Ok(_) => {
                network::check_set(&place, &set);
                resumed.push(message);
            }
            Err(error) => {
                assert!(LOST.contains(&error.code()), "{message}: {error}");
                assert!(!place.path(&set).exists(), "{message}");
            }
        }
    }
    assert!(resumed.contains(&"master < File FileCopy"), "{resumed:?}");
}

#[test]
fn connections_lost_at_every_message_cost_nothing() {
    let (server, place) = (donor(ServerOptions::default()), Place::new());
    server
        .sql("GRANT REPLICATION SLAVE ON *.* TO cloner@'%'")
        .unwrap();
    server.load_sysbench_like(2, 40_000).unwrap();
    let workload = load(&server);
    let messages: &[(&str, u64, Fate)] = &[
        // The first ones pass before the workers have joined.
        ("master < Data FileCopy", 20, Torn),
        ("master < Block FileCopy", 25, Torn),
        ("master < Data FileCopy", 30, Lost),
        ("worker > ATTACH", 4, Torn),
        ("worker < Locators of ATTACH", 7, Lost),
        ("worker < Complete ATTACH", 9, Last),
        ("worker > EXECUTE", 7, Lost),
        ("worker < Task", 7, Last),
        ("worker < Stage FileCopy begin", 6, Torn),
        ("worker < Data FileCopy", 25, Torn),
        ("worker < Block FileCopy", 35, Last),
        ("new > CLONE", 30, Torn),
        ("new < OK", 40, Lost),
        ("master > REINIT", 4, Torn),
        ("master < Locators of REINIT", 5, Last),
        ("master < Complete REINIT", 6, Lost),
        ("master > EXECUTE", 8, Torn),
        ("worker < Stage FileCopy end", 1, Lost),
        ("master < Stage FileCopy end", 2, Lost),
        ("helper > ACK FileCopy", 1, Torn),
        ("helper < Complete ACK", 3, Lost),
        ("helper < Complete ACK", 5, Lost),
        ("master < Stage PageCopy begin", 1, Last),
        ("master < Stage PageCopy begin", 1, Torn),
        ("worker < Stage PageCopy begin", 3, Lost),
        ("master < Block PageCopy", 3, Torn),
        ("master < Data PageCopy", 9, Torn),
        ("worker < Data PageCopy", 5, Lost),
        ("worker < Stage PageCopy end", 1, Torn),
        ("master < Stage PageCopy end", 1, Lost),
        ("helper > ACK PageCopy", 1, Last),
        ("master < Stage RedoCopy begin", 1, Lost),
        ("master < File RedoCopy", 1, Torn),
        ("master < Block RedoCopy", 1, Torn),
        ("master < Data RedoCopy", 1, Torn),
        ("worker < Stage RedoCopy begin", 2, Last),
        ("worker < Stage RedoCopy end", 1, Lost),
        ("master < Stage RedoCopy end", 1, Torn),
    ];
    let rules = messages.iter();
    let cutter = Cutter::start(
        server.port(),
        rules.map(|(message, nth, fate)| {
            let fate = match fate {
                Lost => Lost,
                Torn => Torn,
                _ => Last,
            };
            Rule::new(message, *nth, fate)
        }),
    );
    let report = remote_full(&place, &server, "full", |options| by(&cutter, options));
    println!(
        "cut: {:#?}\nunused: {:?}\nseen: {:#?}",
        cutter.cut(),
        cutter.unused(),
        cutter.seen()
    );
    let report = report.unwrap();
    workload.stop();
    // Which connection sends how much is the donor's choice.
    assert!(cutter.cut().len() >= 30, "{:?}", cutter.unused());
    check(&place, &server, "full", &report);
}

#[test]
fn connections_lost_at_the_very_end_cost_nothing_and_the_donor_is_free() {
    let (server, place) = (donor(ServerOptions::default()), Place::new());
    for (number, (message, fate)) in [
        ("helper > ACK RedoCopy", Torn),
        ("helper > ACK RedoCopy", Last),
        ("master < Stage Done begin", Lost),
        ("worker < Complete EXECUTE", Lost),
        ("master < Complete EXECUTE", Torn),
        ("worker > EXIT", Torn),
        ("master > EXIT", Lost),
        ("master < Complete EXIT", Lost),
        ("helper > EXIT", Lost),
    ]
    .into_iter()
    .enumerate()
    {
        let cutter = Cutter::start(server.port(), [Rule::new(message, 1, fate)]);
        let set = format!("set{number}");
        let begin = Instant::now();
        let result = remote_full(&place, &server, &set, |options| by(&cutter, options));
        println!(
            "{message}: {:?} {:?}",
            result.as_ref().map(drop),
            begin.elapsed()
        );
        result.unwrap();
        assert_eq!(cutter.cut(), [message]);
        network::check_set(&place, &set);
        std::fs::remove_dir_all(place.path(&set)).unwrap();
        // Refused at once while the donor has another clone, also one that only waits.
        wait_until("the donor is free", || {
            server
                .query_value(
                    "SELECT COUNT(*) FROM information_schema.processlist WHERE COMMAND = 'clone'",
                )
                .unwrap()
                == "0"
        });
    }
}

#[test]
fn connections_lost_at_random_cost_nothing_or_fail_the_backup() {
    let (server, place) = (donor(ServerOptions::default()), Place::new());
    server
        .sql("GRANT REPLICATION SLAVE ON *.* TO cloner@'%'")
        .unwrap();
    server.load_sysbench_like(1, 20_000).unwrap();
    let workload = load(&server);
    let seed = std::env::var("INNOCLONE_TEST_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed} (INNOCLONE_TEST_SEED)");
    let cutter = Cutter::start(server.port(), []);
    let mut made = Vec::new();
    for (number, base) in [None, Some("set0"), Some("set1")].into_iter().enumerate() {
        let set = format!("set{number}");
        for attempt in 0.. {
            assert!(attempt < 20, "cut {:?}", cutter.cut());
            cutter.at_random(seed + 100 * (number as u32 + 1) + attempt, 90, 10);
            let result = remote_full(&place, &server, &set, |options| {
                by(&cutter, options);
                options.from = base.map(|base| IncrementFrom::Set(place.path(base)));
                options.wait_for_donor = true;
            });
            match result {
                Ok(report) => {
                    made.push((set.clone(), report));
                    break;
                }
                Err(error) => {
                    assert!(
                        LOST.contains(&error.code()),
                        "{error}\ncut {:?}",
                        cutter.cut()
                    );
                    let path = place.path(&set);
                    assert!(!path.exists() || is_marked_incomplete(&path), "{error}");
                    let _ = std::fs::remove_dir_all(path);
                }
            }
        }
    }
    workload.stop();
    println!("cut {} times: {:?}", cutter.cut().len(), cutter.cut());
    assert!(cutter.cut().len() > 10, "{:?}", cutter.cut());
    for (set, report) in &made {
        check(&place, &server, set, report);
    }
}

#[test]
fn a_donor_that_dies_in_any_stage_ends_the_backup() {
    let (mut server, place) = (donor(ServerOptions::default()), Place::new());
    for (number, message) in [
        "worker < Block FileCopy",
        "master < Stage PageCopy begin",
        "master < Stage RedoCopy begin",
    ]
    .into_iter()
    .enumerate()
    {
        let (rule, hold) = Hold::of(message, 1);
        // What it had sent of the log before it died may be on its way: all there is, perhaps.
        let rest = Rule::new("master < File RedoCopy", 1, Lost);
        let cutter = Cutter::start(server.port(), [rule, rest]);
        let set = format!("set{number}");
        let port = server.port();
        let error = std::thread::scope(|scope| {
            let (place, set, cutter) = (&place, &set, &cutter);
            let backup = scope.spawn(move || {
                network::backup_from(place, port, set, |options| {
                    by(cutter, options);
                    options.connect_retry = Duration::from_secs(2);
                })
            });
            hold.wait();
            server.kill9().unwrap();
            drop(hold);
            backup.join().unwrap().unwrap_err()
        });
        assert_eq!(error.code(), 2013, "{message}: {error}");
        assert!(error.hint().is_some(), "{error}");
        assert!(is_marked_incomplete(&place.path(&set)), "{message}");
        server.start_again().unwrap();
    }
    remote_full(&place, &server, "next", |_| ()).unwrap();
    network::check_set(&place, "next");
}

/// A donor numbers its clones from one again: another client's clone may have the numbers of ours.
#[test]
fn a_donor_that_was_started_again_is_not_taken_for_the_same() {
    let (mut server, place) = (donor(ServerOptions::default()), Place::new());
    server.load_sysbench_like(1, 20_000).unwrap();
    let port = server.port();
    let (rule, hold) = Hold::of("master < Block FileCopy", 3);
    let cutter = Cutter::start(port, [rule]);
    let error = std::thread::scope(|scope| {
        let (place, cutter) = (&place, &cutter);
        let backup = scope.spawn(move || {
            network::backup_from(place, port, "set", |options| {
                by(cutter, options);
                options.connect_retry = Duration::from_secs(300);
            })
        });
        hold.wait();
        server.kill9().unwrap();
        cutter.shut(true);
        drop(hold);
        server.start_again().unwrap();
        // Changed, so that what is mixed is wrong.
        server
            .sql("ALTER TABLE sbtest.sbtest1 ENGINE=InnoDB")
            .unwrap();
        let other = Cutter::start(port, [Rule::new("master < Block FileCopy", 3, Lost)]);
        let broken = remote_full(place, &server, "other", |options| {
            by(&other, options);
            options.connect_retry = Duration::ZERO;
        });
        assert!(LOST.contains(&broken.unwrap_err().code()));
        cutter.shut(false);
        backup.join().unwrap().map(drop)
    });
    let error = error.unwrap_err();
    assert_eq!(error.code(), 2013, "{error}");
    assert!(error.to_string().contains("started again"), "{error}");
    assert!(is_marked_incomplete(&place.path("set")));
}

/// A megabit per second, and a fifth of a second there and back.
#[test]
fn a_long_thin_line_is_enough() {
    let options = ServerOptions {
        page_size: Some(4096),
        ..ServerOptions::default()
    };
    let (server, place) = (counted_donor(options), Place::new());
    server.load_sysbench_like(1, 2000).unwrap();
    server.quiesce().unwrap();
    remote_full(&place, &server, "full", |options| options.page_track = true).unwrap();
    server
        .sql("UPDATE sbtest.sbtest1 SET pad = 'changed' ")
        .unwrap();
    let line = SlowLine::start(server.port(), 125_000, Duration::from_millis(100));
    let begin = Instant::now();
    let report = remote_full(&place, &server, "incr", |options| {
        network::through(line.port, SslMode::Required, options);
        options.from = Some(IncrementFrom::Set(place.path("full")));
        options.page_track = true;
    });
    let report = report.unwrap();
    println!("{} bytes in {:?}", report.bytes_read, begin.elapsed());
    let set = BackupSet::open(&place.path("incr")).unwrap();
    let means = set.manifest().means.clone().unwrap();
    assert_ne!(means.by, LeftOutBy::Nothing, "{means:?}");
    let before = testkit::snapshot(&server).unwrap();
    place.restore("incr", "data");
    let mut restored = place.boot("data", &["--innodb-page-size=4096"]);
    check_restored(&mut restored, &report);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
}
