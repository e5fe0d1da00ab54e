//! The commands, one file each: arguments, the request they make, and the answer.

mod apply;
mod backup;
mod decompress;
mod history;
mod page_track;
mod progress;
mod restore;
mod serve;
mod status;
mod verify;

pub(crate) use apply::ApplyArgs;
pub(crate) use backup::BackupArgs;
pub(crate) use decompress::DecompressArgs;
pub(crate) use history::HistoryArgs;
pub(crate) use page_track::PageTrackArgs;
pub(crate) use progress::ProgressArgs;
pub(crate) use restore::RestoreArgs;
pub(crate) use serve::ServeArgs;
pub(crate) use status::StatusArgs;
pub(crate) use verify::VerifyArgs;

use crate::answer::Answer;
use crate::args::Command;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::table::Table;

/// Does what the command says.
pub(crate) fn run(command: &Command, settings: &Settings) -> Result<Answer, Failure> {
    match command {
        Command::Backup(args) => args.run(settings),
        Command::Restore(args) => args.run(settings),
        Command::Apply(args) => args.run(settings),
        Command::Decompress(args) => args.run(settings),
        Command::Verify(args) => args.run(settings),
        Command::History(args) => args.run(settings),
        Command::Progress(args) => args.run(settings),
        Command::Status(args) => args.run(settings),
        Command::PageTrack(args) => args.run(settings),
        Command::Serve(args) => args.run(settings),
    }
}

/// How rows are shown to people.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct RowArgs {
    /// One value a line.
    #[arg(long)]
    vertical: bool,
}

impl RowArgs {
    fn draw(&self, table: &Table) -> String {
        if self.vertical {
            table.vertical()
        } else {
            table.aligned()
        }
    }
}
