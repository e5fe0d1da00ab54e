//! `innoclone history`: the content of `mysql.clone_history`.

use catalogue::Catalogue;
use clap::Args;

use super::RowArgs;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::settings::Settings;

/// Arguments of `history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    rows: RowArgs,
}

impl HistoryArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let catalogue = settings.existing_catalogue()?;
        let rows = catalogue.as_ref().map(Catalogue::history).transpose()?;
        let none = format!("no backups in {}", settings.state_dir()?.display());
        let rows = rows.unwrap_or_default();
        Answer::rows("history", &rows, |table| self.rows.draw(table), &none)
    }
}
