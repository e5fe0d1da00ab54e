//! Reading the increment and the files it changes, one task after the other.

use super::{Item, Task};
use crate::apply::source::{Found, Pages, chunks, read_all};
use crate::files::FileKind;
use crate::io::{CHUNK, ChunkDigests, Original, chunk_value, digest_of};
use crate::keys::Unsealing;
use crate::set::layout::META;
use crate::set::{BackupSet, FileRecord, StoredFile};
use crate::{Error, Job, Result, Stage};
use innodb::meta::SpaceMeta;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Does tasks, one after the other.
pub(super) struct Worker<'a> {
    base: &'a BackupSet,
    increment: &'a BackupSet,
    items: &'a [Item<'a>],
    keys: &'a Unsealing,
    job: &'a Job,
    /// The file of the last task, which most often is that of the next one too.
    open: Option<Open>,
}

struct Open {
    item: usize,
    pages: Pages,
    base: Option<Original>,
    old: Arc<ChunkDigests>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        base: &'a BackupSet,
        increment: &'a BackupSet,
        items: &'a [Item<'a>],
        keys: &'a Unsealing,
        job: &'a Job,
    ) -> Self {
        Self {
            base,
            increment,
            items,
            keys,
            job,
            open: None,
        }
    }

    pub(super) fn run(&mut self, task: &Task<'a>) -> Result<()> {
        match task {
            Task::Read(stored, record) => self.read(stored, *record),
            Task::Unpack(at, stored) => self.unpack(&self.items[*at], stored),
            Task::Merge(at, range) => {
                let item = &self.items[*at];
                let mut open = match self.open.take().filter(|open| open.item == *at) {
                    Some(open) => open,
                    None => self.open(*at, item)?,
                };
                self.merge(item, &mut open, range)?;
                self.open = Some(open);
                Ok(())
            }
        }
    }

    fn open(&self, at: usize, item: &Item<'_>) -> Result<Open> {
        let base = item.base.map(|stored| self.base.open_stored(stored));
        let old = item.base.map(|stored| self.base.chunk_values(stored));
        Ok(Open {
            item: at,
            pages: Pages::open(self.increment, item.record)?,
            base: base.transpose()?,
            old: old.transpose()?.unwrap_or_default(),
        })
    }

    fn read(&self, stored: &StoredFile, record: Option<&FileRecord>) -> Result<()> {
        let file = self.increment.open_stored(stored)?;
        let path = file.path().to_owned();
        let mut start = Vec::new();
        read_all(file, |_, bytes| {
            self.job.check()?;
            self.job.throttle(bytes.len() as u64)?;
            self.job
                .progress
                .advance(Stage::FileCopy, bytes.len() as u64);
            if start.is_empty() {
                start.extend_from_slice(&bytes[..bytes.len().min(4096)]);
            }
            Ok(())
        })?;
        match record {
            Some(record) if stored.name.ends_with(META) => {
                let meta = SpaceMeta::parse(&start).map_err(|e| Error::damaged(&path, e))?;
                check_meta(record, meta).map_err(|detail| Error::damaged(&path, detail))
            }
            _ => Ok(()),
        }
    }

    /// Works out the chunks of a file that is not made of pages.
    fn unpack(&self, item: &Item<'_>, stored: &StoredFile) -> Result<()> {
        let file = self.increment.open_stored(stored)?;
        let single = file.size() <= CHUNK as u64;
        let path = file.path().to_owned();
        let mut copy = Vec::new();
        read_all(file, |at, bytes| {
            copy.clear();
            copy.extend_from_slice(bytes);
            let bytes = copy.as_mut_slice();
            if item.record.kind == FileKind::Redo {
                self.keys.redo(at, bytes, &path)?;
            }
            self.job.check()?;
            self.job.throttle(bytes.len() as u64)?;
            self.job
                .progress
                .advance(Stage::FileCopy, bytes.len() as u64);
            let mut known = item.known();
            if single {
                known.digest = Some(digest_of(bytes));
            } else {
                let index = at / CHUNK as u64;
                known.values.set(index, chunk_value(index, bytes));
            }
            Ok(())
        })
    }

    /// Works out the chunks of one range.
    fn merge(&self, item: &Item<'_>, open: &mut Open, range: &Range<u64>) -> Result<()> {
        let found = open.pages.find(range)?;
        item.met.fetch_add(found.len() as u64, Ordering::Relaxed);
        let mut buffer = Vec::new();
        for (offset, len) in chunks(range) {
            let pages = open.pages.within(&found, offset, len);
            self.chunk(item, open, (offset, len), pages, &mut buffer)?;
        }
        Ok(())
    }

    fn chunk(
        &self,
        item: &Item<'_>,
        open: &mut Open,
        (offset, len): (u64, usize),
        pages: &[Found],
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        let index = offset / CHUNK as u64;
        let length = item.record.length;
        if pages.is_empty()
            && let Some(old) = item.base
        {
            let old_len = old.size.saturating_sub(offset).min(CHUNK as u64);
            let single = length <= CHUNK as u64;
            let (value, digest) = (open.old.get(index), self.base.digest(old)?);
            if single && old.size == length {
                item.known().digest = Some(digest);
                return Ok(());
            }
            if let (false, Some(value)) = (single || old_len != len as u64, value) {
                item.known().values.set(index, value);
                return Ok(());
            }
        }
        self.job.check()?;
        let bytes = open.pages.bytes_of(pages);
        self.job.throttle(bytes)?;
        buffer.clear();
        buffer.resize(len, 0);
        if let Some(base) = &mut open.base {
            let there = base.size().saturating_sub(offset).min(len as u64) as usize;
            base.read_at(offset, &mut buffer[..there])?;
        }
        open.pages.overlay(pages, offset, buffer, self.keys, true)?;
        self.job.progress.advance(Stage::FileCopy, bytes);
        let mut known = item.known();
        if length <= CHUNK as u64 {
            known.digest = Some(digest_of(buffer));
        } else {
            known.values.set(index, chunk_value(index, buffer));
        }
        Ok(())
    }
}

fn check_meta(record: &FileRecord, meta: SpaceMeta) -> Result<(), String> {
    let space = record.space.ok_or("is of a file without pages")?;
    let found = (meta.space_id.get(), meta.space_flags.get(), meta.page_size);
    let expected = (space.id, space.flags, space.page_size);
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "says space id, flags and page size {found:?}, the manifest {expected:?}"
    ))
}
