//! Donor: any server that speaks the clone protocol, over the network.
//!
//! The donor runs the algorithm; this side receives. FILE COPY of a full goes straight into the
//! backup set. Everything else is kept in a [`spool::Spool`] until the donor has sent all: only then
//! it is known which files there are, what they are called and which pages came again. So the
//! donor is never held up by us, and the recipient gets plans as from any other donor.
//!
//! An increment of a donor that knows nothing of increments: of a file that the base has, the pages
//! whose LSN is at least that of the base's checkpoint. Everything travels, what has not changed is
//! not kept.

mod agent;
mod base;
mod chunks;
mod conversation;
mod counters;
mod deliver;
mod ending;
mod executed;
mod facts;
mod failure;
mod files;
#[cfg(test)]
mod hostile;
mod intake;
mod keys;
mod keys_of_instance;
mod leave_out;
mod left_out;
mod link;
mod logged;
mod names;
mod options;
mod page_list;
mod receiving;
mod redo;
mod run;
mod sinks;
mod spool;

pub use options::RemoteOptions;

use self::base::Base;
use self::conversation::Conversation;
use self::deliver::Delivering;
use self::executed::Executed;
use self::facts::Facts;
use self::files::Files;
pub(crate) use self::keys_of_instance::KeysByClone;
use self::leave_out::Watch;
use self::link::Network;
use self::page_list::PageList;
use self::receiving::Receiving;
use self::redo::RedoSink;
use self::sinks::PageSink;
pub(crate) use self::spool::Spool;
use super::Donor;
use super::instance::session::Session;
use super::instance::watch::CancelWatch;
use crate::recipient::{Recipient, Snapshot, StagePlan, free_space};
use crate::set::SetKind;
use crate::{Error, Job, Result, Sealing, Stage};
use innodb::geometry::PageSize;
use innodb::lsn::Lsn;
use innodb::trx_sys::PositionScan;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wire::clone::Stage as CloneStage;
use wire::clone::{Dialect, StageDescriptor, Wish};

/// A donor over the network.
pub trait NetworkDonor: Donor {
    /// Number of the control connection in the donor.
    fn connection_id(&self) -> u64;

    /// The LSN after which changes are wanted; zero for a full backup.
    fn start_lsn(&self) -> Lsn;

    /// Host and port of the donor.
    fn source(&self) -> &str;

    /// Bytes that the donor's files take on its disk; zero for an increment.
    fn estimate_disk(&self) -> u64;

    /// Where the set is made.
    fn scratch(&self) -> &Path;

    /// Refuses a disk that has no room for the donor's files, of a full backup; if they are to be
    /// compressed, only says so.
    fn check_room(&self, compressed: bool) -> Result<()> {
        let need = self.estimate_disk();
        if need == 0 {
            return Ok(());
        }
        let free = free_space(self.scratch())?;
        if free >= need {
            return Ok(());
        }
        if !compressed {
            return Err(Error::NoSpace { need, free });
        }
        tracing::warn!(
            uncompressed = need,
            free,
            "the disk has room only if the files compress well"
        );
        Ok(())
    }
}

/// Connects, finds out whom with, and checks everything that can be checked before something is
/// written. `scratch` is a directory with room for pages that changed during the backup; it must
/// exist when FILE COPY begins.
pub fn connect(options: RemoteOptions, scratch: &Path, job: &Job) -> Result<Box<dyn NetworkDonor>> {
    let session = Session::open_for(job, &options.connect, options.ddl_timeout)?;
    if crate::agent::is_agent(session.server_version()) {
        tracing::info!("the donor is an agent of innoclone");
        let donor = agent::AgentDonor::open(session, options, scratch, job)?;
        return Ok(Box::new(donor));
    }
    let donor = RemoteDonor::open(session, options, scratch, job)?;
    Ok(Box::new(donor))
}

