//! When to kill: a line of the log, and a while after it.

use std::time::Duration;

use crate::running::Running;

/// Repeatable random numbers (the generator of Numerical Recipes).
pub(crate) struct Random(u32);

impl Random {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// A time below `limit`.
    pub(crate) fn below(&mut self, limit: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        limit.mul_f64(f64::from(self.0 >> 8) / f64::from(1_u32 << 24))
    }

    /// Waits until `run` is at some moment of the stretch.
    pub(crate) fn wait_in(&mut self, run: &mut Running, (line, length): Stretch) {
        if !line.is_empty() {
            run.wait_for(line);
        }
        std::thread::sleep(self.below(length));
    }
}

/// Tries to be in time for a stretch, in run after run, and sooner each time: on a busy machine a
/// run may be over before the test comes to it. `attempt` gets a number and the stretch, and returns
/// nothing when it was too late.
#[track_caller]
pub(crate) fn in_time<T>(
    (line, length): Stretch,
    mut attempt: impl FnMut(u32, Stretch) -> Option<T>,
) -> T {
    (0..ATTEMPTS)
        .find_map(|number| attempt(number, (line, length / (1 << number))))
        .unwrap_or_else(|| panic!("{ATTEMPTS} runs were over before their moment after {line:?}"))
}

const ATTEMPTS: u32 = 20;

/// A stretch of a run: from a line of the log on (an empty one is the start of the program), as
/// long as what is done there takes about.
pub(crate) type Stretch = (&'static str, Duration);

/// The stretches of a backup with page tracking.
pub(crate) const CONNECTING: Stretch = ("", Duration::from_millis(120));
pub(crate) const FILE_COPY: Stretch = ("stage=FILE COPY", Duration::from_millis(1500));
pub(crate) const LOCKED: Stretch = ("backup lock taken", Duration::from_millis(100));
pub(crate) const PAGE_COPY: Stretch = ("following the redo log", Duration::from_millis(300));
pub(crate) const REDO_COPY: Stretch = ("stage=REDO COPY", Duration::from_millis(40));
pub(crate) const FILE_SYNC: Stretch = ("backup lock released", Duration::from_millis(150));

/// The stretches of a backup over the network, which receives all of PAGE COPY and REDO COPY before
/// it writes them.
pub(crate) const ASKING: Stretch = ("", Duration::from_millis(1500));
pub(crate) const PAGES_COME: Stretch = ("stage=PAGE COPY", Duration::from_millis(60));
pub(crate) const REDO_COMES: Stretch = (
    "pages that changed during the copy received",
    Duration::from_millis(60),
);
pub(crate) const ALL_CAME: Stretch = ("the donor has sent everything", Duration::from_millis(150));
pub(crate) const LOG_KNOWN: Stretch = ("the log of the clone", Duration::from_millis(150));
