//! The connections of one clone, and how they come back when they are lost.
//!
//! A clone has a master, workers, and an auxiliary connection that acknowledges the ends of
//! stages, because the master is busy reading. A stage is acknowledged when every connection has
//! received its end. When a connection is lost all are given up; the master comes back with what
//! has been received, and the donor, which waits for some minutes, goes on from there.

use super::chunks::Chunks;
use super::files::Files;
use super::intake::{Intake, Sink, Step};
use super::link::{BUSY, Link, LinkError, Network, SILENCE, is_busy, kind_of, protocol};
use crate::{Error, Job, Result};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::clone::{
    Ack, Command, DdlWait, Descriptor, Locator, Response, Setting, Setup, Stage, StageDescriptor,
    Version,
};

/// How long a donor is given to notice that the client before us is gone.
const LINGER: Duration = Duration::from_secs(10);

/// How long a donor may take to let a worker in.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pause between two attempts at something that may work later. Each one is some lines in the
/// donor's error log.
const AGAIN: Duration = Duration::from_secs(1);

/// The connections of one clone.
#[derive(Debug)]
pub(super) struct Conversation {
    pub network: Network,
    locator: Locator,
    links: Option<Links>,
    workers: usize,
    /// What the donor said of itself.
    pub settings: Vec<Setting>,
    /// The stage that the master is in, for the donor when we come back.
    stage: Stage,
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
    pub(super) fn open(network: Network, connections: usize, job: &Job) -> Result<Self> {
        let mut conversation = Self {
            network,
            locator: Locator::default(),
            links: None,
            workers: connections.clamp(1, MAX_CONNECTIONS) - 1,
            settings: Vec::new(),
            stage: Stage::Init,
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
    pub(super) fn connections(&self) -> usize {
        self.workers + 1
    }

    /// The first connections of a new clone.
    fn begin(&mut self, job: &Job) -> Result<Links, LinkError> {
        let mut master = Link::enter(&self.network, job)?;
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
            locator,
        }
    }

    /// Adds the workers to a new clone, which its FILE COPY has begun: the donor lets nobody in
    /// before that. Nor once it has sent everything to the master, which happens when the whole
    /// instance has room in the buffers of the network. Then the master goes on alone.
    pub(super) fn add_workers(&mut self, job: &Job) -> Result<()> {
        let mut added = Vec::new();
        for _ in 0..self.workers {
            match self.attach(PATIENCE, job) {
                Ok(worker) => added.push(worker),
                Err(LinkError::Failed(error)) => return Err(error),
                Err(LinkError::Lost(why)) => {
                    tracing::info!("the donor takes no more connections");
                    self.network.cut();
                    self.workers = 0;
                    return self.come_back(why, job);
                }
            }
        }
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

    /// Comes back to the clone after a connection was lost. `why` is reported when that does not
    /// work in time.
    fn come_back(&mut self, why: wire::Error, job: &Job) -> Result<()> {
        self.links = None;
        self.lost += 1;
        let patience = self.network.options.connect_retry;
        if self.stage < Stage::FileCopy || patience.is_zero() {
            return Err(Error::server("receive from the donor", why));
        }
        tracing::warn!(error = %why, "the connection to the donor was lost: coming back");
        self.rejoin(&why, patience, job)
    }

    /// Chunks of the stage.
    pub(super) fn chunks_of_stage(&self) -> u32 {
        self.chunks().total()
    }

    /// Has the donor send, of the stage, only what is missing in `chunks`: breaks off, and comes
    /// back as after a lost connection.
    pub(super) fn ask_again(&mut self, chunks: Chunks, job: &Job) -> Result<()> {
        self.chunks = Mutex::new(chunks);
        if let Some(links) = &mut self.links {
            let ack = Ack {
                error: BROKEN_OFF,
                locator: self.locator.clone(),
                stage: None,
            };
            let helper = &mut links.helper;
            let told = helper.send(&Command::Ack(ack));
            if let Err(error) = told.and_then(|()| helper.complete(&self.network, job)) {
                // It will notice that the connections are closed.
                tracing::debug!(?error, "the donor was not told that we break off");
            }
        }
        self.links = None;
        let patience = self.network.options.connect_retry.max(BUSY);
        self.rejoin(&wire::Error::Closed, patience, job)
    }

    fn rejoin(&mut self, why: &wire::Error, patience: Duration, job: &Job) -> Result<()> {
        let received = {
            let mut chunks = self.chunks();
            chunks.resume();
            chunks.received()
        };
        let locator = Locator {
            stage: self.stage,
            has_files: self.has_files,
            received: Some(received),
            ..self.locator.clone()
        };
        let begin = Instant::now();
        loop {
            job.check()?;
            self.network.mend();
            let links = self.reinit(&locator, job);
            match links {
                Ok(links) => {
                    tracing::info!("the clone goes on where it was");
                    self.links = Some(links);
                    return Ok(());
                }
                Err(LinkError::Failed(error)) if !may_pass(&error) => {
                    tracing::warn!(%error, "the donor does not go on");
                    return Err(lost_for_good(why, &error));
                }
                Err(error) => {
                    let error = error.into_error("come back to the donor");
                    if begin.elapsed() >= patience {
                        return Err(lost_for_good(why, &error));
                    }
                    tracing::debug!(%error, "trying again");
                }
            }
            job.sleep(AGAIN)?;
        }
    }

    /// Goes on with a clone. The workers join before anything is sent: a donor that has sent
    /// everything lets nobody in.
    fn reinit(&self, locator: &Locator, job: &Job) -> Result<Links, LinkError> {
        let patience = self.network.options.ddl_timeout + BUSY;
        let mut master = Link::enter(&self.network, job)?;
        master.send(&Command::Reinit(self.setup(Some(locator.clone()))))?;
        self.locators(&mut master, patience, job)?;
        let mut data = vec![master];
        for _ in 0..self.workers {
            data.push(self.attach(patience, job)?);
        }
        let helper = Link::enter(&self.network, job)?;
        for link in &mut data {
            link.send(&Command::Execute)?;
        }
        Ok(Links { data, helper })
    }

    /// Reads the end of INIT, which is to be acknowledged before anything comes.
    pub(super) fn first_end(&mut self, job: &Job) -> Result<StageDescriptor> {
        let (network, links) = (&self.network, self.links.as_mut());
        let master = links.and_then(|links| links.data.first_mut());
        let master = master.ok_or_else(closed)?;
        loop {
            let response = master.receive(network, job, SILENCE);
            match response.map_err(|e| e.into_error("begin the clone"))? {
                Response::Descriptor(Descriptor::Task(_)) => {}
                Response::Descriptor(Descriptor::Stage(stage)) => match stage.stage {
                    _ if stage.acknowledges => {}
                    Stage::Init if !stage.begins => return Ok(stage),
                    other => return Err(protocol(format!("{other:?} instead of INIT"))),
                },
                other => return Err(protocol(kind_of(&other))),
            }
        }
    }

    /// Acknowledges the end of the stage before and reads, on the master, up to the begin of
    /// `stage`: what DDL has done to the files, and for FILE COPY their list.
    pub(super) fn next_stage(
        &mut self,
        end: StageDescriptor,
        stage: Stage,
        files: &mut Files,
        job: &Job,
    ) -> Result<StageDescriptor> {
        let mut acknowledge = Some(end);
        let mut begun: Option<StageDescriptor> = None;
        loop {
            match self.try_next(&mut acknowledge, &mut begun, stage, files, job) {
                Ok(begin) => {
                    self.stage = stage;
                    self.has_files = true;
                    self.chunks = Mutex::new(Chunks::new(begin.chunks)?);
                    return Ok(begin);
                }
                Err(LinkError::Failed(error)) => return Err(error),
                Err(LinkError::Lost(why)) => {
                    if begun.is_some() {
                        // The donor is in the stage; it sends the list again.
                        self.stage = stage;
                    }
                    self.come_back(why, job)?;
                    // Whether the acknowledgement arrived shows in what comes: the end of the
                    // stage again, or the next one.
                    acknowledge = None;
                }
            }
        }
    }

    fn try_next(
        &mut self,
        acknowledge: &mut Option<StageDescriptor>,
        begun: &mut Option<StageDescriptor>,
        stage: Stage,
        files: &mut Files,
        job: &Job,
    ) -> Result<StageDescriptor, LinkError> {
        loop {
            if let Some(end) = acknowledge.take() {
                self.acknowledge(end, job)?;
            }
            if let Some(begin) = *begun
                && (stage != Stage::FileCopy || files.all().len() >= begin.files as usize)
            {
                return Ok(begin);
            }
            let (network, links) = (&self.network, self.links.as_mut());
            let master = links.and_then(|links| links.data.first_mut());
            let master = master.ok_or_else(closed)?;
            match master.receive(network, job, BUSY)? {
                Response::Descriptor(Descriptor::Task(_)) => {}
                Response::Descriptor(Descriptor::File(file)) if file.stage <= stage => {
                    // Redo files are announced once their stage has begun.
                    files.apply(&file)?;
                }
                Response::Descriptor(Descriptor::Stage(found)) if found.acknowledges => {}
                Response::Descriptor(Descriptor::Stage(found)) if found.stage == stage => {
                    if !found.begins {
                        return Err(LinkError::Failed(protocol(format!(
                            "{stage:?} ends before it has begun"
                        ))));
                    }
                    *begun = Some(found);
                }
                Response::Descriptor(Descriptor::Stage(found)) if found.stage < stage => {
                    // The acknowledgement did not arrive.
                    if !found.begins {
                        *acknowledge = Some(found);
                    }
                }
                other => return Err(unexpected(&other, "the begin of a stage")),
            }
        }
    }

    fn acknowledge(&mut self, end: StageDescriptor, job: &Job) -> Result<(), LinkError> {
        let ack = Ack {
            error: 0,
            locator: self.locator.clone(),
            stage: Some(end.acknowledgement()),
        };
        let (network, links) = (&self.network, self.links.as_mut());
        let helper = &mut links.ok_or_else(closed)?.helper;
        helper.send(&Command::Ack(ack))?;
        helper.complete(network, job)
    }

    /// Receives all of the stage, on all connections, into `sink`; the end to be acknowledged.
    pub(super) fn receive(
        &mut self,
        stage: Stage,
        sink: &dyn Sink,
        job: &Job,
    ) -> Result<StageDescriptor> {
        loop {
            match self.round(stage, sink, job) {
                Ok(end) => return Ok(end),
                Err(LinkError::Failed(error)) => return Err(error),
                Err(LinkError::Lost(why)) => self.come_back(why, job)?,
            }
        }
    }

    /// One attempt at a stage: until all connections have its end, or one is lost.
    fn round(
        &mut self,
        stage: Stage,
        sink: &dyn Sink,
        job: &Job,
    ) -> Result<StageDescriptor, LinkError> {
        let (network, chunks) = (&self.network, &self.chunks);
        let links = self.links.as_mut().ok_or_else(closed)?;
        // What happens first is the cause of what happens to the others.
        let first = Mutex::new(None);
        let read = |link: &mut Link| {
            let mut intake = Intake::new(stage, chunks, sink);
            let result = read_stage(link, network, &mut intake, job);
            result
                .map_err(|error| {
                    let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert(error);
                    // The others wait for a donor that waits for this one.
                    network.cut();
                })
                .ok()
        };
        let ends: Vec<Option<StageDescriptor>> = std::thread::scope(|scope| {
            let links = links.data.iter_mut();
            let threads: Vec<_> = links.map(|link| scope.spawn(|| read(link))).collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            // A panic there would already have ended the process.
            joined.map(|end| end.ok().flatten()).collect()
        });
        if let Some(error) = first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        // The master's is the one to acknowledge.
        let end = ends.first().copied().flatten();
        self.chunks().complete_all();
        end.ok_or_else(|| LinkError::Failed(closed()))
    }

    /// Blocks received in this stage.
    pub(super) fn blocks(&self) -> u64 {
        self.chunks().blocks()
    }

    fn chunks(&self) -> std::sync::MutexGuard<'_, Chunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything has been received: lets the donor end the clone. What fails here takes nothing
    /// away from what we have, unless the donor itself reports an error.
    pub(super) fn finish(&mut self, end: StageDescriptor, job: &Job) -> Result<()> {
        let ended = self.try_finish(end, job);
        match ended {
            Ok(()) => Ok(()),
            Err(LinkError::Failed(error)) => Err(error),
            Err(LinkError::Lost(error)) => {
                tracing::debug!(%error, "the connection was lost after everything had arrived");
                Ok(())
            }
        }
    }

    fn try_finish(&mut self, end: StageDescriptor, job: &Job) -> Result<(), LinkError> {
        self.acknowledge(end, job)?;
        let network = &self.network;
        let Some(mut links) = self.links.take() else {
            return Ok(());
        };
        for link in &mut links.data {
            loop {
                match link.receive(network, job, SILENCE)? {
                    Response::Descriptor(Descriptor::Stage(_)) => {}
                    Response::Complete => break,
                    other => return Err(unexpected(&other, "the end of the clone")),
                }
            }
        }
        // The donor's master waits for the others.
        for link in links.data.drain(..).rev() {
            link.leave(network, job);
        }
        links.helper.leave(network, job);
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

fn read_stage(
    link: &mut Link,
    network: &Network,
    intake: &mut Intake<'_>,
    job: &Job,
) -> Result<StageDescriptor, LinkError> {
    loop {
        let response = link.receive(network, job, SILENCE)?;
        if let Step::Ended(end) = intake.take(&response)? {
            return Ok(end);
        }
    }
}

/// Whether what the donor said when we came back may be over soon: it may not have noticed yet
/// that we were gone.
fn may_pass(error: &Error) -> bool {
    is_busy(error) || matches!(error, Error::Server { source, .. } if source.code() == Some(1040))
}

fn lost_for_good(why: &wire::Error, error: &Error) -> Error {
    Error::refused(
        2013,
        format!(
            "the connection to the donor was lost ({why}), and the clone does not go on: {error}"
        ),
        "See the donor's error log. What was copied so far is marked incomplete; run the backup again.",
    )
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

/// An error of the network ("error reading communication packets"): the donor waits for the client
/// to come back.
const BROKEN_OFF: i32 = 1158;

/// Query execution was interrupted.
const INTERRUPTED: i32 = 1317;
/// As many tasks as a donor gives one clone.
const MAX_CONNECTIONS: usize = 128;
/// A donor has some hundred plugins and collations.
const MAX_SETTINGS: usize = 10_000;
