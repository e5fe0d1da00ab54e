//! Replays a plan into a running server.

mod applier;
mod pieces;
mod statement;

pub(super) use statement::words;

use super::mysqld::Mysqld;
use super::plan::{PieceKind, Plan};
use crate::{Error, Job, Result};
use applier::Applier;
use binlog::gtid::GtidSet;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use pieces::{Pieces, Ready};
use std::path::Path;

/// Replays. Relay logs are made in `directory`, while the one before is applied; together they take
/// no more than the largest of the binary logs.
pub(super) fn replay(
    plan: &Plan,
    server: &Mysqld,
    directory: &Path,
    owner: Option<(u32, u32)>,
    job: &Job,
) -> Result<()> {
    job.progress.replay().begin(plan.bytes, plan.transactions);
    let (ready, to_apply) = bounded(0);
    let (applied, done) = unbounded();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Err(error) = make(plan, directory, owner, job, &ready, &done) {
                job.fail(error);
            }
        });
        let result = apply(plan, server, directory, owner, job, &to_apply, &applied);
        // The other thread stops when nobody takes what it makes.
        drop((to_apply, applied));
        result.map_err(|error| job.cause(error))
    })
}

fn make(
    plan: &Plan,
    directory: &Path,
    owner: Option<(u32, u32)>,
    job: &Job,
    ready: &Sender<Ready>,
    done: &Receiver<()>,
) -> Result<()> {
    let budget = plan.budget();
    let mut pieces = Pieces::new(plan, directory, owner);
    let mut waiting = 0;
    let mut before = 0;
    for (number, piece) in plan.pieces.iter().enumerate() {
        let bytes = piece.end - piece.begin;
        if before + bytes > budget {
            // Until all that was made is applied.
            while waiting > 0 && done.recv().is_ok() {
                waiting -= 1;
            }
        }
        before = bytes;
        let piece = pieces.take(number, piece, job)?;
        if ready.send(piece).is_err() {
            return Ok(());
        }
        waiting += 1;
        while waiting > 1 && done.try_recv().is_ok() {
            waiting -= 1;
        }
    }
    Ok(())
}

fn apply(
    plan: &Plan,
    server: &Mysqld,
    directory: &Path,
    owner: Option<(u32, u32)>,
    job: &Job,
    to_apply: &Receiver<Ready>,
    applied: &Sender<()>,
) -> Result<()> {
    let mut applier = Applier::new(server, directory, owner)?;
    let mut session = None;
    for piece in &plan.pieces {
        job.check()?;
        // The maker has failed, or the job was cancelled: the caller knows.
        let Ok(ready) = to_apply.recv() else {
            return Err(Error::Cancelled);
        };
        let progress = job.progress.replay();
        match (ready, &piece.kind) {
            (Ready::Relay { path, bytes }, PieceKind::Events) => {
                let length = piece.end - piece.begin;
                let mut told = 0;
                applier.apply(&path, bytes, job, &mut |at, time| {
                    // The relay log has a beginning of its own.
                    let now = (length + at).saturating_sub(bytes).max(told);
                    progress.applied(now - told, time);
                    told = now;
                })?;
            }
            (Ready::Statement { timestamp, body }, PieceKind::Statement(gtid)) => {
                if session.is_none() {
                    session = Some(server.statements()?);
                }
                if let Some(session) = &mut session {
                    statement::execute(session, gtid.as_ref(), timestamp, &body)?;
                }
                progress.applied(piece.end - piece.begin, None);
            }
            _ => {
                return Err(Error::refused(
                    1105,
                    "the pieces of the replay are mixed up",
                    "",
                ));
            }
        }
        progress.ended(piece.transactions, piece.committed_us);
        // Nobody may be listening any more.
        let _ = applied.send(());
    }
    applier.end()?;
    check_gtids(&plan.end.gtids, &executed(server)?)
}

fn check_gtids(wanted: &GtidSet, executed: &GtidSet) -> Result<()> {
    if executed == wanted {
        return Ok(());
    }
    Err(Error::refused(
        1105,
        format!("after the replay gtid_executed is {executed:#}, and should be {wanted:#}"),
        "Nothing usable was left behind. This is a bug.",
    ))
}

/// Whether the server, when it is started again, will know that it has executed exactly `wanted`.
///
/// That is read from a table then. Its own log brings the GTIDs of sessions there when it is rotated,
/// and a thread of InnoDB those of the applier, some ten times a second.
pub(super) fn keeps_gtids(wanted: &GtidSet, server: &Mysqld, job: &Job) -> Result<bool> {
    const PATIENCE: u32 = 20;
    let lost = |e| server.lost("read mysql.gtid_executed", e);
    let mut session = server.session()?;
    session
        .execute("FLUSH NO_WRITE_TO_BINLOG BINARY LOGS")
        .map_err(lost)?;
    for _ in 0..PATIENCE {
        let rows = session
            .query("SELECT * FROM mysql.gtid_executed")
            .map_err(lost)?;
        let mut kept = GtidSet::new();
        for row in &rows {
            let text = |column| row.text(column).unwrap_or_default().trim().to_owned();
            // Servers before 8.3 have no tags.
            let source = match text(3) {
                tag if tag.is_empty() => text(0),
                tag => format!("{}:{tag}", text(0)),
            };
            let range = format!("{source}:{}-{}", text(1), text(2));
            let range: GtidSet = range.parse().map_err(|e| {
                Error::refused(1105, format!("mysql.gtid_executed has '{range}': {e}"), "")
            })?;
            kept.union_with(&range);
        }
        if kept == *wanted {
            session.close();
            return Ok(true);
        }
        job.sleep(std::time::Duration::from_millis(100))?;
    }
    session.close();
    Ok(false)
}

/// Of a server that was started again after the replay: it has executed exactly what the plan says.
///
/// A server without its binary log forgets the GTIDs of `XA COMMIT` and `XA ROLLBACK` that its
/// applier has executed (seen in 9.7.4): they are in `gtid_executed`, but not in the table that it is
/// read from at the next start. These are added.
pub(super) fn settle_gtids(wanted: &GtidSet, server: &Mysqld) -> Result<()> {
    let found = executed(server)?;
    let missing = wanted.difference(&found);
    if missing.is_empty() {
        return check_gtids(wanted, &found);
    }
    tracing::debug!(gtids = %format!("{missing:#}"), "add to gtid_purged");
    let mut session = server.session()?;
    session
        .execute(&format!("SET GLOBAL gtid_purged = '+{missing:#}'"))
        .map_err(|e| server.lost("add GTIDs", e))?;
    session.close();
    check_gtids(wanted, &executed(server)?)
}

/// `gtid_executed` of the server.
pub(super) fn executed(server: &Mysqld) -> Result<GtidSet> {
    let mut session = server.session()?;
    let text: Option<String> = session
        .query_value("SELECT @@GLOBAL.gtid_executed")
        .map_err(|e| server.lost("read gtid_executed", e))?;
    session.close();
    let text = text.unwrap_or_default();
    text.parse()
        .map_err(|e| Error::refused(1105, format!("gtid_executed is '{text}': {e}"), ""))
}
