//! Signals that cancel a job.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::FAILED;

/// The flag that a signal sets. A second signal ends the process at once.
///
/// A signal that is ignored stays so: `nohup` and shells ignore signals for the sake of jobs in
/// the background.
pub(crate) fn cancel_flag() -> io::Result<Arc<AtomicBool>> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if ignored & (1 << (signal - 1)) != 0 {
            continue;
        }
        // The order matters: the first signal finds the flag not set.
        flag::register_conditional_shutdown(signal, i32::from(FAILED), Arc::clone(&cancelled))?;
        flag::register(signal, Arc::clone(&cancelled))?;
    }
    Ok(cancelled)
}

/// The ignored signals in `/proc/self/status`: bit 0 is signal 1.
fn ignored(status: &str) -> u64 {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        let status = "Name:\tx\nSigBlk:\t00000000000000ff\nSigIgn:\t0000000000001001\n";
        let mask = ignored(status);
        assert_ne!(mask & (1 << (SIGHUP - 1)), 0);
        assert_eq!(mask & (1 << (SIGINT - 1)), 0);
        assert_eq!(ignored(""), 0);
    }
}
