//! `innoclone binlog`: an archive of a server's binary logs.

use std::path::PathBuf;

use backup::archive::{ArchiveRequest, archive};
use clap::{Args, Subcommand, ValueEnum};

use crate::answer::Answer;
use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::job;
use crate::settings::Settings;

/// Arguments of `binlog`.
#[derive(Debug, Args)]
pub(crate) struct BinlogArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Copy the binary logs of a running server into a directory, as a replica reads them.
    Archive(ArchiveArgs),
}

/// Arguments of `binlog archive`.
#[derive(Debug, Args)]
struct ArchiveArgs {
    /// Directory of the archive: empty or missing, or the archive of this server, to continue it.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Go on when all is archived, and connect again when the connection is lost; a signal ends it.
    #[arg(long)]
    follow: bool,
    /// Compress every file once it is whole: none or zstd.
    #[arg(
        long,
        value_enum,
        value_name = "ALGORITHM",
        hide_possible_values = true
    )]
    #[arg(default_value = "none")]
    compress: Compress,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Compress {
    None,
    Zstd,
}

impl BinlogArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let Action::Archive(args) = &self.action;
        let request = ArchiveRequest {
            connect: args.connection.resolve(&settings.options)?,
            to: args.to.clone(),
            follow: args.follow,
            compress: args.compress == Compress::Zstd,
        };
        let options = backup::JobOptions {
            parallel: 1,
            read_rate: None,
        };
        let work = |job: &backup::Job| archive(&request, job);
        Answer::done("binlog_archive", &job::run(&options, settings, work)?)
    }
}
