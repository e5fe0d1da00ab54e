//! The directory a job writes to: it must be ours alone.

use super::keep_away::keep_away;
use crate::io::{create_dir_all, create_new, fsync_dir, lock_holder, remove_file};
use crate::set::layout::{CLONE_DIR, IN_PROGRESS, PERSISTED, REPLAYING};
use crate::{Error, Result};
use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A destination directory, checked to be new or empty.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    allow_lost_found: bool,
    /// The marker of an unfinished job, locked: who dies leaves it unlocked.
    marker: Mutex<Option<File>>,
}

impl Target {
    /// `path`, made absolute. A directory that holds only `lost+found` passes when
    /// `allow_lost_found`; one that a killed job of ours left behind passes when the caller says
    /// so by [`Self::clear_incomplete`].
    pub fn new(path: &Path, allow_lost_found: bool) -> Result<Self> {
        let path = std::path::absolute(path).map_err(|e| Error::io("open directory", path, e))?;
        if path.as_os_str().len() >= 511 {
            return Err(Error::refused(
                1680,
                "The path specified for DATA DIRECTORY is too long.",
                "Give a path of less than 511 bytes.",
            ));
        }
        if path.to_str().is_none() {
            return Err(Error::refused(
                1525,
                format!("Incorrect path value: '{}'", path.display()),
                "Give a path in UTF-8.",
            ));
        }
        Ok(Self {
            path,
            allow_lost_found,
            marker: Mutex::default(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fails unless the directory can be written to: it does not exist, is empty, or was left by a
    /// killed job. Changes nothing.
    pub(crate) fn check_usable(&self) -> Result<()> {
        let markers = [IN_PROGRESS, REPLAYING].map(|name| self.path.join(name));
        let is_unfinished = |marker: &PathBuf| marker.metadata().is_ok_and(|meta| meta.len() == 0);
        if markers.iter().any(is_unfinished) {
            return Ok(());
        }
        self.check_empty()
    }

    /// Fails unless the directory does not exist or is empty.
    pub fn check_empty(&self) -> Result<()> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
                return Err(Error::TargetExists(self.path.clone()));
            }
            Err(e) => return Err(Error::io("read directory", &self.path, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("read directory", &self.path, e))?;
            let lost_found = self.allow_lost_found && entry.file_name() == "lost+found";
            if !lost_found && !is_empty_clone_dir(&entry) {
                return Err(Error::TargetExists(self.path.clone()));
            }
        }
        Ok(())
    }

    /// Fails when the directory could not be made or written to, as far as that can be told without
    /// making it.
    pub(crate) fn check_makeable(&self) -> Result<()> {
        let failed = |source| Error::io("create directory", &self.path, source);
        let there = self.path.ancestors().find_map(|path| {
            let meta = std::fs::metadata(path);
            let is_missing = |e: &std::io::Error| e.kind() == std::io::ErrorKind::NotFound;
            (!meta.as_ref().is_err_and(is_missing)).then_some((path, meta))
        });
        let Some((path, meta)) = there else {
            return Ok(());
        };
        if !meta.map_err(failed)?.is_dir() {
            return Err(failed(std::io::Error::from_raw_os_error(
                rustix::io::Errno::NOTDIR.raw_os_error(),
            )));
        }
        let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(path, wanted).map_err(|errno| failed(errno.into()))
    }

    /// Fails when the target lies in one of the server's directories, or one of them in it.
    pub fn check_outside(&self, directories: &[PathBuf]) -> Result<()> {
        let found = self.overlaps(directories.iter().map(PathBuf::as_path));
        found.map_or(Ok(()), |found| Err(Error::TargetInDataDirectory(found)))
    }

    /// Fails when the target lies in one of the sets, or one of them in it.
    pub(crate) fn check_beside<'a>(&self, sets: impl Iterator<Item = &'a Path>) -> Result<()> {
        let found = self.overlaps(sets);
        found.map_or(Ok(()), |found| Err(Error::TargetInSet(found)))
    }

    /// The first directory that lies in the target, or has it within.
    fn overlaps<'a>(&self, directories: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
        let target = resolved(&self.path);
        let overlap =
            |directory: &PathBuf| target.starts_with(directory) || directory.starts_with(&target);
        directories.map(resolved).find(overlap)
    }

