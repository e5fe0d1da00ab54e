//! Donor: a backup set with its ancestors.
//!
//! Each tablespace is read in one pass: for every page the newest version is chosen across the
//! full set and all increments, and delivered once, in order. Nothing is staged; memory grows
//! with the number of increments and workers, not with the data.

pub(crate) mod delta;
mod merge;

pub(crate) use self::merge::MergedFile;
use super::Donor;
use crate::chain::Chain;
use crate::files::{FileKind, SpaceInfo};
use crate::io::{BUFFER, Original};
use crate::keys::Unsealing;
use crate::recipient::{Delivery, PlannedFile, Recipient, Snapshot, StagePlan};
use crate::set::{BackupSet, Content, FileRecord, PagesBy, SetKind, SpaceRecord, StoredFile};
use crate::{EncryptionKey, Error, FileDesc, FileId, Job, Result, Stage};
use innodb::flags::SpaceFlags;
use innodb::geometry::Geometry;
use innodb::ids::SpaceId;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a tablespace that one worker merges at a time.
const TASK_BYTES: u64 = 64 << 20;

/// Where the pages of a file come from: `set` and `file` are positions in the chain and in the
/// set's manifest, the oldest source first.
#[derive(Debug, Clone, Copy)]
struct Source {
    set: usize,
    file: usize,
}

/// A file to deliver.
#[derive(Debug)]
struct Item {
    desc: FileDesc,
    sources: Vec<Source>,
}

#[derive(Debug, Clone, Copy)]
struct Task {
    item: usize,
    offset: u64,
    len: u64,
}

/// A chain as donor of the state of its last set.
#[derive(Debug)]
pub struct ChainDonor {
    chain: Chain,
    items: Vec<Item>,
    tasks: Vec<Task>,
    next: AtomicUsize,
    keys: Unsealing,
}

impl ChainDonor {
    /// Works out where every file of the last set comes from.
    pub fn new(chain: Chain) -> Result<Self> {
        let by_place: Vec<HashMap<_, _>> = chain.sets().iter().map(index_by_place).collect();
        let last = chain.sets().len() - 1;
        let mut items = Vec::new();
        for (index, record) in chain.last().manifest().files.iter().enumerate() {
            let sources = lineage(
                &chain,
                &by_place,
                Source {
                    set: last,
                    file: index,
                },
            )?;
            let desc = desc_of(chain.last(), FileId(index as u32), record)?;
            items.push(Item { desc, sources });
        }
        Ok(Self {
            chain,
            items,
            tasks: Vec::new(),
            next: AtomicUsize::new(0),
            keys: Unsealing::default(),
        })
    }

    /// The same, giving sealed keys of tablespaces back; `key` is the one that seals them. Fails when
    /// there are some and the key is not given, or another one.
    pub fn unsealed(mut self, key: Option<&EncryptionKey>) -> Result<Self> {
        self.keys = Unsealing::open(self.chain.sets().iter(), key)?;
        Ok(self)
    }

    /// Whether there are sealed keys, which are given back.
    pub fn gives_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The keys that are given back.
    pub(crate) fn keys(&self) -> &Unsealing {
        &self.keys
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Bytes that the result takes on disk at most, holes not counted.
    pub fn estimate(&self) -> u64 {
        self.items.iter().map(|item| self.item_estimate(item)).sum()
    }

    fn item_estimate(&self, item: &Item) -> u64 {
        let stored: u64 = item
            .sources
            .iter()
            .map(|source| {
                let record = self.record(*source);
                let page = record.space.map_or(0, |space| u64::from(space.page_size));
                let pages = u64::from(record.pages) * page;
                let base = match (record.content, record.space) {
                    (Content::Full, Some(_)) => record.allocated,
                    (Content::Full, None) => record.allocated.max(record.length),
                    (Content::Delta | Content::Whole, _) => 0,
                };
                base + pages
            })
            .sum();
        stored.min(item.desc.length)
    }

    fn set(&self, source: Source) -> &BackupSet {
        &self.chain.sets()[source.set]
    }

    fn record(&self, source: Source) -> &FileRecord {
        &self.set(source).manifest().files[source.file]
    }

    fn deliver(
        &self,
        task: Task,
        buffer: &mut [u8],
        stage: Stage,
        recipient: &dyn Recipient,
        job: &Job,
    ) -> Result<()> {
        let item = &self.items[task.item];
        let sources = item
            .sources
            .iter()
            .map(|source| (self.set(*source), self.record(*source)));
        let mut merged = None;
        let end = task.offset + task.len;
        let mut at = task.offset;
        while at < end {
            job.check()?;
            let piece = (end - at).min(BUFFER as u64) as usize;
            if recipient.wants(item.desc.id, at) {
                let out = &mut buffer[..piece];
                job.throttle(piece as u64)?;
                let merged = match &mut merged {
                    Some(merged) => merged,
                    none => none.insert(MergedFile::open(
                        sources.clone(),
                        &item.desc,
                        &BackupSet::open_stored,
                    )?),
                };
                merged.read(at, out)?;
                self.give_keys(&item.desc, at, out)?;
                recipient.write(item.desc.id, at, out)?;
            }
            job.progress.advance(stage, piece as u64);
            at += piece as u64;
        }
        Ok(())
    }

    /// Puts sealed keys back into bytes of a file, if they have a place there.
    fn give_keys(&self, desc: &FileDesc, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let path = Path::new(&desc.name);
        match &desc.space {
            Some(space) if offset == 0 && space.first_page == 0 => {
                let page = bytes.get_mut(..space.geometry.physical());
                self.keys.page(space, page.unwrap_or_default(), path)
            }
            None if desc.kind == FileKind::Redo => self.keys.redo(offset, bytes, path),
            _ => Ok(()),
        }
    }

    fn stage_of(item: &Item) -> Stage {
        if item.desc.kind == FileKind::Redo {
            Stage::RedoCopy
        } else {
            Stage::FileCopy
        }
    }
}

impl Donor for ChainDonor {
    fn begin(&mut self, stage: Stage, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        self.next = AtomicUsize::new(0);
        self.tasks.clear();
        let mine = |item: &&Item| Self::stage_of(item) == stage;
        if stage == Stage::FileCopy {
            let plan = StagePlan {
                files: self
                    .items
                    .iter()
                    .filter(mine)
                    .filter(|item| item.desc.space.is_some())
                    .map(|item| PlannedFile {
                        desc: item.desc.clone(),
                        delivery: Delivery::Whole,
                    })
                    .collect(),
                directories: self.chain.last().manifest().directories.clone(),
            };
            recipient.begin(stage, &plan)?;
        }
        for item in self
            .items
            .iter()
            .filter(mine)
            .filter(|item| item.desc.space.is_none())
        {
            recipient.add_file(&item.desc)?;
        }
        for (index, item) in self.items.iter().enumerate() {
            if Self::stage_of(item) != stage {
                continue;
            }
            let length = item.desc.length;
            self.tasks
                .extend((0..length).step_by(TASK_BYTES as usize).map(|offset| Task {
                    item: index,
                    offset,
                    len: TASK_BYTES.min(length - offset),
                }));
        }
        let bytes = self.tasks.iter().map(|task| task.len).sum();
        job.progress.begin(stage, job.parallel(), bytes);
        Ok(())
    }

