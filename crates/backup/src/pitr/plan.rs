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

impl Plan {
    /// Bytes that the pieces may take that are there at once: one that is applied, and the next. No
    /// piece takes more.
    pub(crate) fn budget(&self) -> u64 {
        self.files.iter().map(|file| file.end).max().unwrap_or(0)
    }

    /// Bytes that the pieces take at most.
    pub(crate) fn room(&self) -> u64 {
        let (mut most, mut before) = (0, 0);
        for piece in &self.pieces {
            let bytes = match piece.kind {
                PieceKind::Events => piece.end - piece.begin,
                PieceKind::Statement(_) => 0,
            };
            let together = before + bytes;
            most = most.max(if together > self.budget() {
                bytes
            } else {
                together
            });
            before = bytes;
        }
        most
    }
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

#[cfg(test)]
mod tests {
    use super::PieceKind::{Events, Statement};
    use super::*;

    #[test]
    fn two_pieces_are_there_at_once_where_that_is_no_more_than_a_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("binlog.000001"), "").unwrap();
        let uuid = "c42c1e3e-0f41-11ef-b6bf-d08e7908bcb1";
        let places = [dir.path().to_owned()];
        let logs = crate::pitr::files::Logs::find(&places, "binlog.000001", uuid).unwrap();
        let room = |pieces: &[(u64, u64, PieceKind)], end| {
            let piece = |(begin, end, kind): &(u64, u64, PieceKind)| Piece {
                file: 0,
                begin: *begin,
                end: *end,
                kind: kind.clone(),
                transactions: 1,
                committed_us: None,
            };
            let plan = Plan {
                files: vec![PlannedFile {
                    log: logs.get(1).unwrap().clone(),
                    begin: 0,
                    end,
                }],
                pieces: pieces.iter().map(piece).collect(),
                end: Reached {
                    position: LogPosition {
                        file: "binlog.000001".into(),
                        position: end,
                    },
                    gtids: GtidSet::new(),
                    committed_us: None,
                },
                next: None,
                transactions: 0,
                bytes: 0,
                server_id: 1,
            };
            plan.room()
        };
        assert_eq!(room(&[], 0), 0);
        assert_eq!(room(&[(100, 900, Events)], 900), 800);
        assert_eq!(room(&[(100, 400, Events), (400, 900, Events)], 900), 800);
        assert_eq!(room(&[(0, 700, Events), (100, 600, Events)], 900), 700);
        let between = [
            (100, 300, Events),
            (300, 400, Statement(None)),
            (400, 900, Events),
        ];
        assert_eq!(room(&between, 900), 500);
    }
}
