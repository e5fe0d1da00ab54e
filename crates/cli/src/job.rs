//! Running a job of the library: its options, its progress, its cancellation.

use std::str::FromStr;

use backup::{Job, JobOptions};
use clap::Args;

use crate::failure::Failure;
use crate::monitor::Monitor;
use crate::option_file::Options;
use crate::settings::{OWN_GROUP, Settings};
use crate::signals;

/// How a job may use the machine.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct JobArgs {
    /// Worker threads, 1 to 128 [default: 4].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=128))]
    pub(crate) parallel: Option<u8>,
    /// Most bytes to read per second, in MiB; 0 is no limit [default: 0].
    #[arg(long, value_name = "MIB")]
    pub(crate) read_rate: Option<u32>,
}

impl JobArgs {
    /// Options of the library; what the command line does not say, the option files may.
    pub(crate) fn options(&self, file: &Options) -> Result<JobOptions, Failure> {
        let parallel = given_or(self.parallel, file, "parallel")?;
        if parallel.is_some_and(|number| !(1..=128).contains(&number)) {
            let text = "parallel in an option file must be between 1 and 128";
            return Err(Failure::Usage(text.to_owned()));
        }
        let mebibytes = given_or(self.read_rate, file, "read-rate")?.filter(|rate| *rate > 0);
        Ok(JobOptions {
            parallel: parallel.map_or(JobOptions::default().parallel, usize::from),
            read_rate: mebibytes.map(|rate| u64::from(rate) << 20),
        })
    }
}

/// An option of this program: of the command line, or of the group `[innoclone]`.
pub(crate) fn given_or<T: FromStr>(
    given: Option<T>,
    file: &Options,
    key: &str,
) -> Result<Option<T>, Failure> {
    match given {
        Some(value) => Ok(Some(value)),
        None => Ok(file.parse(&[OWN_GROUP], key)?),
    }
}

/// Runs `work` as a job that shows its progress and that a signal cancels.
pub(crate) fn run<T>(
    options: &JobOptions,
    settings: &Settings,
    work: impl FnOnce(&Job) -> backup::Result<T>,
) -> Result<T, Failure> {
    let cancelled = signals::cancel_flag().map_err(|source| Failure::System {
        action: "handle signals",
        source,
    })?;
    let job = Job::new(options, cancelled);
    let monitor = Monitor::start(job.progress.clone(), settings.show);
    let result = work(&job);
    drop(monitor);
    Ok(result?)
}
