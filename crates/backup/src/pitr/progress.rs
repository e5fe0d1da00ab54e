//! Counters of a replay, sampled by whoever shows them.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How far a replay is.
#[derive(Debug, Default)]
pub struct ReplayProgress {
    state: Mutex<State>,
}

/// What a replay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplayPhase {
    /// There is none.
    #[default]
    None,
    /// The binary logs are read, before anything is changed.
    Checking,
    /// The set is being restored, or the server starts.
    Waiting,
    /// Transactions are applied.
    Replaying,
    /// It is done.
    Done,
}

/// What a replay looked like at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplaySample {
    /// What it does.
    pub phase: ReplayPhase,
    /// Bytes of binary logs to be read, or to be replayed.
    pub estimate: u64,
    /// Bytes done of these.
    pub bytes: u64,
    /// Transactions to be replayed.
    pub expected: u64,
    /// Transactions replayed.
    pub transactions: u64,
    /// When the last of them was committed on the donor, microseconds since 1970.
    pub time_us: Option<u64>,
    /// Time since the phase began.
    pub elapsed: Duration,
}

#[derive(Debug, Default)]
struct State {
    sample: ReplaySample,
    began: Option<Instant>,
}

impl ReplayProgress {
    /// What it looks like at this moment.
    pub fn sample(&self) -> ReplaySample {
        let state = self.state();
        let running = !matches!(state.sample.phase, ReplayPhase::None | ReplayPhase::Done);
        let now = state.began.filter(|_| running).map(|began| began.elapsed());
        ReplaySample {
            elapsed: now.unwrap_or(state.sample.elapsed),
            ..state.sample
        }
    }

    /// The binary logs, of so many bytes, are going to be read.
    pub(crate) fn check(&self, bytes: u64) {
        self.enter(ReplayPhase::Checking, bytes, 0);
    }

    /// They were read: nothing to be done for now.
    pub(crate) fn checked(&self) {
        self.enter(ReplayPhase::Waiting, 0, 0);
    }

    /// So many bytes more were read.
    pub(crate) fn read(&self, bytes: u64) {
        self.state().sample.bytes += bytes;
    }

    /// The replay begins.
    pub(crate) fn begin(&self, bytes: u64, transactions: u64) {
        self.enter(ReplayPhase::Replaying, bytes, transactions);
    }

    /// So many bytes more were applied, and the last transaction is of this time if that is known.
    pub(crate) fn applied(&self, bytes: u64, time_us: Option<u64>) {
        let mut state = self.state();
        state.sample.bytes += bytes;
        state.sample.time_us = time_us.or(state.sample.time_us);
    }

    /// So many transactions more were applied, the last of this time.
    pub(crate) fn ended(&self, transactions: u64, time_us: Option<u64>) {
        let mut state = self.state();
        state.sample.transactions += transactions;
        state.sample.time_us = time_us.or(state.sample.time_us);
    }

    /// The replay is done.
    pub(crate) fn end(&self) {
        let elapsed = self.sample().elapsed;
        let mut state = self.state();
        state.sample.phase = ReplayPhase::Done;
        state.sample.elapsed = elapsed;
    }

    fn enter(&self, phase: ReplayPhase, estimate: u64, expected: u64) {
        let mut state = self.state();
        state.began = Some(Instant::now());
        state.sample = ReplaySample {
            phase,
            estimate,
            expected,
            ..ReplaySample::default()
        };
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
