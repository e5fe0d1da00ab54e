//! The clone protocol with a real donor, and with what one once said.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use innoclone_wire::clone::Stage::{Done, FileCopy, Init, PageCopy, RedoCopy};
use innoclone_wire::clone::{
    Ack, COM_CLONE, Command, DdlWait, Descriptor, FileDescriptor, Locator, Response, Setting,
    Setup, Version,
};
use innoclone_wire::{ConnectOptions, Connection};
use support::{connect, tcp, user};
use testkit::wait_until;

/// Every packet of a conversation, with a name for what it is.
#[derive(Default)]
struct Record(Vec<(&'static str, Vec<u8>)>);

impl Record {
    fn send(&mut self, connection: &mut Connection, name: &'static str, command: &Command) {
        connection
            .send_command(command.code(), &command.body())
            .unwrap();
        let mut packet = vec![command.code()];
        packet.extend(command.body());
        assert_eq!(Command::decode(&packet).as_ref(), Ok(command));
        self.0.push((name, packet));
    }

    /// The next response, which must be the same when it is written again.
    fn receive(&mut self, connection: &mut Connection) -> Vec<u8> {
        let packet = connection.read_packet().unwrap();
        let response = Response::decode(&packet).unwrap();
        assert_eq!(response.to_bytes(), packet, "{response:?}");
        if !matches!(response, Response::Data(_)) {
            self.0.push((name_of(&response), packet.clone()));
        }
        packet
    }
}

fn name_of(response: &Response<'_>) -> &'static str {
    match response {
        Response::Locators { .. } => "locators",
        Response::Descriptor(Descriptor::Locator(_)) => "locator",
        Response::Descriptor(Descriptor::Task(_)) => "task",
        Response::Descriptor(Descriptor::Stage(stage)) if stage.acknowledges => "alive",
        Response::Descriptor(Descriptor::Stage(stage)) if stage.begins => "stage-begins",
        Response::Descriptor(Descriptor::Stage(_)) => "stage-ends",
        Response::Descriptor(Descriptor::File(_)) => "file",
        Response::Descriptor(Descriptor::Data(_)) => "data-descriptor",
        Response::Data(_) => "data",
        Response::Setting(Setting::Plugin(_)) => "plugin",
        Response::Setting(Setting::Variable(..)) => "variable",
        Response::Setting(Setting::Collation(_)) => "collation",
        Response::Setting(Setting::PluginLibrary(..)) => "plugin-library",
        Response::Setting(Setting::Extra(..)) => "extra",
        Response::Setting(Setting::Json(..)) => "json",
        Response::Complete => "complete",
        Response::Error { .. } => "error",
    }
}

fn enter(options: &ConnectOptions) -> Connection {
    let mut connection = connect(options);
    connection.send_command(COM_CLONE, &[]).unwrap();
    assert_eq!(connection.read_packet().unwrap().first(), Some(&0));
    connection
}

fn setup(version: Version, locator: Option<Locator>) -> Setup {
    Setup {
        version,
        ddl: DdlWait {
            seconds: 300,
            blocks_ddl: false,
        },
        wish: innoclone_wire::clone::Wish::default(),
        locator,
    }
}

/// Begins a clone; `None` while the donor is busy with another one.
fn init(record: &mut Record, connection: &mut Connection, version: Version) -> Option<Locator> {
    let fresh = Some(Locator::default());
    record.send(connection, "init", &Command::Init(setup(version, fresh)));
    let mut clone = None;
    loop {
        match Response::decode(&record.receive(connection)).unwrap() {
            Response::Setting(_) => {}
            Response::Locators {
                version: common,
                locator,
            } => {
                assert_eq!(common, version);
                clone = Some(locator);
            }
            Response::Complete => return clone,
            Response::Error { code: 3634, .. } => return None,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_whole_clone_is_understood() {
    let server = support::start(&[]);
    server
        .sql(
            "CREATE USER c@'%' IDENTIFIED BY 'p'; GRANT BACKUP_ADMIN ON *.* TO c@'%'; \
             CREATE DATABASE test; CREATE TABLE test.t (id INT PRIMARY KEY); INSERT INTO test.t VALUES (1)",
        )
        .unwrap();
    let options = user(tcp(&server, "127.0.0.1"), "c", "p");
    let mut record = Record::default();
    let mut master = enter(&options);
    let clone = init(&mut record, &mut master, Version::V4).unwrap();
    assert!(clone.clone != 0 && clone.snapshot != 0);
    let mut helper = enter(&options);
    record.send(&mut master, "execute", &Command::Execute);
    let (mut files, mut stages) = (BTreeMap::new(), Vec::new());
    loop {
        let packet = record.receive(&mut master);
        match Response::decode(&packet).unwrap() {
            Response::Complete => break,
            Response::Descriptor(Descriptor::Stage(stage)) if !stage.acknowledges => {
                stages.push((stage.stage, stage.begins));
                if !stage.begins {
                    let ack = Ack {
                        error: 0,
                        locator: clone.clone(),
                        stage: Some(stage.acknowledgement()),
                    };
                    record.send(&mut helper, "ack", &Command::Ack(ack));
                    let answer = record.receive(&mut helper);
                    assert_eq!(Response::decode(&answer), Ok(Response::Complete));
                }
            }
            Response::Descriptor(Descriptor::File(file)) => {
                let name = String::from_utf8(file.name.clone()).unwrap();
                files.insert((file.stage, file.index), (name, file.space, file.size));
            }
            Response::Descriptor(Descriptor::Data(data)) => {
                let bytes = record.receive(&mut master);
                assert_eq!(bytes.first(), Some(&Response::DATA));
                assert_eq!(bytes.len() - 1, data.length as usize);
            }
            _ => {}
        }
    }
    let expected = [
        (Init, false),
        (FileCopy, true),
        (FileCopy, false),
        (PageCopy, true),
        (PageCopy, false),
        (RedoCopy, true),
        (RedoCopy, false),
        (Done, true),
    ];
    assert_eq!(stages, expected);
    let has = |name: &str| files.values().any(|(other, ..)| other == name);
    assert!(has("ibdata1") && has("mysql.ibd") && has("./test/t.ibd"));
    let redo = files.iter().find(|((stage, _), _)| *stage == RedoCopy);
    assert_eq!(redo.unwrap().1.1, FileDescriptor::REDO);
    record.send(&mut master, "exit", &Command::Exit);
    record.receive(&mut master);
    // Out of the protocol the connection is an ordinary one.
    master.ping().unwrap();

    // Older clients are told less. The donor may still be at the end of the clone before.
    for version in [Version::V1, Version::V2, Version::V3] {
        wait_until("the donor is free", || {
            let mut connection = enter(&options);
            let begun = init(&mut record, &mut connection, version).is_some();
            if begun {
                record.send(&mut connection, "exit", &Command::Exit);
                record.receive(&mut connection);
            }
            begun
        });
    }
    if let Some(path) = std::env::var_os("INNOCLONE_RECORD") {
        std::fs::write(path, sample(&record)).unwrap();
    }
}

/// A few packets of each kind, in hex.
fn sample(record: &Record) -> String {
    let mut counts = BTreeMap::new();
    let mut text = String::new();
    for (name, packet) in &record.0 {
        let count = counts.entry(*name).or_insert(0);
        *count += 1;
        if *count <= 6 {
            text += name;
            text.push(' ');
            for byte in packet {
                write!(text, "{byte:02x}").unwrap();
            }
            text.push('\n');
        }
    }
    text
}

/// What a server of version 9.7.4 and its client said. Made by the test above, with
/// `INNOCLONE_RECORD` set to the file's path.
const RECORDED: &str = include_str!("data/clone-9.7.4.txt");

fn recorded() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    RECORDED.lines().map(|line| {
        let (name, hex) = line.split_once(' ').unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (name, (0..hex.len()).step_by(2).map(byte).collect())
    })
}

#[test]
fn recorded_packets_say_what_they_said() {
    let mut kinds = BTreeMap::new();
    for (name, packet) in recorded() {
        *kinds.entry(name).or_insert(0) += 1;
        if matches!(name, "init" | "execute" | "ack" | "exit") {
            let command = Command::decode(&packet).unwrap();
            assert_eq!(
                (command.code(), command.body()),
                (packet[0], packet[1..].to_vec())
            );
        } else {
            let response = Response::decode(&packet).unwrap();
            assert_eq!(response.to_bytes(), packet);
            assert_eq!(name_of(&response), name);
        }
    }
    let names: Vec<_> = kinds.keys().copied().collect();
    let all = [
        "ack",
        "collation",
        "complete",
        "data-descriptor",
        "execute",
        "exit",
        "extra",
        "file",
        "init",
        "json",
        "locators",
        "plugin",
        "plugin-library",
        "stage-begins",
        "stage-ends",
        "task",
        "variable",
    ];
    assert_eq!(names, all);
}

#[test]
fn the_first_recorded_packets_in_words() {
    let first = |wanted| recorded().find(|(name, _)| *name == wanted).unwrap().1;
    let init = Command::Init(setup(Version::V4, Some(Locator::default())));
    assert_eq!(Command::decode(&first("init")), Ok(init));
    let packet = first("locators");
    let Response::Locators { version, locator } = Response::decode(&packet).unwrap() else {
        panic!("not a locator");
    };
    assert_eq!(version, Version::V4);
    assert_eq!((locator.stage, locator.has_files), (Init, false));
    let packet = first("file");
    let Response::Descriptor(Descriptor::File(file)) = Response::decode(&packet).unwrap() else {
        panic!("not a file");
    };
    assert_eq!((file.stage, file.index, file.first_chunk), (FileCopy, 0, 1));
}
