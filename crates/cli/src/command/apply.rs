//! `innoclone apply`: an incremental set into a copy of its base, in place, as
//! `mysqld --clone-incremental-dir` does it.

use std::path::PathBuf;

use backup::command::{ApplyRequest, apply};
use clap::Args;

use crate::answer::Answer;
use crate::encryption_key::KeyArgs;
use crate::failure::Failure;
use crate::job::{self, JobArgs};
use crate::settings::Settings;

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// Copy of the base to bring forward [default: datadir in [mysqld] of --defaults-file].
    #[arg(long, value_name = "DIR")]
    datadir: Option<PathBuf>,
    /// The incremental set; it is only read.
    #[arg(long, value_name = "DIR")]
    clone_incremental_dir: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    job: JobArgs,
}

impl ApplyArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let options = self.job.options(&settings.options)?;
        let request = self.request(settings)?;
        let report = job::run(&options, settings, |job| apply(&request, job))?;
        Answer::done("apply", &report)
    }

    fn request(&self, settings: &Settings) -> Result<ApplyRequest, Failure> {
        // Files that the user did not name describe the server of this host, which is not to be
        // changed by accident.
        let groups = ["mysqld", "server"];
        let from_file = || settings.options.get(&groups, "datadir");
        let from_file = || from_file().filter(|_| settings.named_files);
        let datadir = self.datadir.clone().or_else(|| Some(from_file()?.into()));
        let datadir = datadir.filter(|dir| !dir.as_os_str().is_empty());
        Ok(ApplyRequest {
            datadir: datadir.ok_or_else(|| {
                let text = "which data directory? Give --datadir, or a --defaults-file with it";
                Failure::Usage(text.to_owned())
            })?,
            incremental_dir: self.clone_incremental_dir.clone(),
            encryption_key: self.key.read(&settings.options)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::spelling;
    use clap::Parser as _;

    fn request(words: &[&str]) -> Result<ApplyRequest, Failure> {
        let argv = ["innoclone", "apply"].iter().chain(words).map(Into::into);
        let cli = Cli::try_parse_from(spelling::normal(argv)).unwrap();
        let settings = Settings::load(&cli.global)?;
        match cli.command {
            Command::Apply(args) => args.request(&settings),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_spellings_of_the_servers_option_are_taken() {
        for option in ["--clone-incremental-dir=/i", "--clone_incremental_dir=/i"] {
            let request = request(&["--datadir", "/d", option, "--no-defaults"]).unwrap();
            assert_eq!(request.datadir, PathBuf::from("/d"));
            assert_eq!(request.incremental_dir, PathBuf::from("/i"));
        }
    }

    #[test]
    fn the_data_directory_may_come_from_a_file_that_the_user_names() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("my.cnf");
        std::fs::write(&file, "[mysqld]\ndatadir = /from/file\n").unwrap();
        let file = format!("--defaults-file={}", file.display());
        let words = ["--clone_incremental_dir=/i", &file];
        assert_eq!(
            request(&words).unwrap().datadir,
            PathBuf::from("/from/file")
        );
        let error = request(&["--clone_incremental_dir=/i", "--no-defaults"]).unwrap_err();
        assert!(matches!(error, Failure::Usage(_)));
    }
}
