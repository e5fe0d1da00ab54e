//! Stock servers take served chains by `CLONE INSTANCE FROM`, boot, and are what the backup was of.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;
mod serving;

use backup::command::BackupReport;
use common::{Place, check_state};
use network::messages::{Cutter, Hold};
use serving::{Endpoint, Recipient, donor_options};
use testkit::{Server, ServerOptions, Snapshot, Workload, WorkloadOptions, wait_until};
use wire::clone::{Ack, Command, DdlWait, Locator, Response, Setting, Setup, Version};

/// A chain of a full and two increments with DDL between, and what the server was at its end.
fn chain(place: &Place, options: ServerOptions) -> (Server, BackupReport, Snapshot) {
    let server = Server::start(options).unwrap();
    server.load_sysbench_like(2, 20_000).unwrap();
    let full = place
        .try_backup(&server, "full", |options| options.page_track = true)
        .unwrap();
    drop(full);
    let options = WorkloadOptions {
        threads: 2,
        ddl: true,
        seed: 3,
        ..WorkloadOptions::default()
    };
    let workload = Workload::start(&server, options).unwrap();
    workload.wait_for(50, 5).unwrap();
    place.increment(&server, "incr1", "full");
    workload.wait_for(50, 5).unwrap();
    workload.stop();
    server
        .sql(
            "CREATE SCHEMA extra; CREATE TABLE extra.counted (id INT AUTO_INCREMENT PRIMARY KEY);
              INSERT INTO extra.counted VALUES (7000); DELETE FROM extra.counted",
        )
        .unwrap();
    let report = place.increment(&server, "incr2", "incr1");
    // Counters that only reserved values are in no log, so no crash recovery has them.
    let snapshot = testkit::snapshot(&server)
        .unwrap()
        .ignoring_auto_increment();
    (server, report, snapshot)
}

/// Whether a server is what the backup was of: tables, GTIDs, binary log position, counters.
fn check(server: &Server, report: &BackupReport, before: &Snapshot) {
    check_state(server, report);
    let now = testkit::snapshot(server).unwrap().ignoring_auto_increment();
    testkit::assert_same(before, &now);
    let counter =
        server.query_value("INSERT INTO extra.counted () VALUES (); SELECT LAST_INSERT_ID()");
    assert_eq!(counter.unwrap(), "7001");
}

/// A quiet server's full, and what the server was.
fn full(place: &Place, options: ServerOptions, sql: &str) -> (BackupReport, Snapshot) {
    let server = Server::start(options).unwrap();
    server.load_sysbench_like(2, 10_000).unwrap();
    server
        .sql(&format!(
            "CREATE SCHEMA extra; CREATE TABLE extra.counted (id INT AUTO_INCREMENT PRIMARY KEY);
             INSERT INTO extra.counted VALUES (7000); DELETE FROM extra.counted; {sql}"
        ))
        .unwrap();
    let report = place.full(&server, "full", false);
    let snapshot = testkit::snapshot(&server)
        .unwrap()
        .ignoring_auto_increment();
    (report, snapshot)
}

#[test]
fn stock_servers_clone_a_chain_into_a_directory_and_in_place() {
    let place = Place::new();
    let (donor, report, before) = chain(&place, ServerOptions::default());
    drop(donor);
    let endpoint = Endpoint::serve(donor_options(&place.path("incr2")));
    check_versions(&endpoint);
    for threads in [1, 4] {
        let recipient = Recipient::start(threads);
        let data = place.path(&format!("data{threads}"));
        recipient.clone_into(&endpoint, &data).unwrap();
        drop(recipient);
        let restored = Server::start_on(&data, &[]).unwrap();
        check(&restored, &report, &before);
        Workload::check(&restored).unwrap();
        let complaints = testkit::scan_error_log(&restored.error_log());
        assert_eq!(complaints, Vec::<String>::new());
    }
    for threads in [1, 4] {
        let mut recipient = Recipient::start(threads);
        recipient.clone_in_place(&endpoint).unwrap();
        check(&recipient.server, &report, &before);
        assert_eq!(recipient.complaints(), Vec::<String>::new());
    }
    assert_eq!(endpoint.donor.clones(), 0);
}

