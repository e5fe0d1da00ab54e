//! Rebuilding the history from the sets: each holds its own row.

use crate::set::{BackupSet, SetKind};
use crate::{Error, Result};
use catalogue::{Catalogue, CloneType, HistoryRow, State, mysql_timestamp};
use std::path::{Path, PathBuf};

/// How deep sets are looked for below a directory.
const DEPTH: usize = 4;

/// Enters every sealed set found at or below `directories` in the history, if it is not there;
/// how many rows were added or corrected.
pub fn rebuild_history(catalogue: &Catalogue, directories: &[PathBuf]) -> Result<u64> {
    let mut rows = Vec::new();
    for directory in directories {
        let directory = std::path::absolute(directory)
            .map_err(|e| Error::io("open directory", directory, e))?;
        std::fs::read_dir(&directory).map_err(|e| Error::io("read directory", &directory, e))?;
        collect(&directory, DEPTH, &mut rows);
    }
    rows.sort_by_key(|(begin, ..)| *begin);
    let mut changed = 0;
    for (_, row, set_id) in rows {
        changed += u64::from(
            catalogue
                .import(&row, Some(&set_id))
                .map_err(Error::History)?,
        );
    }
    Ok(changed)
}

/// Begin, row and identity of the sets at and below `path`. What is no sealed set has no row.
fn collect(path: &Path, depth: usize, rows: &mut Vec<(i64, HistoryRow, String)>) {
    if let Ok(set) = BackupSet::open(path) {
        let row = row_of(&set);
        rows.push((
            set.manifest().clone.begin_us,
            row,
            set.manifest().id.to_string(),
        ));
        return;
    }
    if depth == 0 {
        return;
    }
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), depth - 1, rows);
        }
    }
}

fn row_of(set: &BackupSet) -> HistoryRow {
    let manifest = set.manifest();
    let (clone, lsn, binlog) = (&manifest.clone, &manifest.lsn, &manifest.binlog);
    HistoryRow {
        id: clone.id,
        pid: clone.pid,
        clone_type: match manifest.kind {
            SetKind::Full => CloneType::Full,
            SetKind::Increment => CloneType::Increment,
        },
        state: State::Completed,
        begin_time: Some(mysql_timestamp(clone.begin_us, 3)),
        end_time: Some(mysql_timestamp(clone.end_us, 3)),
        source: clone.source.clone(),
        destination: clone.destination.clone(),
        error_no: 0,
        error_message: String::new(),
        binlog_file: binlog.file.clone(),
        binlog_position: binlog.position,
        gtid_executed: binlog.gtid_executed.clone(),
        start_lsn: lsn.start.get(),
        page_track_lsn: manifest.next_start().get(),
        end_lsn: lsn.end.get(),
    }
}
