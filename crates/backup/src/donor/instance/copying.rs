//! FILE COPY and PAGE COPY: what is delivered of which file.

use super::base::Method;
use super::copy::{Tasks, Work};
use super::inventory::SourceFile;
use super::tracked::TrackedPages;
use super::{InstanceDonor, description};
use crate::recipient::{Delivery, PlannedFile, Recipient, StagePlan};
use crate::{Error, Job, Result, Stage};
use roaring::RoaringBitmap;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// Rounds of copying changed pages before the backup lock is taken.
const CATCH_UP_ROUNDS: usize = 5;

impl InstanceDonor {
    pub(super) fn begin_file_copy(
        &mut self,
        recipient: &Arc<dyn Recipient>,
        job: &Job,
    ) -> Result<()> {
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
            self.tasks = Tasks::new(work, recipient.turn());
        } else {
            let directories = inventory.directories.iter().cloned().collect();
            let work: Vec<_> = inventory
                .spaces
                .into_iter()
                .map(|file| self.work(file, Delivery::Whole))
                .collect();
            self.tasks = Tasks::new(work, recipient.turn());
            recipient.begin(Stage::FileCopy, &plan(self.tasks.work(), directories))?;
        }
        job.progress
            .begin(Stage::FileCopy, job.parallel(), self.tasks.bytes());
        tracing::debug!(?kind, files = self.tasks.work().len(), "files listed");
        Ok(())
    }

    /// Copies the pages that changed during FILE COPY, again and again while they are many, so that
    /// few are left to be copied while DDL is blocked.
    pub(super) fn catch_up(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
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
            let round = Tasks::new(round?, recipient.turn());
            if round.bytes() <= self.options.few_bytes {
                return Ok(());
            }
            tracing::info!(
                bytes = round.bytes(),
                "copying pages that changed during the copy"
            );
            job.progress.expect(Stage::FileCopy, round.bytes());
            job.in_parallel(|| {
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

    pub(super) fn begin_page_copy(
        &mut self,
        recipient: &Arc<dyn Recipient>,
        job: &Job,
    ) -> Result<()> {
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
        self.tasks = Tasks::new(all, recipient.turn());
        let directories = inventory.directories.iter().cloned().collect();
        recipient.begin(Stage::PageCopy, &plan(self.tasks.work(), directories))?;
        self.plain = inventory.plain;
        job.progress
            .begin(Stage::PageCopy, job.parallel(), self.tasks.bytes());
        Ok(())
    }
}

fn plan(work: &[Work], directories: Vec<String>) -> StagePlan {
    let files = work.iter().map(|work| PlannedFile {
        desc: description(work.id, &work.file),
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
