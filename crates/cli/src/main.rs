//! The `innoclone` command: arguments become a request, the library does the work, the answer is
//! rendered. No backup logic is here.
//!
//! An answer goes to standard output, everything else (log, progress, errors) to standard error.

mod account;
mod answer;
mod args;
mod command;
mod connection;
mod encryption_key;
mod failure;
mod job;
mod logging;
mod monitor;
mod option_file;
mod password;
mod settings;
mod signals;
mod spelling;
mod table;
mod tool;
mod tree;

use std::ffi::OsString;
use std::process::ExitCode;

use answer::Answer;
use args::Cli;
use clap::Parser as _;
use failure::Failure;
use settings::Settings;
use tool::Tool;

fn main() -> ExitCode {
    failure::report_panics();
    let mut words = std::env::args_os();
    if let Some(tool) = Tool::of_program(words.next().as_deref()) {
        return tool.run(&words.collect::<Vec<_>>());
    }
    let argv = spelling::normal(std::env::args_os());
    match Cli::try_parse_from(&argv) {
        Ok(cli) => {
            let json = cli.global.json;
            let outcome = run(&cli);
            ExitCode::from(answer::deliver(outcome, json))
        }
        Err(error) => ExitCode::from(answer::deliver_usage(&error, wants_json(&argv))),
    }
}

fn run(cli: &Cli) -> Result<Answer, Failure> {
    logging::start(&cli.global)?;
    let settings = Settings::load(&cli.global)?;
    command::run(&cli.command, &settings)
}

/// Whether `--json` was given in a command line that clap refuses as a whole.
fn wants_json(argv: &[OsString]) -> bool {
    let options = argv.iter().skip(1).take_while(|word| *word != "--");
    options.into_iter().any(|word| word == "--json")
}
