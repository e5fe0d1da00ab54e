//! Making the result, in steps that can be repeated from any point.
//!
//! 1. New files (tablespaces, redo, plain files) are made under `#clone/#apply`.
//! 2. Files that move are put aside there; files and directories that are gone are removed.
//!    [`PARKED`] says so.
//! 3. What waits gets its name, over whatever had it. Pages and lengths are written. [`WRITTEN`]
//!    says so.
//! 4. The description of the result takes the place of the old one, the manifest last.
//! 5. `#clone/#apply` goes, then the marker.
//!
//! A step that is repeated finds either what it has to do or what it did: before [`PARKED`] no
//! file has its new name, after it every file waits aside or has it.

use super::contents::{Contents, record_of};
use super::disk::Disk;
use super::journal::{APPLY_DIR, Journal, PARKED, RESULT, WRITTEN, digest_line_of, parked, staged};
use super::result::DESCRIPTION;
use crate::io::read_bounded;
use crate::keys::Unsealing;
use crate::set::layout::{CLONE_DIR, IN_PROGRESS, MANIFEST};
use crate::set::{BackupSet, Content, FileRecord};
use crate::{Error, Job, Result, Stage};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;

/// Larger manifests are not read.
const MANIFEST_LIMIT: u64 = 1 << 30;

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub pages: AtomicU64,
    pub bytes: AtomicU64,
}

/// An apply whose plan is on disk.
#[derive(Debug)]
pub(super) struct Work<'a> {
    pub disk: &'a Disk,
    pub journal: &'a Journal,
    pub increment: &'a BackupSet,
    /// Put back into the increment's pages and redo log.
    pub keys: &'a Unsealing,
    pub job: &'a Job,
    pub written: Written,
}

