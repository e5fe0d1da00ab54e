//! What a replay is going to do.

use super::files::LogFile;
use super::until::{LogPosition, show_us};
use binlog::gtid::{Gtid, GtidSet};

/// What is replayed, in order, and where that ends.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The files that are read, in order.
    pub(crate) files: Vec<PlannedFile>,
    /// The parts of the files, in order.
    pub(crate) pieces: Vec<Piece>,
    /// Where the replay ends.
    pub(crate) end: Reached,
    /// The first transaction that is not replayed, if the binary logs have one.
    pub(crate) next: Option<Next>,
    /// Transactions in all pieces.
    pub(crate) transactions: u64,
    /// Bytes in all pieces.
    pub(crate) bytes: u64,
    /// `server_id` of the donor.
    pub(crate) server_id: u32,
}

/// A file, and what of it is replayed.
#[derive(Debug, Clone)]
pub(crate) struct PlannedFile {
    /// The file.
    pub(crate) log: LogFile,
    /// From this byte on.
    pub(crate) begin: u64,
    /// Up to this one.
    pub(crate) end: u64,
}

/// Whole transactions that stand one behind the other in a file.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Position in [`Plan::files`].
    pub(crate) file: usize,
    /// Where the first begins.
    pub(crate) begin: u64,
    /// Where the last ends.
    pub(crate) end: u64,
    /// How it is replayed.
    pub(crate) kind: PieceKind,
    /// How many there are.
    pub(crate) transactions: u64,
    /// When the last was committed, microseconds since 1970.
    pub(crate) committed_us: Option<u64>,
}

/// How a piece is replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// By the server's applier.
    Events,
    /// As a statement of a session: one transaction, with its GTID.
    Statement(Option<Gtid>),
}

/// The state at some point of the binary log.
#[derive(Debug, Clone)]
pub(crate) struct Reached {
    /// Behind the last transaction.
    pub(crate) position: LogPosition,
    /// All transactions executed.
    pub(crate) gtids: GtidSet,
    /// When the last one was committed, microseconds since 1970; `None` if nothing is replayed.
    pub(crate) committed_us: Option<u64>,
}

/// A transaction past the end of a replay.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    /// Where it begins.
    pub(crate) position: LogPosition,
    /// Its GTID.
    pub(crate) gtid: Option<Gtid>,
    /// When it was committed, microseconds since 1970.
    pub(crate) committed_us: Option<u64>,
}

impl Next {
    /// `binlog.000013:29838644, GTID …, committed …`
    pub(crate) fn describe(&self) -> String {
        let gtid = self.gtid.as_ref().map(|gtid| format!("GTID {gtid}"));
        let time = self
            .committed_us
            .map(|us| format!("committed {}", show_us(us)));
        let parts = [Some(self.position.to_string()), gtid, time];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
