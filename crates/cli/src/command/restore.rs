//! `innoclone restore`: a chain of backup sets into a data directory.

mod until;

use std::path::PathBuf;

use backup::command::{RestoreRequest, restore, restore_commands, restore_until};
use clap::Args;

use crate::account;
use crate::answer::{Answer, Ending};
use crate::encryption_key::KeyArgs;
use crate::failure::Failure;
use crate::job::{self, JobArgs};
use crate::settings::Settings;

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The set whose state is wanted, full or incremental.
    #[arg(value_name = "SET")]
    set: PathBuf,
    /// The new data directory: one that does not exist or is empty.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// A set, or a directory of sets, in which ancestors may be found.
    #[arg(long, value_name = "SET")]
    chain: Vec<PathBuf>,
    /// Also take a directory that holds only lost+found.
    #[arg(long)]
    force: bool,
    /// Owner of the result [default: as in the backed up server, when run by root].
    #[arg(long, value_name = "USER[:GROUP]", value_parser = account::owner)]
    owner: Option<(u32, u32)>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    until: until::UntilArgs,
}

impl RestoreArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let options = self.job.options(&settings.options)?;
        let request = RestoreRequest {
            encryption_key: self.key.read(&settings.options)?,
            ..self.request()
        };
        let Some(point) = self.until.point() else {
            let report = job::run(&options, settings, |job| restore(&request, job))?;
            return Answer::done("restore", &report);
        };
        if self.until.print_commands {
            let key = self.key.path(&settings.options)?;
            let commands =
                |job: &backup::Job| restore_commands(&request, key.as_deref(), &point, job);
            let text = job::run(&options, settings, commands)?;
            return Answer::new("commands", &text, text.clone(), Ending::Told);
        }
        let report = job::run(&options, settings, |job| {
            restore_until(&request, &point, job)
        })?;
        Answer::done("restore", &report)
    }

    fn request(&self) -> RestoreRequest {
        RestoreRequest {
            set: self.set.clone(),
            chain: self.chain.clone(),
            to: self.to.clone(),
            force: self.force,
            owner: self.owner,
            encryption_key: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser as _;

    fn request(words: &str) -> Result<RestoreRequest, clap::Error> {
        let argv = format!("innoclone restore {words}");
        match Cli::try_parse_from(argv.split(' '))?.command {
            Command::Restore(args) => Ok(args.request()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_option_arrives() {
        let words = "/b/3 --to /data --chain /b/1 --chain /b/2 --force --owner 7:8";
        let request = request(words).unwrap();
        assert_eq!(request.set, PathBuf::from("/b/3"));
        assert_eq!(request.to, PathBuf::from("/data"));
        let chain: [PathBuf; 2] = ["/b/1".into(), "/b/2".into()];
        assert_eq!(request.chain, chain);
        assert!(request.force);
        assert_eq!(request.owner, Some((7, 8)));
    }

    #[test]
    fn a_point_needs_binary_logs_and_there_is_only_one() {
        let words = "/b/3 --to /data --until latest --binlogs /arch /x/binlog.000007 --mysqld /m";
        let Command::Restore(args) =
            Cli::try_parse_from(format!("innoclone restore {words}").split(' '))
                .unwrap()
                .command
        else {
            panic!("not restore");
        };
        let point = args.until.point().unwrap();
        assert_eq!(point.until, backup::pitr::Until::Latest);
        let places: [PathBuf; 2] = ["/arch".into(), "/x/binlog.000007".into()];
        assert_eq!(point.binlogs, places);
        assert_eq!(point.mysqld, Some("/m".into()));
        for wrong in [
            "--until latest",
            "--binlogs /arch",
            "--print-commands",
            "--until latest --until-position binlog.000001:4 --binlogs /arch",
            "--until tomorrow --binlogs /arch",
            "--until-gtid x --binlogs /arch",
            "--until-position 5 --binlogs /arch",
        ] {
            let words = format!("innoclone restore /b/3 --to /data {wrong}");
            assert!(Cli::try_parse_from(words.split(' ')).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_set_and_a_target_are_needed_and_an_owner_must_exist() {
        assert!(request("--to /data").is_err());
        assert!(request("/b/3").is_err());
        let error = request("/b/3 --to /data --owner no-such-user:8").unwrap_err();
        assert!(error.to_string().contains("no user 'no-such-user'"));
    }
}