#[test]
fn several_recipients_are_served_at_once_and_one_that_dies_harms_nobody() {
    let place = Place::new();
    let (report, before) = full(&place, ServerOptions::default(), "");
    let endpoint = Endpoint::serve(donor_options(&place.path("full")));
    let (mut dying, first, second) = (
        Recipient::start(4),
        Recipient::start(4),
        Recipient::start(1),
    );
    let names = ["dead", "one", "two"];
    // None is done before all are under way.
    let (lines, holds): (Vec<_>, Vec<_>) = names
        .map(|_| {
            let (rule, hold) = Hold::of("any < Block FileCopy", 3);
            (Cutter::start(endpoint.port, [rule]), hold)
        })
        .into_iter()
        .unzip();
    std::thread::scope(|scope| {
        let mut clones = Vec::new();
        for ((recipient, name), line) in
            [&dying, &first, &second].into_iter().zip(names).zip(&lines)
        {
            recipient.allow_port(line.port);
            let client = recipient.server.client().clone();
            let statement = serving::plain_statement(line.port, &place.path(name));
            clones.push(scope.spawn(move || client.sql(&statement)));
        }
        for hold in &holds {
            hold.wait();
        }
        assert_eq!(endpoint.donor.clones(), 3);
        dying.server.kill9().unwrap();
        drop(holds);
        let mut ended = clones.into_iter().map(|clone| clone.join().unwrap());
        assert!(ended.next().unwrap().is_err());
        for clone in ended {
            clone.unwrap();
        }
    });
    drop((dying, first, second));
    for name in ["one", "two"] {
        let restored = Server::start_on(&place.path(name), &[]).unwrap();
        check(&restored, &report, &before);
    }
    // The dead one could still come back.
    wait_until("connections have ended", || {
        endpoint.server.connections().count() == 0
    });
    assert_eq!(endpoint.donor.clones(), 1);
}

#[test]
fn a_client_whose_connections_are_cut_comes_back_and_gets_the_rest() {
    let place = Place::new();
    let (report, before) = full(&place, ServerOptions::default(), "");
    let endpoint = Endpoint::serve(donor_options(&place.path("full")));
    for threads in [1, 3] {
        let recipient = Recipient::start(threads);
        let data = place.path(&format!("cut{threads}"));
        let (rule, hold) = Hold::of("any < Block FileCopy", 5);
        let (line, mut hold) = (Cutter::start(endpoint.port, [rule]), Some(hold));
        recipient.allow_port(line.port);
        let statement = serving::plain_statement(line.port, &data);
        std::thread::scope(|scope| {
            let clone = scope.spawn(|| recipient.server.sql(&statement));
            for cut in 1..=2 {
                hold.as_ref().unwrap().wait();
                let busy = endpoint.busy();
                for id in &busy {
                    endpoint.server.connections().kill(*id);
                }
                // What it holds next comes by the connections that are made again.
                let (rule, next) = Hold::of("any < Block FileCopy", 5);
                if cut == 1 {
                    line.add(rule);
                }
                hold.replace(next);
                wait_until("they have ended", || {
                    endpoint.busy().iter().all(|id| !busy.contains(id))
                });
            }
            clone.join().unwrap().unwrap();
        });
        let log = recipient.server.error_log();
        assert!(log.contains("Restarting State: FILE COPY"), "{log}");
        drop(recipient);
        let restored = Server::start_on(&data, &[]).unwrap();
        check(&restored, &report, &before);
    }
    assert_eq!(endpoint.donor.clones(), 0);
}

#[test]
fn wrong_passwords_and_servers_of_another_kind_are_refused_in_words() {
    let place = Place::new();
    full(&place, ServerOptions::default(), "");
    let endpoint = Endpoint::serve(donor_options(&place.path("full")));
    let recipient = Recipient::start(1);
    recipient.allow(&endpoint);
    let data = |name: &str| format!("DATA DIRECTORY = '{}'", place.path(name).display());
    let wrong = endpoint.statement("wrong", &data("a"));
    let error = recipient.server.sql(&wrong).unwrap_err().to_string();
    assert!(error.contains("3862") && error.contains("1045"), "{error}");
    let other = ServerOptions {
        page_size: Some(4096),
        ..ServerOptions::default()
    };
    let other = Recipient::start_with(1, other);
    let error = other.clone_into(&endpoint, &place.path("b")).unwrap_err();
    assert!(error.to_string().contains("3868"), "{error}");
    assert_eq!(endpoint.donor.clones(), 0);
    for (name, require) in [("c", "REQUIRE NO SSL"), ("d", "REQUIRE SSL")] {
        let rest = format!("{} {require}", data(name));
        let statement = endpoint.statement(serving::PASSWORD, &rest);
        recipient.server.sql(&statement).unwrap();
    }
}

