//! One connection in the clone protocol.

use super::options::RemoteOptions;
use super::run::Run;
use crate::donor::connecting::connect;
use crate::io::Throttle;
use crate::{Error, Job, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wire::Connection;
use wire::clone::{COM_CLONE, Command, Dialect, Response, Wish};

/// How often a wait for the donor looks whether the job was cancelled.
const POLL: Duration = Duration::from_millis(200);

/// How long a donor that should say something may say nothing. While it waits it gives a sign of
/// life every five seconds.
pub(super) const SILENCE: Duration = Duration::from_secs(120);

/// How long the donor may be busy before its answer to INIT, besides the wait for DDL.
pub(super) const BUSY: Duration = Duration::from_secs(300);

/// Why a connection does not go on.
#[derive(Debug)]
pub(super) enum LinkError {
    /// It is gone: a new one is the remedy.
    Lost(wire::Error),
    /// No other connection would help.
    Failed(Error),
}

impl From<Error> for LinkError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl LinkError {
    fn of(action: &'static str, error: wire::Error) -> Self {
        if error.is_connection_lost() {
            Self::Lost(error)
        } else {
            Self::Failed(Error::server(action, error))
        }
    }

    /// The error when nothing is tried again.
    pub(super) fn into_error(self, action: &'static str) -> Error {
        match self {
            Self::Lost(error) => Error::server(action, error),
            Self::Failed(error) => error,
        }
    }
}

/// What the connections of a clone share.
#[derive(Debug)]
pub(super) struct Network {
    pub options: RemoteOptions,
    throttle: Throttle,
    /// Whether connections are to be given up.
    cut: AtomicBool,
    /// How the donor speaks.
    dialect: Dialect,
    /// Whether the donor lets a client come back before there are files, and while no stage is open.
    pub is_agent: bool,
    /// What is asked of a donor that can give more than a full.
    pub wish: Wish,
}

impl Network {
    pub(super) fn new(options: RemoteOptions) -> Self {
        Self {
            throttle: Throttle::new(options.network_rate),
            options,
            cut: AtomicBool::new(false),
            dialect: Dialect::Stock,
            is_agent: false,
            wish: Wish::default(),
        }
    }

    /// With an agent of innoclone.
    pub(super) fn with_agent(self, wish: Wish) -> Self {
        Self {
            is_agent: true,
            ..self.in_dialect(Dialect::GreatSql, wish)
        }
    }

    /// With a donor that speaks otherwise.
    pub(super) fn in_dialect(self, dialect: Dialect, wish: Wish) -> Self {
        Self {
            dialect,
            wish,
            ..self
        }
    }

    /// Has everybody give their connections up. They stay open: the donor is not to take it for a
    /// failure of the network while it can still be told what happened.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Allows connections again.
    pub(super) fn mend(&self) {
        self.cut.store(false, Ordering::Relaxed);
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }
}

/// One connection in the clone protocol.
#[derive(Debug)]
pub(super) struct Link {
    connection: Connection,
    packet: Vec<u8>,
    dialect: Dialect,
}

impl Link {
    /// Logs in and enters the protocol.
    pub(super) fn enter(network: &Network, job: &Job) -> Result<Self, LinkError> {
        Ok(Self::enter_seeing_run(network, job, false)?.0)
    }

    /// The same; if `ask`, the donor first says which run of it this is.
    pub(super) fn enter_seeing_run(
        network: &Network,
        job: &Job,
        ask: bool,
    ) -> Result<(Self, Option<Run>), LinkError> {
        const ACTION: &str = "connect to the donor";
        let options = &network.options.connect;
        let connection = connect(options, job)?.map_err(|error| match error {
            // A donor that is being started again refuses connections.
            wire::Error::Connect { .. } => LinkError::Lost(error),
            other => LinkError::of(ACTION, other),
        })?;
        let mut link = Self {
            connection,
            packet: Vec::new(),
            dialect: network.dialect,
        };
        let lost = |error| LinkError::of(ACTION, error);
        let mut run = None;
        if ask {
            let limit = link.connection.set_read_timeout(Some(SILENCE));
            limit.map_err(lost)?;
            run = Run::ask(&mut link.connection).map_err(lost)?;
        }
        // Blocks of 64 pages of up to 64 KiB each, and what is around them.
        link.connection.set_max_allowed_packet(MAX_PACKET);
        let prepare = |link: &mut Self| {
            link.connection.set_read_timeout(Some(POLL))?;
            link.connection.set_write_timeout(Some(SILENCE))?;
            link.connection.send_command(COM_CLONE, &[])
        };
        prepare(&mut link).map_err(lost)?;
        link.read(network, job, SILENCE)?;
        if let Some(error) = wire::Error::from_packet(&link.packet) {
            return Err(not_entered(error, &options.user));
        }
        Ok((link, run))
    }

    /// Sends a command.
    pub(super) fn send(&mut self, command: &Command) -> Result<(), LinkError> {
        self.connection
            .send_command(command.code(), &command.body_in(self.dialect))
            .map_err(|error| LinkError::of("send to the donor", error))
    }

    /// The next response; an error of the donor is an error here. Fails when the donor is silent
    /// for longer than `silence`.
    pub(super) fn receive(
        &mut self,
        network: &Network,
        job: &Job,
        silence: Duration,
    ) -> Result<Response<'_>, LinkError> {
        self.read(network, job, silence)?;
        match Response::decode_in(self.dialect, &self.packet) {
            Ok(Response::Error { code, message }) => {
                Err(LinkError::Failed(donor_error(code, &message)))
            }
            Ok(response) => Ok(response),
            Err(malformed) => Err(LinkError::Failed(protocol(malformed.to_string()))),
        }
    }

    /// Reads up to the end of an answer that has nothing in it.
    pub(super) fn complete(&mut self, network: &Network, job: &Job) -> Result<(), LinkError> {
        match self.receive(network, job, SILENCE)? {
            Response::Complete => Ok(()),
            other => Err(LinkError::Failed(protocol(format!(
                "expected the end of an answer, found {}",
                kind_of(&other)
            )))),
        }
    }

    fn read(&mut self, network: &Network, job: &Job, silence: Duration) -> Result<(), LinkError> {
        let mut silent = Duration::ZERO;
        loop {
            job.check()?;
            if network.is_cut() {
                return Err(LinkError::Lost(wire::Error::Closed));
            }
            match self.connection.read_packet_into(&mut self.packet) {
                Ok(()) => break,
                Err(wire::Error::Timeout { .. }) if silent < silence => silent += POLL,
                Err(error) => return Err(LinkError::of("receive from the donor", error)),
            }
        }
        let bytes = self.packet.len() as u64;
        job.progress.count_read(bytes);
        // After reading: while we wait the network's own flow control slows the donor down.
        network.throttle.take(bytes, || job.check())?;
        job.throttle(bytes)?;
        Ok(())
    }

    /// Tells the donor something last, and waits a moment for it to have been heard.
    pub(super) fn last_words(&mut self, command: &Command) {
        let mut said = self.send(command).is_ok();
        for _ in 0..MOMENTS {
            if !said {
                return;
            }
            let read = self.connection.read_packet_into(&mut self.packet);
            said = matches!(read, Err(wire::Error::Timeout { .. }));
        }
    }

    /// Leaves the protocol.
    pub(super) fn leave(mut self, network: &Network, job: &Job) -> Result<(), LinkError> {
        self.send(&Command::Exit)?;
        self.complete(network, job)?;
        self.connection.close();
        Ok(())
    }
}