    fn work(&self, stage: Stage, recipient: &dyn Recipient, job: &Job) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        while let Some(task) = self.tasks.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            self.deliver(*task, &mut buffer, stage, recipient, job)?;
        }
        Ok(())
    }

    fn end(&mut self, stage: Stage, recipient: &Arc<dyn Recipient>, _job: &Job) -> Result<()> {
        for item in self
            .items
            .iter()
            .filter(|item| Self::stage_of(item) == stage)
        {
            recipient.set_length(item.desc.id, item.desc.length)?;
        }
        Ok(())
    }

    fn finish(&mut self, _recipient: &dyn Recipient, _job: &Job) -> Result<Snapshot> {
        let manifest = self.chain.last().manifest();
        let mut lsn = manifest.lsn;
        lsn.start = innodb::lsn::Lsn::ZERO;
        Ok(Snapshot {
            kind: SetKind::Full,
            parent: None,
            server: manifest.server.clone(),
            lsn,
            binlog: manifest.binlog.clone(),
            page_size: manifest.page_size,
            pages_by: PagesBy::All,
            means: None,
            keys: None,
            source: manifest.clone.source.clone(),
        })
    }
}

fn desc_of(set: &BackupSet, id: FileId, record: &FileRecord) -> Result<FileDesc> {
    let path = set.path().join(&record.name);
    let space = record.space.map(|space| space_info(&path, space));
    Ok(FileDesc {
        id,
        name: record.name.clone(),
        kind: record.kind,
        space: space.transpose()?,
        length: record.length,
        allocated: record.allocated,
        source: None,
    })
}

/// Opens a file of a full set, its pages over it; `open` opens what the set stores.
pub(crate) fn open_full(
    set: &BackupSet,
    record: &FileRecord,
    open: &dyn Fn(&BackupSet, &StoredFile) -> Result<Original>,
) -> Result<MergedFile> {
    let desc = desc_of(set, FileId(0), record)?;
    MergedFile::open(std::iter::once((set, record)), &desc, open)
}

fn index_by_place(set: &BackupSet) -> HashMap<(u32, u32), usize> {
    let files = set.manifest().files.iter().enumerate();
    files
        .filter_map(|(at, file)| Some(((file.space?.id, file.space?.first_page), at)))
        .collect()
}

/// The sources of a file, the oldest first: back through the chain until a set that holds all of
/// its pages.
fn lineage(
    chain: &Chain,
    by_place: &[HashMap<(u32, u32), usize>],
    last: Source,
) -> Result<Vec<Source>> {
    let mut sources = vec![last];
    loop {
        let source = sources[sources.len() - 1];
        let set = &chain.sets()[source.set];
        let record = &set.manifest().files[source.file];
        if record.content != Content::Delta {
            sources.reverse();
            return Ok(sources);
        }
        let older = source.set.checked_sub(1).and_then(|older| {
            let space = record.space?;
            Some((older, *by_place[older].get(&(space.id, space.first_page))?))
        });
        let Some((older, file)) = older else {
            // An increment from an LSN knows no parent: it has every page written of a tablespace
            // that is new since.
            if set.manifest().parent.is_none() {
                sources.reverse();
                return Ok(sources);
            }
            return Err(Error::broken_chain(
                format!(
                    "'{}' holds changed pages of '{}', which the set before it does not have",
                    set.path().display(),
                    record.name
                ),
                "The sets before it can be restored. Take a full backup.",
            ));
        };
        sources.push(Source { set: older, file });
    }
}

pub(crate) fn space_info(path: &Path, space: SpaceRecord) -> Result<SpaceInfo> {
    let flags = SpaceFlags::new(space.flags).map_err(|e| Error::damaged(path, e))?;
    let geometry = Geometry::of(flags).map_err(|e| Error::damaged(path, e))?;
    if geometry.physical() != space.page_size as usize {
        return Err(Error::damaged(
            path,
            "its page size is not that of its flags",
        ));
    }
    Ok(SpaceInfo {
        id: SpaceId::new(space.id),
        flags,
        geometry,
        first_page: space.first_page,
    })
}
