//! `apply`: an increment into a copy of a full backup, in place.

use crate::set::{BinlogPosition, LsnRecord, SetId};
use crate::{EncryptionKey, Job, Result};
use std::path::PathBuf;
use std::time::Instant;

/// An increment to be applied.
#[derive(Debug, Clone)]
pub struct ApplyRequest {
    /// A copy of a full backup, to which earlier increments may have been applied, and on which no
    /// server has been started. It is changed.
    pub datadir: PathBuf,
    /// The increment. It is only read, unless somebody has decompressed it file by file: then its
    /// manifest has to be changed first.
    pub incremental_dir: PathBuf,
    /// The key that seals the keys of encrypted tablespaces, where they are sealed.
    pub encryption_key: Option<EncryptionKey>,
}

/// An increment that was applied.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ApplyReport {
    /// The data directory.
    pub datadir: PathBuf,
    /// The increment whose state the data directory has.
    pub set_id: SetId,
    /// Whether it had that state before, so that nothing was done.
    pub already_applied: bool,
    /// Whether an apply that had been killed was finished.
    pub resumed: bool,
    /// Files made anew: tablespaces that the data directory did not have, redo, files that are no
    /// tablespaces.
    pub files_created: u64,
    /// Files that got another name.
    pub files_renamed: u64,
    /// Files that are gone, those in whose place another was put not counted.
    pub files_removed: u64,
    /// Files that got pages or another length.
    pub files_changed: u64,
    /// Pages written; by this run alone where it finished another.
    pub pages_written: u64,
    /// Bytes written, likewise.
    pub bytes_written: u64,
    /// LSNs of the data directory.
    pub lsn: LsnRecord,
    /// Its binary log position.
    pub binlog: BinlogPosition,
    /// Variables that mysqld must be started with.
    pub variables: std::collections::BTreeMap<String, String>,
    /// What is to be known of its encrypted tablespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring: Option<&'static str>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Applies an increment. Progress: FILE COPY is the check of everything, PAGE COPY the writing.
pub fn apply(request: &ApplyRequest, job: &Job) -> Result<ApplyReport> {
    let begin = Instant::now();
    for directory in [&request.datadir, &request.incremental_dir] {
        super::decompress::adopt(directory, job)?;
    }
    let applied = crate::apply::apply(
        &request.datadir,
        &request.incremental_dir,
        request.encryption_key.as_ref(),
        job,
    )?;
    let counts = applied.plan.unwrap_or_default();
    let manifest = applied.manifest;
    Ok(ApplyReport {
        datadir: request.datadir.clone(),
        set_id: manifest.id,
        already_applied: applied.plan.is_none(),
        resumed: applied.resumed,
        files_created: counts.created,
        files_renamed: counts.renamed,
        files_removed: counts.removed,
        files_changed: counts.changed,
        pages_written: counts.pages,
        bytes_written: counts.bytes,
        lsn: manifest.lsn,
        binlog: manifest.binlog,
        variables: manifest.server.variables,
        keyring: applied.gives_keys.then_some(super::restore::RESTORED_KEYS),
        seconds: begin.elapsed().as_secs_f64(),
    })
}
