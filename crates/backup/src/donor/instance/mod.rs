//! Donor: a running mysqld on this host, its data directory and a connection to it.
//!
//! Clone's own algorithm, from outside. With page tracking the bulk of the copy runs while the
//! server does what it likes; then, under the backup lock, the pages that changed meanwhile are
//! copied again and DDL is settled by comparing what is there with what was copied. Without it
//! the lock is held, and the redo log followed, from the beginning. `docs/DESIGN.md` says why the
//! result is consistent.

mod base;
mod copy;
mod copying;
mod ending;
mod facts;
mod inventory;
mod keyed;
mod options;
mod pages;
mod prepare;
mod process;
mod redo;
pub(super) mod session;
mod told;
mod tracked;
mod tracking;
pub(super) mod watch;

pub use base::IncrementFrom;
pub use keyed::KeySource;
pub use options::InstanceOptions;
pub(crate) use told::{describe, weigh};
pub use tracking::{PageTracking, TrackingState};

use self::base::Base;
use self::copy::{Tasks, Work};
use self::facts::Facts;
use self::inventory::{Inventory, SourceFile};
use self::keyed::Keyed;
use self::redo::Follower;
use self::session::Session;
use self::watch::CancelWatch;
use super::Donor;
use crate::recipient::{Delivery, Recipient, Snapshot};
use crate::set::SetKind;
use crate::{Error, FileDesc, FileId, Job, Result, Stage};
use innodb::lsn::Lsn;
use roaring::RoaringBitmap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The control connection is tried this often while workers copy.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// A running instance as donor.
#[derive(Debug)]
pub struct InstanceDonor {
    options: InstanceOptions,
    facts: Facts,
    session: Mutex<(Session, Instant)>,
    /// Where page tracking began for this backup; `None` without it.
    tracked_from: Option<Lsn>,
    /// Start of page tracking for the next increment; zero without it.
    next_start: Lsn,
    base: Option<Base>,
    /// Whether the backup lock is held.
    locked: bool,
    locked_at: Option<Instant>,
    locked_for: Duration,
    follower: Option<Follower>,
    /// What the stage under way delivers.
    tasks: Tasks,
    /// Pages found by a scan, by file of `tasks`.
    scanned: Vec<Mutex<RoaringBitmap>>,
    /// The files as of the backup lock.
    settled: Vec<(FileId, SourceFile)>,
    plain: Vec<SourceFile>,
    next_id: u32,
    /// What must not change until the end, when keys were asked for.
    keyed: Option<Keyed>,
    snapshot: Option<Snapshot>,
    connection_id: u64,
    // Last: it wakes a statement that waits, until everything else is gone.
    _watch: CancelWatch,
}

impl InstanceDonor {
    /// Connects and checks everything that can be checked before something is written.
    pub fn open(options: InstanceOptions, job: &Job) -> Result<Self> {
        let mut session = Session::open_for(job, &options.connect, options.lock_wait_timeout)?;
        let watch = CancelWatch::start(&session, job)?;
        let facts = Facts::ask(&mut session, options.datadir.as_deref())?;
        session.check_privileges()?;
        let base = match &options.from {
            Some(from) => Some(Base::find(from, options.scan, &mut session, &facts)?),
            None => None,
        };
        let connection_id = session.id();
        let mut donor = Self {
            options,
            facts,
            session: Mutex::new((session, Instant::now())),
            tracked_from: None,
            next_start: Lsn::ZERO,
            base,
            locked: false,
            locked_at: None,
            locked_for: Duration::ZERO,
            follower: None,
            tasks: Tasks::default(),
            scanned: Vec::new(),
            settled: Vec::new(),
            plain: Vec::new(),
            next_id: 0,
            keyed: None,
            snapshot: None,
            connection_id,
            _watch: watch,
        };
        donor.start_tracking()?;
        Ok(donor)
    }

    /// Number of the control connection in the server.
    pub fn connection_id(&self) -> u64 {
        self.connection_id
    }