    /// Fails when one of `places` lies in the target, which may have to be emptied.
    pub(crate) fn check_not_within(&self, places: &[PathBuf]) -> Result<()> {
        let target = resolved(&self.path);
        let inside = places
            .iter()
            .find(|place| resolved(place).starts_with(&target));
        inside.map_or(Ok(()), |_| Err(Error::TargetExists(self.path.clone())))
    }

    /// Removes what a killed job left in the directory: only if it carries the marker of an
    /// unfinished one. Returns whether there was something.
    pub fn clear_incomplete(&self) -> Result<bool> {
        let found = [IN_PROGRESS, REPLAYING].map(|name| self.path.join(name));
        let Some(marker) = found.into_iter().find(|marker| marker.exists()) else {
            return Ok(false);
        };
        let file = File::open(&marker).map_err(|e| Error::io("open file", &marker, e))?;
        // One that says something is the journal of an apply, which can still be finished.
        if file.metadata().is_ok_and(|meta| meta.len() > 0) {
            return Ok(false);
        }
        // Held until the marker is gone.
        self.lock(&file)?;
        self.check_no_server()?;
        let entries = || {
            std::fs::read_dir(&self.path).map_err(|e| Error::io("read directory", &self.path, e))
        };
        for entry in entries()? {
            let entry = entry.map_err(|e| Error::io("read directory", &self.path, e))?;
            let path = entry.path();
            // The marker goes last, so that a killed removal is still known as unfinished.
            if entry.file_name() == CLONE_DIR || entry.file_name() == "lost+found" {
                continue;
            }
            let gone = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            gone.map_err(|e| Error::io("remove file", &path, e))?;
        }
        let clone = self.path.join(CLONE_DIR);
        for entry in
            std::fs::read_dir(&clone).map_err(|e| Error::io("read directory", &clone, e))?
        {
            let path = entry
                .map_err(|e| Error::io("read directory", &clone, e))?
                .path();
            if path.is_dir() {
                std::fs::remove_dir_all(&path).map_err(|e| Error::io("remove file", &path, e))?;
            } else if path != marker {
                remove_file(&path)?;
            }
        }
        fsync_dir(&self.path)?;
        remove_file(&marker)?;
        std::fs::remove_dir(&clone).map_err(|e| Error::io("remove file", &clone, e))?;
        Ok(true)
    }

    /// Creates the directory with the marker of an unfinished job, durably. The marker is locked
    /// while this process lives.
    pub fn mark_in_progress(&self) -> Result<()> {
        create_dir_all(&self.path.join(CLONE_DIR))?;
        let file = create_new(&self.path.join(IN_PROGRESS))?;
        self.lock(&file)?;
        *self.marker.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        fsync_dir(&self.path.join(CLONE_DIR))?;
        fsync_dir(&self.path)
    }

    /// Takes the marker away, durably: from here on the directory is complete.
    pub fn mark_complete(&self) -> Result<()> {
        remove_file(&self.path.join(IN_PROGRESS))?;
        fsync_dir(&self.path.join(CLONE_DIR))
    }

    /// Makes the marker that of a directory on which our own server replays binary logs, durably.
    /// No other mysqld starts on it.
    pub(crate) fn mark_replaying(&self) -> Result<()> {
        let file = create_new(&self.path.join(REPLAYING))?;
        self.lock(&file)?;
        keep_away(&self.path)?;
        fsync_dir(&self.path.join(CLONE_DIR))?;
        *self.marker.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        self.mark_complete()
    }

    /// Ends what [`Self::mark_replaying`] began: from here on the directory is complete.
    pub(crate) fn mark_replayed(&self) -> Result<()> {
        remove_file(&self.path.join(PERSISTED))?;
        fsync_dir(&self.path)?;
        remove_file(&self.path.join(REPLAYING))?;
        fsync_dir(&self.path.join(CLONE_DIR))
    }

