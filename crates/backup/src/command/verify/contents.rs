//! Reading files, each byte once, in parallel: digests, pages, deltas.

mod delta;
mod ranges;

use self::delta::DeltaCheck;
use self::ranges::Ranges;
use super::findings::Findings;
use super::pages::PageRules;
use super::redo::RedoCheck;
use crate::io::{BUFFER, CHUNK, ChunkDigests, Digest, drop_cache};
use crate::set::layout::{CHUNK_VALUES, REDO_DIR};
use crate::set::{BackupSet, StoredFile};
use crate::{Job, Result, Stage};
use innodb::meta::SpaceMeta;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

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

/// What tells whether the bytes of a file are the right ones.
#[derive(Debug)]
enum Expected {
    /// Nothing does.
    Nothing,
    /// The digest of a file that is one chunk, or whose chunk values cannot be had.
    Digest(Digest),
    /// The chunk values, read again for every worker that comes to the file: those of all files
    /// together are too many to keep.
    Chunks(Mutex<Weak<ChunkDigests>>),
}

/// A file to read.
#[derive(Debug)]
pub(super) struct Item<'a> {
    name: String,
    path: PathBuf,
    /// Bytes it should have.
    size: u64,
    /// Bytes it has.
    found: u64,
    body: Body,
    expected: Expected,
    /// The set it is of, with its record.
    stored: Option<(&'a BackupSet, &'a StoredFile)>,
}

#[derive(Debug, Clone, Copy)]
enum Task {
    /// Bytes of a file, the first a chunk's.
    Range { item: usize, offset: u64, len: u64 },
    /// The whole file in one pass, because only its digest is known.
    Whole { item: usize },
    /// The headers of a delta.
    Headers { item: usize },
    /// The redo log.
    Redo,
}

/// The files to read, and what is found in them.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    findings: &'a Findings,
    root: PathBuf,
    items: Vec<Item<'a>>,
    redo: Option<RedoCheck>,
    /// Files whose page 0 was never written.
    unwritten: Mutex<Vec<String>>,
    quick: bool,
}

impl<'a> Contents<'a> {
    /// Nothing yet. `quick` leaves pages, deltas and redo out.
    pub(super) fn new(root: PathBuf, quick: bool, findings: &'a Findings) -> Self {
        Self {
            findings,
            root,
            items: Vec::new(),
            redo: None,
            unwritten: Mutex::default(),
            quick,
        }
    }

    /// A file of a set. What can be told without reading it is told here.
    pub(super) fn add_stored(&mut self, set: &'a BackupSet, stored: &'a StoredFile, body: Body) {
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
            name: stored.name.clone(),
            path: self.root.join(&stored.name),
            size: stored.size,
            found,
            body,
            expected,
            stored: Some((set, stored)),
        });
    }

    /// A file of which no digest is known.
    pub(super) fn add_unknown(&mut self, name: &str, body: Body) {
        if let Some(found) = self.file_size(name) {
            self.items.push(Item {
                name: name.to_owned(),
                path: self.root.join(name),
                size: found,
                found,
                body,
                expected: Expected::Nothing,
                stored: None,
            });
        }
    }

    /// The redo log.
    pub(super) fn add_redo(&mut self, redo: RedoCheck) {
        self.redo = Some(redo);
    }

    /// Files that have a page 0, but one that was never written; after [`Self::read`].
    pub(super) fn unwritten(&self) -> Vec<String> {
        let unwritten = self.unwritten.lock();
        unwritten.unwrap_or_else(PoisonError::into_inner).clone()
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
        let tasks = self.tasks();
        let bytes = self.items.iter().map(Item::readable).sum();
        job.progress.begin(Stage::FileCopy, job.parallel(), bytes);
        let next = AtomicUsize::new(0);
        job.in_parallel(|| {
            let mut worker = Worker {
                contents: self,
                job,
                buffer: vec![0; BUFFER],
                values: None,
            };
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                job.check()?;
                worker.run(*task)?;
            }
            Ok(())
        })?;
        job.progress.end(Stage::FileCopy);
        Ok(())
    }

    fn tasks(&self) -> Vec<Task> {
        let mut tasks: Vec<Task> = self.redo.iter().map(|_| Task::Redo).collect();
        for (index, item) in self.items.iter().enumerate() {
            self.findings.count_file();
            if matches!(item.body, Body::Delta(_)) && !self.quick {
                tasks.push(Task::Headers { item: index });
            }
            let length = item.readable();
            match item.expected {
                Expected::Nothing if self.quick => {}
                Expected::Digest(_) => tasks.push(Task::Whole { item: index }),
                _ => {
                    let ranges = (0..length).step_by(TASK_BYTES as usize);
                    tasks.extend(ranges.map(|offset| Task::Range {
                        item: index,
                        offset,
                        len: TASK_BYTES.min(length - offset),
                    }));
                }
            }
        }
        tasks
    }
}

