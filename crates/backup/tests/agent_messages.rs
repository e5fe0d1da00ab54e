//! Connections to an agent that are lost at every message, while it copies files, while it prepares
//! what comes after, and while it sends that.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![allow(
    clippy::print_stdout,
    reason = "what was cut is shown when a test fails"
)]

mod agents;
mod common;
mod network;

use agents::{Agent, take};
use backup::command::BackupReport;
use backup::donor::instance::IncrementFrom;
use backup::donor::remote::RemoteOptions;
use backup::serve::AgentOptions;
use backup::set::PagesBy;
use backup::{Error, Job, JobOptions};
use common::{Place, check_with_binlog};
use network::check_set;
use network::messages::Fate::{self, Last, Lost, Torn};
use network::messages::{Cutter, Rule};
use std::sync::Arc;
use std::time::Duration;
use testkit::{Server, ServerOptions, Workload, WorkloadOptions};
use wire::SslMode;
use wire::clone::Dialect;

fn cutter(port: u16, messages: &[(&str, u64, Fate)]) -> Cutter {
    let rules = messages.iter().map(|(message, nth, fate)| {
        let fate = match fate {
            Lost => Lost,
            Torn => Torn,
            _ => Last,
        };
        Rule::new(message, *nth, fate)
    });
    Cutter::in_dialect(Dialect::GreatSql, port, rules)
}

fn by(
    cutter: &Cutter,
    place: &Place,
    name: &str,
    change: impl FnOnce(&mut RemoteOptions),
) -> Result<BackupReport, Error> {
    let options = JobOptions {
        parallel: 4,
        read_rate: None,
    };
    let job = Job::new(&options, Arc::default());
    let taken = take(cutter.port, place, name, &job, |options| {
        network::through(cutter.port, SslMode::Disabled, options);
        change(options);
    });
    println!(
        "cut: {:#?}\nunused: {:?}\nseen: {:#?}",
        cutter.cut(),
        cutter.unused(),
        cutter.seen()
    );
    taken
}

fn load(server: &Server) -> Workload {
    let options = WorkloadOptions {
        ddl: true,
        seed: 7,
        pause: Duration::from_millis(5),
        ..WorkloadOptions::default()
    };
    Workload::start(server, options).unwrap()
}

fn check(place: &Place, server: &Server, set: &str, report: &BackupReport) {
    check_set(place, set);
    let data = format!("data-{set}");
    place.restore(set, &data);
    let restored = place.boot(&data, &[]);
    common::check_restored(&restored, report);
    Workload::check(&restored).unwrap();
    check_with_binlog(server, &restored, report);
}

#[test]
fn a_full_goes_on_wherever_its_connections_are_lost() {
    let (server, place) = (agents::instance(ServerOptions::default()), Place::new());
    server.load_sysbench_like(3, 60_000).unwrap();
    let agent = Agent::of(&server, &place);
    let workload = load(&server);
    let messages = [
        ("helper > ACK Init", 1, Torn),
        ("helper < Complete ACK", 1, Lost),
        ("master < Stage FileCopy begin", 1, Torn),
        ("master < File FileCopy", 2, Last),
        // The first ones pass before the workers have joined.
        ("master < Data FileCopy", 24, Torn),
        ("worker > ATTACH", 5, Torn),
        ("worker < Locators of ATTACH", 7, Lost),
        ("worker > EXECUTE", 8, Lost),
        ("worker < Data FileCopy", 8, Lost),
        ("master < Block FileCopy", 36, Last),
        ("worker < Block FileCopy", 24, Torn),
        ("master > REINIT", 5, Torn),
        ("master < Complete REINIT", 7, Lost),
        ("worker < Data FileCopy", 40, Torn),
        ("worker < Stage FileCopy end", 1, Lost),
        ("master < Stage FileCopy end", 1, Torn),
        ("helper > ACK FileCopy", 1, Torn),
        // The agent has begun with what it prepares for PAGE COPY.
        ("helper > ACK FileCopy", 2, Last),
        ("master < Stage PageCopy begin", 1, Lost),
        ("master < Data PageCopy", 3, Torn),
        ("master < Stage PageCopy end", 1, Lost),
        ("helper > ACK PageCopy", 1, Last),
        ("master < Stage RedoCopy begin", 1, Last),
        ("master < Data RedoCopy", 2, Torn),
        ("master < Stage RedoCopy end", 1, Torn),
    ];
    let cutter = cutter(agent.port, &messages);
    let report = by(&cutter, &place, "full", |_| ()).unwrap();
    workload.stop();
    // Which connection brings how much is the agent's choice.
    let cut = cutter.cut();
    assert!(cut.len() >= 16, "{:?}", cutter.unused());
    assert!(
        cut.iter().any(|message| message.contains("Data FileCopy")),
        "{cut:?}"
    );
    agents::assert_free(&server);
    check(&place, &server, "full", &report);
}

#[test]
fn an_increment_goes_on_when_its_connections_are_lost_while_it_is_made() {
    let (server, place) = (agents::instance(ServerOptions::default()), Place::new());
    server.load_sysbench_like(2, 60_000).unwrap();
    Agent::of(&server, &place)
        .full(&place, "full", |_| ())
        .unwrap();
    server
        .sql("UPDATE sbtest.sbtest1 SET pad = REVERSE(pad); UPDATE sbtest.sbtest2 SET pad = REVERSE(pad)")
        .unwrap();
    server.flush_pages().unwrap();
    let workload = load(&server);
    // So slow that it gives signs of life while the pages are read.
    let agent = Agent::start(
        AgentOptions {
            connect: common::instance_options(&server).connect,
            datadir: None,
            spool: place.scratch.path().to_owned(),
            job: JobOptions {
                parallel: 2,
                read_rate: Some(1 << 20),
            },
        },
        0,
    );
    let messages = [
        ("master < Stage Init end", 1, Last),
        ("helper > ACK Init", 1, Torn),
        ("helper < Complete ACK", 1, Lost),
        ("master < Stage PageCopy alive", 1, Lost),
        ("master > REINIT", 4, Torn),
        ("master < Stage PageCopy begin", 1, Torn),
        ("master < File PageCopy", 3, Last),
        ("master < Data PageCopy", 20, Torn),
        ("master < Stage PageCopy end", 1, Lost),
        ("master < Data RedoCopy", 2, Lost),
    ];
    let cutter = cutter(agent.port, &messages);
    let base = IncrementFrom::Set(place.path("full"));
    let report = by(&cutter, &place, "increment", |options| {
        options.from = Some(base);
    });
    let report = report.unwrap();
    workload.stop();
    assert_eq!(report.pages_by, PagesBy::Tracked);
    assert_eq!(cutter.unused(), Vec::<String>::new());
    agents::assert_free(&server);
    check(&place, &server, "increment", &report);
}

#[test]
fn nobody_waits_for_a_client_that_is_gone_with_ddl_blocked() {
    let (server, place) = (agents::instance(ServerOptions::default()), Place::new());
    server.load_sysbench_like(2, 40_000).unwrap();
    let agent = Agent::of(&server, &place);
    let cutter = cutter(agent.port, &[("master < Data FileCopy", 3, Torn)]);
    let error = by(&cutter, &place, "untracked", |options| {
        options.page_track = false;
    });
    let error = error.unwrap_err();
    assert_eq!(error.code(), 2013, "{error}");
    agents::assert_free(&server);
    assert_eq!(agent.donor.clones(), 0);
    assert!(network::is_marked_incomplete(&place.path("untracked")));
}
