//! Donor: the instance of another host, by an agent of innoclone there.
//!
//! FILE COPY of a full is received as from any donor. Everything else comes when the agent has it
//! complete: the pages that changed, and no others, in PAGE COPY; the log, and the files that are not
//! InnoDB's, in REDO COPY. What the protocol has no place for is asked, see [`crate::agent`].

mod asking;
mod base;
mod others;
mod receiving;

use self::base::AgentBase;
use self::others::OthersSink;
use super::conversation::Conversation;
use super::deliver::{self, Delivering};
use super::files::Files;
use super::link::Network;
use super::options::RemoteOptions;
use super::receiving::Receiving;
use super::{NetworkDonor, connections_for, out_of_order};
use crate::agent::{InstanceTold, SnapshotTold};
use crate::donor::Donor;
use crate::donor::instance::session::Session;
use crate::donor::server::is_supported;
use crate::recipient::{Recipient, Snapshot};
use crate::set::SetKind;
use crate::{Error, Job, Result, Sealing, Stage};
use innodb::geometry::PageSize;
use innodb::lsn::Lsn;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wire::clone::{Stage as CloneStage, StageDescriptor, Wish};

/// The instance of an agent.
#[derive(Debug)]
pub(super) struct AgentDonor {
    session: Session,
    options: RemoteOptions,
    told: InstanceTold,
    page_size: PageSize,
    base: Option<AgentBase>,
    files: Files,
    /// Where the set is made: what has no place there yet is kept beside it.
    scratch: PathBuf,
    receiving: Receiving,
    /// The begin of FILE COPY of a full.
    file_begin: Option<StageDescriptor>,
    others: Option<OthersSink>,
    delivering: Delivering,
    /// What the clone has become.
    whole: Option<SnapshotTold>,
    snapshot: Option<Snapshot>,
    source: String,
}

impl AgentDonor {
    /// Checks everything that can be checked before something is written, and begins the clone.
    pub(super) fn open(
        mut session: Session,
        options: RemoteOptions,
        scratch: &Path,
        job: &Job,
    ) -> Result<Self> {
        let told = asking::instance(&mut session)?;
        if !is_supported(&told.server.version) {
            return Err(Error::refused(
                1105,
                format!("the agent's instance is of version {}", told.server.version),
                "innoclone works with MySQL 8.0.30 and later, and servers made from it.",
            ));
        }
        let page_size = PageSize::new(told.page_size)
            .map_err(|_| super::link::protocol(format!("pages of {} bytes", told.page_size)))?;
        let base = match &options.from {
            Some(from) => Some(AgentBase::find(from, &told, options.scan, &mut session)?),
            None => None,
        };
        let source = options.connect.endpoint.to_string();
        let connections = connections_for(job.parallel(), options.network_rate, page_size);
        let wish = Wish {
            page_track: options.page_track,
            start_lsn: base.as_ref().map_or(0, |base| base.start.get()),
            // What is stored compressed may come in any order too.
            compression: 0,
        };
        let network = Network::new(options.clone()).with_agent(wish);
        let mut conversation = Conversation::open(network, connections, job)?;
        let sealing = options.encryption_key.clone().map(Sealing::new);
        let mut files = Files::new(page_size).with_keys(sealing.map(Arc::new));
        let mut end = Some(conversation.first_end(job)?);
        let mut file_begin = None;
        if base.is_none()
            && let Some(end) = end.take()
        {
            let stage = CloneStage::FileCopy;
            // What cannot be backed up shows in the list of files.
            file_begin = Some(conversation.next_stage(end, stage, &mut files, job)?);
        }
        Ok(Self {
            session,
            options,
            told,
            page_size,
            base,
            files,
            scratch: scratch.to_owned(),
            receiving: Receiving::new(conversation, end),
            file_begin,
            others: None,
            delivering: Delivering::default(),
            whole: None,
            snapshot: None,
            source,
        })
    }

    fn kind(&self) -> SetKind {
        if self.base.is_some() {
            SetKind::Increment
        } else {
            SetKind::Full
        }
    }

    fn begin_file_copy(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        self.receiving.make_spool(&self.scratch)?;
        let threads = self.receiving.conversation()?.connections();
        let Some(begin) = self.file_begin else {
            job.progress.begin(Stage::FileCopy, threads, 0);
            return Ok(());
        };
        job.progress.begin(Stage::FileCopy, threads, begin.estimate);
        self.receiving.conversation()?.add_workers(job)?;
        recipient.begin(Stage::FileCopy, &deliver::plan_of_full(&self.files)?)
    }
}

impl Donor for AgentDonor {
    fn begin(&mut self, stage: Stage, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        match stage {
            Stage::FileCopy => self.begin_file_copy(recipient, job),
            Stage::PageCopy => self.begin_page_copy(recipient, job),
            Stage::RedoCopy => self.redo_copy(recipient, job),
            Stage::DropData | Stage::FileSync => Ok(()),
        }
    }

    fn work(&self, stage: Stage, recipient: &dyn Recipient, job: &Job) -> Result<()> {
        match stage {
            Stage::FileCopy => self
                .receiving
                .receive_files(&self.files, None, recipient, job),
            Stage::PageCopy => {
                let spool = self.receiving.spool()?;
                self.delivering.work(&self.files, spool, recipient, job)
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, _stage: Stage, _: &Arc<dyn Recipient>, _job: &Job) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self, _recipient: &dyn Recipient, _job: &Job) -> Result<Snapshot> {
        self.snapshot.take().ok_or_else(out_of_order)
    }
}

impl NetworkDonor for AgentDonor {
    fn connection_id(&self) -> u64 {
        self.session.id()
    }

    fn start_lsn(&self) -> Lsn {
        self.base.as_ref().map_or(Lsn::ZERO, |base| base.start)
    }

    fn source(&self) -> &str {
        &self.source
    }

    fn estimate_disk(&self) -> u64 {
        let begin = self.file_begin.as_ref();
        begin.map_or(0, |begin| begin.estimate_disk)
    }

    fn scratch(&self) -> &Path {
        &self.scratch
    }
}
