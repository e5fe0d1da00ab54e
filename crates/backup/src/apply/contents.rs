//! Bringing files to the content that was planned for them.

use super::disk::Disk;
use super::source::{Found, Pages, TASK_BYTES, chunks, main_file, ranges};
use super::work::Written;
use crate::files::FileKind;
use crate::io::{
    CHUNK, ChunkDigests, Digest, Layout, Original, WINDOW, Writeback, chunk_value, digest_of,
    overwrite, sync_filesystem, write_fresh,
};
use crate::keys::Unsealing;
use crate::set::{BackupSet, Content, FileRecord, StoredFile};
use crate::{Error, Job, Result, Stage};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// With more files than this the file system is synced as a whole before each file is.
const MANY_FILES: usize = 256;

/// Makes the content of files.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    pub disk: &'a Disk,
    pub increment: &'a BackupSet,
    pub keys: &'a Unsealing,
    /// The description of the result.
    pub result: &'a BackupSet,
    pub job: &'a Job,
    pub written: &'a Written,
}

impl Contents<'_> {
    /// Brings files to their final content, durably: those that were just created under a name
    /// aside, others in place.
    pub(super) fn make(&self, files: Vec<(usize, Option<String>)>) -> Result<()> {
        let mut items = Vec::with_capacity(files.len());
        let mut tasks = Vec::new();
        for (file, aside) in files {
            let (record, stored) = (
                record_of(self.increment, file)?,
                stored_in(self.result, file)?,
            );
            let item = Item {
                record,
                stored,
                fresh: aside.is_some(),
                name: aside.unwrap_or_else(|| record.name.clone()),
            };
            let target = self.disk.open(&item.name)?;
            self.disk.set_length(&target, &item.name, record.length)?;
            tasks.extend(ranges(record.length).map(|range| (items.len(), range)));
            items.push(item);
        }
        let (next, writeback) = (AtomicUsize::new(0), Writeback::start());
        self.job.in_parallel(|| {
            let mut open: Option<Open> = None;
            while let Some((at, range)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut file = match open.take().filter(|open| open.item == *at) {
                    Some(open) => open,
                    None => self.open(*at, &items[*at])?,
                };
                let written = self.fill(&items[*at], &mut file, range)?;
                file.dirty += written;
                if file.dirty >= WINDOW || written >= TASK_BYTES / 2 {
                    file.dirty = 0;
                    writeback.push(&file.target);
                }
                open = Some(file);
            }
            Ok(())
        })?;
        self.sync_files(&items)?;
        if writeback.has_failed() {
            let lost = std::io::Error::other("the disk refused data written earlier");
            return Err(Error::io("write file", self.disk.root(), lost));
        }
        Ok(())
    }

    fn sync_files(&self, items: &[Item<'_>]) -> Result<()> {
        if items.len() > MANY_FILES {
            // Only to have the syncs below find little to do.
            let root = self.disk.root();
            let opened = File::open(root);
            let opened = opened.map_err(|e| Error::io("open directory", root, e))?;
            sync_filesystem(&opened, root)?;
        }
        let next = AtomicUsize::new(0);
        self.job.in_parallel(|| {
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.job.check()?;
                let file = self.disk.open(&item.name)?;
                self.disk.sync(&file, &item.name)?;
            }
            Ok(())
        })
    }

    fn open(&self, at: usize, item: &Item<'_>) -> Result<Open> {
        let source = if item.record.content == Content::Full {
            let stored = main_file(self.increment.path(), item.record)?;
            Source::Copy(self.increment.open_stored(stored)?)
        } else {
            Source::Pages(Pages::open(self.increment, item.record)?)
        };
        Ok(Open {
            item: at,
            source,
            target: Arc::new(self.disk.open(&item.name)?),
            expected: self.result.chunk_values(item.stored)?,
            digest: self.result.digest(item.stored)?,
            dirty: 0,
        })
    }

    /// Writes one range of a file. Returns the bytes written.
    fn fill(&self, item: &Item<'_>, open: &mut Open, range: &Range<u64>) -> Result<u64> {
        let found = match &mut open.source {
            Source::Copy(_) => Vec::new(),
            Source::Pages(pages) => pages.find(range)?,
        };
        let how = if item.fresh { write_fresh } else { overwrite };
        let layout = layout_of(item.record);
        let mut buffer = Vec::new();
        let mut written = 0;
        for (offset, len) in chunks(range) {
            self.job.check()?;
            buffer.resize(len, 0);
            let runs = self.compose(item, open, &found, offset, &mut buffer)?;
            if runs.is_empty() {
                continue;
            }
            self.check_chunk(item, open, offset, &buffer)?;
            let bytes = runs.iter().map(Range::len).sum::<usize>() as u64;
            self.job.throttle(bytes)?;
            for run in runs {
                let piece = (offset + run.start as u64, &buffer[run]);
                self.disk
                    .write(&open.target, &item.name, piece, layout, how)?;
            }
            self.job.progress.advance(Stage::PageCopy, bytes);
            written += bytes;
        }
        self.written.bytes.fetch_add(written, Ordering::Relaxed);
        Ok(written)
    }

    /// Puts a chunk together as it is going to be: `out` is at `offset` of the file. Returns what
    /// of it is to be written.
    fn compose(
        &self,
        item: &Item<'_>,
        open: &mut Open,
        found: &[Found],
        offset: u64,
        out: &mut [u8],
    ) -> Result<Vec<Range<usize>>> {
        let pages = match &mut open.source {
            Source::Copy(file) => {
                file.read_at(offset, out)?;
                if item.record.kind == FileKind::Redo {
                    self.keys.redo(offset, out, file.path())?;
                }
                return Ok(std::iter::once(0..out.len()).collect());
            }
            Source::Pages(pages) => pages,
        };
        let here = pages.within(found, offset, out.len());
        if here.is_empty() {
            return Ok(Vec::new());
        }
        open.target
            .read_exact_at(out, offset)
            .map_err(|e| Error::io("read file", &self.disk.path(&item.name), e))?;
        self.written
            .pages
            .fetch_add(here.len() as u64, Ordering::Relaxed);
        pages.overlay(here, offset, out, self.keys, false)
    }

    /// What is about to be written, with what stays around it, must be what was planned.
    fn check_chunk(&self, item: &Item<'_>, open: &Open, offset: u64, bytes: &[u8]) -> Result<()> {
        let index = offset / CHUNK as u64;
        let sound = if item.record.length <= CHUNK as u64 {
            digest_of(bytes) == open.digest
        } else {
            open.expected.get(index) == Some(chunk_value(index, bytes))
        };
        if sound {
            return Ok(());
        }
        let end = offset + bytes.len() as u64;
        Err(Error::damaged(
            &self.disk.path(&item.name),
            format!("bytes {offset} to {end} changed since the apply began; copy the full again"),
        ))
    }
}