#[test]
fn encrypted_tablespaces_arrive_for_who_has_the_keys() {
    let place = Place::new();
    let options = || ServerOptions {
        keyring: true,
        ..ServerOptions::default()
    };
    let donor = Server::start(options()).unwrap();
    donor
        .sql(
            "CREATE SCHEMA extra; CREATE TABLE extra.secret (id INT PRIMARY KEY, t TEXT) ENCRYPTION='Y';
             INSERT INTO extra.secret VALUES (1, 'x'), (2, 'y');
             CREATE TABLE extra.counted (id INT AUTO_INCREMENT PRIMARY KEY);
             INSERT INTO extra.counted VALUES (7000); DELETE FROM extra.counted",
        )
        .unwrap();
    let report = place.full(&donor, "full", false);
    let before = testkit::snapshot(&donor).unwrap().ignoring_auto_increment();
    let endpoint = Endpoint::serve(donor_options(&place.path("full")));
    let mut recipient = Recipient::start_with(2, options());
    recipient.server.stop().unwrap();
    std::fs::copy(donor.keyring_file(), recipient.server.keyring_file()).unwrap();
    recipient.server.start_again().unwrap();
    recipient.clone_in_place(&endpoint).unwrap();
    check(&recipient.server, &report, &before);
}

#[test]
fn page_sizes_row_formats_and_compressed_pages_arrive() {
    for page_size in [4096, 65536] {
        let place = Place::new();
        let options = || ServerOptions {
            page_size: Some(page_size),
            init_args: vec!["--innodb-data-file-path=ibdata1:12M;ibdata2:12M:autoextend".into()],
            ..ServerOptions::default()
        };
        let formats = if page_size == 4096 {
            "CREATE TABLE extra.zip (id INT PRIMARY KEY, t TEXT) ROW_FORMAT=COMPRESSED \
             KEY_BLOCK_SIZE=2; INSERT INTO extra.zip SELECT id, pad FROM sbtest.sbtest1;"
        } else {
            ""
        };
        let sql = format!(
            "{formats} CREATE TABLESPACE wide ADD DATAFILE 'wide.ibd';
             CREATE TABLE extra.wide (id INT PRIMARY KEY) TABLESPACE wide;
             CREATE UNDO TABLESPACE more ADD DATAFILE 'more.ibu';"
        );
        let (report, before) = full(&place, options(), &sql);
        let endpoint = Endpoint::serve(donor_options(&place.path("full")));
        let recipient = Recipient::start_with(2, options());
        let data = place.path("data");
        recipient.clone_into(&endpoint, &data).unwrap();
        drop(recipient);
        let args = ["--innodb-data-file-path=ibdata1:12M;ibdata2:12M:autoextend"];
        let restored = Server::start_on(&data, &args).unwrap();
        check(&restored, &report, &before);
        let mut recipient = Recipient::start_with(2, options());
        recipient.clone_in_place(&endpoint).unwrap();
        check(&recipient.server, &report, &before);
    }
}

#[test]
fn a_set_with_rows_that_clone_does_not_carry_is_refused_unless_allowed() {
    let place = Place::new();
    let sql = "CREATE TABLE extra.isam (id INT) ENGINE=MyISAM; INSERT INTO extra.isam VALUES (1);
               CREATE TABLE extra.none (id INT) ENGINE=MyISAM;";
    full(&place, ServerOptions::default(), sql);
    let mut options = donor_options(&place.path("full"));
    let error = backup::serve::CloneDonor::open(options.clone()).unwrap_err();
    assert!(
        error.to_string().contains("1 tables of other engines"),
        "{error}"
    );
    options.allow_empty_tables = true;
    let endpoint = Endpoint::serve(options);
    let recipient = Recipient::start(1);
    recipient
        .clone_into(&endpoint, &place.path("data"))
        .unwrap();
    drop(recipient);
    let restored = Server::start_on(&place.path("data"), &[]).unwrap();
    let rows = restored
        .query_value("SELECT COUNT(*) FROM extra.isam")
        .unwrap();
    assert_eq!(rows, "0");
}

