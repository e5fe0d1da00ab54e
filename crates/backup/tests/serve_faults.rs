//! Served sets, and clients, networks and processes that fail: nobody is told that all is well when
//! it is not, nothing of a set changes, and the next client is served.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;
mod serving;

use backup::command::{BackupReport, RemoteBackupRequest, backup_remote};
use backup::donor::remote::RemoteOptions;
use backup::serve::Patience;
use common::{Place, check_restored};
use frame::Algorithm;
use network::messages::{Cutter, Hold};
use network::proxy::Proxy;
use serving::raw::{acknowledge, begin, complete, gone, is_sign_of_life, send, setup, until};
use serving::{Endpoint, PASSWORD, Recipient, digest, donor_options, enter};
use std::path::Path;
use std::time::Duration;
use testkit::{Server, ServerOptions, wait_until};
use wire::clone::{Ack, Command, Descriptor, Response, Stage};

/// Run by the test below in a process of its own, to be killed.
#[test]
fn a_process_that_serves() {
    let Some(set) = std::env::var_os("INNOCLONE_TEST_SERVES") else {
        return;
    };
    let mut options = donor_options(Path::new(&set));
    // Its client shall not wait for it in vain for minutes.
    options.patience.away_minutes = 0;
    let endpoint = Endpoint::serve(options);
    let port = std::env::var_os("INNOCLONE_TEST_SERVES_ON").unwrap();
    let made = Path::new(&port).with_extension("new");
    std::fs::write(&made, endpoint.port.to_string()).unwrap();
    std::fs::rename(made, port).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn cuts_kills_and_damage_are_survived_or_told() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    server.load_sysbench_like(2, 20_000).unwrap();
    place.compress(Some(Algorithm::Zstd));
    place.full(&server, "sets/full", true);
    server
        .sql("UPDATE sbtest.sbtest1 SET k = k + 1 WHERE id % 50 = 0")
        .unwrap();
    place.compress(None);
    place.increment(&server, "sets/incr1", "sets/full");
    server
        .sql("UPDATE sbtest.sbtest2 SET k = k + 1 WHERE id % 50 = 0")
        .unwrap();
    place.compress(Some(Algorithm::Lz4));
    let report = place.increment(&server, "sets/incr2", "sets/incr1");
    let before = testkit::snapshot(&server).unwrap();
    drop(server);
    let sets = place.path("sets");
    let untouched = digest(&sets);
    let mut recipient = Recipient::start(3);
    recipient
        .server
        .sql("CREATE SCHEMA own; CREATE TABLE own.t (id INT PRIMARY KEY); INSERT INTO own.t VALUES (7)")
        .unwrap();

    // The network is cut in FILE COPY, again and again.
    let endpoint = Endpoint::serve(donor_options(&sets.join("incr2")));
    let mebibytes = [3, 20, 45].map(|number| number << 20);
    let relay = Proxy::start(endpoint.port, &mebibytes, false);
    recipient
        .clone_from_port(relay.port, &place.path("cut"))
        .unwrap();
    let log = recipient.server.error_log();
    assert!(log.contains("Restarting State: FILE COPY"), "{log}");
    let restored = Server::start_on(&place.path("cut"), &[]).unwrap();
    check_restored(&restored, &report);
    testkit::assert_same(&before, &testkit::snapshot(&restored).unwrap());
    drop((restored, relay));
    assert_eq!(endpoint.donor.clones(), 0);

    damage(&endpoint, &recipient, &place);
    assert_eq!(own(&recipient).unwrap(), "7");
    let contents = |digest: std::collections::BTreeMap<_, (u64, i64, i64)>| {
        let contents = digest.into_iter().map(|(name, (hash, ..))| (name, hash));
        contents.collect::<Vec<_>>()
    };
    assert_eq!(contents(digest(&sets)), contents(untouched));

    killed_process(&recipient, &place);
    // Whoever serves next, serves it.
    recipient.clone_in_place(&endpoint).unwrap();
    check_restored_in_place(&recipient, &report);
    testkit::assert_same(&before, &testkit::snapshot(&recipient.server).unwrap());
}

