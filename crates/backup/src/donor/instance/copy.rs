//! Tasks of the copying stages: what one worker does at a time.

use super::inventory::{SourceFile, open_source};
use super::pages::{PageReader, ReadError, page_lsn};
use crate::io::{BUFFER, drop_cache};
use crate::recipient::{Delivery, Recipient};
use crate::{Error, FileId, Job, Result, Stage};
use innodb::ids::PageNo;
use roaring::RoaringBitmap;
use std::fs::File;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Pages of a task on a list of pages.
const TASK_PAGES: u64 = 1024;
/// Unwanted pages between two wanted ones that are read rather than sought over. One, so that no
/// more than twice the changed pages is ever read.
const GAP: u32 = 1;

/// A file being delivered.
#[derive(Debug)]
pub(super) struct Work {
    pub id: FileId,
    pub file: SourceFile,
    pub delivery: Delivery,
    /// The file was replaced while it was copied: what was copied of it is worth nothing.
    pub replaced: AtomicBool,
}

/// What one worker does at a time.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// Bytes of a file that is delivered whole.
    Range { work: usize, offset: u64, len: u64 },
    /// Listed pages: `count` of them from position `first`.
    Pages { work: usize, first: u64, count: u64 },
}

/// The tasks of a stage, taken by workers in order.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    work: Vec<Work>,
    queue: Vec<Task>,
    next: AtomicUsize,
    /// What is delivered was delivered before.
    again: bool,
}

impl Tasks {
    /// `turn` is the number of bytes of a file in one task; see [`Recipient::turn`].
    pub(super) fn new(work: Vec<Work>, turn: u64) -> Self {
        let mut tasks = Vec::new();
        for (index, item) in work.iter().enumerate() {
            match &item.delivery {
                Delivery::Whole => {
                    let length = item.file.length;
                    let ranges = (0..length).step_by(turn as usize);
                    tasks.extend(ranges.map(|offset| Task::Range {
                        work: index,
                        offset,
                        len: turn.min(length - offset),
                    }));
                }
                Delivery::Pages(pages) => {
                    let count = pages.len();
                    let parts = (0..count).step_by(TASK_PAGES as usize);
                    tasks.extend(parts.map(|first| Task::Pages {
                        work: index,
                        first,
                        count: TASK_PAGES.min(count - first),
                    }));
                }
            }
        }
        Self {
            work,
            queue: tasks,
            next: AtomicUsize::new(0),
            again: false,
        }
    }

    /// Bytes that the tasks deliver.
    pub(super) fn bytes(&self) -> u64 {
        self.queue
            .iter()
            .map(|task| match task {
                Task::Range { len, .. } => *len,
                Task::Pages { work, count, .. } => count * self.work[*work].file_page_size() as u64,
            })
            .sum()
    }

    /// Has all tasks done once more, as far as the recipient wants.
    pub(super) fn begin_again(&mut self) {
        *self.next.get_mut() = 0;
        self.again = true;
    }

    /// The files.
    pub(super) fn work(&self) -> &[Work] {
        &self.work
    }

    /// Takes tasks until there are none, delivering to `recipient`. `settled` when no DDL can
    /// interfere; else files that are replaced meanwhile are marked and passed over.
    pub(super) fn deliver(
        &self,
        stage: Stage,
        recipient: &dyn Recipient,
        job: &Job,
        settled: bool,
        idle: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let replaced = |work: &Work| recipient.abandon(work.id);
        self.each(
            job,
            settled,
            &idle,
            &replaced,
            |task, work, file, buffer| match task {
                Task::Range { offset, len, .. } => in_pieces(offset, len, |at, piece| {
                    // A task can take minutes when the rate is limited.
                    idle()?;
                    if !recipient.wants(work.id, at) {
                        if !self.again {
                            job.progress.advance(stage, piece as u64);
                        }
                        return Ok(());
                    }
                    if self.again {
                        job.progress.expect(stage, piece as u64);
                    }
                    let out = &mut buffer[..piece];
                    work.reader(file)?.read(at, out, job)?;
                    drop_cache(file, at, piece as u64);
                    recipient.write(work.id, at, out)?;
                    job.progress.advance(stage, piece as u64);
                    Ok(())
                }),
                Task::Pages { first, count, .. } => {
                    let Delivery::Pages(pages) = &work.delivery else {
                        return Ok(());
                    };
                    deliver_pages(
                        stage, work, file, pages, first, count, buffer, recipient, job,
                    )
                }
            },
        )
    }

    /// Takes tasks until there are none, noting the pages whose LSN is at least `floor` in
    /// `found`, by file.
    pub(super) fn scan(
        &self,
        floor: u64,
        found: &[Mutex<RoaringBitmap>],
        job: &Job,
        settled: bool,
        idle: impl Fn() -> Result<()>,
    ) -> Result<()> {
        self.each(job, settled, &idle, &|_| (), |task, work, file, buffer| {
            let Task::Range {
                work: index,
                offset,
                len,
            } = task
            else {
                return Ok(());
            };
            let size = work.file_page_size();
            let base = work.file.space.map_or(0, |space| space.first_page);
            in_pieces(offset, len, |at, piece| {
                idle()?;
                let out = &mut buffer[..piece];
                work.reader(file)?.read(at, out, job)?;
                drop_cache(file, at, piece as u64);
                let first = base + super::pages::page_index(at, size);
                let changed = (first..)
                    .zip(out.chunks_exact(size))
                    .filter(|(_, page)| page_lsn(page) >= floor)
                    .map(|(no, _)| no);
                let mut bitmap = found[index]
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                bitmap.extend(changed);
                job.progress.advance(Stage::FileCopy, piece as u64);
                Ok(())
            })
        })
    }

