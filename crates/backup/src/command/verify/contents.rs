//! Reading files, each byte once, in parallel: digests, pages, deltas.

mod bytes;
mod delta;
mod item;
mod ranges;
mod worker;

use self::item::{Doubts, Expected, Item};
use self::worker::{Task, Worker};
use super::findings::Findings;
use super::pages::PageRules;
use super::redo::RedoCheck;
use crate::io::CHUNK;
use crate::set::layout::CHUNK_VALUES;
use crate::set::{BackupSet, FileRecord, StoredFile};
use crate::{Job, Result, Stage};
use innodb::meta::SpaceMeta;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

pub(super) use self::bytes::{Bytes, Place};
pub(super) use self::delta::DeltaRules;

/// Bytes of a file that one worker reads at a time; a whole number of chunks.
const TASK_BYTES: u64 = 16 << 20;

/// What a file is made of, beyond bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// Nothing that can be checked.
    Plain,
    /// Pages from the space's first page on.
    Pages(PageRules),
    /// Listed pages.
    Delta(DeltaRules),
    /// The text that describes a delta.
    Meta(SpaceMeta),
}

/// A file whose page 0 was never written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unwritten {
    /// Name of what is stored.
    pub stored: String,
    /// Name of the file.
    pub file: String,
}

impl Unwritten {
    /// A file that is stored under its own name.
    pub(super) fn plain(name: &str) -> Self {
        Self {
            stored: name.to_owned(),
            file: name.to_owned(),
        }
    }
}

/// What is known of the page 0 of a file.
#[derive(Debug, Default)]
struct FirstPage {
    /// Name of what is stored.
    stored: String,
    /// Whether it was written, in the file and in the delta.
    written: [Option<bool>; 2],
}

/// The files to read, and what is found in them.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    findings: &'a Findings,
    root: &'a Path,
    items: Vec<Item<'a>>,
    redo: Option<RedoCheck<'a>>,
    /// By name of the file.
    first_pages: Mutex<BTreeMap<String, FirstPage>>,
    quick: bool,
}

impl<'a> Contents<'a> {
    /// Nothing yet. `quick` leaves pages, deltas and redo out, and unpacks nothing.
    pub(super) fn new(root: &'a Path, quick: bool, findings: &'a Findings) -> Self {
        Self {
            findings,
            root,
            items: Vec::new(),
            redo: None,
            first_pages: Mutex::default(),
            quick,
        }
    }

    /// What a set stores for a file, or of its own. What can be told without reading it is told
    /// here.
    pub(super) fn add_stored(
        &mut self,
        set: &'a BackupSet,
        record: Option<&'a FileRecord>,
        stored: &'a StoredFile,
        body: Body,
    ) {
        let Some(found) = self.file_size(&stored.name) else {
            return;
        };
        if found != stored.size {
            let detail = format!("{found} bytes long instead of {}", stored.size);
            self.findings
                .add_at(&stored.name, found.min(stored.size), detail);
        }
        let expected = match set.digest(stored) {
            Err(error) => {
                self.findings.add_error(&stored.name, &error);
                return;
            }
            Ok(digest) if stored.size <= CHUNK as u64 => Expected::Digest(digest),
            Ok(digest) => match set.chunk_values(stored) {
                Ok(_) => Expected::Chunks(Mutex::default()),
                Err(error) => {
                    self.findings.add_error(CHUNK_VALUES, &error);
                    Expected::Digest(digest)
                }
            },
        };
        self.items.push(Item {
            place: Place {
                name: stored.name.clone(),
                root: self.root,
                of_set: Some((set, stored)),
            },
            file: record.map_or(&stored.name, |record| &record.name).clone(),
            size: stored.size,
            found,
            body,
            expected,
            overlay: record
                .and_then(FileRecord::delta)
                .filter(|_| matches!(body, Body::Pages(_))),
            doubts: Doubts::default(),
        });
    }

    /// A file of which no digest is known.
    pub(super) fn add_unknown(&mut self, name: &str, body: Body) {
        if let Some(found) = self.file_size(name) {
            self.items.push(Item {
                place: Place {
                    name: name.to_owned(),
                    root: self.root,
                    of_set: None,
                },
                file: name.to_owned(),
                size: found,
                found,
                body,
                expected: Expected::Nothing,
                overlay: None,
                doubts: Doubts::default(),
            });
        }
    }

    /// The redo log.
    pub(super) fn add_redo(&mut self, redo: RedoCheck<'a>) {
        self.redo = Some(redo);
    }

