//! The journal of an apply: the plan, kept in the marker of an unfinished directory.
//!
//! The journal *is* `#clone/#status_in_progress`, which stops mysqld from starting. One file that
//! appears by a rename: a directory is either untouched, or marked together with the whole plan.

use super::disk::Disk;
use super::plan::Plan;
use crate::io::read_bounded;
use crate::set::layout::{IN_PROGRESS, MANIFEST_DIGEST};
use crate::set::{BackupSet, SetId, is_half_decompressed};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Directory of everything an apply keeps until it is done.
pub(super) const APPLY_DIR: &str = "#clone/#apply";
/// A set's `#clone` within [`APPLY_DIR`]: describes the data directory as it is going to be.
pub(super) const RESULT: &str = "#clone/#apply/result";
/// There once all files that move are aside, and all new files are complete beside them.
pub(super) const PARKED: &str = "#clone/#apply/parked";
/// There once every file has its name and its bytes.
pub(super) const WRITTEN: &str = "#clone/#apply/written";

/// Larger journals are not read.
const LIMIT: u64 = 1 << 30;

/// Where the file of move `at` waits for its name.
pub(super) fn parked(at: usize) -> String {
    format!("{APPLY_DIR}/move.{at}")
}

/// Where a file is made anew: `file` is its position in the increment's manifest.
pub(super) fn staged(file: usize) -> String {
    format!("{APPLY_DIR}/new.{file}")
}

/// What an apply is about to do, written before the first change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// Version of this format: 1.
    pub apply: u32,
    /// The increment.
    pub increment: SetId,
    /// Its directory at the time.
    pub increment_path: String,
    /// The digest line of its manifest: positions in the plan are positions in this one.
    pub increment_digest: String,
    /// The digest line of the manifest that the data directory gets at the end.
    pub result_digest: String,
    /// The plan.
    pub plan: Plan,
}

impl Journal {
    const FORMAT: u32 = 1;

    pub(super) fn new(increment: &BackupSet, result_digest: String, plan: Plan) -> Result<Self> {
        Ok(Self {
            apply: Self::FORMAT,
            increment: increment.manifest().id.clone(),
            increment_path: increment.path().display().to_string(),
            increment_digest: digest_line_of(increment.path())?,
            result_digest,
            plan,
        })
    }

    /// The journal of an unfinished apply, if the directory has one. An empty marker is that of an
    /// unfinished backup or restore.
    pub(super) fn read(datadir: &Path) -> Result<Option<Self>> {
        let path = datadir.join(IN_PROGRESS);
        match path.symlink_metadata() {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open file", &path, e)),
            Ok(meta) if meta.len() == 0 => return Ok(None),
            Ok(_) => {}
        }
        // Told by whoever opens it as a set.
        if is_half_decompressed(datadir) {
            return Ok(None);
        }
        let bytes = read_bounded(&path, LIMIT)?;
        let journal: Self = serde_json::from_slice(&bytes)
            .map_err(|e| Error::damaged(&path, format!("is not the journal of an apply: {e}")))?;
        if journal.apply != Self::FORMAT {
            let message = format!(
                "'{}' is the journal of another version of innoclone",
                path.display()
            );
            let hint = "Finish the apply with the version that began it, or copy the full again.";
            return Err(Error::refused(1105, message, hint));
        }
        Ok(Some(journal))
    }

    /// Puts the journal in place: from here on the directory is unfinished.
    pub(super) fn write(&self, disk: &Disk) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::damaged(&disk.path(IN_PROGRESS), e))?;
        let staged = format!("{APPLY_DIR}/journal");
        disk.put(&staged, &bytes)?;
        disk.rename(&staged, IN_PROGRESS)?;
        disk.sync_parent(IN_PROGRESS)
    }

    /// Fails unless `increment` is the one that was being applied.
    pub(super) fn check_same(&self, increment: &BackupSet, datadir: &Path) -> Result<()> {
        let same = self.increment == increment.manifest().id
            && self.increment_digest == digest_line_of(increment.path())?;
        if same {
            return Ok(());
        }
        Err(self.in_the_way(datadir))
    }

    /// The refusal of anything but to finish this apply.
    pub(super) fn in_the_way(&self, datadir: &Path) -> Error {
        let message = format!(
            "'{}' is half way through the apply of set {} from '{}'",
            datadir.display(),
            self.increment,
            self.increment_path
        );
        let hint = "Apply that increment again, it goes on where it was; or copy the full again.";
        Error::refused(1105, message, hint)
    }
}

/// The text that tells manifests apart.
pub(super) fn digest_line_of(set: &Path) -> Result<String> {
    let bytes = read_bounded(&set.join(MANIFEST_DIGEST), 4096)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
