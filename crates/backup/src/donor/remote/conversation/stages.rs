//! Stages: what announces one, what it delivers on all connections, its end.

use super::{Conversation, closed, unexpected};
use crate::donor::remote::chunks::Chunks;
use crate::donor::remote::files::Files;
use crate::donor::remote::intake::{Intake, Sink, Step};
use crate::donor::remote::link::{BUSY, Link, LinkError, Network, SILENCE, kind_of, protocol};
use crate::{Job, Result};
use std::sync::{Mutex, PoisonError};
use wire::clone::{Ack, Command, Descriptor, Response, Stage, StageDescriptor};

impl Conversation {
    /// Reads the end of INIT, which is to be acknowledged before anything comes.
    pub(in crate::donor::remote) fn first_end(&mut self, job: &Job) -> Result<StageDescriptor> {
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
    pub(in crate::donor::remote) fn next_stage(
        &mut self,
        end: StageDescriptor,
        stage: Stage,
        files: &mut Files,
        job: &Job,
    ) -> Result<StageDescriptor> {
        self.between = true;
        let mut acknowledge = Some(end);
        let mut begun: Option<StageDescriptor> = None;
        loop {
            match self.try_next(&mut acknowledge, &mut begun, stage, files, job) {
                Ok(begin) => {
                    self.stage = stage;
                    self.has_files = true;
                    self.between = false;
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
                && files.all().len() >= files_of(begin)
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

    pub(super) fn acknowledge(&mut self, end: StageDescriptor, job: &Job) -> Result<(), LinkError> {
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
    pub(in crate::donor::remote) fn receive(
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
    pub(in crate::donor::remote) fn blocks(&self) -> u64 {
        self.chunks().blocks()
    }

    pub(super) fn chunks(&self) -> std::sync::MutexGuard<'_, Chunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Files that are announced behind the begin of a stage, or were before. An increment begins with
/// PAGE COPY, and has its files there.
fn files_of(begin: StageDescriptor) -> usize {
    match begin.stage {
        Stage::FileCopy => begin.files as usize,
        Stage::PageCopy => begin.extra.data_files as usize,
        _ => 0,
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
