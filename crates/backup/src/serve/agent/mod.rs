//! An agent: the instance of this host as donor of fulls and increments over the network.
//!
//! It speaks GreatSQL's dialect of the clone protocol, in which a client says which LSN it wants the
//! changes since, and answers the questions of [`crate::agent`]. One clone runs at a time. A
//! client that loses its connections may come back to it for some minutes.

mod face;
mod slot;

pub use face::AgentFace;

use self::slot::{Held, Slot};
use super::clones::{Clone, Refused};
use super::host::Host;
use super::settings;
use crate::agent::{self, BaseTold, BaseWeighed, InstanceTold, SnapshotTold};
use crate::donor::instance::{self, IncrementFrom, InstanceDonor, InstanceOptions};
use crate::donor::remote::KeysByClone;
use crate::recipient::Recipient;
use crate::recipient::wire::{LiveRecipient, Secrets, Stopped};
use crate::{Error, Job, JobOptions, Result, Sealing, engine};
use innodb::lsn::Lsn;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wire::ConnectOptions;
use wire::clone::{Dialect, Locator, Setting, Setup};
use wire::server::Session;

/// Which instance, and how.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// The instance, on this host.
    pub connect: ConnectOptions,
    /// Its data directory, where it is not where the server says.
    pub datadir: Option<PathBuf>,
    /// A directory with room for the pages that change between two backups.
    pub spool: PathBuf,
    /// How each clone may use the machine.
    pub job: JobOptions,
}

/// The instance of this host as donor.
#[derive(Debug)]
pub struct AgentDonor {
    options: AgentOptions,
    told: InstanceTold,
    slot: Slot,
    /// The base that the next increment is on.
    base: Mutex<Option<(BaseTold, BaseWeighed)>>,
    stopping: AtomicBool,
}

impl AgentDonor {
    /// Looks at the instance, and whether it can be backed up.
    pub fn open(options: AgentOptions) -> Result<Arc<Self>> {
        let told = instance::describe(&options.connect, options.datadir.as_deref())?;
        Ok(Arc::new(Self {
            options,
            told,
            slot: Slot::default(),
            base: Mutex::default(),
            stopping: AtomicBool::new(false),
        }))
    }

    /// What the endpoint greets with: the version of the instance, and that this is an agent.
    pub fn version(&self) -> String {
        agent::greeting(&self.told.server.version)
    }

    /// Number of clones under way, or waiting for their client to come back: 0 or 1.
    pub fn clones(&self) -> usize {
        usize::from(self.slot.is_taken())
    }

    /// Ends the clone, and lets no more begin.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.slot.stop();
    }

    /// The instance as it is now: it may have been started again.
    fn instance(&self) -> Result<InstanceTold> {
        instance::describe(&self.options.connect, self.options.datadir.as_deref())
    }

    /// What an increment on this base would be.
    fn weigh(&self, base: BaseTold) -> Result<BaseWeighed> {
        let (connect, datadir) = (&self.options.connect, self.options.datadir.as_deref());
        let weighed = instance::weigh(connect, datadir, &base)?;
        let mut next = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some((base, weighed));
        Ok(weighed)
    }

    /// What the clone of this number has become.
    fn snapshot(&self, clone: u64) -> Option<Arc<SnapshotTold>> {
        self.slot.snapshot(clone)
    }

    /// What a client wants, in the donor's terms.
    fn wanted(&self, setup: &Setup) -> InstanceOptions {
        let start = Lsn::new(setup.wish.start_lsn);
        let told = self
            .base
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let from = match told {
            _ if start == Lsn::ZERO => None,
            Some((base, weighed)) if weighed.start == start => {
                Some(IncrementFrom::Told(Box::new(base)))
            }
            // Of its base nothing is known but the LSN.
            _ => Some(IncrementFrom::StartLsn(start)),
        };
        InstanceOptions {
            datadir: self.options.datadir.clone(),
            page_track: setup.wish.page_track,
            from,
            lock_wait_timeout: Duration::from_secs(setup.ddl.seconds.into()),
            ..InstanceOptions::new(self.options.connect.clone())
        }
    }

    /// Makes and sends a clone.
    fn run(&self, clone: &Clone, held: &Held) -> Result<()> {
        let job = Job::new(&self.options.job, clone.cancelled());
        let secrets = Secrets {
            keys: Arc::new(Sealing::handing_on()),
            tls_only: clone.tls_only(),
        };
        let keys = KeysByClone::new(&self.options.connect, Arc::clone(&secrets.keys));
        let options = InstanceOptions {
            keys: Some(Arc::new(keys)),
            ..held.options.clone()
        };
        let mut donor = InstanceDonor::open(options, &job).map_err(|e| job.cause(e))?;
        if held.options.from.is_none() && !donor.copies_without_lock() {
            // DDL is blocked until the client has received the files.
            held.returning.bind();
        }
        let flow = Arc::clone(&clone.flow);
        let returning = Arc::clone(&held.returning);
        let base = match &held.options.from {
            Some(IncrementFrom::Told(base)) => Some(base.digest()),
            _ => None,
        };
        let recipient = LiveRecipient::new(flow, returning, &self.options.spool, base, secrets)?;
        let recipient: Arc<dyn Recipient> = Arc::new(recipient);
        engine::run(&mut donor, &recipient, &job).map(drop)
    }
}

