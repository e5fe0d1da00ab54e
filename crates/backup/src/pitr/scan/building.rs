//! A plan that grows as the binary logs are read.

use super::Start;
use super::target::committed_us;
use crate::pitr::files::LogFile;
use crate::pitr::plan::{Next, Piece, PieceKind, Plan, PlannedFile, Reached};
use crate::pitr::until::LogPosition;
use binlog::Transaction;

/// A plan that is not complete yet.
#[derive(Debug)]
pub(super) struct Building {
    plan: Plan,
    /// Largest piece in bytes.
    largest: u64,
}

impl Building {
    pub(super) fn new(start: &Start, largest: u64) -> Self {
        let end = Reached {
            position: start.position.clone(),
            gtids: start.gtids.clone(),
            committed_us: None,
        };
        Self {
            plan: Plan {
                files: Vec::new(),
                pieces: Vec::new(),
                end,
                next: None,
                transactions: 0,
                bytes: 0,
                server_id: 0,
            },
            largest,
        }
    }

    /// Whether no file was read.
    pub(super) fn is_empty(&self) -> bool {
        self.plan.files.is_empty()
    }

    /// What is reached so far.
    pub(super) fn reached(&self) -> &Reached {
        &self.plan.end
    }

    /// The next file.
    pub(super) fn file(&mut self, log: &LogFile) {
        self.plan.files.push(PlannedFile {
            log: log.clone(),
            begin: 0,
            end: 0,
        });
    }

    /// The donor's `server_id`, as the first file has it.
    pub(super) fn donor(&mut self, server_id: u32) {
        if self.plan.server_id == 0 {
            self.plan.server_id = server_id;
        }
    }

    /// The position behind what is in no transaction.
    pub(super) fn pass(&mut self, name: &str, position: u64) {
        let end = &mut self.plan.end.position;
        if end.file != name || end.position < position {
            *end = LogPosition {
                file: name.to_owned(),
                position,
            };
        }
    }

    /// The next transaction, of the last file. It is a statement for a session, or else an applier's.
    pub(super) fn add(&mut self, transaction: &Transaction, as_statement: bool) {
        let file = self.plan.files.len().saturating_sub(1);
        let committed = committed_us(transaction);
        let gtid = transaction.identity.gtid();
        let kind = if as_statement {
            PieceKind::Statement(gtid.cloned())
        } else {
            PieceKind::Events
        };
        if let Some(planned) = self.plan.files.last_mut() {
            if planned.end == 0 {
                planned.begin = transaction.begin;
            }
            planned.end = transaction.end;
            self.plan.end.position = LogPosition {
                file: planned.log.name.clone(),
                position: transaction.end,
            };
        }
        let largest = self.largest;
        let fits = |piece: &&mut Piece| {
            let together = transaction.end.saturating_sub(piece.begin);
            let both_events = piece.kind == PieceKind::Events && kind == PieceKind::Events;
            both_events
                && piece.file == file
                && piece.end == transaction.begin
                && together <= largest
        };
        if let Some(piece) = self.plan.pieces.last_mut().filter(fits) {
            piece.end = transaction.end;
            piece.transactions += 1;
            piece.committed_us = Some(committed);
        } else {
            self.plan.pieces.push(Piece {
                file,
                begin: transaction.begin,
                end: transaction.end,
                kind,
                transactions: 1,
                committed_us: Some(committed),
            });
        }
        if let Some(gtid) = gtid {
            self.plan.end.gtids.insert(gtid);
        }
        self.plan.end.committed_us = Some(committed);
        self.plan.transactions += 1;
        self.plan.bytes += transaction.end - transaction.begin;
    }

    /// Whether a transaction with this identity was executed before.
    pub(super) fn has(&self, transaction: &Transaction) -> bool {
        let gtid = transaction.identity.gtid();
        gtid.is_some_and(|gtid| self.plan.end.gtids.contains(gtid))
    }

    /// The whole plan. `next` is the first transaction past it.
    pub(super) fn finish(mut self, next: Option<Next>) -> Plan {
        // Nothing of such a file is replayed.
        while self.plan.files.len() > 1 && self.plan.files.last().is_some_and(|file| file.end == 0)
        {
            self.plan.files.pop();
        }
        self.plan.next = next;
        self.plan
    }
}
