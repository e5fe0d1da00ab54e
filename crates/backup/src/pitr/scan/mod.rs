//! Reads the binary logs, before anything is changed: that they are whole, belong to the set and
//! follow one another, and where the replay has to end.

mod building;
mod target;
mod walk;

pub(crate) use walk::refused;

use super::files::{Logs, number_of};
use super::plan::Plan;
use super::until::{LogPosition, Until, show_us};
use crate::{Error, Job, Result};
use binlog::gtid::GtidSet;
use building::Building;
use target::Target;
use walk::{Walk, Walked};

/// The state from which a replay goes on.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// Position of the set.
    pub(crate) position: LogPosition,
    /// `gtid_executed` of the set.
    pub(crate) gtids: GtidSet,
    /// Version of the server that was backed up.
    pub(crate) version: String,
    /// The set of the chain that serves for points before this one.
    pub(crate) earlier: Option<String>,
}

/// Largest part that is handed to the server at once, in bytes; one transaction may be larger.
pub(crate) const PIECE: u64 = 128 << 20;

/// Reads the binary logs from the file of the set's position to the point where the replay ends.
pub(crate) fn scan(
    logs: &Logs,
    start: &Start,
    until: &Until,
    piece: u64,
    job: &Job,
) -> Result<Plan> {
    let Some((_, mut number)) = number_of(&start.position.file) else {
        return Err(no_file(logs, &start.position.file));
    };
    let mut target = Target::new(until, start)?;
    let mut building = Building::new(start, piece);
    let mut walk = Walk::new(start);
    job.progress.replay().check(logs.bytes_from(number));
    loop {
        let Some(file) = logs.get(number) else {
            let name = logs.name(number);
            if logs.has_after(number) || building.is_empty() {
                return Err(no_file(logs, &name));
            }
            if let Some(named) = walk.names_next() {
                tracing::warn!(
                    "the binary log goes on in {named}, which is not in {}",
                    logs.named()
                );
            }
            target.check_end(building.reached(), walk.closed_at(), logs)?;
            return Ok(building.finish(None));
        };
        tracing::debug!(file = %file.path.display(), "read binary log");
        building.file(file);
        match walk.file(file, number, &mut building, &mut target, job)? {
            Walked::Past(next) => return Ok(building.finish(Some(next))),
            Walked::End => number += 1,
        }
    }
}

fn no_file(logs: &Logs, name: &str) -> Error {
    Error::refused(
        1105,
        format!(
            "the binary log file {name} is needed and is not in {}",
            logs.named()
        ),
        "Name by --binlogs where it is: the server's data directory, an archive, or the file itself.",
    )
}

/// The earliest point that can be reached is the state of the set.
pub(crate) fn too_early(what: &str, earliest: &str, start: &Start) -> Error {
    let serves = start.earlier.as_ref().map_or_else(String::new, |set| {
        format!("; '{set}' in its chain is earlier and serves")
    });
    Error::refused(
        1105,
        format!("{what} is earlier than the end of the set, {earliest}{serves}"),
        "Restore an earlier set with the same options, or give a later point.",
    )
}

fn at_time(committed_us: Option<u64>) -> String {
    committed_us.map_or_else(String::new, |us| format!(", committed {}", show_us(us)))
}
