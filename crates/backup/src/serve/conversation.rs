//! One connection in the clone protocol.

use super::clones::{Clone, Refused};
use super::host::Host;
use super::settings::in_version;
use crate::recipient::wire::{MASTER, Next, Stopped};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use wire::Error;
use wire::clone::{
    Ack, Command, Descriptor, Locator, Response, Setup, Stage, StageDescriptor, TaskDescriptor,
    Version,
};
use wire::server::{Interruption, Raw, Session};

/// Speaks with a client until it leaves the protocol. An error ends the connection.
pub(super) fn converse(host: &dyn Host, session: &Session, raw: &mut Raw<'_>) -> Result<(), Error> {
    raw.write_ok()?;
    let mut conversation = Conversation {
        host,
        raw,
        role: Role::None,
        packet: Vec::new(),
        session,
    };
    let ended = conversation.run();
    conversation.depart(ended.is_err());
    ended
}

/// What a connection is to its clone.
#[derive(Debug)]
enum Role {
    /// Nothing yet; it may bring acknowledgements.
    None,
    /// It began the clone, or came back to it.
    Master(Arc<Clone>),
    /// It joined the clone, with this number.
    Worker(Arc<Clone>, u32),
    /// It has been sent everything.
    Served,
}

struct Conversation<'a, 'r> {
    host: &'a dyn Host,
    raw: &'a mut Raw<'r>,
    role: Role,
    packet: Vec<u8>,
    session: &'a Session,
}

impl Conversation<'_, '_> {
    fn run(&mut self) -> Result<(), Error> {
        loop {
            let mut packet = std::mem::take(&mut self.packet);
            self.read(&mut packet)?;
            let command = Command::decode_in(self.host.dialect(), &packet);
            self.packet = packet;
            let command = command.map_err(|malformed| {
                let what = format!("command of the clone protocol: {malformed}");
                Error::Protocol { what }
            })?;
            tracing::debug!(
                connection = self.session.id,
                command = command.code(),
                "clone command"
            );
            match command {
                Command::Init(setup) => self.init(&setup)?,
                Command::Attach(setup) => self.attach(&setup)?,
                Command::Reinit(setup) => self.reinit(&setup)?,
                Command::Execute => self.execute()?,
                Command::Ack(ack) => self.acknowledge(&ack)?,
                Command::Exit => {
                    self.depart(false);
                    self.role = Role::None;
                    return self.respond(&Response::Complete);
                }
            }
        }
    }

