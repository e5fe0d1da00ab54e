//! Waiting for a state.

use std::time::{Duration, Instant};

/// Waits until `done`, and panics when that does not come: a guard against tests that hang, not a
/// limit of what is tested.
#[track_caller]
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Less than the five minutes for which a donor keeps a clone whose client is gone: who waits for
/// the end of one would not notice otherwise that it was never told.
const PATIENCE: Duration = Duration::from_secs(240);
const PAUSE: Duration = Duration::from_millis(10);
