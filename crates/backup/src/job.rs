//! One running job: what workers share with whoever started them.

use crate::io::Throttle;
use crate::{Error, Progress, Result};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How a job may use the machine.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// Worker threads of the copying stages; at least 1.
    pub parallel: usize,
    /// Upper bound of bytes read from the donor per second; `None` is unlimited.
    pub read_rate: Option<u64>,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            parallel: 4,
            read_rate: None,
        }
    }
}

/// Whether a job ends early: cancelled, or one of its parts has failed.
#[derive(Debug, Clone)]
pub(crate) struct StopFlag {
    cancelled: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
}

impl StopFlag {
    /// Fails when the job ends early.
    pub(crate) fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) || self.stopping.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}

/// A running job: progress, cancellation and rate limit. Shared by reference between threads.
#[derive(Debug)]
pub struct Job {
    /// The counters; sampled from other threads.
    pub progress: Arc<Progress>,
    parallel: usize,
    throttle: Throttle,
    stop: StopFlag,
    failure: Mutex<Option<Error>>,
    session: Option<u64>,
}

impl Job {
    /// A job that stops when `cancelled` becomes true.
    pub fn new(options: &JobOptions, cancelled: Arc<AtomicBool>) -> Self {
        Self {
            progress: Arc::new(Progress::default()),
            parallel: options.parallel.max(1),
            throttle: Throttle::new(options.read_rate),
            stop: StopFlag {
                cancelled,
                stopping: Arc::default(),
            },
            failure: Mutex::new(None),
            session: None,
        }
    }

    /// The job of a session that is known by `id`, by which its user can stop it.
    #[must_use]
    pub fn of_session(mut self, id: u64) -> Self {
        self.session = Some(id);
        self
    }

    /// The session that the job belongs to, if its user knows one.
    pub fn session(&self) -> Option<u64> {
        self.session
    }

    /// The flag that cancels the job.
    pub(crate) fn cancelled(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop.cancelled)
    }

    /// What tells other threads that the job ends early.
    pub(crate) fn stop_flag(&self) -> StopFlag {
        self.stop.clone()
    }

    /// Worker threads of a copying stage.
    pub fn parallel(&self) -> usize {
        self.parallel
    }

    /// Fails when the job was cancelled or another part of it has failed. Workers call it between
    /// units of work that take well under a second.
    pub fn check(&self) -> Result<()> {
        self.stop.check()
    }

    /// Whether [`Self::check`] would fail.
    pub fn is_stopping(&self) -> bool {
        self.check().is_err()
    }

    /// Records the first failure of any thread of the job and makes the others stop.
    pub fn fail(&self, error: Error) {
        let mut failure = self
            .failure
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // A thread that stopped because another failed, or because the user said so, is not the
        // cause of anything; nor is what fails once the job is cancelled, such as the connection
        // that is cut to wake a statement.
        if failure.is_none() && !self.is_cancelled() && !matches!(error, Error::Cancelled) {
            *failure = Some(error);
        }
        self.stop.stopping.store(true, Ordering::Relaxed);
    }

    /// The failure recorded, else that the job was cancelled, else `error`: what the job as a whole
    /// reports.
    pub fn cause(&self, error: Error) -> Error {
        let mut failure = self
            .failure
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match failure.take() {
            Some(failure) => failure,
            None if self.is_cancelled() => Error::Cancelled,
            None => error,
        }
    }

    fn is_cancelled(&self) -> bool {
        self.stop.cancelled.load(Ordering::Relaxed)
    }

    /// Waits until `bytes` more may be read from the donor, or the job stops.
    pub fn throttle(&self, bytes: u64) -> Result<()> {
        self.throttle.take(bytes, || self.check())
    }

    /// Runs `work` on all of the job's threads until each returns. The first failure stops the
    /// others and is what the job reports.
    pub(crate) fn in_parallel(&self, work: impl Fn() -> Result<()> + Sync) -> Result<()> {
        let run = || {
            if let Err(error) = work() {
                self.fail(error);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.parallel {
                scope.spawn(run);
            }
            run();
        });
        self.check().map_err(|error| self.cause(error))
    }

    /// Sleeps in small steps; fails as soon as the job stops.
    pub fn sleep(&self, time: Duration) -> Result<()> {
        let step = Duration::from_millis(20);
        let mut left = time;
        while !left.is_zero() {
            self.check()?;
            let nap = left.min(step);
            std::thread::sleep(nap);
            left -= nap;
        }
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> (Job, Arc<AtomicBool>) {
        let cancelled = Arc::new(AtomicBool::new(false));
        (
            Job::new(&JobOptions::default(), Arc::clone(&cancelled)),
            cancelled,
        )
    }

    #[test]
    fn what_fails_after_a_cancellation_is_its_consequence() {
        let (job, cancelled) = job();
        cancelled.store(true, Ordering::Relaxed);
        job.fail(Error::refused(2013, "lost", ""));
        assert_eq!(job.cause(Error::refused(2013, "lost", "")).code(), 1317);
    }

    #[test]
    fn what_failed_before_a_cancellation_is_reported() {
        let (job, cancelled) = job();
        job.fail(Error::refused(1021, "full", ""));
        cancelled.store(true, Ordering::Relaxed);
        assert_eq!(job.cause(Error::Cancelled).code(), 1021);
    }
}