    fn each(
        &self,
        job: &Job,
        settled: bool,
        idle: &impl Fn() -> Result<()>,
        replaced: &impl Fn(&Work),
        mut act: impl FnMut(Task, &Work, &File, &mut [u8]) -> Result<(), ReadError>,
    ) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        while let Some(task) = self.queue.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            job.check()?;
            idle()?;
            let (Task::Range { work, .. } | Task::Pages { work, .. }) = *task;
            let work = &self.work[work];
            if work.replaced.load(Ordering::Relaxed) {
                continue;
            }
            let result = match work.open()? {
                Some(file) => act(*task, work, &file, &mut buffer),
                None => Err(ReadError::Replaced),
            };
            match result {
                Ok(()) => {}
                Err(ReadError::Failed(error)) => return Err(error),
                Err(ReadError::Replaced) if settled => {
                    let detail = "was replaced or cut short while DDL was blocked";
                    return Err(Error::damaged(&work.file.path, detail));
                }
                Err(ReadError::Replaced) => {
                    work.replaced.store(true, Ordering::Relaxed);
                    replaced(work);
                }
            }
        }
        Ok(())
    }
}

impl Work {
    fn file_page_size(&self) -> usize {
        self.file
            .space
            .map_or(4096, |space| space.geometry.physical())
    }

    /// Opens the file; `None` when the name is gone or another file has it.
    fn open(&self) -> Result<Option<File>> {
        use std::os::unix::fs::MetadataExt;
        let Some((file, _)) = open_source(&self.file.path)? else {
            return Ok(None);
        };
        let meta = file
            .metadata()
            .map_err(|e| Error::io("open file", &self.file.path, e))?;
        Ok((meta.ino() == self.file.identity.inode).then_some(file))
    }

    fn reader<'a>(&'a self, file: &'a File) -> Result<PageReader<'a>> {
        let space = self
            .file
            .space
            .ok_or_else(|| Error::damaged(&self.file.path, "is not made of pages"))?;
        Ok(PageReader {
            file,
            path: &self.file.path,
            space,
        })
    }
}

/// Calls `act` with offset and length of pieces of at most the buffer's size.
fn in_pieces(
    offset: u64,
    len: u64,
    mut act: impl FnMut(u64, usize) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let end = offset + len;
    let mut at = offset;
    while at < end {
        let piece = (end - at).min(BUFFER as u64) as usize;
        act(at, piece)?;
        at += piece as u64;
    }
    Ok(())
}

/// Delivers listed pages: neighbours are read together, and handed on together.
#[expect(
    clippy::too_many_arguments,
    reason = "one call, its arguments are all of a task"
)]
fn deliver_pages(
    stage: Stage,
    work: &Work,
    file: &File,
    pages: &RoaringBitmap,
    first: u64,
    count: u64,
    buffer: &mut [u8],
    recipient: &dyn Recipient,
    job: &Job,
) -> Result<(), ReadError> {
    let size = work.file_page_size();
    let reader = work.reader(file)?;
    let base = reader.space.first_page;
    // Reading ahead would read what has not changed.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Random);
    let start = u32::try_from(first)
        .ok()
        .and_then(|first| pages.select(first))
        .unwrap_or(0);
    let mut wanted = pages.iter();
    wanted.advance_to(start);
    let wanted: Vec<u32> = wanted.take(count as usize).collect();
    // Half of the buffer for reading, half for the images in order.
    let (read, images) = buffer.split_at_mut(BUFFER / 2);
    let capacity = read.len() / size;
    let mut index = first;
    for batch in wanted.chunks(capacity) {
        let mut slots = images.chunks_exact_mut(size);
        let mut rest = batch;
        while !rest.is_empty() {
            let run = run_length(rest, capacity as u32);
            let (now, later) = rest.split_at(run);
            let (low, high) = (now[0], now[run - 1]);
            let out = &mut read[..(high - low + 1) as usize * size];
            reader.read(u64::from(low - base) * size as u64, out, job)?;
            for (page, slot) in now.iter().zip(&mut slots) {
                let at = (page - low) as usize * size;
                slot.copy_from_slice(&out[at..at + size]);
            }
            rest = later;
        }
        let numbers: Vec<PageNo> = batch.iter().copied().map(PageNo::new).collect();
        let bytes = batch.len() * size;
        recipient.write_pages(work.id, index, &numbers, &images[..bytes])?;
        job.progress.advance(stage, bytes as u64);
        index += batch.len() as u64;
    }
    // Pages of the neighbourhood were read ahead by the kernel as well.
    if let (Some(low), Some(high)) = (wanted.first(), wanted.last()) {
        let offset = u64::from(low - base) * size as u64;
        drop_cache(file, offset, u64::from(high - low + 1) * size as u64);
    }
    Ok(())
}

/// How many of the first wanted pages are read at once: gaps up to [`GAP`], within the buffer.
fn run_length(wanted: &[u32], capacity: u32) -> usize {
    let mut run = 1;
    while run < wanted.len()
        && wanted[run] - wanted[run - 1] <= GAP + 1
        && wanted[run] - wanted[0] < capacity
    {
        run += 1;
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together_within_the_buffer() {
        assert_eq!(run_length(&[5], 32), 1);
        assert_eq!(run_length(&[5, 6, 8, 11], 32), 3);
        assert_eq!(run_length(&[0, 1, 2, 3], 3), 3);
    }
}
