//! Whether a transaction is past the point that is wanted.

use super::{Start, at_time, too_early};
use crate::pitr::files::{Logs, number_of};
use crate::pitr::plan::Reached;
use crate::pitr::until::{LogPosition, Until, show_us};
use crate::{Error, Result};
use binlog::Transaction;
use binlog::gtid::GtidSet;

/// The point that is wanted.
#[derive(Debug)]
pub(super) enum Target {
    /// Microseconds since 1970.
    Time(u64),
    /// What is still to be executed.
    Gtids(GtidSet),
    /// Number of the file, and the position in it.
    Position(u32, LogPosition),
    Latest,
}

impl Target {
    /// Fails when the point is before the set by what the set itself says.
    pub(super) fn new(until: &Until, start: &Start) -> Result<Self> {
        Ok(match until {
            Until::Latest => Self::Latest,
            Until::Time(time) => Self::Time(u64::try_from(time.as_microsecond()).unwrap_or(0)),
            Until::Position(position) => {
                let (from, to) = (number_of(&start.position.file), number_of(&position.file));
                let (Some((base, first)), Some((wanted, number))) = (from, to) else {
                    return Err(wrong_base(position, start));
                };
                if base != wanted {
                    return Err(wrong_base(position, start));
                }
                if (number, position.position) < (first, start.position.position) {
                    let earliest = format!("position {}", start.position);
                    return Err(too_early(&until.to_string(), &earliest, start));
                }
                Self::Position(number, position.clone())
            }
            Until::Gtids(wanted) => {
                if start.gtids.is_empty() {
                    return Err(Error::refused(
                        1105,
                        "the set has no GTIDs, because its server did not use them",
                        "Give a time or a position.",
                    ));
                }
                let missing = wanted.difference(&start.gtids);
                if missing.is_empty() && *wanted != start.gtids {
                    let earliest = format!("which has executed {:#}", start.gtids);
                    return Err(too_early(&until.to_string(), &earliest, start));
                }
                Self::Gtids(missing)
            }
        })
    }

    /// Whether the replay ends before this transaction of file `number`.
    pub(super) fn is_past(&self, number: u32, transaction: &Transaction) -> bool {
        match self {
            Self::Latest => false,
            Self::Time(us) => committed_us(transaction) > *us,
            Self::Gtids(missing) => missing.is_empty(),
            Self::Position(file, wanted) => (number, transaction.end) > (*file, wanted.position),
        }
    }

    /// Takes note of a transaction that is replayed.
    pub(super) fn executed(&mut self, transaction: &Transaction) {
        if let (Self::Gtids(missing), Some(gtid)) = (self, transaction.identity.gtid())
            && missing.contains(gtid)
        {
            *missing = missing.difference(&GtidSet::from_iter([gtid.clone()]));
        }
    }

    /// Fails when the point is before the state of the set, whose last transaction was committed
    /// at `last_us`.
    pub(super) fn check_start(&self, last_us: u64, start: &Start) -> Result<()> {
        match self {
            Self::Time(us) if *us < last_us => Err(too_early(
                &show_us(*us),
                &format!("{} (position {})", show_us(last_us), start.position),
                start,
            )),
            _ => Ok(()),
        }
    }

    /// Fails when the point is behind the end of file `number`, which has `bytes` bytes.
    pub(super) fn check_file_end(&self, number: u32, bytes: u64) -> Result<()> {
        match self {
            Self::Position(file, wanted) if *file == number && wanted.position > bytes => {
                let message = format!("{} ends at {bytes}, before position {wanted}", wanted.file);
                Err(ends_early(message))
            }
            _ => Ok(()),
        }
    }

    /// Fails unless the point is reached at the end of the last binary log, which is `reached`.
    /// `closed_us` is when the server closed the last file, if it did.
    pub(super) fn check_end(
        &self,
        reached: &Reached,
        closed_us: Option<u64>,
        logs: &Logs,
    ) -> Result<()> {
        let ends = format!(
            "the binary logs in {} end at {}{}",
            logs.named(),
            reached.position,
            at_time(reached.committed_us)
        );
        match self {
            Self::Latest => Ok(()),
            Self::Gtids(missing) if missing.is_empty() => Ok(()),
            Self::Gtids(missing) => Err(ends_early(format!(
                "{ends}, without the transactions {missing:#}"
            ))),
            Self::Position(number, wanted) => {
                let last = number_of(&reached.position.file).map(|(_, number)| number);
                if last == Some(*number) && wanted.position <= reached.position.position {
                    return Ok(());
                }
                Err(ends_early(format!("{ends}, before position {wanted}")))
            }
            // What the server did after it closed the file is in the next.
            Self::Time(us) if closed_us.is_some_and(|closed| closed > *us) => Ok(()),
            Self::Time(us) => Err(Error::refused(
                1105,
                format!(
                    "{ends}; whether that is all up to {} they cannot tell",
                    show_us(*us)
                ),
                "Add the binary logs that follow, or take all that there is by --until latest.",
            )),
        }
    }
}

/// When a transaction was committed, microseconds since 1970.
pub(super) fn committed_us(transaction: &Transaction) -> u64 {
    let from_header = u64::from(transaction.timestamp) * 1_000_000;
    transaction.immediate_commit_us.unwrap_or(from_header)
}

fn ends_early(message: String) -> Error {
    Error::refused(
        1105,
        message,
        "Add the binary logs that follow, or give an earlier point.",
    )
}

fn wrong_base(position: &LogPosition, start: &Start) -> Error {
    Error::refused(
        1105,
        format!(
            "'{}' is no file of the binary log of '{}'",
            position.file, start.position.file
        ),
        "",
    )
}
