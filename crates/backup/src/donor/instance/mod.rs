//! Donor: a running mysqld on this host, its data directory and a connection to it.
//!
//! Clone's own algorithm, from outside. With page tracking the bulk of the copy runs while the
//! server does what it likes; then, under the backup lock, the pages that changed meanwhile are
//! copied again and DDL is settled by comparing what is there with what was copied. Without it
//! the lock is held, and the redo log followed, from the beginning. `docs/DESIGN.md` says why the
//! result is consistent.

mod base;
mod copy;
mod inventory;
mod pages;
mod process;
mod redo;
mod session;
mod tracked;
mod tracking;
mod watch;

pub use base::IncrementFrom;
pub use tracking::{PageTracking, TrackingState};

use self::base::{Base, Method};
use self::copy::{Tasks, Work};
use self::inventory::{Inventory, SourceFile};
use self::redo::Follower;
use self::session::{Facts, Session};
use self::tracked::{Group, TrackedPages};
use self::watch::CancelWatch;
use super::Donor;
use crate::recipient::{Delivery, PlannedFile, Recipient, Snapshot, StagePlan};
use crate::set::{LsnRecord, PagesBy, SetKind};
use crate::{Error, FileDesc, FileId, Job, Result, Stage};
use innodb::lsn::Lsn;
use roaring::RoaringBitmap;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::ConnectOptions;

/// What to back up, and how.
#[derive(Debug, Clone)]
pub struct InstanceOptions {
    /// The server.
    pub connect: ConnectOptions,
    /// Its data directory, where it is not where the server says.
    pub datadir: Option<PathBuf>,
    /// Switch page tracking on, so that increments can follow.
    pub page_track: bool,
    /// What an increment is based on; `None` for a full backup.
    pub from: Option<IncrementFrom>,
    /// Find changed pages by reading the LSN of every page.
    pub scan: bool,
    /// How long to wait for running DDL.
    pub lock_wait_timeout: Duration,
    /// While more bytes of pages than this change during the copy, they are copied again before
    /// DDL is blocked.
    pub few_bytes: u64,
}

impl InstanceOptions {
    /// A full backup of the server that `connect` leads to, without page tracking.
    pub fn new(connect: ConnectOptions) -> Self {
        Self {
            connect,
            datadir: None,
            page_track: false,
            from: None,
            scan: false,
            lock_wait_timeout: Duration::from_secs(60),
            few_bytes: 64 << 20,
        }
    }
}

/// Bytes of redo since the last checkpoint up to which a new one is cheap.
const CHEAP_CHECKPOINT: u64 = 32 << 20;
/// Waits for a checkpoint that the server's page cleaner makes by itself, before one is requested.
const NATURAL_CHECKPOINT: Duration = Duration::from_secs(2);
/// Waits for a checkpoint at all. DDL is blocked meanwhile.
const ANY_CHECKPOINT: Duration = Duration::from_secs(600);
/// Rounds of copying changed pages before the backup lock is taken.
const CATCH_UP_ROUNDS: usize = 5;
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
    follower: Option<Follower>,
    /// What the stage under way delivers.
    tasks: Tasks,
    /// Pages found by a scan, by file of `tasks`.
    scanned: Vec<Mutex<RoaringBitmap>>,
    /// The files as of the backup lock.
    settled: Vec<(FileId, SourceFile)>,
    plain: Vec<SourceFile>,
    next_id: u32,
    snapshot: Option<Snapshot>,
    connection_id: u64,
    // Last: it wakes a statement that waits, until everything else is gone.
    _watch: CancelWatch,
}

