//! The options of a restore to a point in time.

use std::path::PathBuf;

use backup::pitr::{PointInTime, Until};
use clap::{ArgGroup, Args};

/// The point, and what is needed to get there.
#[derive(Debug, Args)]
#[command(next_help_heading = "Point in time")]
#[command(group = ArgGroup::new("point").args(["until", "until_gtid", "until_position"]).requires("binlogs"))]
pub(super) struct UntilArgs {
    /// Replay what was committed until then, or all that there is: "2024-06-18 16:00:00" (UTC),
    /// "2024-06-18 16:00:00+08:00", "2024-06-18 16:00:00 Asia/Shanghai", "latest".
    #[arg(long, value_name = "TIME", value_parser = Until::parse)]
    until: Option<Until>,
    /// Replay until all of these transactions are executed.
    #[arg(long, value_name = "GTIDS", value_parser = Until::parse_gtids)]
    until_gtid: Option<Until>,
    /// Replay what ends there or before, as in binlog.000013:29838644.
    #[arg(long, value_name = "FILE:POSITION", value_parser = Until::parse_position)]
    until_position: Option<Until>,
    /// Binary logs: files, archives, the data directory of their server.
    #[arg(long, value_name = "DIR|FILE", num_args = 1.., requires = "point")]
    binlogs: Vec<PathBuf>,
    /// The mysqld that replays, of the set's version [default: that in MYSQLD, or in PATH].
    #[arg(long, value_name = "FILE", requires = "point")]
    mysqld: Option<PathBuf>,
    /// An option file for it [default: none is read].
    #[arg(long, value_name = "FILE", requires = "point")]
    mysqld_defaults: Option<PathBuf>,
    /// Only check, and show the commands of MySQL's programs that do the same.
    #[arg(long, requires = "point")]
    pub(super) print_commands: bool,
}

impl UntilArgs {
    /// The point, if one was given.
    pub(super) fn point(&self) -> Option<PointInTime> {
        let given = [&self.until, &self.until_gtid, &self.until_position];
        let until = given.into_iter().flatten().next()?.clone();
        Some(PointInTime {
            until,
            binlogs: self.binlogs.clone(),
            mysqld: self.mysqld.clone(),
            mysqld_defaults: self.mysqld_defaults.clone(),
        })
    }
}
