//! `innoclone progress`: the content of `performance_schema.clone_progress`.

use clap::Args;

use super::RowArgs;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::settings::Settings;

/// Arguments of `progress`.
#[derive(Debug, Args)]
pub(crate) struct ProgressArgs {
    #[command(flatten)]
    rows: RowArgs,
}

impl ProgressArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let rows = match settings.existing_catalogue()? {
            Some(catalogue) => catalogue.progress(Some(catalogue::STATUS_CLONES))?,
            None => Vec::new(),
        };
        let none = format!("no backups in {}", settings.state_dir()?.display());
        Answer::rows("progress", &rows, |table| self.rows.draw(table), &none)
    }
}