impl InstanceDonor {
    /// Connects and checks everything that can be checked before something is written.
    pub fn open(options: InstanceOptions, job: &Job) -> Result<Self> {
        let mut session = Session::open(&options.connect, options.lock_wait_timeout)?;
        let watch = CancelWatch::start(&session, job)?;
        let facts = session.facts(options.datadir.as_deref())?;
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
            follower: None,
            tasks: Tasks::default(),
            scanned: Vec::new(),
            settled: Vec::new(),
            plain: Vec::new(),
            next_id: 0,
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

    /// Directories of the server, which no backup may be written to.
    pub fn own_directories(&self) -> Vec<PathBuf> {
        self.facts.own_directories()
    }

    /// The LSN after which changes are wanted; zero for a full backup.
    pub fn start_lsn(&self) -> Lsn {
        self.base.as_ref().map_or(Lsn::ZERO, |base| base.start)
    }

    fn session(&mut self) -> &mut Session {
        &mut self
            .session
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// Switches page tracking on if asked for, and finds out whether it is on.
    fn start_tracking(&mut self) -> Result<()> {
        let wanted = self.options.page_track;
        let state = match self.session().tracking_start() {
            Err(Error::Refused { code: 1305, .. }) if !wanted => None,
            other => other?,
        };
        if state.is_none() && !wanted {
            return Ok(());
        }
        let continues = self
            .base
            .as_ref()
            .is_some_and(|base| base.method == Method::Tracked);
        if state.is_some() && !continues && !base::group_is_of_this_process(&self.facts)? {
            // Start points from before a crash are not reliable, and the server may hand out one
            // of them again. Nothing of ours continues from them: after a restart, increments
            // are scans.
            self.session().tracking_set(false)?;
            tracing::info!("page tracking restarted, because the server was");
        }
        // A new start point, so that the list read later is short.
        let start = self.session().tracking_set(true)?;
        if state.is_none() {
            tracing::info!(lsn = %start, "page tracking switched on");
        }
        self.tracked_from = Some(start);
        Ok(())
    }

    /// Blocks DDL and begins to follow the redo log from a checkpoint after that.
    fn lock_and_follow(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        self.session().lock()?;
        self.locked = true;
        tracing::info!("backup lock taken: DDL waits");
        if self.tracked_from.is_some() {
            // Before pages are listed: what is flushed from here on is the next increment's.
            self.next_start = self.session().tracking_set(true)?;
        }
        let follower = Follower::start(&self.facts, &self.options.connect, recipient, job)?;
        tracing::info!(checkpoint = %follower.checkpoint, "following the redo log");
        self.follower = Some(follower);
        Ok(())
    }

    /// Every page recorded since `start` up to this moment. The files may lack the newest ones,
    /// which the server still has in memory: an index build just before DDL was blocked writes
    /// pages without redo, so that they must be in the list. The server's own count of entries
    /// tells when the files have all.
    fn all_tracked_since(&mut self, start: Lsn, job: &Job) -> Result<TrackedPages> {
        let now = self.session().log_status()?.lsn;
        let count = self.session().tracked_count(start)?;
        let begin = Instant::now();
        let mut requested = false;
        loop {
            let checkpoint = redo::checkpoint(&self.facts.redo_dir)?.lsn;
            // Without a count (the server gives none while it is idle) the files have all that
            // was recorded before a checkpoint that has reached this moment's LSN.
            let settled = count.is_some() || checkpoint >= now;
            let tracked = self.tracked_since(start, job)?;
            if settled && tracked.entries >= count.unwrap_or(0) {
                return Ok(tracked);
            }
            let waited = begin.elapsed();
            // A checkpoint makes the server write the newest entries. Requesting one is cheap
            // when little is to be flushed for it; else the page cleaner gets some time first.
            let cheap = now.since(checkpoint).unwrap_or(0) < CHEAP_CHECKPOINT;
            if !requested && (cheap || waited > NATURAL_CHECKPOINT) {
                requested = true;
                self.session().flush_logs()?;
                if !self.session().sharp_checkpoint()? {
                    tracing::info!("waiting for a checkpoint while DDL is blocked");
                }
                continue;
            }
            if waited > ANY_CHECKPOINT {
                return Err(Error::refused(
                    1205,
                    format!(
                        "the server made no checkpoint at LSN {now} within {} seconds",
                        ANY_CHECKPOINT.as_secs()
                    ),
                    "Run the backup at a quieter time.",
                ));
            }
            job.sleep(Duration::from_millis(100))?;
        }
    }

    /// The pages that the files of page tracking have since `start`.
    fn tracked_since(&self, start: Lsn, job: &Job) -> Result<TrackedPages> {
        let group = Group::active(&self.facts.datadir)?.ok_or_else(|| Error::NotTracked {
            start,
            reason: "page tracking was switched off during the backup".into(),
        })?;
        if group.begin() > start {
            return Err(Error::NotTracked {
                start,
                reason: format!("page tracking was restarted at LSN {}", group.begin()),
            });
        }
        let tracked = group.read_since(start, job)?;
        tracing::debug!(start = %tracked.start, entries = tracked.entries, "read page tracking");
        Ok(tracked)
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

    fn begin_file_copy(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        let kind = self.kind();
        let reads_all = match &self.base {
            None => true,
            Some(base) => base.method == Method::Scan,
        };
        if !reads_all {
            job.progress.begin(Stage::FileCopy, job.parallel(), 0);
            return Ok(());
        }
        if !self.lock_is_late() {
            tracing::warn!(
                "page tracking is off: DDL is blocked until the whole copy is done; \
                 with --page-track it is blocked only at the end"
            );
            self.lock_and_follow(recipient, job)?;
        }
        let settled = self.locked;
        let inventory = self.take_inventory(settled, job)?;
        if let Some(base) = self.base.take() {
            let files: Vec<_> = inventory
                .spaces
                .into_iter()
                .filter(|file| base.has(file))
                .collect();
            self.base = Some(base);
            let work: Vec<_> = files
                .into_iter()
                .map(|file| self.work(file, Delivery::Whole))
                .collect();
            self.scanned = work.iter().map(|_| Mutex::default()).collect();
            self.tasks = Tasks::new(work);
        } else {
            let directories = inventory.directories.iter().cloned().collect();
            let work: Vec<_> = inventory
                .spaces
                .into_iter()
                .map(|file| self.work(file, Delivery::Whole))
                .collect();
            self.tasks = Tasks::new(work);
            recipient.begin(Stage::FileCopy, &plan(self.tasks.work(), directories))?;
        }
        job.progress
            .begin(Stage::FileCopy, job.parallel(), self.tasks.bytes());
        tracing::debug!(?kind, files = self.tasks.work().len(), "files listed");
        Ok(())
    }

    /// Copies the pages that changed during FILE COPY, again and again while they are many, so that
    /// few are left to be copied while DDL is blocked.
    fn catch_up(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        if self.locked || self.base.is_some() {
            return Ok(());
        }
        for _ in 0..CATCH_UP_ROUNDS {
            let Some(since) = self.tracked_from else {
                return Ok(());
            };
            // Before listing: what is flushed later is the next round's.
            let next = self.session().tracking_set(true)?;
            let tracked = self.tracked_since(since, job)?;
            // Files are measured after listing, so that no listed page lies beyond their ends.
            let again = |work: &Work| {
                let file = work.file.measured_again()?;
                let gone = file.is_none() || work.replaced.load(Ordering::Relaxed);
                let file = file.unwrap_or_else(|| work.file.clone());
                let delivery = Delivery::Pages(listed_pages(&file, &tracked));
                Ok(Work {
                    id: work.id,
                    file,
                    delivery,
                    replaced: gone.into(),
                })
            };
            let round: Result<_> = self.tasks.work().iter().map(again).collect();
            let round = Tasks::new(round?);
            if round.bytes() <= self.options.few_bytes {
                return Ok(());
            }
            tracing::info!(
                bytes = round.bytes(),
                "copying pages that changed during the copy"
            );
            job.progress.expect(Stage::FileCopy, round.bytes());
            crate::engine::in_parallel(job, || {
                round.deliver(Stage::FileCopy, &**recipient, job, false, || {
                    self.heartbeat()
                })
            })?;
            for (work, again) in self.tasks.work().iter().zip(round.work()) {
                work.replaced
                    .fetch_or(again.replaced.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            self.tracked_from = Some(next);
        }
        Ok(())
    }

    fn begin_page_copy(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        if !self.locked {
            self.lock_and_follow(recipient, job)?;
        }
        let tracked_base = self
            .base
            .as_ref()
            .filter(|base| base.method == Method::Tracked);
        let (since, is_base) = match tracked_base {
            Some(base) => (Some(base.start), true),
            None => (self.tracked_from, false),
        };
        let tracked = match since {
            Some(since) => self.all_tracked_since(since, job)?,
            None => TrackedPages::default(),
        };
        if is_base && tracked.spans_recovery {
            return Err(Error::NotTracked {
                start: tracked.start,
                reason: "the server recovered from a crash since".into(),
            });
        }
        let inventory = self.take_inventory(true, job)?;
        if let Some(base) = &mut self.base
            && base.method == Method::Tracked
        {
            base.start = tracked.start;
        }
        let before = std::mem::take(&mut self.tasks);
        let scanned: Vec<RoaringBitmap> = std::mem::take(&mut self.scanned)
            .into_iter()
            .map(|pages| pages.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect();
        let known: HashMap<_, _> = before
            .work()
            .iter()
            .enumerate()
            .filter(|(_, work)| !work.replaced.load(Ordering::Relaxed))
            .filter_map(|(index, work)| Some((work.file.place()?, (index, work))))
            .collect();
        let mut all = Vec::new();
        for file in &inventory.spaces {
            let earlier = file
                .place()
                .and_then(|place| known.get(&place))
                .filter(|(_, work)| work.file.is_same_as(file));
            let found = earlier.and_then(|(index, _)| scanned.get(*index));
            let partial = match &self.base {
                None => earlier.is_some(),
                Some(base) if base.method == Method::Tracked => base.has(file),
                // Not scanned means new since the scan began, or replaced meanwhile.
                Some(base) => base.has(file) && found.is_some(),
            };
            let delivery = if partial {
                Delivery::Pages(changed_pages(file, &tracked, found))
            } else {
                Delivery::Whole
            };
            let id = match (&self.base, earlier) {
                (None, Some((_, work))) => work.id,
                _ => self.new_id(),
            };
            all.push(Work {
                id,
                file: file.clone(),
                delivery,
                replaced: false.into(),
            });
        }
        self.settled = all
            .iter()
            .map(|work| (work.id, work.file.clone()))
            .collect();
        self.tasks = Tasks::new(all);
        let directories = inventory.directories.iter().cloned().collect();
        recipient.begin(Stage::PageCopy, &plan(self.tasks.work(), directories))?;
        self.plain = inventory.plain;
        job.progress
            .begin(Stage::PageCopy, job.parallel(), self.tasks.bytes());
        Ok(())
    }

    /// The end: non-InnoDB files, the end LSN with its binary log position, redo up to it, the
    /// final lengths; then the lock goes.
    fn redo_copy(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        job.progress.begin(Stage::RedoCopy, 1, 0);
        let plain = std::mem::take(&mut self.plain);
        let tables = plain.iter().any(|file| is_user_table(&file.name));
        if tables {
            self.session().lock_tables()?;
        }
        for file in &plain {
            self.copy_plain(file, recipient, job)?;
        }
        self.session().flush_logs()?;
        if let Some(follower) = &self.follower {
            follower.hold(job)?;
        }
        let status = self.session().log_status()?;
        // What the row counts may still be in the log buffer.
        self.session().flush_logs()?;
        if tables {
            self.session().unlock_tables()?;
        }
        let mut follower = self.follower.take().ok_or_else(|| {
            Error::refused(1105, "the redo log was not followed", "This is a bug.")
        })?;
        let bytes = follower.finish(status.lsn, job)?;
        job.progress.expect(Stage::RedoCopy, bytes);
        self.record_lengths(recipient)?;
        let facts = self.facts.clone();
        self.session().unlock()?;
        self.locked = false;
        tracing::info!(end = %status.lsn, "backup lock released");
        self.snapshot = Some(Snapshot {
            kind: self.kind(),
            parent: self.base.as_ref().and_then(|base| base.parent.clone()),
            server: facts.record(),
            lsn: LsnRecord {
                start: self.start_lsn(),
                page_track: self.next_start,
                checkpoint: follower.checkpoint,
                end: status.lsn,
            },
            binlog: status.binlog,
            page_size: facts.page_size.get(),
            pages_by: match self.base.as_ref().map(|base| base.method) {
                None => PagesBy::All,
                Some(Method::Tracked) => PagesBy::Tracked,
                Some(Method::Scan) => PagesBy::Scan,
            },
            source: "LOCAL INSTANCE".to_owned(),
        });
        Ok(())
    }

    fn kind(&self) -> SetKind {
        if self.base.is_some() {
            SetKind::Increment
        } else {
            SetKind::Full
        }
    }

    fn copy_plain(
        &mut self,
        source: &SourceFile,
        recipient: &Arc<dyn Recipient>,
        job: &Job,
    ) -> Result<()> {
        use std::io::Read;
        let Some((mut file, _)) = inventory::open_source(&source.path)? else {
            // Only a log table can be rotated away while DDL is blocked.
            return Ok(());
        };
        let id = self.new_id();
        recipient.add_file(&describe(id, source))?;
        let mut buffer = vec![0; crate::io::BUFFER];
        let mut offset = 0;
        loop {
            let mut len = 0;
            while len < buffer.len() {
                let read = file
                    .read(&mut buffer[len..])
                    .map_err(|e| Error::io("read file", &source.path, e))?;
                if read == 0 {
                    break;
                }
                len += read;
            }
            if len == 0 {
                break;
            }
            job.throttle(len as u64)?;
            job.progress.count_read(len as u64);
            recipient.write(id, offset, &buffer[..len])?;
            offset += len as u64;
        }
        recipient.set_length(id, offset)
    }

    /// Files may have grown since they were listed; the redo may hold nothing of that.
    fn record_lengths(&mut self, recipient: &Arc<dyn Recipient>) -> Result<()> {
        for (id, file) in &self.settled {
            let length = std::fs::metadata(&file.path)
                .map_err(|e| Error::io("read attributes of", &file.path, e))?
                .len();
            let page = file.space.map_or(1, |space| space.geometry.physical()) as u64;
            recipient.set_length(*id, (length - length % page).max(file.length))?;
        }
        Ok(())
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

fn describe(id: FileId, file: &SourceFile) -> FileDesc {
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

fn plan(work: &[Work], directories: Vec<String>) -> StagePlan {
    let files = work.iter().map(|work| PlannedFile {
        desc: describe(work.id, &work.file),
        delivery: work.delivery.clone(),
    });
    StagePlan {
        files: files.collect(),
        directories,
    }
}

/// The pages of `file` that are listed or were found by a scan, and page 0: what is written to it
/// when a file is created, or a key is rotated, is not recorded by every server.
fn changed_pages(
    file: &SourceFile,
    tracked: &TrackedPages,
    scanned: Option<&RoaringBitmap>,
) -> RoaringBitmap {
    let mut pages = listed_pages(file, tracked);
    if let Some(scanned) = scanned {
        pages |= scanned;
    }
    if let Some(space) = &file.space
        && file.length > 0
    {
        pages.insert(space.first_page);
    }
    pages
}

/// The pages of `file` that page tracking lists.
fn listed_pages(file: &SourceFile, tracked: &TrackedPages) -> RoaringBitmap {
    let Some(space) = &file.space else {
        return RoaringBitmap::new();
    };
    let count = u32::try_from(file.length / space.geometry.physical() as u64).unwrap_or(u32::MAX);
    let mut pages = tracked.pages.get(&space.id).cloned().unwrap_or_default();
    pages.remove_range(..space.first_page);
    pages.remove_range(space.first_page.saturating_add(count)..);
    pages
}

/// Whether a file belongs to a non-InnoDB table that users write to.
fn is_user_table(name: &str) -> bool {
    let schema = name.split('/').next().unwrap_or_default();
    name.contains('/')
        && !matches!(schema, "mysql" | "sys" | "performance_schema")
        && !name.to_ascii_lowercase().ends_with(".sdi")
}
