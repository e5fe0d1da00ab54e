//! Recipient: a backup set, full or increment, plain.

use super::tree::{Part, Tree};
use super::{Delivery, PlannedFile, Recipient, Snapshot, StagePlan, Target};
use crate::files::FileKind;
use crate::io::{Layout, fsync_dir, values_of, write_new};
use crate::set::layout::{
    CHECKPOINTS, CHUNK_VALUES, CLONE_DIR, DELTA, MANIFEST, MANIFEST_DIGEST, META, VIEW_PROGRESS,
    VIEW_STATUS,
};
use crate::set::{
    CloneRecord, Content, FileRecord, Manifest, SetId, SetKind, SpaceRecord, StoredFile,
};
use crate::{Error, FileDesc, FileId, Job, Result, Stage, StageState};
use innodb::clone_dir::{Checkpoints, CloneState, StageProgress, ViewProgress, ViewStatus};
use innodb::delta::{DeltaLayout, encode_header};
use innodb::ids::PageNo;
use innodb::meta::SpaceMeta;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
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
    tree: Tree,
    files: RwLock<BTreeMap<FileId, Arc<SetFile>>>,
    directories: Mutex<BTreeSet<String>>,
    progress: Arc<crate::Progress>,
}

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
        let tree = Tree::new(target.path(), true, None);
        Self {
            target,
            options,
            tree,
            files: RwLock::default(),
            directories: Mutex::default(),
            progress: Arc::clone(&job.progress),
        }
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

    fn remember(&self, file: SetFile) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(file.desc.id, Arc::new(file));
    }

    /// Whether the file's pages are kept in a delta.
    fn in_delta(&self, desc: &FileDesc) -> bool {
        self.options.kind == SetKind::Increment && desc.space.is_some()
    }

    /// Creates what the set stores for a file.
    fn create(&self, file: &PlannedFile) -> Result<()> {
        let desc = &file.desc;
        if !self.in_delta(desc) {
            return self
                .tree
                .add((desc.id, Part::Main), &desc.name, layout_of(desc));
        }
        let Some(space) = &desc.space else {
            return Ok(());
        };
        let layout = Layout {
            page: desc.page_size(),
            innodb: true,
        };
        self.tree.add(
            (desc.id, Part::Delta),
            &format!("{}{DELTA}", desc.name),
            layout,
        )?;
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
        let key = (desc.id, Part::Meta);
        self.tree.add(
            key,
            &format!("{}{META}", desc.name),
            Layout {
                page: 4096,
                innodb: false,
            },
        )?;
        self.tree.write(key, 0, meta.to_text().as_bytes())
    }

    /// Brings a full set from an earlier plan to this one: removals, renames, new files.
    fn settle(&self, plan: &StagePlan) -> Result<()> {
        let wanted: BTreeMap<FileId, &PlannedFile> =
            plan.files.iter().map(|file| (file.desc.id, file)).collect();
        for (id, part) in self.tree.keys() {
            if part == Part::Main
                && !wanted.contains_key(&id)
                && self.planned(id)?.desc.space.is_some()
            {
                self.tree.remove((id, part))?;
                self.files
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&id);
            }
        }
        let mut renames = Vec::new();
        for file in &plan.files {
            let key = (file.desc.id, Part::Main);
            if self.tree.has(key) && self.tree.name(key)? != file.desc.name {
                renames.push((key, file.desc.name.clone()));
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

    /// Writes the cluster headers of a delta, and gives it its length.
    fn finish_delta(&self, file: &SetFile) -> Result<()> {
        let layout = delta_layout(&file.desc)?;
        let key = (file.desc.id, Part::Delta);
        let pages = file.pages;
        let per_cluster = layout.slots_per_cluster();
        let clusters = pages.div_ceil(per_cluster);
        let mut page_numbers: Box<dyn Iterator<Item = u32>> = match &file.delivery {
            Delivery::Whole => Box::new(0..u32::try_from(pages).unwrap_or(u32::MAX)),
            Delivery::Pages(pages) => Box::new(pages.iter()),
        };
        let mut header = vec![0; file.desc.page_size()];
        for cluster in 0..clusters {
            let here: Vec<PageNo> = page_numbers
                .by_ref()
                .take(per_cluster as usize)
                .map(PageNo::new)
                .collect();
            encode_header(layout, &here, cluster + 1 == clusters, &mut header)
                .map_err(|e| Error::refused(1105, e.to_string(), "This is a bug."))?;
            self.tree
                .write(key, layout.header_offset(cluster), &header)?;
        }
        self.tree.set_length(key, layout.file_size(pages))
    }

    /// The record of a file, after the tree has been synced.
    fn record(&self, file: &SetFile) -> Result<FileRecord> {
        let desc = &file.desc;
        let mut stored = Vec::new();
        for part in [Part::Main, Part::Delta, Part::Meta] {
            if self.tree.has((desc.id, part)) {
                stored.push(self.tree.stored((desc.id, part))?);
            }
        }
        let content = match (self.in_delta(desc), &file.delivery) {
            (false, _) => Content::Full,
            (true, Delivery::Whole) => Content::Whole,
            (true, Delivery::Pages(_)) => Content::Delta,
        };
        let pages = if content == Content::Full {
            0
        } else {
            file.pages as u32
        };
        Ok(FileRecord {
            name: desc.name.clone(),
            kind: desc.kind,
            content,
            length: desc.length,
            allocated: desc.allocated,
            pages,
            space: desc.space.as_ref().map(|space| SpaceRecord {
                id: space.id.get(),
                flags: space.flags.get(),
                page_size: space.geometry.physical() as u32,
                first_page: space.first_page,
            }),
            source: desc.source.clone(),
            stored,
        })
    }

    /// Writes the files in `#clone` that describe the set to others, and returns their records;
    /// adds their chunk values to `values`.
    fn write_own_files(
        &self,
        snapshot: &Snapshot,
        clone: &CloneRecord,
        values: &mut Vec<u8>,
    ) -> Result<Vec<StoredFile>> {
        let mut own = Vec::new();
        let mut put = |name: &str, text: &str| -> Result<()> {
            write_new(&self.target.path().join(name), text.as_bytes())?;
            own.push(StoredFile {
                name: name.to_owned(),
                size: text.len() as u64,
                blake3: blake3::hash(text.as_bytes()).to_hex().to_string(),
            });
            values.extend(values_of(text.as_bytes()));
            Ok(())
        };
        let lsn = &snapshot.lsn;
        let checkpoints = Checkpoints {
            start_lsn: lsn.start,
            page_track_lsn: lsn.page_track,
            end_lsn: lsn.end,
        };
        put(CHECKPOINTS, &checkpoints.to_text())?;
        put(VIEW_STATUS, &view_status(snapshot, clone).to_text())?;
        put(
            VIEW_PROGRESS,
            &view_progress(&self.progress, clone).to_text(),
        )?;
        Ok(own)
    }
}

/// The text that makes `clone_status` of a server on the restored directory show this backup.
pub(super) fn view_status(snapshot: &Snapshot, clone: &CloneRecord) -> ViewStatus {
    ViewStatus {
        state: CloneState::Completed,
        id: 1,
        begin_us: clone.begin_us.unsigned_abs(),
        end_us: clone.end_us.unsigned_abs(),
        source: snapshot.source.clone(),
        error_no: 0,
        error_message: String::new(),
        binlog_file: snapshot.binlog.file.clone(),
        binlog_position: snapshot.binlog.position,
        gtid_executed: snapshot.binlog.gtid_executed.clone(),
    }
}

/// The same for `clone_progress`. Stages have run one after the other since the job began.
pub(super) fn view_progress(progress: &crate::Progress, clone: &CloneRecord) -> ViewProgress {
    let mut at = clone.begin_us.unsigned_abs();
    let mut stages = [StageProgress::default(); 7];
    for (line, sample) in stages.iter_mut().zip(progress.sample()) {
        if sample.state == StageState::NotStarted {
            continue;
        }
        let begin = at;
        at += sample.elapsed.as_micros() as u64;
        *line = StageProgress {
            state: CloneState::Completed,
            threads: sample.threads,
            begin_us: begin,
            end_us: at,
            estimate: sample.estimate,
            data: sample.data,
            network: sample.network,
        };
    }
    ViewProgress { id: 1, stages }
}

impl Recipient for BackupSetRecipient {
    fn prepare(&self, _job: &Job) -> Result<()> {
        self.target.check_empty()?;
        self.target.mark_in_progress()
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
        self.tree
            .add((desc.id, Part::Main), &desc.name, layout_of(desc))?;
        self.remember(SetFile::new(desc, &Delivery::Whole));
        Ok(())
    }

    fn write(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<()> {
        let planned = self.planned(file)?;
        if !self.in_delta(&planned.desc) {
            return self.tree.write((file, Part::Main), offset, bytes);
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
        let key = (file, Part::Main);
        for (run, bytes) in neighbours(pages, images, page_size) {
            let offset = u64::from(run.get().saturating_sub(base)) * page_size as u64;
            self.tree.overwrite(key, offset, bytes)?;
        }
        Ok(())
    }

    fn set_length(&self, file: FileId, length: u64) -> Result<()> {
        let planned = self.planned(file)?;
        if !self.in_delta(&planned.desc) {
            self.tree.set_length((file, Part::Main), length)?;
        }
        let mut changed = (*planned).clone();
        changed.desc.length = length;
        self.remember(changed);
        Ok(())
    }

    fn end(&self, stage: Stage) -> Result<()> {
        if stage != Stage::PageCopy || self.options.kind != SetKind::Increment {
            return Ok(());
        }
        let files: Vec<_> = self
            .files
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect();
        for file in files.iter().filter(|file| self.in_delta(&file.desc)) {
            self.finish_delta(file)?;
        }
        Ok(())
    }

    fn sync(&self, job: &Job) -> Result<()> {
        self.tree.sync(job)
    }

    fn seal(&self, snapshot: &Snapshot) -> Result<()> {
        let root = self.target.path();
        let mut clone = self.options.clone.clone();
        clone.end_us = jiff::Timestamp::now().as_microsecond();
        let files: Vec<_> = self
            .files
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect();
        let mut records = Vec::with_capacity(files.len());
        let mut values = Vec::new();
        for file in &files {
            records.push(self.record(file)?);
            for part in [Part::Main, Part::Delta, Part::Meta] {
                if self.tree.has((file.desc.id, part)) {
                    values.extend(self.tree.chunk_bytes((file.desc.id, part))?);
                }
            }
        }
        let own_files = self.write_own_files(snapshot, &clone, &mut values)?;
        let manifest = Manifest {
            format: Manifest::FORMAT,
            made_by: concat!("innoclone ", env!("CARGO_PKG_VERSION")).to_owned(),
            id: self.options.id.clone(),
            parent: snapshot.parent.as_ref().map(|(id, _)| id.clone()),
            parent_path: snapshot.parent.as_ref().map(|(_, path)| path.clone()),
            kind: snapshot.kind,
            server: snapshot.server.clone(),
            lsn: snapshot.lsn,
            binlog: snapshot.binlog.clone(),
            page_size: snapshot.page_size,
            clone,
            pages_by: snapshot.pages_by,
            directories: self.lock_directories().iter().cloned().collect(),
            files: records,
            own_files,
        };
        write_new(&root.join(CHUNK_VALUES), &values)?;
        write_manifest(root, &manifest)?;
        // Everything is on disk, the manifest too, before the marker goes.
        self.target.mark_complete()
    }
}

impl BackupSetRecipient {
    /// Writes images of pages with consecutive positions in the delta.
    fn write_slots(&self, file: &SetFile, first: u64, images: &[u8]) -> Result<()> {
        let layout = delta_layout(&file.desc)?;
        let (page_size, key) = (file.desc.page_size(), (file.desc.id, Part::Delta));
        let mut index = first;
        let mut rest = images;
        while !rest.is_empty() {
            // Up to the next cluster header the slots are contiguous.
            let room = layout.slots_per_cluster() - index % layout.slots_per_cluster();
            let take = (room as usize).saturating_mul(page_size).min(rest.len());
            let (now, later) = rest.split_at(take);
            self.tree.write(key, layout.slot_offset(index), now)?;
            index += (take / page_size) as u64;
            rest = later;
        }
        Ok(())
    }
}

fn write_manifest(root: &Path, manifest: &Manifest) -> Result<()> {
    let bytes =
        serde_json::to_vec_pretty(manifest).map_err(|e| Error::damaged(&root.join(MANIFEST), e))?;
    write_new(
        &root.join(MANIFEST_DIGEST),
        crate::set::digest_line(&bytes).as_bytes(),
    )?;
    write_new(&root.join(MANIFEST), &bytes)?;
    for name in [
        CHECKPOINTS,
        VIEW_STATUS,
        VIEW_PROGRESS,
        CHUNK_VALUES,
        MANIFEST_DIGEST,
        MANIFEST,
    ] {
        let path = root.join(name);
        let file = std::fs::File::open(&path).map_err(|e| Error::io("open file", &path, e))?;
        crate::io::fsync_file(&file, &path)?;
    }
    fsync_dir(&root.join(CLONE_DIR))
}

pub(super) fn layout_of(desc: &FileDesc) -> Layout {
    Layout {
        page: desc.page_size(),
        innodb: desc.kind != FileKind::Plain && desc.space.is_some(),
    }
}

fn delta_layout(desc: &FileDesc) -> Result<DeltaLayout> {
    DeltaLayout::new(desc.page_size())
        .map_err(|e| Error::refused(1105, e.to_string(), "This is a bug."))
}

/// Cuts a list of pages with their images into runs of consecutive numbers.
fn neighbours<'a>(
    pages: &'a [PageNo],
    images: &'a [u8],
    page_size: usize,
) -> impl Iterator<Item = (PageNo, &'a [u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = *pages.get(at)?;
        let mut len = 1;
        while pages
            .get(at + len)
            .is_some_and(|page| page.get() - first.get() == len as u32)
        {
            len += 1;
        }
        let bytes = &images[at * page_size..(at + len) * page_size];
        at += len;
        Some((first, bytes))
    })
}
