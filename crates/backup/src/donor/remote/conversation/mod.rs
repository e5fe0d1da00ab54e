//! The connections of one clone, and how they come back when they are lost.
//!
//! A clone has a master, workers, and an auxiliary connection that acknowledges the ends of
//! stages, because the master is busy reading. A stage is acknowledged when every connection has
//! received its end. When a connection is lost all are given up; the master comes back with what
//! has been received, and the donor, which waits for some minutes, goes on from there.

mod coming_back;
mod stages;

use super::chunks::Chunks;
use super::link::{BUSY, Link, LinkError, Network, SILENCE, is_busy, kind_of, protocol};
use super::run::Run;
use crate::{Error, Job, Result};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use wire::clone::{
    Ack, Command, DdlWait, Descriptor, Locator, Response, Setting, Setup, Stage, StageDescriptor,
    Version,
};

/// How long a donor is given to notice that a client is gone, ourselves or the one before us. While
/// it waits for one it writes to it every five seconds, and the second time that fails.
const LINGER: Duration = Duration::from_secs(20);

/// How long a donor may take to let a worker in.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pause between two attempts at something that may work later. Each one is some lines in the
/// donor's error log.
const AGAIN: Duration = Duration::from_secs(1);

/// The connections of one clone.
#[derive(Debug)]
pub(in crate::donor::remote) struct Conversation {
    pub network: Network,
    locator: Locator,
    /// The run of the donor that has the clone.
    run: Option<Run>,
    links: Option<Links>,
    workers: usize,
    /// What the donor said of itself.
    pub settings: Vec<Setting>,
    /// The stage that the master is in, for the donor when we come back.
    stage: Stage,
    /// The stage has ended, and the next one not begun.
    between: bool,
    /// Whether all files of FILE COPY have been announced.
    has_files: bool,
    /// What was received of the stage.
    chunks: Mutex<Chunks>,
    /// How often connections were lost.
    pub lost: u32,
}

#[derive(Debug)]
struct Links {
    /// The master first.
    data: Vec<Link>,
    helper: Link,
}

impl Conversation {
    /// Connects and begins a clone with `connections` connections for data.
    pub(in crate::donor::remote) fn open(
        network: Network,
        connections: usize,
        job: &Job,
    ) -> Result<Self> {
        let mut conversation = Self {
            network,
            locator: Locator::default(),
            run: None,
            links: None,
            workers: connections.clamp(1, MAX_CONNECTIONS) - 1,
            settings: Vec::new(),
            stage: Stage::Init,
            between: true,
            has_files: false,
            chunks: Mutex::default(),
            lost: 0,
        };
        let begin = Instant::now();
        let mut told = false;
        loop {
            match conversation.begin(job) {
                Ok(links) => {
                    conversation.links = Some(links);
                    return Ok(conversation);
                }
                // A donor notices late that a client is gone.
                Err(LinkError::Failed(error))
                    if is_busy(&error)
                        && (conversation.network.options.wait_for_donor
                            || begin.elapsed() < LINGER) =>
                {
                    if !told {
                        tracing::info!("the donor serves another clone: waiting");
                    }
                    told = true;
                    conversation.network.mend();
                    job.sleep(AGAIN)?;
                }
                Err(error) => return Err(error.into_error("begin the clone")),
            }
        }
    }

    /// How many connections carry data.
    pub(in crate::donor::remote) fn connections(&self) -> usize {
        self.workers + 1
    }

    /// The donor's number of the clone.
    pub(in crate::donor::remote) fn clone_id(&self) -> u64 {
        self.locator.clone
    }

    /// The first connections of a new clone.
    fn begin(&mut self, job: &Job) -> Result<Links, LinkError> {
        let (mut master, run) = Link::enter_seeing_run(&self.network, job, true)?;
        self.run = run;
        let setup = self.setup(Some(Locator::default()));
        master.send(&Command::Init(setup))?;
        let patience = self.network.options.ddl_timeout + BUSY;
        self.settings.clear();
        let mut locator = None;
        loop {
            match master.receive(&self.network, job, patience)? {
                Response::Setting(setting) if self.settings.len() < MAX_SETTINGS => {
                    self.settings.push(setting);
                }
                Response::Locators { locator: clone, .. } => locator = Some(clone),
                Response::Complete => break,
                other => return Err(unexpected(&other, "the answer to INIT")),
            }
        }
        self.locator = locator.ok_or_else(|| protocol("a clone without a locator"))?;
        let helper = Link::enter(&self.network, job)?;
        master.send(&Command::Execute)?;
        let data = vec![master];
        Ok(Links { data, helper })
    }

    fn setup(&self, locator: Option<Locator>) -> Setup {
        // Zero would make any DDL the end of the clone.
        let seconds = self.network.options.ddl_timeout.as_secs().clamp(1, 1 << 30);
        Setup {
            version: Version::V4,
            ddl: DdlWait {
                seconds: seconds as u32,
                blocks_ddl: false,
            },
            wish: self.network.wish,
            locator,
        }
    }

