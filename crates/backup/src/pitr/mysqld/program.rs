//! Which mysqld to run.

use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The mysqld of the user.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: PathBuf,
    defaults: Option<PathBuf>,
    version: String,
}

impl Program {
    /// Finds it: the one `given`, else that in the variable MYSQLD, else that in PATH (and where
    /// servers are when PATH is a user's); asks it for its version. `defaults` is an option file
    /// for it.
    pub(crate) fn find(given: Option<&Path>, defaults: Option<&Path>) -> Result<Self> {
        let path = match given {
            Some(path) => path.to_owned(),
            None => search().ok_or_else(|| {
                Error::refused(
                    1105,
                    "there is no mysqld in PATH",
                    "Name one of the set's version by --mysqld, or by the environment variable MYSQLD.",
                )
            })?,
        };
        let defaults = match defaults {
            Some(file) => {
                std::fs::metadata(file).map_err(|e| Error::io("open option file", file, e))?;
                Some(
                    std::path::absolute(file)
                        .map_err(|e| Error::io("open option file", file, e))?,
                )
            }
            None => None,
        };
        let mut program = Self {
            path,
            defaults,
            version: String::new(),
        };
        let output = Command::new(&program.path)
            .args(["--no-defaults", "--version"])
            .stdin(Stdio::null())
            .output()
            .map_err(|e| Error::io("start program", &program.path, e))?;
        let text = String::from_utf8_lossy(&output.stdout);
        program.version = version_in(&text).ok_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            let said = format!("{}{}", text.trim(), errors.trim());
            Error::refused(
                1105,
                format!(
                    "'{}' does not tell its version: {said}",
                    program.path.display()
                ),
                "Name a mysqld by --mysqld.",
            )
        })?;
        Ok(program)
    }

    /// Fails unless it is of the version of the server that was backed up.
    pub(crate) fn check_version(&self, wanted: &str) -> Result<()> {
        // What follows the number (a distribution's, or -debug) does not matter.
        let number = |text: &str| -> String {
            let is_number = |c: &char| c.is_ascii_digit() || *c == '.';
            text.chars().take_while(is_number).collect()
        };
        if number(&self.version) == number(wanted) {
            return Ok(());
        }
        Err(Error::refused(
            1105,
            format!(
                "'{}' is of version {}, the set is of {wanted}",
                self.path.display(),
                self.version
            ),
            "Name a mysqld of the set's version by --mysqld: another would upgrade the data directory, or not start.",
        ))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether an option file was given.
    pub(crate) fn has_defaults(&self) -> bool {
        self.defaults.is_some()
    }

    /// A command that runs it, with the argument that must come first.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        match &self.defaults {
            Some(file) => {
                let mut arg = std::ffi::OsString::from("--defaults-file=");
                arg.push(file);
                command.arg(arg);
            }
            None => {
                command.arg("--no-defaults");
            }
        }
        command
    }
}

fn search() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("MYSQLD").filter(|value| !value.is_empty()) {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/mysql/bin".into()]);
    places
        .map(|place| place.join("mysqld"))
        .find(|path| path.is_file())
}

/// `8.0.32-26` in `/usr/sbin/mysqld  Ver 8.0.32-26 for Linux on x86_64 (…)`.
fn version_in(text: &str) -> Option<String> {
    let mut words = text.split_whitespace().skip_while(|word| *word != "Ver");
    words.nth(1).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_compared_by_its_number() {
        let text = "/usr/sbin/mysqld  Ver 8.0.32-26 for Linux on x86_64 (GreatSQL, Release 26)";
        let version = version_in(text).unwrap();
        assert_eq!(version, "8.0.32-26");
        let program = Program {
            path: "mysqld".into(),
            defaults: None,
            version,
        };
        program.check_version("8.0.32").unwrap();
        program.check_version("8.0.32-debug").unwrap();
        for other in ["8.0.33", "8.0.3", "8.4.32", ""] {
            assert!(program.check_version(other).is_err(), "{other}");
        }
        assert_eq!(version_in("hello"), None);
    }

    #[test]
    fn what_is_no_mysqld_is_refused() {
        let error = Program::find(Some(Path::new("/bin/true")), None).unwrap_err();
        assert!(
            error.to_string().contains("does not tell its version"),
            "{error}"
        );
        assert!(Program::find(Some(Path::new("/nonexistent/mysqld")), None).is_err());
    }
}