/// A server that is cloned over the network.
#[derive(Debug)]
struct RemoteDonor {
    facts: Facts,
    base: Option<Base>,
    session: Session,
    watch: Watch,
    page_list: Option<PageList>,
    files: Files,
    /// The begin of FILE COPY.
    file_begin: StageDescriptor,
    /// Where the set is made: what has no place there yet is kept beside it.
    scratch: PathBuf,
    receiving: Receiving,
    delivering: Delivering,
    redo: Option<RedoSink>,
    positions: PositionScan,
    /// The executed transactions before and after the moment of the snapshot.
    executed: [Option<Executed>; 2],
    snapshot: Option<Snapshot>,
    source: String,
    /// Wakes a statement that waits when the job is cancelled.
    _cancel: CancelWatch,
}

impl RemoteDonor {
    fn open(
        mut session: Session,
        options: RemoteOptions,
        scratch: &Path,
        job: &Job,
    ) -> Result<Self> {
        let cancel = CancelWatch::start(&session, job)?;
        let mut facts = Facts::ask(&mut session)?;
        let sealing = options.encryption_key.clone().map(Sealing::new);
        if let Some(name) = facts.encrypts.filter(|_| sealing.is_none()) {
            return Err(keys::encrypted(name));
        }
        let base = match &options.from {
            Some(from) => {
                let page_size = facts.page_size.get();
                let base = Base::find(from, &facts.record.uuid, page_size)?;
                base.check_reached(&mut session)?;
                Some(base)
            }
            None => None,
        };
        let source = options.connect.endpoint.to_string();
        let dialect = facts.dialect();
        let mut options = options;
        if dialect == Dialect::GreatSql {
            tracing::warn!(
                "the donor is GreatSQL: its dialect of the clone protocol is known from its source, \
                 and untested against a real one; verify the set, and restore it once"
            );
            // Nothing is left out by what is known of other servers.
            options.scan = true;
        }
        let mut watch = Watch::begin(&mut session);
        let mut page_list = watch.prepare(&mut session, &options, base.as_ref())?;
        let connections = connections_for(job.parallel(), options.network_rate, facts.page_size);
        let network = Network::new(options).in_dialect(dialect, Wish::default());
        let mut conversation = Conversation::open(network, connections, job)?;
        facts.told(&conversation.settings);
        // What cannot be backed up shows in the list of files.
        let mut files = Files::new(facts.page_size).with_keys(sealing.map(Arc::new));
        let end = conversation.first_end(job)?;
        let file_begin = conversation.next_stage(end, CloneStage::FileCopy, &mut files, job)?;
        if let Some(list) = &mut page_list {
            list.announced(&mut session);
        }
        Ok(Self {
            source,
            base,
            session,
            watch,
            page_list,
            files,
            file_begin,
            scratch: scratch.to_owned(),
            receiving: Receiving::new(conversation, None),
            delivering: Delivering::default(),
            redo: None,
            positions: PositionScan::new(facts.page_size),
            executed: [None, None],
            snapshot: None,
            facts,
            _cancel: cancel,
        })
    }

    fn begin_file_copy(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        self.receiving.make_spool(&self.scratch)?;
        let begin = self.file_begin;
        let threads = self.receiving.conversation()?.connections();
        job.progress.begin(Stage::FileCopy, threads, begin.estimate);
        if self.base.is_some() {
            return self.leave_out(begin.estimate, job);
        }
        self.receiving.conversation()?.add_workers(job)?;
        let plan = deliver::plan_of_full(&self.files)?;
        recipient.begin(Stage::FileCopy, &plan)?;
        deliver::add_buffer_pool(&self.files, &**recipient)
    }