impl Host for Arc<AgentDonor> {
    fn dialect(&self) -> Dialect {
        Dialect::GreatSql
    }

    fn server(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let digits = self.told.server.uuid.replace('-', "");
        let number = u128::from_str_radix(&digits, 16).unwrap_or_default();
        bytes.copy_from_slice(&number.to_be_bytes());
        bytes
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn peer_timeout(&self) -> Option<Duration> {
        Some(PEER_TIMEOUT)
    }

    fn begin(
        &self,
        setup: &Setup,
        session: &Session,
    ) -> Result<(Arc<Clone>, Vec<Setting>), Refused> {
        let clone = self.slot.begin(self.wanted(setup))?;
        tracing::info!(
            clone = clone.id,
            user = session.login.user,
            peer = %session.login.peer,
            start_lsn = setup.wish.start_lsn,
            page_track = setup.wish.page_track,
            "a client asks for a clone"
        );
        let settings = settings::of_server(&self.told.server, self.patience().away_minutes)
            .map_err(|error| {
                self.slot.remove(&clone);
                Refused::new(error.code(), error.to_string())
            })?;
        Ok((clone, settings))
    }

    fn resume(&self, locator: &Locator) -> Result<Arc<Clone>, Refused> {
        self.slot.resume(locator)
    }

    fn find(&self, locator: &Locator) -> Option<Arc<Clone>> {
        self.slot.find(locator)
    }

    fn start(&self, clone: &Arc<Clone>) -> io::Result<bool> {
        if !clone.begins() {
            return Ok(false);
        }
        let Some(held) = self.slot.take_request(clone) else {
            // Its client came back: it is being sent already.
            return Ok(true);
        };
        clone.flow.join();
        let (agent, clone) = (Arc::clone(self), Arc::clone(clone));
        let thread = std::thread::Builder::new().name(format!("clone {}", clone.id));
        thread.spawn(move || match agent.run(&clone, &held) {
            Ok(()) => tracing::info!(clone = clone.id, "clone complete"),
            Err(Error::Cancelled) => {
                tracing::info!(clone = clone.id, "clone ended early");
                // Nobody is left to come back to it.
                agent.slot.forget(clone.id);
            }
            Err(error) => {
                tracing::error!(clone = clone.id, %error, "clone failed");
                clone.cancel(Stopped::Failed {
                    code: error.code(),
                    message: with_hint(&error),
                });
            }
        })?;
        Ok(true)
    }

    fn lost(&self, clone: &Clone) {
        self.slot.lost(clone);
    }

    fn remove(&self, clone: &Clone) {
        self.slot.remove(clone);
    }
}

/// An error, and what to do about it, for a user elsewhere.
fn with_hint(error: &Error) -> String {
    match error.hint() {
        Some(hint) if !hint.is_empty() => format!("{error}. {hint}"),
        _ => error.to_string(),
    }
}

/// How long the host of a client may not confirm what it is sent. Signs of life are sent all the
/// time.
const PEER_TIMEOUT: Duration = Duration::from_secs(60);
