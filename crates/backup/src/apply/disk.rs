//! Everything that changes a data directory passes here, so that a test can stop it at any point.

use crate::io::{
    Layout, create_dir_all, create_new, fsync_dir, fsync_file, open_rw, remove_file, rename,
};
use crate::{Error, Result};
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A data directory that is changed. Names are relative to it.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    /// Owner of the directory, hence of everything that is made in it.
    owner: (u32, u32),
    #[cfg(test)]
    pub(super) stop: super::testing::Stop,
}

impl Disk {
    pub(super) fn new(root: &Path) -> Result<Self> {
        let meta = std::fs::metadata(root).map_err(|e| Error::io("open directory", root, e))?;
        Ok(Self {
            root: root.to_owned(),
            owner: (meta.uid(), meta.gid()),
            #[cfg(test)]
            stop: super::testing::Stop::default(),
        })
    }

    /// The data directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where `name` is; the empty name is the data directory itself.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            return self.root.clone();
        }
        self.root.join(name)
    }

    /// Whether there is anything of this name, a dangling link too.
    pub(super) fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// Creates a directory unless it exists; its parent must exist.
    pub(super) fn create_directory(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        self.step()?;
        if !path.exists() {
            create_dir_all(&path)?;
        }
        self.own(&path)
    }

    /// Removes a directory; one that is gone is fine. Returns whether it is gone: one with files
    /// of somebody else's stays.
    pub(super) fn remove_directory(&self, name: &str) -> Result<bool> {
        let path = self.path(name);
        self.step()?;
        match std::fs::remove_dir(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(e) => Err(Error::io("remove directory", &path, e)),
        }
    }

    /// Creates an empty file in place of one that may be there.
    pub(super) fn create(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        self.step()?;
        remove_file(&path)?;
        let file = create_new(&path)?;
        self.own(&path)?;
        Ok(file)
    }

    /// Opens a file to change it.
    pub(super) fn open(&self, name: &str) -> Result<File> {
        open_rw(&self.path(name))
    }

    /// Sets the length of a file.
    pub(super) fn set_length(&self, file: &File, name: &str, length: u64) -> Result<()> {
        self.step()?;
        file.set_len(length)
            .map_err(|e| Error::io("extend file", &self.path(name), e))
    }

    /// Writes at `offset`; `how` says what becomes of zeros.
    pub(super) fn write(
        &self,
        file: &File,
        name: &str,
        (offset, bytes): (u64, &[u8]),
        layout: Layout,
        how: fn(&File, u64, &[u8], Layout) -> std::io::Result<()>,
    ) -> Result<()> {
        if let Err(stopped) = self.step() {
            // A write that is cut off leaves half of itself.
            let _ = file.write_all_at(&bytes[..bytes.len() / 2], offset);
            return Err(stopped);
        }
        how(file, offset, bytes, layout).map_err(|e| Error::io("write file", &self.path(name), e))
    }

    /// Makes a file with this content, durably and all at once: it is there whole or not at all.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let staged = format!("{name}.new");
        let file = self.create(&staged)?;
        let layout = Layout {
            page: 4096,
            innodb: false,
        };
        self.write(&file, &staged, (0, bytes), layout, |file, at, bytes, _| {
            file.write_all_at(bytes, at)
        })?;
        self.sync(&file, &staged)?;
        self.rename(&staged, name)?;
        self.sync_parent(name)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.step()?;
        rename(&self.path(from), &self.path(to))
    }

    /// Removes a file; one that is gone is fine.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        self.step()?;
        remove_file(&self.path(name))
    }

    /// Makes a file's bytes durable.
    pub(super) fn sync(&self, file: &File, name: &str) -> Result<()> {
        self.step()?;
        fsync_file(file, &self.path(name))
    }

    /// Makes the entries of a directory durable; as [`Self::path`] takes it.
    pub(super) fn sync_directory(&self, name: &str) -> Result<()> {
        self.step()?;
        fsync_dir(&self.path(name))
    }

    /// Makes the entry of a file durable.
    pub(super) fn sync_parent(&self, name: &str) -> Result<()> {
        self.sync_directory(name.rsplit_once('/').map_or("", |(parent, _)| parent))
    }

    /// Gives a file or directory to the owner of the data directory.
    fn own(&self, path: &Path) -> Result<()> {
        let meta = std::fs::symlink_metadata(path).map_err(|e| Error::io("open file", path, e))?;
        let (user, group) = self.owner;
        if (meta.uid(), meta.gid()) == self.owner {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(user), Some(group))
            .map_err(|e| Error::io("change owner of", path, e))
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "tests stop here"
    )]
    fn step(&self) -> Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn step(&self) -> Result<()> {
        self.stop.step()
    }
}
