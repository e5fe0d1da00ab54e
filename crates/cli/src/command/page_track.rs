//! `innoclone page-track`: page tracking of a server, switched and shown.

use backup::donor::instance::PageTracking;
use clap::{Args, ValueEnum};
use innodb::lsn::Lsn;
use serde::Serialize;

use crate::answer::{Answer, Ending};
use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::settings::Settings;

/// Arguments of `page-track`.
#[derive(Debug, Args)]
pub(crate) struct PageTrackArgs {
    /// Switch it on or off, show its state, or drop old records.
    #[arg(value_enum)]
    action: Action,
    /// With purge: what was recorded before this LSN is dropped.
    #[arg(value_name = "LSN", required_if_eq("action", "purge"))]
    lsn: Option<Lsn>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Record which pages change, from now on.
    On,
    /// Stop recording; increments need a new full backup, or --scan.
    Off,
    /// Show whether it is on, and since when.
    Status,
    /// Drop old records.
    Purge,
}

/// The answer of `status`.
#[derive(Debug, Serialize)]
struct Status {
    enabled: bool,
    /// Where it began.
    since: Option<Lsn>,
    /// The server's LSN.
    current: Lsn,
}

/// The answer of a change.
#[derive(Debug, Serialize)]
struct Changed {
    enabled: bool,
    /// Where tracking begins or ends, or up to where it was purged.
    lsn: Option<Lsn>,
}

impl PageTrackArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let purge_to = self.purge_to()?;
        let connect = self.connection.resolve(&settings.options)?;
        let mut tracking = PageTracking::open(&connect)?;
        match self.action {
            Action::Status => status(&mut tracking),
            Action::On => changed(true, Some(tracking.set(true)?)),
            Action::Off => changed(false, Some(tracking.set(false)?)),
            Action::Purge => {
                let purged = tracking.purge(purge_to)?;
                changed(tracking.state()?.since.is_some(), purged)
            }
        }
    }

    /// The LSN of `purge`. A number with any other action is a mistake.
    fn purge_to(&self) -> Result<Lsn, Failure> {
        match (self.action, self.lsn) {
            (Action::Purge, Some(lsn)) => Ok(lsn),
            (_, None) => Ok(Lsn::ZERO),
            (_, Some(lsn)) => Err(Failure::Usage(format!("unexpected argument '{lsn}'"))),
        }
    }
}

fn status(tracking: &mut PageTracking) -> Result<Answer, Failure> {
    let state = tracking.state()?;
    let status = Status {
        enabled: state.since.is_some(),
        since: state.since,
        current: state.current,
    };
    let text = match state.since {
        Some(since) => format!("page tracking is on since LSN {since}; "),
        None => "page tracking is off; ".to_owned(),
    };
    let text = format!("{text}the server is at LSN {}\n", state.current);
    Answer::new("page_track", &status, text, Ending::Told)
}

fn changed(enabled: bool, lsn: Option<Lsn>) -> Result<Answer, Failure> {
    Answer::done("page_track", &Changed { enabled, lsn })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser as _;

    fn purge_to(words: &str) -> Result<Lsn, String> {
        let argv = format!("innoclone page-track {words}");
        let cli = Cli::try_parse_from(argv.split(' ')).map_err(|error| error.to_string())?;
        match cli.command {
            Command::PageTrack(args) => args.purge_to().map_err(|error| error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn purge_needs_an_lsn_and_the_others_take_none() {
        assert_eq!(purge_to("purge 5 -S /s"), Ok(Lsn::new(5)));
        assert_eq!(purge_to("-S /s on"), Ok(Lsn::ZERO));
        assert!(purge_to("purge").is_err());
        assert!(purge_to("status 5").is_err());
        assert!(purge_to("maybe").is_err());
    }
}
