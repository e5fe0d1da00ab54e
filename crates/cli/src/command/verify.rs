//! `innoclone verify`: whether a set, with its ancestors, or a data directory is whole.

use std::fmt::Write as _;
use std::path::PathBuf;

use backup::command::{VerifyReport, VerifyRequest, verify};
use clap::Args;

use crate::answer::{Answer, Ending};
use crate::failure::Failure;
use crate::job::{self, JobArgs};
use crate::settings::Settings;
use crate::tree::Tree;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A backup set or a data directory.
    #[arg(value_name = "SET|DATADIR")]
    path: PathBuf,
    /// A set, or a directory of sets, in which ancestors may be found.
    #[arg(long, value_name = "SET")]
    chain: Vec<PathBuf>,
    /// Only digests and small files: neither pages nor redo are looked into.
    #[arg(long)]
    quick: bool,
    /// Only this set: not its ancestors, which a restore reads as well.
    #[arg(long)]
    this_set_only: bool,
    #[command(flatten)]
    job: JobArgs,
}

impl VerifyArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let options = self.job.options(&settings.options)?;
        let request = VerifyRequest {
            path: self.path.clone(),
            chain: self.chain.clone(),
            quick: self.quick,
            only_this: self.this_set_only,
        };
        answer(&job::run(&options, settings, |job| verify(&request, job))?)
    }
}

fn answer(report: &VerifyReport) -> Result<Answer, Failure> {
    if report.problems.is_empty() {
        let text = Tree::of(report)?.lines();
        return Answer::new("verify", report, text, Ending::Completed);
    }
    let mut text = String::new();
    for problem in &report.problems {
        let _ = writeln!(text, "{}: {}", problem.path, problem.detail);
    }
    let ending = Ending::Problems(report.problems.len() as u64);
    Answer::new("verify", report, text, ending)
}
