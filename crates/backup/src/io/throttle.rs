//! A rate limit shared by threads.

use crate::Result;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Bytes per second, as a clock that runs ahead of time: each taker moves it on by the time its
/// bytes are worth, and waits until the present has caught up.
#[derive(Debug)]
pub(crate) struct Throttle {
    rate: Option<u64>,
    free_at: Mutex<Instant>,
}

/// How much unused allowance may be saved up: enough to even out jitter, too little for bursts.
const SAVED: Duration = Duration::from_millis(100);

impl Throttle {
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self {
            rate: rate.filter(|rate| *rate > 0),
            free_at: Mutex::new(Instant::now()),
        }
    }

    /// Waits until `bytes` may pass; `check` is asked regularly whether to go on.
    pub(crate) fn take(&self, bytes: u64, check: impl Fn() -> Result<()>) -> Result<()> {
        let Some(rate) = self.rate else {
            return check();
        };
        let worth = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let until = {
            let mut free_at = self
                .free_at
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let now = Instant::now();
            *free_at = (*free_at).max(now.checked_sub(SAVED).unwrap_or(now)) + worth;
            *free_at
        };
        loop {
            check()?;
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            std::thread::sleep((until - now).min(Duration::from_millis(50)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_kept_and_no_limit_is_free() {
        let begin = Instant::now();
        let limited = Throttle::new(Some(1_000_000));
        for _ in 0..5 {
            limited.take(100_000, || Ok(())).unwrap();
        }
        assert!(begin.elapsed() >= Duration::from_millis(390));
        Throttle::new(None).take(u64::MAX, || Ok(())).unwrap();
    }

    #[test]
    fn waiting_ends_when_the_job_stops() {
        let slow = Throttle::new(Some(1));
        assert!(slow.take(1000, || Err(crate::Error::Cancelled)).is_err());
    }
}
