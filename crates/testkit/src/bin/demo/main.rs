//! `make demo`: a short tour. A real server is backed up while it works, restored from a chain of
//! three sets, brought up to date from its binary log, and compared with what it was made from.
//!
//! Ends with status 0 only when everything is identical.

mod proof;
mod screen;
mod shop;
mod tour;

use std::process::ExitCode;

use screen::Screen;

fn main() -> ExitCode {
    let mut screen = Screen::new();
    match tour::run(&mut screen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            screen.failure(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
