//! Recipient: a backup set, full or increment, plain or compressed.

mod delta;
mod image;
mod packing;
mod seal;

use self::delta::neighbours;
use self::packing::Packing;
use super::tree::{Part, Tree, layout_of};
use super::{Compression, Delivery, PlannedFile, Recipient, Snapshot, StagePlan, Target};
use crate::io::Layout;
use crate::set::layout::{CLONE_DIR, DELTA, META};
use crate::set::{CloneRecord, SetId, SetKind};
use crate::{Error, FileDesc, FileId, Job, Result, Stage};
use innodb::ids::PageNo;
use innodb::meta::SpaceMeta;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// What the caller knows of a set before it is made.
#[derive(Debug, Clone)]
pub struct SetOptions {
    /// Full or increment.
    pub kind: SetKind,
    /// Identity of the set.
    pub id: SetId,
    /// The row of `clone_history`, its end time still open.
    pub clone: CloneRecord,
}

/// Writes a backup set.
#[derive(Debug)]
pub struct BackupSetRecipient {
    target: Target,
    options: SetOptions,
    tree: Arc<Tree>,
    /// How the files are compressed; `None` for a plain set.
    packing: Option<Packing>,
    files: RwLock<BTreeMap<FileId, Arc<SetFile>>>,
    directories: Mutex<BTreeSet<String>>,
    progress: Arc<crate::Progress>,
}

/// Bytes that are not pages.
const BYTES: Layout = Layout {
    page: 4096,
    innodb: false,
};

/// A file of the set.
#[derive(Debug, Clone)]
struct SetFile {
    desc: FileDesc,
    delivery: Delivery,
    /// Pages the delta is planned for. The file may grow after that; what is added is a hole.
    pages: u64,
}

impl SetFile {
    fn new(desc: &FileDesc, delivery: &Delivery) -> Self {
        let pages = match delivery {
            Delivery::Whole => desc.length / desc.page_size() as u64,
            Delivery::Pages(pages) => pages.len(),
        };
        Self {
            desc: desc.clone(),
            delivery: delivery.clone(),
            pages,
        }
    }
}

impl BackupSetRecipient {
    /// A set to be made at `target`.
    pub fn new(target: Target, options: SetOptions, job: &Job) -> Self {
        let tree = Arc::new(Tree::new(target.path(), true, None));
        Self {
            target,
            options,
            tree,
            packing: None,
            files: RwLock::default(),
            directories: Mutex::default(),
            progress: Arc::clone(&job.progress),
        }
    }

    /// The same, its files compressed.
    pub fn compressed(mut self, how: &Compression, job: &Job) -> Result<Self> {
        self.packing = Some(Packing::start(&self.tree, how, job)?);
        Ok(self)
    }

