//! The only place that creates, renames, removes and finishes files of sets and directories.

use crate::{Error, Result};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Creates `path` for reading and writing; fails when it exists. Mode 0640, as mysqld's own files.
pub(crate) fn create_new(path: &Path) -> Result<File> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(path)
        .map_err(|e| Error::io("create file", path, e))
}

/// Writes a small file in one go; fails when it exists. Durable only after a later sync.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    create_new(path)?
        .write_all(bytes)
        .map_err(|e| Error::io("write file", path, e))
}

/// Creates a directory and what is missing above it, mode 0750.
pub(crate) fn create_dir_all(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(path)
        .map_err(|e| Error::io("create directory", path, e))
}

/// Renames within one file system.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|e| Error::io("rename file", from, e))
}

/// Removes a file; one that is already gone is fine.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove file", path, e))
        }
        _ => Ok(()),
    }
}

/// Makes an open file's bytes and metadata durable.
pub(crate) fn fsync_file(file: &File, path: &Path) -> Result<()> {
    file.sync_all().map_err(|e| Error::io("sync file", path, e))
}

/// Makes a directory's entries durable.
pub(crate) fn fsync_dir(path: &Path) -> Result<()> {
    let dir = open_dir(path)?;
    rustix::fs::fsync(&dir).map_err(|e| Error::io("sync directory", path, e.into()))
}

/// Starts and awaits the write-back of a whole file system: cheaper than thousands of single
/// syncs, each of which waits for a journal commit of its own. `directory` is one of it that was
/// opened before anything was written: what could not be written since is reported there.
pub(crate) fn sync_filesystem(directory: &File, path: &Path) -> Result<()> {
    rustix::fs::syncfs(directory).map_err(|e| Error::io("sync file system", path, e.into()))
}

/// Whether [`sync_filesystem`] makes every file durable there as a sync of each would. Not every
/// file system implements it; these do, and report what they could not write.
pub(crate) fn syncs_as_a_whole(path: &Path) -> bool {
    const EXT4: i64 = 0xEF53;
    const XFS: i64 = 0x5846_5342;
    const BTRFS: i64 = 0x9123_683E;
    rustix::fs::statfs(path).is_ok_and(|stat| matches!(stat.f_type, EXT4 | XFS | BTRFS))
}

fn open_dir(path: &Path) -> Result<std::os::fd::OwnedFd> {
    rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|e| Error::io("open directory", path, e.into()))
}

/// Reads a small file whole; refuses one of more than `limit` bytes.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| Error::io("open file", path, e))?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io("read file", path, e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::Damaged {
            path: path.to_owned(),
            detail: format!("larger than {limit} bytes"),
        });
    }
    Ok(bytes)
}