impl Item<'_> {
    /// Bytes that are there of those that should be.
    fn readable(&self) -> u64 {
        self.size.min(self.found)
    }

    /// The chunk values, shared with the other workers on the file.
    fn chunk_values(&self) -> Option<Arc<ChunkDigests>> {
        let Expected::Chunks(shared) = &self.expected else {
            return None;
        };
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(values) = shared.upgrade() {
            return Some(values);
        }
        let (set, stored) = self.stored?;
        // They were confirmed before; a disk that fails meanwhile makes every chunk a problem.
        let values = set.chunk_values(stored).unwrap_or_default();
        *shared = Arc::downgrade(&values);
        Some(values)
    }
}

/// One thread's state.
struct Worker<'w> {
    contents: &'w Contents<'w>,
    job: &'w Job,
    buffer: Vec<u8>,
    /// The chunk values of the file read last.
    values: Option<(usize, Arc<ChunkDigests>)>,
}

impl Worker<'_> {
    fn run(&mut self, task: Task) -> Result<()> {
        match task {
            Task::Redo => {
                let Some(redo) = &self.contents.redo else {
                    return Ok(());
                };
                let result = redo.run(self.contents.findings, self.job);
                self.contents.findings.tolerate(REDO_DIR, result)?;
                Ok(())
            }
            Task::Headers { item } => {
                let item = &self.contents.items[item];
                let (Body::Delta(rules), Some(file)) = (item.body, self.open(item)) else {
                    return Ok(());
                };
                DeltaCheck::new(rules, &file).headers(item.readable(), |offset, detail| {
                    self.contents.findings.add_at(&item.name, offset, detail);
                });
                Ok(())
            }
            Task::Whole { item } => {
                let item = &self.contents.items[item];
                let Expected::Digest(digest) = item.expected else {
                    return Ok(());
                };
                let mut hasher = blake3::Hasher::new();
                let complete = self.pieces(item, 0..item.readable(), None, |bytes| {
                    hasher.update(bytes);
                })?;
                let is_cut = item.readable() < item.size;
                if complete && !is_cut && *hasher.finalize().as_bytes() != digest {
                    let detail = format!(
                        "bytes 0 to {} are not the bytes that were backed up",
                        item.size
                    );
                    self.contents.findings.add(&item.name, detail);
                }
                Ok(())
            }
            Task::Range {
                item: index,
                offset,
                len,
            } => {
                let item = &self.contents.items[index];
                if self.values.as_ref().is_none_or(|(held, _)| *held != index) {
                    self.values = item.chunk_values().map(|values| (index, values));
                }
                let values = self.values.as_ref().map(|(_, values)| Arc::clone(values));
                let range = offset..offset + len;
                self.pieces(item, range, values.as_deref(), |_| {})?;
                Ok(())
            }
        }
    }

    fn open(&self, item: &Item<'_>) -> Option<File> {
        match File::open(&item.path) {
            Ok(file) => Some(file),
            Err(e) => {
                self.contents
                    .findings
                    .add(&item.name, format!("open file: {e}"));
                None
            }
        }
    }

    /// Reads a range of a file piece by piece, checks it, and shows it to `see`; whether all of it
    /// could be read.
    fn pieces(
        &mut self,
        item: &Item<'_>,
        range: Range<u64>,
        values: Option<&ChunkDigests>,
        mut see: impl FnMut(&[u8]),
    ) -> Result<bool> {
        let Some(file) = self.open(item) else {
            return Ok(false);
        };
        let findings = self.contents.findings;
        let mut ranges = Ranges::new(self.contents, item, &file);
        let mut complete = true;
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(BUFFER as u64);
            self.job.throttle(len)?;
            let bytes = &mut self.buffer[..len as usize];
            match file.read_exact_at(bytes, at) {
                Ok(()) => {
                    see(bytes);
                    ranges.check(at, bytes, values);
                }
                Err(e) => {
                    complete = false;
                    let detail = format!("bytes {at} to {} cannot be read: {e}", at + len);
                    findings.add_at(&item.name, at, detail);
                }
            }
            drop_cache(&file, at, len);
            findings.count_bytes(len);
            self.job.progress.count_read(len);
            self.job.progress.advance(Stage::FileCopy, len);
            at += len;
        }
        ranges.end();
        Ok(complete)
    }
}