    fn planned(&self, file: FileId) -> Result<Arc<SetFile>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.get(&file).cloned().ok_or_else(|| {
            Error::refused(
                1105,
                format!("file {} was never announced", file.0),
                "This is a bug.",
            )
        })
    }

    fn lock_directories(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The files as they are at this moment, by id.
    fn all_files(&self) -> Vec<Arc<SetFile>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.values().cloned().collect()
    }

    fn remember(&self, file: SetFile) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(file.desc.id, Arc::new(file));
    }

    /// Whether the file's pages are kept in a delta.
    fn in_delta(&self, desc: &FileDesc) -> bool {
        self.options.kind == SetKind::Increment && desc.space.is_some()
    }

    /// The file in which the pages of a delta are put together.
    fn delta_part(&self) -> Part {
        if self.packing.is_some() {
            Part::Raw
        } else {
            Part::Delta
        }
    }

    /// The file in which a file outside the plans is put together.
    fn plain_part(&self, desc: &FileDesc) -> Part {
        if self.packing.is_some() && !is_own(desc) {
            Part::Raw
        } else {
            Part::Main
        }
    }

    /// Creates what the set stores for a file.
    fn create(&self, file: &PlannedFile) -> Result<()> {
        let desc = &file.desc;
        if self.in_delta(desc) {
            self.add_part(desc, self.delta_part())?;
            return self.add_meta(desc);
        }
        self.add_part(desc, Part::Main)?;
        match &self.packing {
            Some(packing) => packing
                .packer
                .open((desc.id, Part::Main), desc.length, None),
            None => Ok(()),
        }
    }

    /// Creates an empty stored file.
    fn add_part(&self, desc: &FileDesc, part: Part) -> Result<()> {
        let is_packed =
            self.packing.is_some() && matches!(part, Part::Main | Part::Delta) && !is_own(desc);
        let layout = if is_packed || part == Part::Meta {
            BYTES
        } else {
            layout_of(desc)
        };
        self.tree
            .add((desc.id, part), &self.stored_name(desc, part), layout)
    }

    /// The name under which the set stores a part of a file.
    fn stored_name(&self, desc: &FileDesc, part: Part) -> String {
        let packing = self.packing.as_ref().filter(|_| !is_own(desc));
        let suffix = packing.map_or("", Packing::suffix);
        match part {
            Part::Main => format!("{}{suffix}", desc.name),
            Part::Delta => format!("{}{DELTA}{suffix}", desc.name),
            Part::Meta => format!("{}{META}", desc.name),
            Part::Raw => format!("{CLONE_DIR}/#raw_{}", desc.id.0),
        }
    }

    /// Writes the page size, id and flags of a file made of pages.
    fn add_meta(&self, desc: &FileDesc) -> Result<()> {
        let Some(space) = &desc.space else {
            return Ok(());
        };
        let page_size = desc.page_size() as u32;
        let meta = SpaceMeta {
            page_size,
            zip_size: if space.geometry.is_zip() {
                page_size
            } else {
                0
            },
            space_id: space.id,
            space_flags: space.flags,
        };
        self.add_part(desc, Part::Meta)?;
        self.tree
            .write((desc.id, Part::Meta), 0, meta.to_text().as_bytes())
    }

    /// Brings a full set from an earlier plan to this one: removals, renames, new files.
    fn settle(&self, plan: &StagePlan) -> Result<()> {
        let wanted: BTreeMap<FileId, &PlannedFile> =
            plan.files.iter().map(|file| (file.desc.id, file)).collect();
        for (id, part) in self.tree.keys() {
            if part != Part::Main
                || wanted.contains_key(&id)
                || self.planned(id)?.desc.space.is_none()
            {
                continue;
            }
            for part in [Part::Main, Part::Raw] {
                if self.tree.has((id, part)) {
                    self.tree.remove((id, part))?;
                }
            }
            self.files
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
        }
        let mut renames = Vec::new();
        for file in &plan.files {
            let key = (file.desc.id, Part::Main);
            if !self.tree.has(key) {
                continue;
            }
            self.check_length(&file.desc)?;
            let name = self.stored_name(&file.desc, Part::Main);
            if self.tree.name(key)? != name {
                renames.push((key, name));
            }
        }
        self.tree.rename(&renames)?;
        for file in &plan.files {
            if !self.tree.has((file.desc.id, Part::Main)) {
                self.create(file)?;
            }
        }
        Ok(())
    }
}

/// Whether a file lies among those that describe the set, which are never compressed.
fn is_own(desc: &FileDesc) -> bool {
    let inside = desc.name.strip_prefix(CLONE_DIR);
    inside.is_some_and(|rest| rest.starts_with('/'))
}

impl Recipient for BackupSetRecipient {
    fn prepare(&self, _job: &Job) -> Result<()> {
        self.target.check_empty()?;
        self.target.mark_in_progress()?;
        self.tree.begin()
    }