#[test]
fn hostile_clients_and_damaged_sets_harm_nobody_else() {
    let place = Place::new();
    let (report, before) = full(&place, ServerOptions::default(), "");
    let endpoint = Endpoint::serve(donor_options(&place.path("full")));
    // What no client sends; each on a connection of its own, which is closed.
    let init = Command::Init(setup(None));
    let unknown = Locator {
        clone: 99,
        snapshot: 99,
        ..Locator::default()
    };
    let ack = |stage| {
        Command::Ack(Ack {
            error: 0,
            locator: unknown.clone(),
            stage,
        })
    };
    for commands in [
        vec![Command::Execute],
        vec![Command::Attach(setup(None))],
        vec![Command::Attach(setup(Some(unknown.clone())))],
        vec![Command::Reinit(setup(None))],
        vec![ack(None)],
        vec![init.clone(), init.clone()],
        vec![init.clone(), Command::Attach(setup(None))],
    ] {
        let mut client = endpoint.raw();
        for command in &commands[..commands.len() - 1] {
            client
                .send_command(command.code(), &command.body())
                .unwrap();
            while client.read_packet().unwrap() != [99] {}
        }
        let last = &commands[commands.len() - 1];
        client.send_command(last.code(), &last.body()).unwrap();
        assert!(
            client.read_packet().unwrap_err().is_connection_lost(),
            "{last:?}"
        );
    }
    for garbage in [&[][..], &[0xFF; 40], &[0; 3]] {
        let mut client = endpoint.raw();
        client.send_command(1, garbage).unwrap();
        assert!(client.read_packet().is_err());
    }
    // A clone that is not known is refused in words: its client begins anew.
    let mut client = endpoint.raw();
    let command = Command::Reinit(setup(Some(unknown)));
    client
        .send_command(command.code(), &command.body())
        .unwrap();
    let packet = client.read_packet().unwrap();
    let refused = Response::decode(&packet).unwrap();
    assert!(
        matches!(refused, Response::Error { code: 3862, .. }),
        "{refused:?}"
    );
    // More clones than there may be, all of them abandoned in the middle.
    for _ in 0..40 {
        let mut client = endpoint.raw();
        client.send_command(init.code(), &init.body()).unwrap();
        while client.read_packet().unwrap() != [99] {}
        let execute = Command::Execute;
        client
            .send_command(execute.code(), &execute.body())
            .unwrap();
        client.read_packet().unwrap();
        drop(client);
        let rest = || endpoint.server.connections().count() == 0;
        wait_until("the connection has ended", rest);
    }
    assert!(endpoint.donor.clones() <= 32);

    let recipient = Recipient::start(2);
    recipient
        .clone_into(&endpoint, &place.path("data"))
        .unwrap();
    // The set is damaged while it is served: the client is told, and has nothing usable.
    let table = place.path("full/sbtest/sbtest1.ibd");
    let mut bytes = std::fs::read(&table).unwrap();
    bytes[200_000] ^= 1;
    std::fs::write(&table, bytes).unwrap();
    let error = recipient
        .clone_into(&endpoint, &place.path("bad"))
        .unwrap_err();
    assert!(
        error.to_string().contains("sbtest1.ibd' is damaged"),
        "{error}"
    );
    assert!(place.path("bad/#clone/#status_in_progress").exists());
    drop(recipient);
    let restored = Server::start_on(&place.path("data"), &[]).unwrap();
    check(&restored, &report, &before);
}

/// Each version of the protocol is told what it knows, in the common version.
fn check_versions(endpoint: &Endpoint) {
    let newer = Version(Version::V4.0 + 1);
    for version in [Version::V1, Version::V2, Version::V3, Version::V4, newer] {
        let init = Command::Init(Setup {
            version,
            ..setup(None)
        });
        let mut client = endpoint.raw();
        client.send_command(init.code(), &init.body()).unwrap();
        // Plugins without and with libraries, variables, settings of V3 and of V4.
        let mut told = [0; 5];
        loop {
            let packet = client.read_packet().unwrap();
            let kind = match Response::decode(&packet).unwrap() {
                Response::Setting(Setting::Plugin(_)) => 0,
                Response::Setting(Setting::PluginLibrary(..)) => 1,
                Response::Setting(Setting::Variable(..)) => 2,
                Response::Setting(Setting::Extra(..)) => 3,
                Response::Setting(Setting::Json(..)) => 4,
                Response::Setting(Setting::Collation(_)) => continue,
                Response::Locators {
                    version: common, ..
                } => {
                    assert_eq!(common, version.min(Version::V4));
                    continue;
                }
                Response::Complete => break,
                other => panic!("{other:?}"),
            };
            told[kind] += 1;
        }
        let has = told.map(|count| count > 0);
        let expected = [
            version == Version::V1,
            version > Version::V1,
            true,
            version >= Version::V3,
            version >= Version::V4,
        ];
        assert_eq!(has, expected, "{version:?}");
        let exit = Command::Exit;
        client.send_command(exit.code(), &exit.body()).unwrap();
        assert_eq!(client.read_packet().unwrap(), [99]);
    }
    wait_until("the clones have ended", || endpoint.donor.clones() == 0);
}

fn setup(locator: Option<Locator>) -> Setup {
    Setup {
        version: Version::V4,
        ddl: DdlWait {
            seconds: 300,
            blocks_ddl: false,
        },
        wish: wire::clone::Wish::default(),
        locator,
    }
}