    /// The next command; clients may be busy for hours between two.
    fn read(&mut self, packet: &mut Vec<u8>) -> Result<(), Error> {
        self.raw.set_read_timeout(Some(TICK))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.raw.read(packet) {
                Err(Error::Timeout { .. }) if Instant::now() < deadline => self.check()?,
                read => return read,
            }
        }
    }

    /// Fails when this connection is to end.
    fn check(&self) -> Result<(), Error> {
        match self.raw.watch().interruption() {
            Some(Interruption::ConnectionKilled | Interruption::PeerGone) => Err(Error::Closed),
            _ => Ok(()),
        }
    }

    fn init(&mut self, setup: &Setup) -> Result<(), Error> {
        self.expect_no_role("INIT")?;
        let (clone, settings) = match self.host.begin(setup, self.session) {
            Ok(begun) => begun,
            Err(refused) => return self.refuse(&refused),
        };
        tracing::info!(
            clone = clone.id,
            connection = self.session.id,
            "clone begins"
        );
        self.role = Role::Master(Arc::clone(&clone));
        let version = setup.version.min(Version::V4);
        for setting in &settings {
            if let Some(setting) = in_version(setting, version) {
                self.respond(&Response::Setting(setting))?;
            }
        }
        self.accept(&clone, setup, Stage::Init)
    }

    fn reinit(&mut self, setup: &Setup) -> Result<(), Error> {
        self.expect_no_role("REINIT")?;
        let locator = setup.locator.as_ref();
        let locator = locator.ok_or_else(|| protocol("REINIT names no clone"))?;
        let clone = match self.host.resume(locator) {
            Ok(clone) => clone,
            Err(refused) => return self.refuse(&refused),
        };
        self.role = Role::Master(Arc::clone(&clone));
        self.accept(&clone, setup, clone.flow.stage())
    }

    fn attach(&mut self, setup: &Setup) -> Result<(), Error> {
        self.expect_no_role("ATTACH")?;
        let locator = setup.locator.as_ref();
        let clone = locator.and_then(|locator| self.host.find(locator));
        let clone = clone.ok_or_else(|| protocol("ATTACH to a clone that is not known"))?;
        let Some((task, stage)) = clone.flow.attach(ATTACH_PATIENCE) else {
            return self.refuse(&Refused {
                code: 3862,
                message: "no stage of the clone takes another connection".into(),
            });
        };
        self.role = Role::Worker(Arc::clone(&clone), task);
        self.accept(&clone, setup, stage)
    }

    /// Answers with the name of the clone, and the stage in which the connection joins it.
    fn accept(&mut self, clone: &Clone, setup: &Setup, stage: Stage) -> Result<(), Error> {
        if self.host.gives_keys() && !self.raw.is_tls() {
            return self.refuse(&Refused::new(NO_TLS.0, NO_TLS.1));
        }
        self.respond(&Response::Locators {
            version: setup.version.min(Version::V4),
            locator: Locator {
                server: self.host.server(),
                stage,
                ..clone.locator()
            },
        })?;
        self.respond(&Response::Complete)
    }

    /// An acknowledgement, or an error of the client, for a clone that another connection serves.
    fn acknowledge(&mut self, ack: &Ack) -> Result<(), Error> {
        let clone = self.host.find(&ack.locator);
        let clone = clone.ok_or_else(|| protocol("ACK of a clone that is not known"))?;
        if ack.error != 0 {
            tracing::info!(
                clone = clone.id,
                error = ack.error,
                "the client reports an error"
            );
            if is_network(ack.error) {
                self.host.lost(&clone);
            } else {
                clone.cancel(Stopped::Failed {
                    code: 1815,
                    message: format!("the client ended the clone with error {}", ack.error),
                });
            }
            return self.respond(&Response::Complete);
        }
        let stage = ack.stage.map(|descriptor| descriptor.stage);
        if !stage.is_some_and(|stage| clone.flow.acknowledge(stage)) {
            return Err(protocol("ACK of a stage that has not ended"));
        }
        self.respond(&Response::Complete)
    }

    /// Sends what there is to send, to the end of the clone.
    fn execute(&mut self) -> Result<(), Error> {
        let (clone, task) = match &self.role {
            Role::Master(clone) => (Arc::clone(clone), MASTER),
            Role::Worker(clone, task) => (Arc::clone(clone), *task),
            Role::None | Role::Served => return Err(protocol("EXECUTE without a clone")),
        };
        if task == MASTER {
            match self.host.start(&clone) {
                Ok(true) => {}
                Ok(false) => return Err(protocol("second EXECUTE")),
                Err(error) => {
                    let message = format!("cannot start a thread: {error}");
                    return self.refuse(&Refused {
                        code: 1135,
                        message,
                    });
                }
            }
        }
        self.describe(Descriptor::Task(TaskDescriptor {
            task,
            ..TaskDescriptor::default()
        }))?;
        let mut silent = Instant::now();
        // Since when the client has been told of the end of a stage.
        let mut ended = None;
        loop {
            self.check()?;
            let mut next = clone.flow.next(task, TICK);
            if !self.raw.is_tls() && clone.tls_only().load(Ordering::Acquire) {
                clone.cancel(Stopped::Failed {
                    code: NO_TLS.0,
                    message: NO_TLS.1.into(),
                });
                next = clone.flow.next(task, TICK);
            }
            match &next {
                Ok(Next::Begin(_)) => ended = None,
                Ok(Next::End(_)) => ended = Some(Instant::now()),
                _ => {}
            }
            match next {
                Ok(Next::Wait) => {
                    let patience = self.host.patience().acknowledge;
                    if task == MASTER && ended.is_some_and(|since| since.elapsed() > patience) {
                        clone.cancel(Stopped::Failed {
                            code: 1159,
                            message: format!(
                                "the client has not acknowledged the end of a stage for {patience:?}"
                            ),
                        });
                        continue;
                    }
                    if silent.elapsed() < SIGN_OF_LIFE {
                        continue;
                    }
                    self.describe(Descriptor::Stage(StageDescriptor {
                        stage: clone.flow.stage(),
                        task,
                        begins: true,
                        acknowledges: true,
                        ..StageDescriptor::default()
                    }))?;
                }
                Ok(Next::Complete) => break,
                Ok(next) => self.send(&clone, task, next)?,
                Err(Stopped::Interrupted) => return Err(Error::Closed),
                Err(Stopped::Failed { code, message }) => {
                    return self.refuse(&Refused { code, message });
                }
            }
            silent = Instant::now();
        }
        self.respond(&Response::Complete)?;
        clone.flow.leave(task);
        if task == MASTER {
            tracing::info!(clone = clone.id, "clone delivered");
            self.host.remove(&clone);
        }
        self.role = Role::Served;
        Ok(())
    }

    fn send(&mut self, clone: &Clone, task: u32, next: Next) -> Result<(), Error> {
        match next {
            Next::Begin(announcement) => {
                if task == MASTER {
                    for file in &announcement.before {
                        self.describe(Descriptor::File(file.clone()))?;
                    }
                }
                let stage = announcement.stage;
                let (estimate, estimate_disk) = if task == MASTER {
                    (stage.estimate, stage.estimate_disk)
                } else {
                    (0, 0)
                };
                self.describe(Descriptor::Stage(StageDescriptor {
                    task,
                    estimate,
                    estimate_disk,
                    ..stage
                }))?;
                if task == MASTER {
                    self.send(clone, task, Next::Files(announcement))?;
                }
            }
            Next::Files(announcement) => {
                for file in &announcement.files {
                    self.describe(Descriptor::File(file.clone()))?;
                }
                if task == MASTER {
                    clone.flow.announced(announcement.stage.stage);
                }
            }
            Next::Data(block) => {
                let data = wire::clone::DataDescriptor { task, ..block.data };
                self.describe(Descriptor::Data(data))?;
                self.raw.write(&[Response::DATA], &block.bytes)?;
                clone.flow.give_back(block.bytes);
            }
            Next::End(stage) => {
                self.describe(Descriptor::Stage(StageDescriptor { task, ..stage }))?;
            }
            Next::Wait | Next::Complete => {}
        }
        Ok(())
    }

    /// The connection ends. A clone that was not completed on it waits for its client.
    fn depart(&mut self, broken: bool) {
        let (Role::Master(clone) | Role::Worker(clone, _)) = &self.role else {
            return;
        };
        if broken {
            tracing::info!(
                clone = clone.id,
                connection = self.session.id,
                "connection of a clone lost"
            );
            self.host.lost(clone);
        } else {
            // It was left by EXIT, before its end.
            clone.cancel(Stopped::Failed {
                code: 1317,
                message: "the client has left the clone".into(),
            });
            self.host.remove(clone);
        }
    }

    /// Ends the conversation with an error that the client's user is shown.
    fn refuse(&mut self, refused: &Refused) -> Result<(), Error> {
        if let Role::Master(clone) | Role::Worker(clone, _) = &self.role {
            self.host.remove(clone);
            self.role = Role::Served;
        }
        self.respond(&Response::Error {
            code: refused.code.into(),
            message: refused.message.clone(),
        })?;
        Err(Error::Closed)
    }

    fn expect_no_role(&self, command: &str) -> Result<(), Error> {
        match self.role {
            Role::None => Ok(()),
            _ => Err(protocol(&format!("{command} on a connection of a clone"))),
        }
    }

    fn describe(&mut self, descriptor: Descriptor) -> Result<(), Error> {
        self.respond(&Response::Descriptor(descriptor))
    }

    fn respond(&mut self, response: &Response<'_>) -> Result<(), Error> {
        let mut packet = Vec::new();
        response.encode_in(self.host.dialect(), &mut packet);
        self.raw.write(&packet, &[])
    }
}

fn protocol(what: &str) -> Error {
    Error::Protocol {
        what: format!("clone protocol: {what}"),
    }
}

/// Errors after which a client comes back: those of the network.
fn is_network(error: i32) -> bool {
    matches!(error, 1152..=1161 | 1184 | 2006 | 2013)
}

/// As a stock donor says it.
const NO_TLS: (u16, &str) = (3872, "Clone needs SSL connection for encrypted table.");
/// How often to look up while waiting.
const TICK: Duration = Duration::from_secs(1);
/// How long a client may do nothing: as with a stock donor.
const PATIENCE: Duration = Duration::from_secs(8 * 3600);
/// How long a connection waits to join. A stock client gives up after 30 seconds.
const ATTACH_PATIENCE: Duration = Duration::from_secs(20);
/// A stock client gives up on a connection that is silent for 30 seconds.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
