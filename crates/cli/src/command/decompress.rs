//! `innoclone decompress`: compressed files back to what they were.

use std::fmt::Write as _;
use std::path::PathBuf;

use backup::command::{DecompressReport, DecompressRequest, decompress};
use clap::Args;

use crate::answer::{Answer, Ending};
use crate::failure::Failure;
use crate::job::{self, JobArgs};
use crate::settings::Settings;

/// Arguments of `decompress`.
#[derive(Debug, Args)]
pub(crate) struct DecompressArgs {
    /// Files whose names end in .zstd or .lz4, or directories with such files at any depth.
    #[arg(value_name = "DIR|FILE", required = true)]
    paths: Vec<PathBuf>,
    /// Remove every compressed file once the decompressed one is durable.
    #[arg(long)]
    remove_original: bool,
    #[command(flatten)]
    job: JobArgs,
}

impl DecompressArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let options = self.job.options(&settings.options)?;
        let request = DecompressRequest {
            paths: self.paths.clone(),
            remove_original: self.remove_original,
        };
        let work = |job: &backup::Job| decompress(&request, job);
        answer(&job::run(&options, settings, work)?)
    }
}

fn answer(report: &DecompressReport) -> Result<Answer, Failure> {
    if report.problems.is_empty() {
        return Answer::done("decompress", report);
    }
    let mut text = String::new();
    for problem in &report.problems {
        let _ = writeln!(text, "{}: {}", problem.path, problem.detail);
    }
    let ending = Ending::Problems(report.problems.len() as u64);
    Answer::new("decompress", report, text, ending)
}
