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

/// A running job: progress, cancellation and rate limit. Shared by reference between threads.
#[derive(Debug)]
pub struct Job {
    /// The counters; sampled from other threads.
    pub progress: Arc<Progress>,
    parallel: usize,
    throttle: Throttle,
    cancelled: Arc<AtomicBool>,
    stopping: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl Job {
    /// A job that stops when `cancelled` becomes true.
    pub fn new(options: &JobOptions, cancelled: Arc<AtomicBool>) -> Self {
        Self {
            progress: Arc::new(Progress::default()),
            parallel: options.parallel.max(1),
            throttle: Throttle::new(options.read_rate),
            cancelled,
            stopping: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// The flag that cancels the job.
    pub(crate) fn cancelled(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// Worker threads of a copying stage.
    pub fn parallel(&self) -> usize {
        self.parallel
    }

    /// Fails when the job was cancelled or another part of it has failed. Workers call it between
    /// units of work that take well under a second.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) || self.stopping.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        Ok(())
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
        // cause of anything.
        if failure.is_none() && !matches!(error, Error::Cancelled) {
            *failure = Some(error);
        }
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The failure recorded, or `error` where none is: what the job as a whole reports.
    pub fn cause(&self, error: Error) -> Error {
        let mut failure = self
            .failure
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        failure.take().unwrap_or(error)
    }

    /// Waits until `bytes` more may be read from the donor, or the job stops.
    pub fn throttle(&self, bytes: u64) -> Result<()> {
        self.throttle.take(bytes, || self.check())
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
