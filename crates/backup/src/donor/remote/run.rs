//! Which run of the donor it is: since when it is up. A server that is started again numbers its
//! clones from one again, so that another client's clone may have the numbers of ours.

use std::time::{Duration, Instant};
use wire::Connection;

/// One run of the donor, by when it began: between two times of our clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    earliest: Option<Instant>,
    latest: Option<Instant>,
}

impl Run {
    /// Asks for it; `None` from a donor that does not say.
    pub(super) fn ask(connection: &mut Connection) -> wire::Result<Option<Self>> {
        let asked = Instant::now();
        let rows = match connection.query("SHOW GLOBAL STATUS LIKE 'Uptime'") {
            Ok(rows) => rows,
            Err(error) if error.is_connection_lost() => return Err(error),
            Err(_) => return Ok(None),
        };
        let uptime = rows.first().and_then(|row| row.parse::<u64>(1).ok());
        Ok(uptime.map(|seconds| Self::new(seconds, asked, Instant::now())))
    }

    /// Up for so many whole seconds at some moment between the two.
    fn new(seconds: u64, asked: Instant, answered: Instant) -> Self {
        Self {
            earliest: asked.checked_sub(Duration::from_secs(seconds.saturating_add(1))),
            latest: answered.checked_sub(Duration::from_secs(seconds)),
        }
    }

    /// Whether the donor was started after this run of it was seen.
    pub(super) fn ended_before(&self, now: &Self) -> bool {
        match (self.latest, now.earliest) {
            (Some(latest), Some(earliest)) => latest < earliest,
            // It began before our clock did, so it was up already.
            (_, None) => false,
            (None, Some(_)) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_or_has_ended() {
        let begin = Instant::now();
        let at = |seconds: f64| begin + Duration::from_secs_f64(100_000.0 + seconds);
        let seen = |uptime, from, to| Run::new(uptime, at(from), at(to));
        let first = seen(1000, 0.0, 0.1);
        for (uptime, when) in [(1000, 0.9), (1007, 7.0), (1006, 7.0), (1008, 7.0)] {
            let later = seen(uptime, when, when + 0.4);
            assert!(!first.ended_before(&later), "{uptime} {when}");
        }
        for (uptime, when) in [(0, 1.1), (5, 7.0), (1000, 60.0)] {
            let later = seen(uptime, when, when + 0.4);
            assert!(first.ended_before(&later), "{uptime} {when}");
        }
    }
}
