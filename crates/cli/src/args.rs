//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::command::{
    ApplyArgs, BackupArgs, BinlogArgs, DecompressArgs, HistoryArgs, PageTrackArgs, ProgressArgs,
    RestoreArgs, ServeArgs, SqlArgs, StatusArgs, VerifyArgs,
};
use crate::option_file::DefaultsArgs;

/// Physical backup for MySQL/InnoDB from outside the server.
#[derive(Debug, Parser)]
#[command(
    name = "innoclone",
    version,
    disable_help_flag = true,
    args_override_self = true,
    after_help = AFTER_HELP,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Back up a running server into a new directory, in full or what changed since another set.
    Backup(BackupArgs),
    /// Restore a backup set and its ancestors into a new data directory.
    Restore(RestoreArgs),
    /// Put an incremental set into a copy of its base, in place.
    Apply(ApplyArgs),
    /// Decompress the files of a copy of a compressed set, to apply it by hand.
    Decompress(DecompressArgs),
    /// Check that a set, with its ancestors, or a data directory is whole.
    Verify(VerifyArgs),
    /// Show every backup made from this host.
    History(HistoryArgs),
    /// Show the stages of running and recent backups.
    Progress(ProgressArgs),
    /// Show running and recent backups.
    Status(StatusArgs),
    /// Switch page tracking of a server, or show whether it is on.
    PageTrack(PageTrackArgs),
    /// Archive the binary logs of a server.
    Binlog(BinlogArgs),
    /// Run statements: CLONE, and queries on the history.
    Sql(SqlArgs),
    /// Take statements of CLONE from MySQL clients, or give a backup to servers that execute
    /// CLONE INSTANCE, as a daemon.
    Serve(ServeArgs),
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Where the history is kept: /var/lib/innoclone for root, else below $XDG_STATE_HOME.
    #[arg(long, global = true, value_name = "DIR", env = "INNOCLONE_STATE_DIR")]
    #[arg(hide_env_values = true)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Print one JSON object; write the log as JSON lines.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// error, warn, info, debug, trace or off; or filters such as backup=debug.
    #[arg(long, global = true, value_name = "LEVEL", env = "INNOCLONE_LOG")]
    #[arg(hide_env_values = true)]
    pub(crate) log_level: Option<String>,
    /// No progress; log only warnings and errors.
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) defaults: DefaultsArgs,
    /// Print help.
    #[arg(short = '?', long, global = true, action = ArgAction::HelpShort)]
    pub(crate) help: Option<bool>,
}

/// Below the help of the program.
const AFTER_HELP: &str = "\
Exit status:
  0  done
  1  failed, or cancelled by a signal (error 1317); the error is on standard error
  2  wrong usage: nothing was attempted
  3  verify or decompress found problems

Any long option may be spelled with _ instead of -. Options are also read from the groups
[client] and [innoclone] of MySQL's option files. The command line wins over option files, and
these over the environment variables MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_UNIX_PORT and MYSQL_PWD.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for words in [
            ["innoclone", "--json", "history"],
            ["innoclone", "history", "--json"],
        ] {
            assert!(Cli::try_parse_from(words).unwrap().global.json);
        }
    }

    #[test]
    fn h_is_the_host_and_a_question_mark_is_help() {
        let words = ["innoclone", "backup", "--to", "/x", "-h", "db1"];
        assert!(Cli::try_parse_from(words).is_ok());
        for help in ["-?", "--help"] {
            let error = Cli::try_parse_from(["innoclone", "backup", help]).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelp);
        }
    }
}