    /// Fails while a server runs on the directory. One of a replay that was killed ends soon.
    fn check_no_server(&self) -> Result<()> {
        let file = self.path.join("ibdata1");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while file.exists() {
            let Some(pid) = lock_holder(&file)? else {
                break;
            };
            if std::time::Instant::now() > deadline {
                return Err(Error::refused(
                    1007,
                    format!("mysqld (process {pid}) runs on '{}'", self.path.display()),
                    "Stop it, or give another directory.",
                ));
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Ok(())
    }

    /// Locks the marker; fails when the job that wrote it still runs.
    fn lock(&self, marker: &File) -> Result<()> {
        // A file system without locks cannot tell.
        let is_held = matches!(marker.try_lock(), Err(TryLockError::WouldBlock));
        // Whoever removed it meanwhile may have begun anew.
        let is_gone = marker.metadata().is_ok_and(|meta| meta.nlink() == 0);
        if is_held || is_gone {
            return Err(Error::refused(
                1007,
                format!("another job is writing to '{}'", self.path.display()),
                "Wait for it to end, or give another directory.",
            ));
        }
        Ok(())
    }
}

/// What a job leaves that is killed before it has written the marker, or after it has removed it.
fn is_empty_clone_dir(entry: &std::fs::DirEntry) -> bool {
    entry.file_name() == CLONE_DIR
        && entry.file_type().is_ok_and(|kind| kind.is_dir())
        && std::fs::read_dir(entry.path()).is_ok_and(|mut entries| entries.next().is_none())
}

/// Bytes that may be written on the file system of `path`, or of its nearest parent that exists.
pub fn free_space(path: &Path) -> Result<u64> {
    let existing = path
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    let stat = rustix::fs::statvfs(existing)
        .map_err(|e| Error::io("open directory", existing, e.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Symbolic links resolved as far as the path exists.
fn resolved(path: &Path) -> PathBuf {
    for parent in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (parent.canonicalize(), path.strip_prefix(parent)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_directory_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::new(&dir.path().join("new/deep"), false).unwrap();
        target.check_empty().unwrap();
        target.mark_in_progress().unwrap();
        assert!(matches!(target.check_empty(), Err(Error::TargetExists(_))));
        let other = Target::new(target.path(), false).unwrap();
        assert_eq!(other.clear_incomplete().unwrap_err().code(), 1007);
        drop(target);
        let target = other;
        assert!(target.clear_incomplete().unwrap());
        target.check_empty().unwrap();
        std::fs::create_dir(target.path().join(CLONE_DIR)).unwrap();
        target.check_empty().unwrap();
        std::fs::write(target.path().join(CLONE_DIR).join("x"), "").unwrap();
        assert!(target.check_empty().is_err());
        std::fs::remove_dir_all(target.path().join(CLONE_DIR)).unwrap();
        std::fs::create_dir(target.path().join("lost+found")).unwrap();
        assert!(target.check_empty().is_err());
        Target::new(target.path(), true)
            .unwrap()
            .check_empty()
            .unwrap();
        assert!(!target.clear_incomplete().unwrap(), "not ours to remove");
        let half_applied = Target::new(&dir.path().join("applied"), false).unwrap();
        half_applied.mark_in_progress().unwrap();
        std::fs::write(half_applied.path().join(IN_PROGRESS), "{}").unwrap();
        assert!(!half_applied.clear_incomplete().unwrap());
        assert!(half_applied.check_empty().is_err());
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(
            Target::new(&file, true)
                .unwrap()
                .check_empty()
                .unwrap_err()
                .code(),
            1007
        );
    }

    #[test]
    fn a_target_within_the_data_directory_is_refused_through_links_too() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&data, &link).unwrap();
        let inside = Target::new(&link.join("x"), false).unwrap();
        assert_eq!(
            inside
                .check_outside(std::slice::from_ref(&data))
                .unwrap_err()
                .code(),
            3632
        );
        let around = Target::new(dir.path(), false).unwrap();
        assert!(around.check_outside(std::slice::from_ref(&data)).is_err());
        let beside = Target::new(&dir.path().join("data2"), false).unwrap();
        beside.check_outside(&[data]).unwrap();
    }
}