/// Damage: the client is told where, and has nothing usable.
fn damage(endpoint: &Endpoint, recipient: &Recipient, place: &Place) {
    for (at, (file, name)) in [
        ("full/sbtest/sbtest1.ibd.zstd", "sbtest1.ibd.zstd"),
        ("incr1/sbtest/sbtest1.ibd.delta", "sbtest1.ibd.delta"),
        (
            "incr2/sbtest/sbtest2.ibd.delta.lz4",
            "sbtest2.ibd.delta.lz4",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let path = place.path("sets").join(file);
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        // One byte may be of a page that a later set has too: then nobody needs it.
        for byte in bytes.iter_mut().step_by(4096) {
            *byte ^= 1;
        }
        std::fs::write(&path, bytes).unwrap();
        let data = place.path(&format!("bad{at}"));
        let error = recipient.clone_into(endpoint, &data).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("3862") && error.contains(name), "{error}");
        assert!(data.join("#clone/#status_in_progress").exists());
        std::fs::write(&path, whole).unwrap();
        wait_until("the clone is over", || endpoint.donor.clones() == 0);
    }
}

/// The serving process is killed: while a clone goes into a directory, then in place.
fn killed_process(recipient: &Recipient, place: &Place) {
    for (at, directory) in [true, false].into_iter().enumerate() {
        let port = place.path(&format!("port{at}"));
        let mut process = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_that_serves", "--nocapture"])
            .env("INNOCLONE_TEST_SERVES", place.path("sets/incr2"))
            .env("INNOCLONE_TEST_SERVES_ON", &port)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::inherit())
            .spawn()
            .unwrap();
        wait_until("it serves", || port.exists());
        let port: u16 = std::fs::read_to_string(&port).unwrap().parse().unwrap();
        let (rule, hold) = Hold::of("any < Block FileCopy", 5);
        let line = Cutter::start(port, [rule]);
        recipient.allow_port(line.port);
        let statement = if directory {
            serving::plain_statement(line.port, &place.path("orphan"))
        } else {
            serving::statement(line.port, PASSWORD, "REQUIRE NO SSL")
        };
        let client = recipient.server.client().clone();
        let error = std::thread::scope(|scope| {
            let clone = scope.spawn(|| client.sql(&statement));
            hold.wait();
            process.kill().unwrap();
            process.wait().unwrap();
            drop(hold);
            clone.join().unwrap().unwrap_err().to_string()
        });
        assert!(error.contains("ERROR"), "{error}");
        if directory {
            assert!(place.path("orphan/#clone/#status_in_progress").exists());
            assert_eq!(own(recipient).unwrap(), "7");
        } else {
            // CLONE drops the recipient's own data before it begins.
            assert!(own(recipient).is_err());
        }
    }
}

/// What is in the recipient's own table.
fn own(recipient: &Recipient) -> testkit::Result<String> {
    recipient.server.query_value("SELECT id FROM own.t")
}

fn check_restored_in_place(recipient: &Recipient, report: &BackupReport) {
    common::check_state(&recipient.server, report);
    assert_eq!(recipient.complaints(), Vec::<String>::new());
}

#[test]
fn slow_and_odd_clients_are_borne_for_a_while_and_end() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    place.full(&server, "full", false);
    drop(server);
    let set = place.path("full");
    let endpoint = Endpoint::serve(donor_options(&set));
    other_commands(&endpoint, place.scratch.path());
    one_that_does_not_read(&endpoint);
    one_that_gives_up(&endpoint);
    let recipient = Recipient::start(1);
    too_many(&endpoint, &recipient, &place.path("no"));
    recipient
        .clone_into(&endpoint, &place.path("data"))
        .unwrap();
    let restored = Server::start_on(&place.path("data"), &[]).unwrap();
    testkit::check_tables(&restored).unwrap();
    drop((restored, recipient));
    too_slow(&set);
}

/// A backup over the network of what is served.
fn backup_from(endpoint: &Endpoint, to: &Path) -> Result<BackupReport, backup::Error> {
    let connect = wire::ConnectOptions {
        endpoint: wire::Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port: endpoint.port,
        },
        user: serving::USER.into(),
        password: Some(PASSWORD.into()),
        ..wire::ConnectOptions::default()
    };
    let request = RemoteBackupRequest {
        compression: None,
        remote: RemoteOptions::new(connect),
        to: to.to_owned(),
    };
    let catalogue = catalogue::Catalogue::open(&to.with_extension("state")).unwrap();
    backup_remote(&request, &catalogue, &common::job())
}

