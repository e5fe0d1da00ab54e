//! Page tracking and the backup lock: where the snapshot begins, and what has changed since.

use super::InstanceDonor;
use super::base::{self, Method};
use super::redo::{self, Follower};
use super::tracked::{Group, TrackedPages};
use crate::recipient::Recipient;
use crate::{Error, Job, Result};
use innodb::lsn::Lsn;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of redo since the last checkpoint up to which a new one is cheap.
const CHEAP_CHECKPOINT: u64 = 32 << 20;

/// Waits for a checkpoint that the server's page cleaner makes by itself, before one is requested.
const NATURAL_CHECKPOINT: Duration = Duration::from_secs(2);

/// Waits for a checkpoint at all. DDL is blocked meanwhile.
pub(super) const ANY_CHECKPOINT: Duration = Duration::from_secs(600);

impl InstanceDonor {
    /// Switches page tracking on if asked for, and finds out whether it is on.
    pub(super) fn start_tracking(&mut self) -> Result<()> {
        let wanted = self.options.page_track;
        let datadir = self.facts.datadir.clone();
        let state = match self.session().tracking_start(Some(&datadir)) {
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
    pub(super) fn lock_and_follow(
        &mut self,
        recipient: &Arc<dyn Recipient>,
        job: &Job,
    ) -> Result<()> {
        self.session().lock()?;
        self.locked = true;
        self.locked_at = Some(Instant::now());
        tracing::info!("backup lock taken: DDL waits");
        if self.tracked_from.is_some() {
            // Before pages are listed: what is flushed from here on is the next increment's.
            self.next_start = self.session().tracking_set(true)?;
        }
        self.settle_for_keys(job)?;
        let follower = Follower::start(&self.facts, &self.options.connect, recipient, job)?;
        tracing::info!(checkpoint = %follower.checkpoint, "following the redo log");
        self.follower = Some(follower);
        self.ask_keys(job)
    }

    /// Every page recorded since `start` up to this moment. The files may lack the newest ones,
    /// which the server still has in memory: an index build just before DDL was blocked writes
    /// pages without redo, so that they must be in the list. The server's own count of entries
    /// tells when the files have all.
    pub(super) fn all_tracked_since(&mut self, start: Lsn, job: &Job) -> Result<TrackedPages> {
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
                return Err(no_checkpoint(now));
            }
            job.sleep(Duration::from_millis(100))?;
        }
    }

    /// The pages that the files of page tracking have since `start`.
    pub(super) fn tracked_since(&self, start: Lsn, job: &Job) -> Result<TrackedPages> {
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
}

pub(super) fn no_checkpoint(at: Lsn) -> Error {
    Error::refused(
        1205,
        format!(
            "the server made no checkpoint at LSN {at} within {} seconds",
            ANY_CHECKPOINT.as_secs()
        ),
        "Run the backup at a quieter time.",
    )
}
