//! Coming back to a clone after a connection was lost.

use super::{AGAIN, BUSY, Conversation, Links, NOBODY_ELSE};
use crate::donor::remote::chunks::Chunks;
use crate::donor::remote::link::{Link, LinkError, is_busy};
use crate::{Error, Job, Result};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use wire::clone::{Ack, Command, Locator, Stage};

impl Conversation {
    /// Comes back to the clone after a connection was lost. `why` is reported when that does not
    /// work in time.
    pub(super) fn come_back(&mut self, why: wire::Error, job: &Job) -> Result<()> {
        self.links = None;
        self.lost += 1;
        let patience = self.network.options.connect_retry;
        let too_early = self.stage < Stage::FileCopy && !self.network.is_agent;
        if too_early || patience.is_zero() {
            return Err(Error::server("receive from the donor", why));
        }
        tracing::warn!(error = %why, "the connection to the donor was lost: coming back");
        self.rejoin(&why, patience, job)
    }

    /// Chunks of the stage.
    pub(in crate::donor::remote) fn chunks_of_stage(&self) -> u32 {
        self.chunks().total()
    }

    /// Has the donor send, of the stage, only what is missing in `chunks`: breaks off, and comes
    /// back as after a lost connection.
    pub(in crate::donor::remote) fn ask_again(&mut self, chunks: Chunks, job: &Job) -> Result<()> {
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

    pub(super) fn rejoin(
        &mut self,
        why: &wire::Error,
        patience: Duration,
        job: &Job,
    ) -> Result<()> {
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
        let (mut master, run) = Link::enter_seeing_run(&self.network, job, true)?;
        if let (Some(then), Some(now)) = (&self.run, &run)
            && then.ended_before(now)
        {
            return Err(LinkError::Failed(Error::refused(
                2013,
                "the donor was started again, and no longer has the clone",
                "Run the backup again.",
            )));
        }
        master.send(&Command::Reinit(self.setup(Some(locator.clone()))))?;
        self.locators(&mut master, patience, job)?;
        let mut data = vec![master];
        // An agent that has nothing to send yet lets nobody in.
        let workers = if self.network.is_agent && self.between {
            0
        } else {
            self.workers
        };
        for _ in 0..workers {
            match self.attach(patience, job) {
                Ok(worker) => data.push(worker),
                // Of the stage nothing is left but its end, and the master is told of that.
                Err(LinkError::Failed(error)) if error.code() == NOBODY_ELSE => break,
                Err(error) => return Err(error),
            }
        }
        let helper = Link::enter(&self.network, job)?;
        for link in &mut data {
            link.send(&Command::Execute)?;
        }
        Ok(Links { data, helper })
    }
}

/// An error of the network ("error reading communication packets"): the donor waits for the client
/// to come back.
const BROKEN_OFF: i32 = 1158;

/// Whether what the donor said when we came back may be over soon: it may not have noticed yet
/// that we were gone.
fn may_pass(error: &Error) -> bool {
    let crowded = matches!(error, Error::Server { source, .. } if source.code() == Some(1040));
    is_busy(error) || crowded || is_not_idle(error)
}

/// Whether the connections before have not ended yet. A server waits some seconds for them, and
/// keeps the clone.
fn is_not_idle(error: &Error) -> bool {
    matches!(error, Error::Donor { code: 1815, message, .. } if message.contains("idle state"))
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
