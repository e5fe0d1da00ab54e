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
        let Some(until) = self.passes_at(bytes, Instant::now()) else {
            return check();
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

impl Throttle {
    /// When bytes that are there `now` may pass; `None` without a limit.
    fn passes_at(&self, bytes: u64, now: Instant) -> Option<Instant> {
        let worth = Duration::from_secs_f64(bytes as f64 / self.rate? as f64);
        let mut free_at = self
            .free_at
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *free_at = (*free_at).max(now.checked_sub(SAVED).unwrap_or(now)) + worth;
        Some(*free_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takers that do nothing else, on a clock of their own; bytes per second.
    fn rate_of(rate: u64, takers: usize, block: u64) -> f64 {
        let throttle = Throttle::new(Some(rate));
        let begin = Instant::now();
        let mut clocks = vec![begin; takers];
        let (mut passed, mut end) = (0, begin);
        while end - begin < Duration::from_secs(20) {
            let next = (0..takers).min_by_key(|taker| clocks[*taker]).unwrap();
            clocks[next] = throttle.passes_at(block, clocks[next]).unwrap();
            // What arrives takes its time too.
            clocks[next] += Duration::from_micros(300);
            passed += block;
            end = clocks[next];
        }
        passed as f64 / (end - begin).as_secs_f64()
    }

    #[test]
    fn a_limit_is_kept_within_a_tenth_by_one_taker_and_by_several() {
        for rate in [1 << 20, 5 << 20, 20 << 20, 100 << 20] {
            for takers in [1, 4] {
                for block in [52, 16 << 10, 1 << 20] {
                    // So slow a taker never reaches the limit.
                    if block * takers as u64 * 3000 < rate {
                        continue;
                    }
                    let found = rate_of(rate, takers, block) / rate as f64;
                    assert!(
                        (0.9..1.1).contains(&found),
                        "{rate} {takers} {block}: {found}"
                    );
                }
            }
        }
    }

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