impl Work<'_> {
    /// Does what is still to do.
    pub(super) fn run(&self) -> Result<()> {
        if !self.is_described()? {
            if !self.disk.exists(WRITTEN) {
                self.write()?;
            }
            self.describe()?;
        }
        self.clean()
    }

    /// Whether the data directory already has the manifest of the result. Its digest file is
    /// renamed before it, so either of them may be the old one after a crash.
    fn is_described(&self) -> Result<bool> {
        let manifest = read_bounded(&self.disk.path(MANIFEST), MANIFEST_LIMIT)?;
        let lines = [
            crate::set::digest_line(&manifest),
            digest_line_of(self.disk.root())?,
        ];
        Ok(lines.iter().all(|line| *line == self.journal.result_digest))
    }

    fn write(&self) -> Result<()> {
        let plan = &self.journal.plan;
        let result = BackupSet::open(&self.disk.path(RESULT))?;
        self.job
            .progress
            .begin(Stage::PageCopy, self.job.parallel(), self.estimate());
        if !self.disk.exists(PARKED) {
            self.make_new(&result)?;
            self.park()?;
            self.disk.put(PARKED, b"")?;
        }
        self.place()?;
        let in_place = plan.changed.iter().map(|file| (*file, None));
        self.contents(&result).make(in_place.collect())?;
        self.job.progress.end(Stage::PageCopy);
        self.check_lengths(&result)?;
        self.disk.put(WRITTEN, b"")
    }

    fn contents<'a>(&'a self, result: &'a BackupSet) -> Contents<'a> {
        Contents {
            disk: self.disk,
            increment: self.increment,
            keys: self.keys,
            result,
            job: self.job,
            written: &self.written,
        }
    }

    fn estimate(&self) -> u64 {
        let plan = &self.journal.plan;
        let files = &self.increment.manifest().files;
        let work = plan.new.iter().chain(&plan.changed);
        work.filter_map(|at| files.get(*at)).map(bytes_of).sum()
    }

    /// Step 1.
    fn make_new(&self, result: &BackupSet) -> Result<()> {
        let mut files = Vec::new();
        for file in &self.journal.plan.new {
            let name = staged(*file);
            self.disk.create(&name)?;
            files.push((*file, Some(name)));
        }
        self.contents(result).make(files)?;
        self.disk.sync_directory(APPLY_DIR)
    }

    /// Step 2.
    fn park(&self) -> Result<()> {
        let plan = &self.journal.plan;
        let mut touched = BTreeSet::from([APPLY_DIR]);
        for (at, one) in plan.moves.iter().enumerate() {
            let aside = parked(at);
            if !self.disk.exists(&aside) {
                self.disk.rename(&one.from, &aside)?;
            }
            touched.insert(parent_of(&one.from));
        }
        for name in &plan.remove {
            self.disk.remove(name)?;
            touched.insert(parent_of(name));
        }
        for name in &plan.remove_directories {
            touched.insert(parent_of(name));
            if self.disk.remove_directory(name)? {
                touched.remove(name.as_str());
            } else {
                let path = self.disk.path(name);
                tracing::warn!(path = %path.display(), "kept: it holds files of somebody else's");
            }
        }
        self.sync_directories(touched)
    }

    /// The first half of step 3.
    fn place(&self) -> Result<()> {
        let plan = &self.journal.plan;
        let mut touched = BTreeSet::from([APPLY_DIR]);
        for name in &plan.directories {
            self.disk.create_directory(name)?;
            touched.insert(parent_of(name));
        }
        let moves = plan.moves.iter().enumerate();
        let mut waiting: Vec<_> = moves
            .map(|(at, one)| (parked(at), one.to.as_str()))
            .collect();
        for file in &plan.new {
            waiting.push((staged(*file), &record_of(self.increment, *file)?.name));
        }
        for (aside, name) in waiting {
            if self.disk.exists(&aside) {
                self.disk.rename(&aside, name)?;
            }
            touched.insert(parent_of(name));
        }
        self.sync_directories(touched)
    }

    fn sync_directories(&self, names: BTreeSet<&str>) -> Result<()> {
        for name in names {
            if name.is_empty() || self.disk.exists(name) {
                self.disk.sync_directory(name)?;
            }
        }
        Ok(())
    }

    /// Every file of the result is there, and as long as it must be.
    fn check_lengths(&self, result: &BackupSet) -> Result<()> {
        for stored in result.manifest().files.iter().flat_map(|f| &f.stored) {
            let path = self.disk.path(&stored.name);
            let meta = path
                .symlink_metadata()
                .map_err(|e| Error::io("open file", &path, e))?;
            if !meta.is_file() || meta.len() != stored.size {
                let detail = format!("{} bytes long instead of {}", meta.len(), stored.size);
                return Err(Error::damaged(&path, detail));
            }
        }
        Ok(())
    }

    /// Step 4.
    fn describe(&self) -> Result<()> {
        for name in &self.journal.plan.forget {
            self.disk.remove(name)?;
        }
        for name in DESCRIPTION {
            if name == MANIFEST {
                // What the manifest tells of is durable before it is.
                self.disk.sync_directory(CLONE_DIR)?;
            }
            let aside = format!("{RESULT}/{name}");
            if self.disk.exists(&aside) {
                self.disk.rename(&aside, name)?;
            }
        }
        self.disk.sync_directory(CLONE_DIR)
    }

    /// Step 5.
    fn clean(&self) -> Result<()> {
        self.job.progress.begin(Stage::FileSync, 1, 0);
        // What was described is durable before anything that would say so goes.
        self.disk.sync_directory(CLONE_DIR)?;
        clear(self.disk)?;
        self.disk.remove(IN_PROGRESS)?;
        self.disk.sync_directory(CLONE_DIR)?;
        self.job.progress.end(Stage::FileSync);
        Ok(())
    }
}

/// Removes `#clone/#apply`, which holds nothing but what is made there.
pub(super) fn clear(disk: &Disk) -> Result<()> {
    let nested = format!("{RESULT}/{CLONE_DIR}");
    for directory in [nested.as_str(), RESULT, APPLY_DIR] {
        let path = disk.path(directory);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io("read directory", &path, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("read directory", &path, e))?;
            disk.remove(&format!("{directory}/{}", entry.file_name().display()))?;
        }
        disk.remove_directory(directory)?;
    }
    disk.sync_directory(CLONE_DIR)
}

/// Bytes that are written of a file, at most.
fn bytes_of(record: &FileRecord) -> u64 {
    match record.space {
        Some(space) if record.content != Content::Full => {
            u64::from(record.pages) * u64::from(space.page_size)
        }
        _ => record.length,
    }
}

fn parent_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}
