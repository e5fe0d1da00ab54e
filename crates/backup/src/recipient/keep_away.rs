//! Keeps every mysqld but our own away from a directory.

use crate::io::{create_new, fsync_dir, remove_file};
use crate::set::layout::PERSISTED;
use crate::{Error, Result};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What stands in [`PERSISTED`]. It must not be JSON.
pub(crate) const KEEP_AWAY: &str =
    "innoclone: the restore of this directory to a point in time has not ended";

/// No mysqld starts on the directory from here on.
pub(crate) fn keep_away(directory: &Path) -> Result<()> {
    let path = directory.join(PERSISTED);
    if path.exists() {
        return Ok(());
    }
    let mut file = create_new(&path)?;
    // One that mysqld may not read would be passed over.
    file.set_permissions(Permissions::from_mode(0o644))
        .and_then(|()| writeln!(file, "{KEEP_AWAY}"))
        .map_err(|e| Error::io("write file", &path, e))?;
    fsync_dir(directory)
}

/// A mysqld can start on the directory while this lives. That is read once, so that it can end as
/// soon as ours runs.
#[derive(Debug)]
pub(crate) struct Admission<'a> {
    directory: &'a Path,
}

impl<'a> Admission<'a> {
    pub(crate) fn begin(directory: &'a Path) -> Result<Self> {
        remove_file(&directory.join(PERSISTED))?;
        Ok(Self { directory })
    }

    pub(crate) fn end(self) -> Result<()> {
        keep_away(self.directory)
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        // What failed before is what is reported.
        let _ = keep_away(self.directory);
    }
}