    fn begin(&self, stage: Stage, plan: &StagePlan) -> Result<()> {
        for directory in &plan.directories {
            self.tree.add_directory(directory)?;
        }
        let wanted: BTreeSet<String> = plan.directories.iter().cloned().collect();
        let before = std::mem::replace(&mut *self.lock_directories(), wanted.clone());
        if stage == Stage::PageCopy && self.options.kind == SetKind::Full {
            self.settle(plan)?;
            // Schemas that were dropped meanwhile; those within others come first.
            for gone in before.iter().rev().filter(|name| !wanted.contains(*name)) {
                self.tree.remove_directory(gone)?;
            }
        } else {
            for file in &plan.files {
                self.create(file)?;
            }
        }
        for file in &plan.files {
            self.remember(SetFile::new(&file.desc, &file.delivery));
        }
        Ok(())
    }

    fn add_file(&self, desc: &FileDesc) -> Result<()> {
        self.add_part(desc, self.plain_part(desc))?;
        self.remember(SetFile::new(desc, &Delivery::Whole));
        Ok(())
    }

    fn turn(&self) -> u64 {
        match &self.packing {
            Some(packing) => packing.packer.settings().unit(),
            None => super::TURN,
        }
    }

    fn abandon(&self, file: FileId) {
        if let Some(packing) = &self.packing {
            packing.packer.abandon((file, Part::Main));
        }
    }

    fn write(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<()> {
        let planned = self.planned(file)?;
        if !self.in_delta(&planned.desc) {
            return match &self.packing {
                Some(packing) if planned.desc.space.is_some() => {
                    packing.packer.write((file, Part::Main), offset, bytes)
                }
                _ => self
                    .tree
                    .write((file, self.plain_part(&planned.desc)), offset, bytes),
            };
        }
        // All pages are in the delta, in the order of their numbers.
        let first = offset / planned.desc.page_size() as u64;
        self.write_slots(&planned, first, bytes)
    }

    fn write_pages(&self, file: FileId, first: u64, pages: &[PageNo], images: &[u8]) -> Result<()> {
        let planned = self.planned(file)?;
        if self.in_delta(&planned.desc) {
            return self.write_slots(&planned, first, images);
        }
        let page_size = planned.desc.page_size();
        let base = planned
            .desc
            .space
            .as_ref()
            .map_or(0, |space| space.first_page);
        // What is compressed already cannot be written over.
        let key = match &self.packing {
            Some(packing) => self.note_again(packing, &planned.desc, pages)?,
            None => (file, Part::Main),
        };
        for (run, bytes) in neighbours(pages, images, page_size) {
            let offset = u64::from(run.get().saturating_sub(base)) * page_size as u64;
            self.tree.overwrite(key, offset, bytes)?;
        }
        Ok(())
    }

    fn set_length(&self, file: FileId, length: u64) -> Result<()> {
        let planned = self.planned(file)?;
        let is_packed = self.packing.is_some() && planned.desc.space.is_some();
        if !self.in_delta(&planned.desc) && !is_packed {
            self.tree
                .set_length((file, self.plain_part(&planned.desc)), length)?;
        }
        let mut changed = (*planned).clone();
        changed.desc.length = length;
        self.remember(changed);
        Ok(())
    }

    fn end(&self, stage: Stage) -> Result<()> {
        if let Some(packing) = &self.packing {
            packing.packer.wait()?;
        }
        if stage != Stage::PageCopy || self.options.kind != SetKind::Increment {
            return Ok(());
        }
        let files = self.all_files();
        for file in files.iter().filter(|file| self.in_delta(&file.desc)) {
            self.finish_delta(file)?;
        }
        Ok(())
    }

    fn sync(&self, job: &Job) -> Result<()> {
        if let Some(packing) = &self.packing {
            self.pack_rest(packing, job)?;
        }
        self.tree.sync(job)
    }

    fn seal(&self, snapshot: &Snapshot) -> Result<()> {
        self.write_seal(snapshot)
    }
}
