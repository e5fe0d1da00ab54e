//! A client of the clone protocol that does as the tests want.

use super::Endpoint;
use wire::Connection;
use wire::clone::{
    Ack, Command, DdlWait, Descriptor, Locator, Response, Setup, Stage, StageDescriptor, Version,
    Wish,
};

pub fn setup(locator: Option<Locator>) -> Setup {
    Setup {
        version: Version::V4,
        ddl: DdlWait {
            seconds: 300,
            blocks_ddl: false,
        },
        wish: Wish::default(),
        locator,
    }
}

pub fn send(client: &mut Connection, command: &Command) {
    client
        .send_command(command.code(), &command.body())
        .unwrap();
}

/// Reads to the end of an answer; the clone's name, if it is in it.
pub fn complete(client: &mut Connection) -> Option<Locator> {
    let mut found = None;
    loop {
        let packet = client.read_packet().unwrap();
        match Response::decode(&packet).unwrap() {
            Response::Locators { locator, .. } => found = Some(locator),
            Response::Complete => return found,
            Response::Setting(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Reads descriptors until one that is wanted.
pub fn until(client: &mut Connection, wanted: impl Fn(&Descriptor) -> bool) -> Descriptor {
    loop {
        let packet = client.read_packet().unwrap();
        match Response::decode(&packet).unwrap() {
            Response::Descriptor(descriptor) if wanted(&descriptor) => return descriptor,
            Response::Descriptor(_) | Response::Data(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A clone that was begun: its first connection, executing, and its name.
pub fn begin(endpoint: &Endpoint) -> (Connection, Locator) {
    let mut client = endpoint.raw();
    send(&mut client, &Command::Init(setup(None)));
    let locator = complete(&mut client).unwrap();
    send(&mut client, &Command::Execute);
    (client, locator)
}

/// Acknowledges the end of INIT, so that data come.
pub fn acknowledge(endpoint: &Endpoint, client: &mut Connection, locator: &Locator) {
    let end = until(
        client,
        |descriptor| matches!(descriptor, Descriptor::Stage(stage) if stage.stage == Stage::Init && !stage.begins),
    );
    let Descriptor::Stage(stage) = end else {
        unreachable!()
    };
    let mut helper = endpoint.raw();
    let ack = Ack {
        error: 0,
        locator: locator.clone(),
        stage: Some(StageDescriptor {
            acknowledges: true,
            ..stage
        }),
    };
    send(&mut helper, &Command::Ack(ack));
    complete(&mut helper);
}

pub fn is_sign_of_life(descriptor: &Descriptor) -> bool {
    matches!(descriptor, Descriptor::Stage(stage) if stage.begins && stage.acknowledges)
}

/// Waits until all connections have ended.
pub fn gone(endpoint: &Endpoint) {
    testkit::wait_until("its connections have ended", || {
        endpoint.server.connections().count() == 0
    });
}
