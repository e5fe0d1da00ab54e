//! Counters of a running job. Written by workers without locks, sampled by whoever shows them:
//! the terminal bar, `--json`, the catalogue.

use crate::Stage;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How far a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageState {
    /// The stage has not begun.
    NotStarted,
    /// The stage runs.
    InProgress,
    /// The stage ended well.
    Completed,
    /// The stage ended with the job's error.
    Failed,
}

/// What a stage looked like at one moment.
#[derive(Debug, Clone, Copy)]
pub struct StageSample {
    /// Which stage.
    pub stage: Stage,
    /// How far it is.
    pub state: StageState,
    /// Worker threads.
    pub threads: u32,
    /// Bytes expected.
    pub estimate: u64,
    /// Bytes done.
    pub data: u64,
    /// Bytes received from the network.
    pub network: u64,
    /// When the stage began, microseconds since 1970; `None` before that.
    pub began_us: Option<i64>,
    /// Time since the stage began, up to its end.
    pub elapsed: Duration,
}

#[derive(Debug, Default)]
struct Counters {
    estimate: AtomicU64,
    data: AtomicU64,
    network: AtomicU64,
    life: Mutex<Life>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Life {
    threads: u32,
    began: Option<Instant>,
    began_us: Option<i64>,
    ended: Option<Instant>,
    failed: bool,
}

/// The counters of one job, one set for each stage.
#[derive(Debug, Default)]
pub struct Progress {
    stages: [Counters; 5],
    source_bytes: AtomicU64,
}

impl Progress {
    /// Marks `stage` as running with `threads` workers and `estimate` bytes ahead.
    pub fn begin(&self, stage: Stage, threads: usize, estimate: u64) {
        let counters = self.counters(stage);
        counters.estimate.store(estimate, Ordering::Relaxed);
        let mut life = lock(&counters.life);
        life.threads = u32::try_from(threads).unwrap_or(u32::MAX);
        life.began = Some(Instant::now());
        life.began_us = Some(jiff::Timestamp::now().as_microsecond());
    }

    /// Adds `bytes` to the work expected of `stage`.
    pub fn expect(&self, stage: Stage, bytes: u64) {
        self.counters(stage)
            .estimate
            .fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds `bytes` to the work done in `stage`.
    pub fn advance(&self, stage: Stage, bytes: u64) {
        self.counters(stage)
            .data
            .fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds `bytes` that came over the network to the work done in `stage`.
    pub fn receive(&self, stage: Stage, bytes: u64) {
        self.advance(stage, bytes);
        self.counters(stage)
            .network
            .fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts `bytes` read from the donor, whatever the stage: page images, tracking files, redo.
    pub fn count_read(&self, bytes: u64) {
        self.source_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes read from the donor so far.
    pub fn bytes_read(&self) -> u64 {
        self.source_bytes.load(Ordering::Relaxed)
    }

    /// Marks `stage` as ended well.
    pub fn end(&self, stage: Stage) {
        lock(&self.counters(stage).life).ended = Some(Instant::now());
    }

    /// Marks every running stage as failed.
    pub fn fail(&self) {
        for stage in Stage::ALL {
            let mut life = lock(&self.counters(stage).life);
            if life.began.is_some() && life.ended.is_none() {
                life.ended = Some(Instant::now());
                life.failed = true;
            }
        }
    }

    /// What every stage looks like at this moment.
    pub fn sample(&self) -> [StageSample; 5] {
        Stage::ALL.map(|stage| {
            let counters = self.counters(stage);
            let life = *lock(&counters.life);
            let state = match (life.began, life.ended) {
                (None, _) => StageState::NotStarted,
                (Some(_), None) => StageState::InProgress,
                (Some(_), Some(_)) if life.failed => StageState::Failed,
                (Some(_), Some(_)) => StageState::Completed,
            };
            let elapsed = life.began.map_or(Duration::ZERO, |began| {
                life.ended
                    .unwrap_or_else(Instant::now)
                    .saturating_duration_since(began)
            });
            StageSample {
                stage,
                state,
                threads: life.threads,
                estimate: counters.estimate.load(Ordering::Relaxed),
                data: counters.data.load(Ordering::Relaxed),
                network: counters.network.load(Ordering::Relaxed),
                began_us: life.began_us,
                elapsed,
            }
        })
    }

    fn counters(&self, stage: Stage) -> &Counters {
        &self.stages[stage.index()]
    }
}

fn lock(life: &Mutex<Life>) -> std::sync::MutexGuard<'_, Life> {
    life.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_job_fails_only_the_running_stage() {
        let progress = Progress::default();
        progress.begin(Stage::DropData, 1, 0);
        progress.end(Stage::DropData);
        progress.begin(Stage::FileCopy, 2, 10);
        progress.advance(Stage::FileCopy, 4);
        progress.fail();
        let states = progress.sample().map(|sample| sample.state);
        assert_eq!(states[0], StageState::Completed);
        assert_eq!(states[1], StageState::Failed);
        assert_eq!(states[2], StageState::NotStarted);
        assert_eq!(progress.sample()[1].data, 4);
    }
}
