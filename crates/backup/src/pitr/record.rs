//! What a replay has done.

use super::plan::Plan;
use super::until::{Until, show_us};
use crate::set::BinlogPosition;

/// A replay that was made. Also kept in the directory, as `#clone/point_in_time.json`.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ReplayReport {
    /// The point that was wanted.
    pub until: String,
    /// Binary log position of the result, on the donor, and its GTID set.
    pub binlog: BinlogPosition,
    /// When its last replayed transaction was committed.
    pub last_commit: Option<String>,
    /// The first transaction that was not replayed, where the binary logs have one.
    pub next: Option<String>,
    /// Transactions replayed.
    pub transactions: u64,
    /// Bytes of binary logs replayed.
    pub bytes: u64,
    /// Seconds it took, with the start and the end of mysqld.
    pub seconds: f64,
}

impl ReplayReport {
    pub(super) fn new(plan: &Plan, until: &Until, seconds: f64) -> Self {
        let end = &plan.end;
        Self {
            until: until.to_string(),
            binlog: BinlogPosition {
                file: end.position.file.clone(),
                position: end.position.position,
                gtid_executed: format!("{:#}", end.gtids),
            },
            last_commit: end.committed_us.map(show_us),
            next: plan.next.as_ref().map(super::plan::Next::describe),
            transactions: plan.transactions,
            bytes: plan.bytes,
            seconds,
        }
    }
}
