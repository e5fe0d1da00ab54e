//! The tools `zstd_decompress` and `lz4_decompress`: this program called by one of these names.
//!
//! They are what the manual of compressed backups decompresses a file with: `zstd_decompress IN
//! OUT`. Arguments, output and exit status are theirs: 0 or 1, `decompress file: IN ` on standard
//! output from the one and nothing from the other. Unlike with them, OUT is replaced only by a
//! whole file, which keeps owner, mode and holes; and a truncated IN is an error for both.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use backup::command::decompress_file;
use backup::{Job, JobOptions};
use frame::Algorithm;

use crate::failure::{DONE, FAILED};
use crate::signals;

/// One of the tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tool {
    name: &'static str,
    algorithm: Algorithm,
}

const TOOLS: [Tool; 2] = [
    Tool {
        name: "zstd_decompress",
        algorithm: Algorithm::Zstd,
    },
    Tool {
        name: "lz4_decompress",
        algorithm: Algorithm::Lz4,
    },
];

impl Tool {
    /// The tool by whose name the program was called.
    pub(crate) fn of_program(program: Option<&OsStr>) -> Option<Self> {
        let name = Path::new(program?).file_name()?;
        TOOLS.into_iter().find(|tool| name == tool.name)
    }

    /// Does what the tool does.
    pub(crate) fn run(self, arguments: &[OsString]) -> ExitCode {
        let [from, to] = arguments else {
            let name = self.name;
            complain(&format!("Usage: {name} INPUT_FILE OUTPUT_FILE"));
            return ExitCode::from(FAILED);
        };
        if self.algorithm == Algorithm::Zstd {
            let line = format!("decompress file: {} \n", Path::new(from).display());
            // Whoever does not read it does not need it.
            let _ = io::stdout().lock().write_all(line.as_bytes());
        }
        match self.decompress(Path::new(from), Path::new(to)) {
            Ok(()) => ExitCode::from(DONE),
            Err(error) => {
                complain(&format!("{}: {error}", self.name));
                ExitCode::from(FAILED)
            }
        }
    }

    fn decompress(self, from: &Path, to: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let job = Job::new(&JobOptions::default(), signals::cancel_flag()?);
        Ok(decompress_file(from, to, self.algorithm, &job)?)
    }
}

fn complain(text: &str) {
    // There is nowhere else to complain to.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_known_by_the_name_of_the_program() {
        let of = |name: &str| Tool::of_program(Some(OsStr::new(name))).map(|tool| tool.algorithm);
        assert_eq!(of("/usr/bin/zstd_decompress"), Some(Algorithm::Zstd));
        assert_eq!(of("lz4_decompress"), Some(Algorithm::Lz4));
        assert_eq!(of("/lz4_decompress/innoclone"), None);
        assert_eq!(of("innoclone"), None);
        assert_eq!(Tool::of_program(None), None);
    }
}