/// What a connection can be used for besides, before, between and after clones.
fn other_commands(endpoint: &Endpoint, no: &Path) {
    let mut client = endpoint.client();
    client.ping().unwrap();
    let refused = client.query("SELECT 1").unwrap_err();
    assert!(refused.to_string().contains("1235"), "{refused}");
    let error = backup_from(endpoint, &no.join("backup")).unwrap_err();
    assert!(
        error.to_string().contains("copying its directory"),
        "{error}"
    );
    for (command, payload, first) in [
        (31, &b""[..], 0x00),    // COM_RESET_CONNECTION
        (2, b"nowhere", 0xFF),   // COM_INIT_DB: there are no schemas
        (4, b"t\0", 0xFF),       // COM_FIELD_LIST
        (17, b"user\0\0", 0xFF), // COM_CHANGE_USER
    ] {
        client.send_command(command, payload).unwrap();
        assert_eq!(client.read_packet().unwrap()[0], first, "{command}");
    }
    for _ in 0..2 {
        enter(&mut client);
        send(&mut client, &Command::Exit);
        complete(&mut client);
        client.ping().unwrap();
    }
    enter(&mut client);
    send(&mut client, &Command::Init(setup(None)));
    let locator = complete(&mut client).unwrap();
    assert_eq!(endpoint.donor.clones(), 1);
    // It is left before its begin, and is no more.
    send(&mut client, &Command::Exit);
    complete(&mut client);
    assert_eq!(endpoint.donor.clones(), 0);
    enter(&mut client);
    send(&mut client, &Command::Reinit(setup(Some(locator))));
    let packet = client.read_packet().unwrap();
    let answer = Response::decode(&packet).unwrap();
    assert!(
        matches!(answer, Response::Error { code: 3862, .. }),
        "{answer:?}"
    );
    gone(endpoint);
}

/// A connection that does not read holds up the clone; the others hear that it lives.
fn one_that_does_not_read(endpoint: &Endpoint) {
    let (mut master, locator) = begin(endpoint);
    acknowledge(endpoint, &mut master, &locator);
    until(
        &mut master,
        |descriptor| matches!(descriptor, Descriptor::Stage(stage) if stage.stage == Stage::FileCopy),
    );
    let mut worker = endpoint.raw();
    send(&mut worker, &Command::Attach(setup(Some(locator))));
    complete(&mut worker);
    send(&mut worker, &Command::Execute);
    until(&mut master, is_sign_of_life);
    drop((master, worker));
    gone(endpoint);
}

/// A client that gives up, as one whose statement is killed: its place is free at once.
fn one_that_gives_up(endpoint: &Endpoint) {
    let (mut master, locator) = begin(endpoint);
    let mut helper = endpoint.raw();
    let ack = Ack {
        error: 1317,
        locator,
        stage: None,
    };
    send(&mut helper, &Command::Ack(ack));
    complete(&mut helper);
    loop {
        let packet = master.read_packet().unwrap();
        match Response::decode(&packet).unwrap() {
            Response::Error { code: 1815, .. } => break,
            Response::Descriptor(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let left = endpoint.donor.clones();
    drop((master, helper));
    gone(endpoint);
    assert_eq!(endpoint.donor.clones(), left);
}

/// More at a time than there may be: a stock server's user reads why.
fn too_many(endpoint: &Endpoint, recipient: &Recipient, no: &Path) {
    let mut clients: Vec<_> = (0..31).map(|_| begin(endpoint)).collect();
    clients.push(begin(endpoint));
    let mut one_more = endpoint.raw();
    send(&mut one_more, &Command::Init(setup(None)));
    let packet = one_more.read_packet().unwrap();
    let answer = Response::decode(&packet).unwrap();
    assert!(
        matches!(answer, Response::Error { code: 3634, .. }),
        "{answer:?}"
    );
    let error = recipient.clone_into(endpoint, no).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("Too many concurrent clone operations"),
        "{error}"
    );
    drop((clients, one_more));
    gone(endpoint);
    assert!(endpoint.donor.clones() <= 32);
}

/// Nobody takes its bytes, or nobody acknowledges: it is ended, and forgotten.
fn too_slow(set: &Path) {
    let impatient = |acknowledge, write_timeout| {
        let mut options = donor_options(set);
        options.patience = Patience {
            away_minutes: 0,
            acknowledge,
        };
        Endpoint::serve_with(options, write_timeout)
    };
    let (soon, late) = (Duration::from_secs(1), Duration::from_secs(600));
    // Each by an endpoint of its own: on a slow machine this client does nothing soon.
    let endpoint = impatient(late, soon);
    let (mut client, locator) = begin(&endpoint);
    acknowledge(&endpoint, &mut client, &locator);
    gone(&endpoint);
    assert_eq!(endpoint.donor.clones(), 0);
    drop(client);

    // Nobody acknowledges the end of a stage.
    let endpoint = impatient(soon, late);
    let (mut client, _) = begin(&endpoint);
    let code = loop {
        let packet = client.read_packet().unwrap();
        if let Response::Error { code, .. } = Response::decode(&packet).unwrap() {
            break code;
        }
    };
    assert_eq!(code, 1159);
    gone(&endpoint);
    assert_eq!(endpoint.donor.clones(), 0);
}
