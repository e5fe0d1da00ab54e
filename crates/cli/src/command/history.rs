//! `innoclone history`: the content of `mysql.clone_history`.

use std::path::PathBuf;

use catalogue::Catalogue;
use clap::Args;

use super::RowArgs;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::settings::Settings;

/// Arguments of `history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// First add the records of the sets in these directories: the sets themselves hold them.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    rebuild: Vec<PathBuf>,
    #[command(flatten)]
    rows: RowArgs,
}

impl HistoryArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let catalogue = if self.rebuild.is_empty() {
            settings.existing_catalogue()?
        } else {
            let catalogue = settings.catalogue()?;
            let added = backup::command::rebuild_history(&catalogue, &self.rebuild)?;
            tracing::info!(added, "history rebuilt from the sets");
            Some(catalogue)
        };
        let rows = catalogue.as_ref().map(Catalogue::history).transpose()?;
        let none = format!("no backups in {}", settings.state_dir()?.display());
        let rows = rows.unwrap_or_default();
        Answer::rows("history", &rows, |table| self.rows.draw(table), &none)
    }
}