    /// How long DDL was blocked; zero until the lock is released.
    pub fn locked_for(&self) -> Duration {
        self.locked_for
    }

    /// Directories of the server, which no backup may be written to.
    pub fn own_directories(&self) -> Vec<PathBuf> {
        self.facts.own_directories()
    }

    /// The LSN after which changes are wanted; zero for a full backup.
    pub fn start_lsn(&self) -> Lsn {
        self.base.as_ref().map_or(Lsn::ZERO, |base| base.start)
    }

    /// Whether the files of a full are copied before DDL is blocked.
    pub(crate) fn copies_without_lock(&self) -> bool {
        self.lock_is_late()
    }

    fn session(&mut self) -> &mut Session {
        &mut self
            .session
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn take_inventory(&mut self, settled: bool, job: &Job) -> Result<Inventory> {
        let facts = self.facts.clone();
        Inventory::take(self.session(), &facts, job, settled)
    }

    fn new_id(&mut self) -> FileId {
        let id = FileId(self.next_id);
        self.next_id += 1;
        id
    }

    fn work(&mut self, file: SourceFile, delivery: Delivery) -> Work {
        Work {
            id: self.new_id(),
            file,
            delivery,
            replaced: false.into(),
        }
    }

    /// Whether the work of the stage before PAGE COPY is done without the backup lock.
    fn lock_is_late(&self) -> bool {
        self.tracked_from.is_some()
    }

    fn kind(&self) -> SetKind {
        if self.base.is_some() {
            SetKind::Increment
        } else {
            SetKind::Full
        }
    }

    /// Called by workers between tasks: fails when the server or the redo log is lost.
    fn heartbeat(&self) -> Result<()> {
        if let Some(follower) = &self.follower {
            follower.check()?;
        }
        let Ok(mut session) = self.session.try_lock() else {
            return Ok(());
        };
        if session.1.elapsed() < HEARTBEAT {
            return Ok(());
        }
        session.0.ping()?;
        session.1 = Instant::now();
        Ok(())
    }
}

impl Donor for InstanceDonor {
    fn begin(&mut self, stage: Stage, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        match stage {
            Stage::FileCopy => self.begin_file_copy(recipient, job),
            Stage::PageCopy => self.begin_page_copy(recipient, job),
            Stage::RedoCopy => self.redo_copy(recipient, job),
            Stage::DropData | Stage::FileSync => Ok(()),
        }
    }

    fn work(&self, stage: Stage, recipient: &dyn Recipient, job: &Job) -> Result<()> {
        match (stage, &self.base) {
            (Stage::FileCopy, Some(base)) => {
                let floor = base.start.get();
                self.tasks
                    .scan(floor, &self.scanned, job, self.locked, || self.heartbeat())
            }
            (Stage::FileCopy | Stage::PageCopy, _) => {
                self.tasks
                    .deliver(stage, recipient, job, self.locked, || self.heartbeat())
            }
            _ => Ok(()),
        }
    }

    /// A page that is read again is as good as one that is read late: page tracking has been on, or
    /// the log followed, since before the first reading.
    fn again(&mut self, _stage: Stage) -> Result<()> {
        self.tasks.begin_again();
        Ok(())
    }

    fn end(&mut self, stage: Stage, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        if stage == Stage::FileCopy {
            self.catch_up(recipient, job)?;
        }
        self.heartbeat()
    }

    fn finish(&mut self, _recipient: &dyn Recipient, _job: &Job) -> Result<Snapshot> {
        self.snapshot
            .take()
            .ok_or_else(|| Error::refused(1105, "the snapshot has no end", "This is a bug."))
    }
}

fn description(id: FileId, file: &SourceFile) -> FileDesc {
    FileDesc {
        id,
        name: file.name.clone(),
        kind: file.kind,
        space: file.space,
        length: file.length,
        allocated: file.allocated,
        source: Some(file.identity.clone()),
    }
}