    /// Files that have a page 0, but one that was never written; after [`Self::read`].
    pub(super) fn unwritten(&self) -> Vec<Unwritten> {
        let pages = self.first_pages.lock();
        let pages = pages.unwrap_or_else(PoisonError::into_inner);
        let unwritten = pages.iter().filter(|(_, page)| {
            let [base, delta] = page.written;
            delta.or(base) == Some(false)
        });
        let unwritten = unwritten.map(|(file, page)| Unwritten {
            stored: page.stored.clone(),
            file: file.clone(),
        });
        unwritten.collect()
    }

    fn note_first_page(&self, item: &Item<'_>, written: bool) {
        let in_delta = matches!(item.body, Body::Delta(_));
        let mut pages = self.first_pages.lock();
        let pages = pages.as_mut().unwrap_or_else(PoisonError::get_mut);
        let page = pages.entry(item.file.clone()).or_default();
        page.written[usize::from(in_delta)] = Some(written);
        if !written {
            item.name().clone_into(&mut page.stored);
        }
    }

    fn file_size(&self, name: &str) -> Option<u64> {
        match std::fs::metadata(self.root.join(name)) {
            Ok(meta) if meta.is_file() => Some(meta.len()),
            Ok(_) => {
                self.findings.add(name, "is not a file");
                None
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                self.findings.add(name, "is missing");
                None
            }
            Err(e) => {
                self.findings.add(name, format!("read attributes of: {e}"));
                None
            }
        }
    }

    /// Reads everything.
    pub(super) fn read(&self, job: &Job) -> Result<()> {
        let mut tasks: Vec<Task> = self.redo.iter().map(|_| Task::Redo).collect();
        for (index, item) in self.items.iter().enumerate() {
            self.findings.count_file();
            self.tasks(index, item, &mut tasks);
        }
        let bytes = |item| self.unpacked(item).unwrap_or_else(|| item.readable());
        let bytes = self.items.iter().map(bytes).sum();
        job.progress.begin(Stage::FileCopy, job.parallel(), bytes);
        self.work(&tasks, job)?;
        let doubtful = || {
            let items = self.items.iter().enumerate();
            items.filter(|(_, item)| !item.doubts.is_empty())
        };
        let mut tasks = Vec::new();
        for (index, item) in doubtful() {
            stored_tasks(index, item, &mut tasks);
        }
        self.work(&tasks, job)?;
        for (_, item) in doubtful() {
            for (offset, detail) in item.doubts.unexplained() {
                self.findings.add_at(item.name(), offset, detail);
            }
        }
        job.progress.end(Stage::FileCopy);
        Ok(())
    }

    fn work(&self, tasks: &[Task], job: &Job) -> Result<()> {
        let next = AtomicUsize::new(0);
        job.in_parallel(|| {
            let mut worker = Worker::new(self, job);
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                job.check()?;
                worker.run(*task)?;
            }
            Ok(())
        })
    }

    /// Bytes of the original of a compressed file that is going to be unpacked: one that has
    /// another length than it should is not.
    fn unpacked(&self, item: &Item<'_>) -> Option<u64> {
        item.unpacked()
            .filter(|_| !self.quick && item.found == item.size && item.size > 0)
    }

    fn tasks(&self, index: usize, item: &Item<'_>, tasks: &mut Vec<Task>) {
        if let Some(length) = self.unpacked(item) {
            // Every byte of it is read: the frames, and for them the index.
            if matches!(item.body, Body::Delta(_)) {
                tasks.push(Task::Headers { item: index });
            }
            tasks.extend(pieces(length).map(|(offset, len)| Task::Unpacked {
                item: index,
                offset,
                len,
            }));
            return;
        }
        if matches!(item.body, Body::Delta(_)) && !self.quick && item.unpacked().is_none() {
            tasks.push(Task::Headers { item: index });
        }
        if !(self.quick && matches!(item.expected, Expected::Nothing)) {
            stored_tasks(index, item, tasks);
        }
    }
}

/// The reading of a file as it is stored.
fn stored_tasks(index: usize, item: &Item<'_>, tasks: &mut Vec<Task>) {
    if matches!(item.expected, Expected::Digest(_)) {
        tasks.push(Task::Whole { item: index });
        return;
    }
    tasks.extend(pieces(item.readable()).map(|(offset, len)| Task::Range {
        item: index,
        offset,
        len,
    }));
}

/// Offset and length of what one worker reads at a time.
fn pieces(length: u64) -> impl Iterator<Item = (u64, u64)> {
    let offsets = (0..length).step_by(TASK_BYTES as usize);
    offsets.map(move |offset| (offset, TASK_BYTES.min(length - offset)))
}
