//! `innoclone status`: the content of `performance_schema.clone_status`.

use catalogue::Catalogue;
use clap::Args;

use super::RowArgs;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::settings::Settings;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    rows: RowArgs,
}

impl StatusArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let catalogue = settings.existing_catalogue()?;
        let rows = catalogue.as_ref().map(Catalogue::status).transpose()?;
        let none = format!("no backups in {}", settings.state_dir()?.display());
        let rows = rows.unwrap_or_default();
        Answer::rows("status", &rows, |table| self.rows.draw(table), &none)
    }
}
