//! The innoclone program, run as a user runs it: a process with arguments, output and an exit
//! status.
//!
//! This crate does not depend on innoclone's own code; demo and bench know the program only from
//! outside.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

use crate::Result;

/// The program, with a history of its own and without the option files of this host.
#[derive(Debug, Clone)]
pub struct Innoclone {
    path: PathBuf,
    state_dir: PathBuf,
}

impl Innoclone {
    /// The program named by `INNOCLONE_BIN`, or the one that was built beside the running program.
    /// Its history is kept in `state_dir`.
    ///
    /// # Errors
    /// When there is none; the message says how to build it.
    pub fn find(state_dir: &Path) -> Result<Self> {
        let path = match std::env::var_os("INNOCLONE_BIN").filter(|value| !value.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => std::env::current_exe()?.with_file_name("innoclone"),
        };
        ensure!(
            path.is_file(),
            "no innoclone program at {}: build it with `make build`, or set INNOCLONE_BIN to its path",
            path.display()
        );
        Ok(Self {
            path: fs_err::canonicalize(path)?,
            state_dir: state_dir.to_owned(),
        })
    }

    /// Where its history is kept.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// A command that runs it. `--no-defaults` comes first, as MySQL's programs want it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("MYSQL") || text.starts_with("INNOCLONE") {
                command.env_remove(&name);
            }
        }
        command
            .env("INNOCLONE_STATE_DIR", &self.state_dir)
            .arg("--no-defaults")
            .args(args);
        command
    }
}