#[derive(Debug)]
struct Item<'a> {
    record: &'a FileRecord,
    /// What it is going to be.
    stored: &'a StoredFile,
    /// Where it is.
    name: String,
    /// Whether it was just created: it has holes only.
    fresh: bool,
}

struct Open {
    item: usize,
    source: Source,
    target: Arc<File>,
    expected: Arc<ChunkDigests>,
    digest: Digest,
    dirty: u64,
}

enum Source {
    Copy(Original),
    Pages(Pages),
}

fn stored_in(result: &BackupSet, file: usize) -> Result<&StoredFile> {
    let stored = result.manifest().files.get(file);
    stored
        .and_then(|record| record.stored.first())
        .ok_or_else(|| Error::damaged(result.path(), format!("there is no file {file}")))
}

/// The file at a position of the plan.
pub(super) fn record_of(increment: &BackupSet, file: usize) -> Result<&FileRecord> {
    increment.manifest().files.get(file).ok_or_else(|| {
        let detail = format!("the plan names its file {file}, which there is not");
        Error::damaged(increment.path(), detail)
    })
}

fn layout_of(record: &FileRecord) -> Layout {
    Layout {
        page: record.space.map_or(4096, |space| space.page_size as usize),
        innodb: record.space.is_some(),
    }
}