    /// Receives PAGE COPY and REDO COPY to their end and lets the donor go, then tells the
    /// recipient what there is.
    fn begin_page_copy(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        self.count_files()?;
        let (mut conversation, end) = self.receiving.take()?;
        let begin = conversation.next_stage(end, CloneStage::PageCopy, &mut self.files, job)?;
        let pages = u64::from(begin.files) * u64::from(self.facts.page_size.get());
        job.progress
            .begin(Stage::PageCopy, conversation.connections(), pages);
        let spool = self.receiving.spool()?;
        let sink = PageSink {
            files: &self.files,
            spool,
            progress: &job.progress,
        };
        let end = conversation.receive(CloneStage::PageCopy, &sink, job)?;
        let (pages, received) = (u64::from(begin.files), conversation.blocks());
        tracing::info!(
            pages,
            received,
            "pages that changed during the copy received"
        );
        self.executed[0] = Executed::ask(&mut self.session);
        let begin = conversation.next_stage(end, CloneStage::RedoCopy, &mut self.files, job)?;
        self.executed[1] = Executed::ask(&mut self.session);
        job.progress.expect(Stage::PageCopy, begin.estimate);
        let spool_of_redo = Spool::new(&self.scratch, "#clone/#received_redo")?;
        let redo = RedoSink::new(spool_of_redo, self.files.keys().cloned(), job);
        let end = conversation.receive(CloneStage::RedoCopy, &redo, job)?;
        conversation.finish(end, job)?;
        if conversation.lost > 0 {
            tracing::info!(
                times = conversation.lost,
                "connections were lost and replaced"
            );
        }
        drop(conversation);
        tracing::info!("the donor has sent everything");
        self.count_writes();
        sinks::check_received(&self.files, pages.saturating_sub(received))?;
        self.redo = Some(redo);
        let spool = self.receiving.spool()?;
        deliver::add_first_pages(&self.files, spool, self.facts.version_number())?;
        keys::check(&mut self.files, spool)?;
        let plan: StagePlan =
            self.delivering
                .plan(&self.files, self.base.as_ref(), recipient.turn())?;
        recipient.begin(Stage::PageCopy, &plan)
    }

    fn redo_copy(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        job.progress.begin(Stage::RedoCopy, 1, 0);
        let spool = self.receiving.spool()?;
        let redo = self.redo.take().ok_or_else(out_of_order)?;
        let (files, base) = (&self.files, self.base.as_ref());
        deliver::add_plain(files, base, spool, &**recipient)?;
        deliver::system_page(files, spool, &mut self.positions)?;
        let facts = redo.deliver(self.facts.page_size, recipient, &mut self.positions, job)?;
        deliver::set_lengths(files, &**recipient)?;
        self.snapshot = Some(self.describe(&facts)?);
        Ok(())
    }
}

impl Donor for RemoteDonor {
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
            Stage::FileCopy => {
                let base = self.base.as_ref();
                self.receiving
                    .receive_files(&self.files, base, recipient, job)
            }
            Stage::PageCopy => {
                self.delivering
                    .work(&self.files, self.receiving.spool()?, recipient, job)
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

impl NetworkDonor for RemoteDonor {
    fn connection_id(&self) -> u64 {
        self.session.id()
    }

    fn start_lsn(&self) -> Lsn {
        Self::start_lsn(self)
    }

    fn source(&self) -> &str {
        &self.source
    }

    fn estimate_disk(&self) -> u64 {
        match &self.base {
            Some(_) => 0,
            None => self.file_begin.estimate_disk,
        }
    }

    fn scratch(&self) -> &Path {
        &self.scratch
    }
}

impl RemoteDonor {
    fn start_lsn(&self) -> Lsn {
        self.base.as_ref().map_or(Lsn::ZERO, |base| base.start)
    }

    fn kind(&self) -> SetKind {
        if self.base.is_some() {
            SetKind::Increment
        } else {
            SetKind::Full
        }
    }
}

/// Connections for data. With a limit of the rate they wait for one another, each with a block; a
/// donor cuts one that waits for a minute.
fn connections_for(wanted: usize, rate: Option<u64>, page_size: PageSize) -> usize {
    let block = 64 * u64::from(page_size.get());
    let most = rate.map_or(u64::MAX, |rate| LONGEST_WAIT * rate / block);
    wanted
        .min(usize::try_from(most).unwrap_or(usize::MAX))
        .max(1)
}

/// Seconds a connection may wait for its turn.
const LONGEST_WAIT: u64 = 15;

fn out_of_order() -> Error {
    Error::refused(1105, "stages of the clone out of order", "This is a bug.")
}
