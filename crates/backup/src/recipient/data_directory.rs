//! Recipient: a data directory that stock mysqld boots.

use super::tree::layout_of;
use super::tree::{Part, Tree};
use super::views::{view_progress, view_status};
use super::{Recipient, Snapshot, StagePlan, Target};
use crate::io::{fsync_dir, write_new};
use crate::set::CloneRecord;
use crate::set::layout::{CLONE_DIR, VIEW_PROGRESS, VIEW_STATUS};
use crate::{Error, FileDesc, FileId, Job, Result, Stage};
use innodb::ids::PageNo;
use std::sync::Arc;

/// Writes a data directory. Takes files delivered whole only: what to merge, the donor merges.
#[derive(Debug)]
pub struct DataDirectoryRecipient {
    target: Target,
    tree: Tree,
    clone: CloneRecord,
    progress: Arc<crate::Progress>,
    goes_on: bool,
}

impl DataDirectoryRecipient {
    /// A directory to be made at `target`, its files owned by `owner` (user, group) if given.
    pub fn new(target: Target, owner: Option<(u32, u32)>, clone: CloneRecord, job: &Job) -> Self {
        let tree = Tree::new(target.path(), false, owner);
        Self {
            target,
            tree,
            clone,
            progress: Arc::clone(&job.progress),
            goes_on: false,
        }
    }

    /// Sealing leaves the directory marked as unfinished, for binary logs to be replayed into it.
    pub(crate) fn goes_on(mut self) -> Self {
        self.goes_on = true;
        self
    }

    /// Ends a directory that [went on](Self::goes_on): it holds the state of `snapshot` now.
    pub(crate) fn finish(&self, snapshot: &Snapshot) -> Result<()> {
        let path = self.target.path().join(VIEW_STATUS);
        crate::io::remove_file(&path)?;
        self.write_view(VIEW_STATUS, &view_status(snapshot, &self.ended()).to_text())?;
        fsync_dir(&self.target.path().join(CLONE_DIR))?;
        self.target.mark_replayed()
    }

    fn ended(&self) -> CloneRecord {
        let mut clone = self.clone.clone();
        clone.end_us = jiff::Timestamp::now().as_microsecond();
        clone
    }

    fn write_view(&self, name: &str, text: &str) -> Result<()> {
        let path = self.target.path().join(name);
        write_new(&path, text.as_bytes())?;
        self.tree.adopt(&path)?;
        let file = std::fs::File::open(&path).map_err(|e| Error::io("open file", &path, e))?;
        crate::io::fsync_file(&file, &path)
    }
}

impl Recipient for DataDirectoryRecipient {
    fn prepare(&self, _job: &Job) -> Result<()> {
        // What a killed restore left here is ours to remove: it was never complete.
        if self.target.clear_incomplete()? {
            tracing::info!(target_dir = %self.target.path().display(), "removed an unfinished restore");
        }
        self.target.check_empty()?;
        self.target.mark_in_progress()?;
        self.tree.begin()?;
        self.tree.adopt_root()?;
        self.tree.add_directory(CLONE_DIR)
    }

    fn begin(&self, _stage: Stage, plan: &StagePlan) -> Result<()> {
        for directory in &plan.directories {
            self.tree.add_directory(directory)?;
        }
        for file in &plan.files {
            self.add_file(&file.desc)?;
        }
        Ok(())
    }

    fn add_file(&self, desc: &FileDesc) -> Result<()> {
        self.tree
            .add((desc.id, Part::Main), &desc.name, layout_of(desc))
    }

    fn write(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<()> {
        self.tree.write((file, Part::Main), offset, bytes)
    }

    fn write_pages(&self, _: FileId, _: u64, _: &[PageNo], _: &[u8]) -> Result<()> {
        Err(Error::refused(
            1105,
            "a data directory takes whole files only",
            "This is a bug.",
        ))
    }

    fn set_length(&self, file: FileId, length: u64) -> Result<()> {
        self.tree.set_length((file, Part::Main), length)
    }

    fn end(&self, _stage: Stage) -> Result<()> {
        Ok(())
    }

    fn sync(&self, job: &Job) -> Result<()> {
        self.tree.sync(job)
    }

    fn seal(&self, snapshot: &Snapshot) -> Result<()> {
        let root = self.target.path();
        let clone = self.ended();
        let progress = view_progress(&self.progress, &clone);
        self.write_view(VIEW_STATUS, &view_status(snapshot, &clone).to_text())?;
        self.write_view(VIEW_PROGRESS, &progress.to_text())?;
        fsync_dir(&root.join(CLONE_DIR))?;
        if self.goes_on {
            self.target.mark_replaying()
        } else {
            self.target.mark_complete()
        }
    }
}
