//! `make bench`: how long backup and restore take on this machine, beside the two things everybody
//! has: the server's own `CLONE LOCAL DATA DIRECTORY`, and `cp -r` with a sync.
//!
//! Contenders take turns, so that a machine that slows down slows down all of them; the median of
//! the rounds is shown with the fastest and the slowest. A goal that is missed is shown and is no
//! failure: another machine, or a busy one, would fail otherwise. What fails the bench is a step
//! that fails, and a restored server that differs from its source.
//!
//! Environment: `BENCH_MB` (data size, 1024), `BENCH_RUNS` (rounds, 3), `BENCH_DIR` (where, instead
//! of the temporary directory), `BENCH_COLD=1` (as root: empty the page cache before each run,
//! instead of filling it), `BENCH_ONLY` (a list of parts, with commas: full, load, compressed,
//! increment, restore, replay, network, provisioning, remote, memory; all unless set). `--json FILE` or
//! `BENCH_JSON` writes the results.

mod compressed;
mod contest;
mod full;
mod ground;
mod increment;
mod memory;
mod network;
mod remote;
mod replay;
mod report;
mod restore;
mod settings;

use std::process::ExitCode;

use innoclone_testkit::Result;

use ground::Ground;
use report::Report;
use settings::{Part, Settings};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say(&format!("\nbench FAILED: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let settings = Settings::take()?;
    let mut report = Report::begin(&settings);
    let ground = Ground::prepare(&settings, &mut report)?;
    if settings.wants(&[Part::Full]) {
        full::idle(&ground, &mut report)?;
    }
    if settings.wants(&[Part::Load]) {
        full::under_load(&ground, &mut report)?;
    }
    if settings.wants(&[Part::Compressed]) {
        compressed::contest(&ground, &mut report)?;
    }
    // Restores are of the chain that the contest of increments leaves.
    if settings.wants(&[Part::Increment, Part::Restore]) {
        increment::contest(&ground, &mut report)?;
    }
    if settings.wants(&[Part::Restore]) {
        restore::contest(&ground, &mut report)?;
        restore::prove(&ground, &mut report)?;
    }
    restore::discard(&ground)?;
    if settings.wants(&[Part::Replay]) {
        replay::contest(&ground, &mut report)?;
    }
    if settings.wants(&[Part::Network]) {
        network::fulls(&ground, &settings, &mut report)?;
    }
    if settings.wants(&[Part::Provisioning]) {
        network::provisioning(&ground, &settings, &mut report)?;
    }
    if settings.wants(&[Part::Remote]) {
        remote::increments(&ground, &mut report)?;
    }
    if settings.wants(&[Part::Memory]) {
        memory::at_double_size(&ground, &mut report)?;
    }
    report.goals();
    report.write()
}
