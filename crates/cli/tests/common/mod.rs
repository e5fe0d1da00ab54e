//! The built program, run as a user runs it, but alone with its arguments: no option files, no
//! environment, no history of this host.

#![allow(dead_code, reason = "every test file uses its own part")]

pub(crate) mod world;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The program with a state directory of its own.
pub(crate) fn innoclone(state_dir: &Path) -> Command {
    // Whoever runs the tests may ignore signals (nohup, a background job); the program would too.
    let mut command = Command::new("env");
    command.args([
        "--default-signal=INT,TERM,HUP",
        env!("CARGO_BIN_EXE_innoclone"),
    ]);
    forget_environment(&mut command);
    command.env("INNOCLONE_STATE_DIR", state_dir);
    command.arg("--no-defaults");
    command
}

/// Takes from a command what is set for programs of whoever runs the tests: options, colours where
/// there is no terminal, the service manager.
pub(crate) fn forget_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MYSQL") || text.starts_with("INNOCLONE") {
            command.env_remove(&name);
        }
    }
    for name in ["CLICOLOR", "CLICOLOR_FORCE", "NO_COLOR", "NOTIFY_SOCKET"] {
        command.env_remove(name);
    }
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The one object on standard output.
    pub(crate) fn json(&self) -> Value {
        let shown = format!("stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert_eq!(self.stdout.lines().count(), 1, "{shown}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{shown}"))
    }

    /// Fails the test unless the run ended so.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(
            self.status,
            Some(status),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The lines of the log, each an object.
    pub(crate) fn log(&self) -> Vec<Value> {
        let lines = self.stderr.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    Ended::from(command.output().unwrap())
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
