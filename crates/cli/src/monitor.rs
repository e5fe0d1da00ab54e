//! Shows the progress of a job while it runs.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use backup::{Progress, StageSample, StageState};
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};

use crate::logging::bars;

mod replay;

use replay::ReplayView;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// A bar for each stage.
    Bars,
    /// A line of the log for each stage that ends.
    Lines,
    /// The same as fields, for machines.
    Fields,
}

/// A thread that looks at the progress of a job. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Monitor {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Monitor {
    /// Starts to look.
    pub(crate) fn start(progress: Arc<Progress>, show: Show) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut view = View::new(show);
            let mut replay = ReplayView::new(show);
            // The end of the channel is the signal to stop.
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                view.update(&progress.sample());
                replay.update(&progress.replay().sample());
            }
            view.update(&progress.sample());
            replay.update(&progress.replay().sample());
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has ended the process already.
            let _ = thread.join();
        }
    }
}

/// What has been shown of each stage so far.
struct View {
    show: Show,
    ended: [bool; 5],
    bars: [Option<ProgressBar>; 5],
}

impl View {
    fn new(show: Show) -> Self {
        Self {
            show,
            ended: [false; 5],
            bars: Default::default(),
        }
    }

    fn update(&mut self, samples: &[StageSample; 5]) {
        for (at, sample) in samples.iter().enumerate() {
            if sample.state == StageState::NotStarted || self.ended[at] {
                continue;
            }
            self.ended[at] = sample.state != StageState::InProgress;
            match self.show {
                Show::Bars => draw(&mut self.bars[at], sample),
                Show::Lines if self.ended[at] => tracing::info!("{}", line(sample)),
                Show::Fields if self.ended[at] => log_fields(sample),
                Show::Lines | Show::Fields => {}
            }
        }
    }
}

fn draw(slot: &mut Option<ProgressBar>, sample: &StageSample) {
    let bar = slot.get_or_insert_with(|| {
        let bar = ProgressBar::no_length().with_style(style(COUNT));
        bars().add(bar.with_prefix(sample.stage.label()))
    });
    let known = sample.estimate > 0;
    if known && bar.length().is_none() {
        bar.set_style(style(BAR));
    }
    if known {
        bar.set_length(sample.estimate.max(sample.data));
    }
    bar.set_position(sample.data);
    bar.set_message(speed(sample));
    match sample.state {
        StageState::Completed => {
            bar.set_style(style(DONE));
            bar.finish();
        }
        StageState::Failed => bar.abandon(),
        _ => bar.tick(),
    }
}

/// `480.00 MiB/s, 3 seconds left`, by the whole stage: it does not jump.
fn speed(sample: &StageSample) -> String {
    let rate = rate(sample);
    let left = sample
        .estimate
        .saturating_sub(sample.data)
        .checked_div(rate);
    let left = left.map(|seconds| HumanDuration(Duration::from_secs(seconds)));
    let left = left.map(|time| format!(", {time} left"));
    format!("{}/s{}", HumanBytes(rate), left.unwrap_or_default())
}

/// A mistake in a template costs the beauty of a bar, not the backup.
fn style(template: &str) -> ProgressStyle {
    let plain = |_| ProgressStyle::default_bar();
    ProgressStyle::with_template(template).unwrap_or_else(plain)
}

/// `FILE COPY completed: 1.50 GiB in 3.2 s, 480.00 MiB/s`
fn line(sample: &StageSample) -> String {
    let state = match sample.state {
        StageState::Failed => "failed",
        _ => "completed",
    };
    let seconds = sample.elapsed.as_secs_f64();
    if sample.data == 0 {
        return format!("{} {state} in {seconds:.1} s", sample.stage);
    }
    let rate = HumanBytes(rate(sample));
    let data = HumanBytes(sample.data);
    format!(
        "{} {state}: {data} in {seconds:.1} s, {rate}/s",
        sample.stage
    )
}

fn log_fields(sample: &StageSample) {
    let state = match sample.state {
        StageState::Failed => "failed",
        _ => "completed",
    };
    tracing::info!(
        stage = sample.stage.label(),
        bytes = sample.data,
        seconds = sample.elapsed.as_secs_f64(),
        threads = sample.threads,
        "stage {state}"
    );
}

/// Bytes per second. A stage that took no time to speak of has its bytes as rate.
fn rate(sample: &StageSample) -> u64 {
    let millis = sample.elapsed.as_millis().max(1);
    let rate = u128::from(sample.data) * 1000 / millis;
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// How often the job is looked at.
const EVERY: Duration = Duration::from_millis(200);
const BAR: &str = "{prefix:9} [{bar:30}] {binary_bytes:>10} of {binary_total_bytes}  {msg}";
const COUNT: &str = "{prefix:9} {spinner} {binary_bytes}  {elapsed}";
const DONE: &str = "{prefix:9} {binary_bytes:>10} in {elapsed}";

#[cfg(test)]
mod tests {
    use super::*;
    use backup::Stage;

    fn sample(state: StageState, data: u64, millis: u64) -> StageSample {
        let [_, file_copy, ..] = Progress::default().sample();
        StageSample {
            state,
            estimate: data,
            data,
            elapsed: Duration::from_millis(millis),
            ..file_copy
        }
    }

    #[test]
    fn a_stage_that_ended_is_one_line() {
        assert_eq!(
            line(&sample(StageState::Completed, 3 << 30, 1500)),
            "FILE COPY completed: 3.00 GiB in 1.5 s, 2.00 GiB/s"
        );
        assert_eq!(
            line(&sample(StageState::Failed, 0, 40)),
            "FILE COPY failed in 0.0 s"
        );
    }

    #[test]
    fn the_speed_says_how_long_it_will_take() {
        let mut sample = sample(StageState::InProgress, 1 << 30, 1000);
        sample.estimate = 4 << 30;
        assert_eq!(speed(&sample), "1.00 GiB/s, 3 seconds left");
        sample.data = 0;
        assert_eq!(speed(&sample), "0 B/s");
    }

    #[test]
    fn templates_of_bars_are_valid() {
        for template in [BAR, COUNT, DONE] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn a_monitor_ends_with_its_job() {
        for show in [Show::Bars, Show::Lines, Show::Fields] {
            let progress = Arc::new(Progress::default());
            let monitor = Monitor::start(Arc::clone(&progress), show);
            progress.begin(Stage::FileCopy, 1, 10);
            progress.advance(Stage::FileCopy, 10);
            progress.end(Stage::FileCopy);
            drop(monitor);
        }
    }
}
