//! Shows the replay of binary logs.

use std::time::Duration;

use backup::pitr::{ReplayPhase, ReplaySample};
use indicatif::{HumanBytes, ProgressBar};
use jiff::Timestamp;

use super::{BAR, COUNT, DONE, Show, style};
use crate::logging::bars;

/// What has been shown of it so far.
pub(super) struct ReplayView {
    show: Show,
    phase: ReplayPhase,
    bar: Option<ProgressBar>,
    /// Where lines are shown: of which time the last was.
    told: Duration,
}

impl ReplayView {
    pub(super) fn new(show: Show) -> Self {
        Self {
            show,
            phase: ReplayPhase::None,
            bar: None,
            told: Duration::ZERO,
        }
    }

    pub(super) fn update(&mut self, sample: &ReplaySample) {
        if sample.phase != self.phase {
            self.phase = sample.phase;
            self.told = Duration::ZERO;
            if let Some(bar) = self.bar.take() {
                bar.set_style(style(DONE));
                bar.finish();
            }
            if self.phase == ReplayPhase::Done {
                self.tell(sample, "replayed");
            }
        }
        let label = match self.phase {
            ReplayPhase::Checking => "CHECK",
            ReplayPhase::Replaying => "REPLAY",
            ReplayPhase::None | ReplayPhase::Waiting | ReplayPhase::Done => return,
        };
        if self.show == Show::Bars {
            self.draw(label, sample);
        } else if sample.elapsed > self.told + EVERY {
            self.told = sample.elapsed;
            self.tell(sample, label);
        }
    }

    fn draw(&mut self, label: &'static str, sample: &ReplaySample) {
        let bar = self.bar.get_or_insert_with(|| {
            let template = if sample.estimate > 0 { BAR } else { COUNT };
            let bar = ProgressBar::no_length().with_style(style(template));
            bars().add(bar.with_prefix(label))
        });
        // Compressed files have more bytes than they take.
        bar.set_length(sample.estimate.max(sample.bytes));
        bar.set_position(sample.bytes);
        bar.set_message(message(sample));
    }

    fn tell(&self, sample: &ReplaySample, what: &str) {
        let (bytes, transactions) = (sample.bytes, sample.transactions);
        match self.show {
            Show::Fields => {
                let time = sample.time_us.map(time);
                tracing::info!(bytes, transactions, time, "{what}");
            }
            Show::Bars if self.phase != ReplayPhase::Done => {}
            Show::Bars | Show::Lines => {
                let (done, all) = (HumanBytes(bytes), HumanBytes(sample.estimate));
                tracing::info!(
                    "{what}: {done} of {all} of binary logs, {}",
                    message(sample)
                );
            }
        }
    }
}

/// `1234 transactions, at 2024-06-18 16:00:00 UTC`
fn message(sample: &ReplaySample) -> String {
    let (done, all) = (sample.transactions, sample.expected);
    let count = (all > 0).then(|| format!("{done} of {all} transactions"));
    let time = sample.time_us.map(|us| format!("at {}", time(us)));
    [count, time]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

fn time(us: u64) -> String {
    let us = i64::try_from(us).unwrap_or(i64::MAX);
    let time = Timestamp::from_microsecond(us).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How often a line is shown.
const EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_tells_what_it_does_and_when_that_was() {
        let sample = ReplaySample {
            phase: ReplayPhase::Replaying,
            estimate: 100,
            bytes: 50,
            expected: 10,
            transactions: 4,
            time_us: Some(1_718_726_400_000_000),
            ..ReplaySample::default()
        };
        assert_eq!(
            message(&sample),
            "4 of 10 transactions, at 2024-06-18 16:00:00 UTC"
        );
        for show in [Show::Bars, Show::Lines, Show::Fields] {
            let mut view = ReplayView::new(show);
            view.update(&sample);
            view.update(&ReplaySample {
                phase: ReplayPhase::Done,
                ..sample
            });
            assert!(view.bar.is_none());
        }
    }
}