/// Why the donor does not speak the clone protocol with us.
fn not_entered(error: wire::Error, user: &str) -> LinkError {
    match error.code() {
        Some(1227) => LinkError::Failed(Error::Privilege {
            privilege: "BACKUP_ADMIN",
            grant: format!("GRANT BACKUP_ADMIN ON *.* TO {};", wire::quote_string(user)),
        }),
        Some(1524) => LinkError::Failed(Error::NoClonePlugin),
        _ => LinkError::of("begin the clone protocol", error),
    }
}

/// An error that the donor reports.
fn donor_error(code: i32, message: &str) -> Error {
    let code = u16::try_from(code).unwrap_or(1105);
    let hint = match code {
        BUSY_DONOR => {
            "Wait until the other clone has ended, or have it waited for by --wait-for-donor."
        }
        3633 => "Run the backup when no DDL runs, or allow more time by --lock-wait-timeout.",
        3872 => {
            "The donor encrypts tablespaces or its logs, and sends their keys over TLS only: connect \
             with --ssl-mode=REQUIRED or better, and give --encryption-key-file."
        }
        _ => "See the donor's error log.",
    };
    Error::Donor {
        code,
        message: message.to_owned(),
        hint,
    }
}

/// A donor that does not keep to the protocol.
pub(super) fn protocol(what: impl std::fmt::Display) -> Error {
    Error::refused(
        3863,
        format!("the donor does not keep to the clone protocol: {what}"),
        "Nothing usable was left behind. See whether the donor's version is supported.",
    )
}

/// What a response is, without what it holds.
pub(super) fn kind_of(response: &Response<'_>) -> &'static str {
    match response {
        Response::Locators { .. } => "locators",
        Response::Descriptor(_) => "a descriptor",
        Response::Data(_) => "data",
        Response::Setting(_) => "a setting",
        Response::Complete => "the end of an answer",
        Response::Error { .. } => "an error",
    }
}

/// Whether the donor serves another clone, or has not yet given up one whose client is gone.
pub(super) fn is_busy(error: &Error) -> bool {
    match error {
        Error::Donor { code, message, .. } => {
            *code == BUSY_DONOR || (*code == 1815 && message.contains("idle clone"))
        }
        _ => false,
    }
}

/// "Too many concurrent clone operations".
const BUSY_DONOR: u16 = 3634;

/// Polls that last words take at most: who cancels a clone of a donor that does not listen does not
/// wait for long.
const MOMENTS: u32 = 4;
const MAX_PACKET: usize = 64 << 20;