    /// Adds the workers to a new clone, which its FILE COPY has begun: the donor lets nobody in
    /// before that. Nor once it has sent everything to the master, which happens when the whole
    /// instance has room in the buffers of the network. Then the master goes on alone.
    pub(in crate::donor::remote) fn add_workers(&mut self, job: &Job) -> Result<()> {
        let mut added = Vec::new();
        for _ in 0..self.workers {
            match self.attach(PATIENCE, job) {
                Ok(worker) => added.push(worker),
                Err(LinkError::Failed(error)) if error.code() == NOBODY_ELSE => {
                    tracing::info!("the donor takes no more connections");
                    break;
                }
                Err(LinkError::Failed(error)) => return Err(error),
                Err(LinkError::Lost(why)) => {
                    tracing::info!("the donor takes no more connections");
                    self.network.cut();
                    self.workers = 0;
                    return self.come_back(why, job);
                }
            }
        }
        self.workers = added.len();
        let execute = |worker: &mut Link| worker.send(&Command::Execute);
        let links = self.links.as_mut().ok_or_else(closed)?;
        match added.iter_mut().try_for_each(execute) {
            Ok(()) => {
                links.data.append(&mut added);
                Ok(())
            }
            Err(LinkError::Failed(error)) => Err(error),
            Err(LinkError::Lost(why)) => self.come_back(why, job),
        }
    }

    /// Adds the workers that did not come back with the master.
    pub(in crate::donor::remote) fn complete_workers(&mut self, job: &Job) -> Result<()> {
        let there = self.links.as_ref().map_or(0, |links| links.data.len());
        if there == 1 && self.workers > 0 {
            self.add_workers(job)?;
        }
        Ok(())
    }

    /// A worker that has joined the clone.
    fn attach(&self, patience: Duration, job: &Job) -> Result<Link, LinkError> {
        let mut worker = Link::enter(&self.network, job)?;
        let setup = self.setup(Some(self.locator.clone()));
        worker.send(&Command::Attach(setup))?;
        self.locators(&mut worker, patience, job)?;
        Ok(worker)
    }

    /// Reads the answer to ATTACH or REINIT.
    fn locators(&self, link: &mut Link, patience: Duration, job: &Job) -> Result<(), LinkError> {
        match link.receive(&self.network, job, patience)? {
            Response::Locators { locator, .. } if locator.is_same_clone(&self.locator) => {}
            other => return Err(unexpected(&other, "the clone's locator")),
        }
        link.complete(&self.network, job)
    }

    /// Everything has been received: lets the donor end the clone. What fails here takes nothing
    /// away from what we have, unless the donor itself reports an error.
    pub(in crate::donor::remote) fn finish(
        &mut self,
        end: StageDescriptor,
        job: &Job,
    ) -> Result<()> {
        let mut acknowledge = Some(end);
        for attempt in 0..MOST_ENDINGS {
            let why = match self.try_finish(&mut acknowledge, job) {
                Ok(()) => break,
                Err(LinkError::Lost(why)) => why,
                Err(LinkError::Failed(error)) if attempt == 0 => return Err(error),
                Err(LinkError::Failed(error)) => {
                    tracing::debug!(%error, "the donor did not end the clone in good order");
                    break;
                }
            };
            tracing::debug!(error = %why, "the connection was lost after everything had arrived");
            // Else the donor would wait for us: it should be told, but we can do without it.
            self.links = None;
            self.lost += 1;
            let patience = self.network.options.connect_retry.min(LINGER);
            if patience.is_zero() {
                break;
            }
            if let Err(error) = self.rejoin(&why, patience, job) {
                tracing::debug!(%error, "the donor was not told that everything has arrived");
                break;
            }
            acknowledge = None;
        }
        Ok(())
    }

    fn try_finish(
        &mut self,
        acknowledge: &mut Option<StageDescriptor>,
        job: &Job,
    ) -> Result<(), LinkError> {
        if let Some(end) = acknowledge.take() {
            self.acknowledge(end, job)?;
        }
        let count = self.links.as_ref().map_or(0, |links| links.data.len());
        for number in 0..count {
            loop {
                let links = self.links.as_mut();
                let link = links.and_then(|links| links.data.get_mut(number));
                let link = link.ok_or_else(closed)?;
                match link.receive(&self.network, job, SILENCE)? {
                    Response::Descriptor(Descriptor::Stage(stage))
                        if number == 0
                            && stage.stage == self.stage
                            && !stage.begins
                            && !stage.acknowledges =>
                    {
                        // After a lost connection: the acknowledgement did not arrive.
                        self.acknowledge(stage, job)?;
                    }
                    Response::Descriptor(
                        Descriptor::Stage(_) | Descriptor::Task(_) | Descriptor::File(_),
                    ) => {}
                    Response::Complete => break,
                    other => return Err(unexpected(&other, "the end of the clone")),
                }
            }
        }
        let Some(mut links) = self.links.take() else {
            return Ok(());
        };
        // The donor's master waits for the others; if one of them is lost, until we come back.
        while let Some(link) = links.data.pop() {
            link.leave(&self.network, job)?;
        }
        let left = links.helper.leave(&self.network, job);
        if let Err(error) = left {
            tracing::debug!(?error, "the clone has ended all the same");
        }
        Ok(())
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        if let Some(links) = &mut self.links {
            // Else the donor would wait for us to come back.
            let over = Ack {
                error: INTERRUPTED,
                locator: self.locator.clone(),
                stage: None,
            };
            links.helper.last_words(&Command::Ack(over));
        }
    }
}

fn unexpected(response: &Response<'_>, wanted: &str) -> LinkError {
    LinkError::Failed(protocol(format!(
        "expected {wanted}, found {}",
        kind_of(response)
    )))
}

fn closed() -> Error {
    Error::refused(2013, "the connection to the donor is closed", "")
}

/// A donor of innoclone's has nothing left for another connection to send.
const NOBODY_ELSE: u16 = 3862;
/// How often the end of a clone is tried before it is left to the donor's patience.
const MOST_ENDINGS: u32 = 20;
/// Query execution was interrupted.
const INTERRUPTED: i32 = 1317;
/// As many tasks as a donor gives one clone.
const MAX_CONNECTIONS: usize = 128;
/// A donor has some hundred plugins and collations.
const MAX_SETTINGS: usize = 10_000;
